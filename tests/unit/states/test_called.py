"""What happens to a call whose proposal has not come yet."""

from __future__ import annotations

import errno
import secrets
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from federated.approval.call import make_call
from federated.node.rotation import rotate
from federated.session.reasons import ShutOut
from federated.wire.parcels import Kind, notice
from psi.protocol import FedprofileError
from tests.unit.states.scene import FORBIDS, OPEN, SLOW, Scene, people
from tests.unit.test_node_replay import KEYS, PINNED, SECRET


def restart(scene: Scene) -> None:
    """The node begins afresh, under the same session."""
    scene.stop()
    assert scene.row()["state"] == "called"
    scene.start()


def hub_gone(scene: Scene) -> None:
    scene.cut = True
    scene.call()
    scene.mend()


def policy_mended(scene: Scene) -> None:
    scene.policy("[proposals\n")
    scene.policy(OPEN)


def table_changed(scene: Scene) -> None:
    """Nothing is read yet."""
    assert scene.node is not None
    scene.node._source._tables["bureau.people"] = people(30)  # type: ignore[attr-defined]


OUTLIVES = [restart, hub_gone, policy_mended, pytest.param(table_changed, marks=SLOW)]


@pytest.mark.parametrize("event", OUTLIVES, ids=lambda e: e.__name__)
def test_what_a_call_outlives(called: Scene, event: Callable[[Scene], None]) -> None:
    called.becomes("called")
    event(called)
    called.propose()
    called.becomes("waiting")
    called.approve()
    assert called.ends() is None
    called.becomes("done")
    (line,) = called.lines("contract")
    rows = [p["rows"] for p in line["terms"]["parties"] if p["name"] == "bureau"]
    assert rows == [30 if event is table_changed else 40]


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (FORBIDS, "purpose 'test' asked, fraud allowed by policy"),
        pytest.param("[proposals\n", "this party's policy cannot be read", marks=SLOW),
    ],
)
def test_a_policy_that_was_saved_meanwhile_decides(called: Scene, policy: str, why: str) -> None:
    called.becomes("called")
    called.policy(policy)
    called.propose()
    error = called.ends()
    assert isinstance(error, FedprofileError)
    assert why in error.message
    called.becomes("refused")


def proposer_gone(scene: Scene) -> None:
    """The hub says that its process has ended, for good or not."""
    scene.to_bureau(notice(Kind.REFUSED, scene.session, "bank", "bureau", "ended"))


def revoked(scene: Scene) -> None:
    assert scene.node is not None
    scene.node._ended(ShutOut("this node was revoked"))


@pytest.mark.parametrize("event", [proposer_gone, revoked], ids=lambda e: e.__name__)
def test_what_ends_a_call(called: Scene, event: Callable[[Scene], None]) -> None:
    """Nothing of it stays to go on from, and its officer is not asked."""
    called.becomes("called")
    event(called)
    called.becomes("failed")
    assert called.node is not None
    job = called.node.jobs[called.session]
    assert job.thread is not None
    job.thread.join(20)
    assert not list(called.home.jobs.glob("*/journal"))
    assert not list((called.home.path / "desk").glob("*.request"))


def test_new_keys_while_a_party_calls(called: Scene) -> None:
    """The call names the keys of before: it is lost, and made anew once the new are confirmed."""
    called.becomes("called")
    called.stop()
    new = rotate(called.home, KEYS["bureau"], SECRET, secrets.token_bytes)
    called.start()
    assert called.node is not None
    assert called.session not in called.node.jobs
    make = partial(make_call, called.session, KEYS["bank"])
    anew = make(PINNED | {"bureau": new})
    called.to_bureau(notice(Kind.CALL, called.session, "bank", "bureau", data=anew))
    called.becomes("called")


def test_a_full_disk_refuses_a_call(called: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left behind, and the same call is taken once there is room."""
    called.becomes("called")

    def full(*given: Any, **named: Any) -> tuple[int, str]:
        raise OSError(errno.ENOSPC, "No space left on device")

    called.session = secrets.token_bytes(32)
    called.comes()
    refused: list[Any] = []
    with monkeypatch.context() as broken:
        broken.setattr(called, "to_bank", refused.append)
        broken.setattr(tempfile, "mkstemp", full)
        called.call()
    # the job of before finds the disk full too, and may say so
    own = [(p.kind, p.step) for p in refused if p.job == called.session]
    assert own == [(Kind.REFUSED, "closed")]
    assert called.node is not None
    assert called.session not in called.node.jobs
    called.call()
    called.propose()
    end = time.monotonic() + 20
    while called.node.jobs[called.session].draft is None:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("age", [8 * 86400, -2 * 3600])
def test_a_call_that_is_stale_or_from_the_future(called: Scene, age: int) -> None:
    session = secrets.token_bytes(32)
    data = make_call(session, KEYS["bank"], PINNED, time.time() - age)
    called.to_bureau(notice(Kind.CALL, session, "bank", "bureau", data=data))
    assert called.node is not None
    assert session not in called.node.jobs
    assert not called.home.job(session).exists()


def test_a_stop_between_the_call_and_the_proposal(called: Scene) -> None:
    """Channels are open, so it can go on; its officer reads that a party calls, and which."""
    called.becomes("called")
    called.cut_at = "contract"
    called.propose()
    end = time.monotonic() + 20
    while not called.lines("handshake"):
        assert time.monotonic() < end
        time.sleep(0.02)
    called.stop()
    row = called.row()
    assert (row["state"], row["proposer"]) == ("called", "bank")
    shown = called.say("show", row["id"])
    assert f"bank calls {row['id']}\ncalled: its proposal comes once the node runs" in shown
    called.cut, called.cut_at = False, "no such step"
    called.start()
    called.becomes("waiting")
