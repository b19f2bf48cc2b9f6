"""A run whose own node does not reach the hub says so, and that it does again."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from federated.session.progress import OFFLINE
from profiles import remote
from psi.protocol import Declined, EnvironmentFailed


def test_a_lost_hub_is_one_report_and_its_coming_back_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Any] = [True, False, False, None, False, True, True]

    def ask(path: Path, **request: Any) -> dict[str, Any]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            raise EnvironmentFailed("nothing runs here")
        return {"connected": answer}

    monkeypatch.setattr(remote, "ask", ask)
    monkeypatch.setattr(remote, "LOOK_AT_HUB", 0.01)
    said: list[tuple[str, str, float]] = []
    over = threading.Event()
    link: Any = SimpleNamespace(home=SimpleNamespace(name="bank"), socket=Path("node.sock"))
    args = (link, lambda *one: said.append(one), over, [("train/churn", 0.5)])
    thread = threading.Thread(target=remote._look_at_hub, args=args)
    thread.start()
    end = time.monotonic() + 10
    while len(said) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    over.set()
    thread.join(5)
    assert said == [("bank", OFFLINE, 0.0), ("bank", "train/churn", 0.5)]


@pytest.mark.parametrize(("hint", "first"), [("", "policy.toml"), ("ask less", "ask less; policy")])
def test_a_no_of_the_own_policy_says_where_it_stands(hint: str, first: str) -> None:
    home: Any = SimpleNamespace(name="bank", policy=Path("policy.toml"))
    with pytest.raises(Declined, match="bank itself says no: never") as no, remote._own_word(home):
        raise Declined("never", hint=hint)
    assert no.value.hint.startswith(first)
