"""The words of a refusal, or of any error that ends a job, stay at the party that met it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from federated.ledger.account import read_account
from federated.ledger.ending import told_in
from federated.ledger.lines import read_ledger
from federated.node import participant
from federated.session.over import why_ended
from federated.session.reasons import ShutOut, Stopped
from federated.session.routers import MemoryRouter
from federated.session.session import Session
from federated.steps import runner
from federated.steps.work import Work
from psi.protocol import (
    EnvironmentFailed,
    FedprofileError,
    InputError,
    PeerError,
    PeerGone,
    Refused,
)
from tests.unit.states.scene import Scene
from tests.unit.test_node_replay import KEYS, PINNED

WORDS = "12 shared records found, 100 needed by this contract"
STEP = "align/bank/bureau"


def bureau_ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """At the first step."""
    true = runner.run_steps

    def steps(work: Work) -> Any:
        if work.session.name == "bureau":
            raise error
        return true(work)

    monkeypatch.setattr(participant, "run_steps", steps)


def test_a_steps_no_is_kept_at_both(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever step, it was the class of an error alone: nobody could say afterwards why."""
    bureau_ends_with(monkeypatch, Refused(WORDS, step=STEP))
    scene.approve()
    told = scene.ends()
    assert isinstance(told, FedprofileError)
    scene.becomes("refused")
    (line,) = scene.lines("refused")
    assert (line["by"], line["why"]) == ("rule", WORDS)
    assert scene.lines("ended")[-1] == {"error": "Refused", "why": WORDS}
    scene.stop()  # after a restart only files speak
    assert scene.row()["why"] == WORDS
    for words in (("jobs",), ("show", scene.session.hex()[:8])):
        assert WORDS in scene.say(*words)
    assert WORDS in scene.say("ledger", "export", "--decisions")
    theirs = read_ledger(scene.folder / "bank" / "ledger.jsonl")
    (line,) = (line["body"] for line in theirs if line["kind"] == "ended")
    assert line == {"error": "PeerRefused", "why": told.message}
    assert WORDS not in told.message, "a rule's reason is for its own party"
    read_account(scene.home.job(scene.session) / "ledger.jsonl", PINNED["bureau"])


def errors(kind: type[FedprofileError] = FedprofileError) -> list[type[FedprofileError]]:
    """Every class of ours that is loaded."""
    below = [one for sub in kind.__subclasses__() for one in (sub, *errors(sub))]
    return sorted(set(below), key=lambda one: one.__name__)


@pytest.mark.parametrize("kind", errors(), ids=lambda kind: kind.__name__)
def test_the_words_of_every_error_are_kept(tmp_path: Path, kind: type[FedprofileError]) -> None:
    router = MemoryRouter(list(PINNED))
    session = Session(bytes(32), KEYS["bureau"], PINNED, router.endpoint("bureau"), tmp_path)
    session.abort(kind(WORDS))
    line, told = read_ledger(tmp_path / "ledger.jsonl")[-1], told_in(tmp_path / "ledger.jsonl")
    body, beside = line["body"], why_ended(tmp_path)
    assert (line["kind"], body.pop("error")) == ("ended", kind.__name__)
    if issubclass(kind, Stopped | ShutOut):
        assert (body, beside) == ({}, ""), "the class says it all"
        return
    assert [told.ended_why, beside].count(WORDS) == 1
    if issubclass(kind, EnvironmentFailed | InputError) and not issubclass(kind, PeerGone):
        assert beside, "what names own files goes into no ledger, which others are sent"
    if issubclass(kind, Refused | PeerError | PeerGone):
        assert not beside
    session = Session(bytes(32), KEYS["bureau"], PINNED, router.endpoint("bureau"), tmp_path)
    assert why_ended(tmp_path) == "", "it goes on"
    session.close()
