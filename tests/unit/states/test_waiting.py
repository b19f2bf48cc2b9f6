"""What happens to a proposal that waits for an officer."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from federated.cli.node import app
from federated.node.rotation import rotate
from federated.session.reasons import ShutOut
from federated.wire import post
from federated.wire.parcels import Kind, notice
from federated.wire.post import hand_on
from psi.protocol import FedprofileError, MisuseError, PeerGone, Refused
from tests.unit.states.scene import FORBIDS, OPEN, SLOW, Scene
from tests.unit.test_node_replay import KEYS, SECRET


def restart(scene: Scene) -> None:
    """SIGTERM, Ctrl-C, systemctl restart."""
    before = scene.row()["received"]
    scene.stop()
    assert scene.row()["state"] == "waiting"
    assert not scene.row()["live"]
    assert scene.lines("refused") == []
    scene.start()
    scene.becomes("waiting")
    assert scene.row()["received"] == before


def called_at_once(scene: Scene) -> None:
    """The proposer calls in the moment in which the node goes on with the job by itself."""
    scene.stop()
    scene.at_connection = scene.call
    scene.start()
    scene.at_connection = lambda: None
    scene.notes("resumed")
    scene.becomes("waiting")
    assert len(scene.lines("resumed")) == 1  # one life of the job, not two in one ledger


def stopped_meanwhile(scene: Scene) -> None:
    """The officer says yes while no node runs."""
    scene.stop()
    assert "no node runs here: the word counts once it does" in scene.approve()
    assert scene.row()["state"] == "approved"
    scene.start()


def rotation(scene: Scene) -> None:
    """New keys would take a waiting proposal's channels from it."""
    scene.stop()
    with pytest.raises(MisuseError, match=scene.session.hex()[:8]):
        rotate(scene.home, KEYS["bureau"], SECRET, secrets.token_bytes)
    scene.start()


def broken_policy(scene: Scene) -> None:
    """A bad save, for a second."""
    scene.policy("[proposals\n")
    time.sleep(0.3)
    assert "until it is mended" in scene.say("jobs")
    assert scene.node is not None
    assert scene.node.jobs[scene.session].state == "waiting"
    scene.policy(OPEN)


def saved_policy(scene: Scene) -> None:
    """One that allows it as well."""
    scene.policy(OPEN + "[limits]\nminimum_group = 5\n")
    time.sleep(0.2)
    assert scene.row()["state"] == "waiting"


def hub_gone(scene: Scene) -> None:
    """What is sent is lost; afterwards endpoints send it again."""
    scene.cut = True
    scene.approve()
    time.sleep(0.3)
    scene.mend()


GO_ON = [
    restart,
    called_at_once,
    stopped_meanwhile,
    pytest.param(rotation, marks=SLOW),
    broken_policy,
    pytest.param(saved_policy, marks=SLOW),
    pytest.param(hub_gone, marks=SLOW),
]


@pytest.mark.parametrize("event", GO_ON, ids=lambda event: event.__name__)
def test_what_a_waiting_proposal_outlives(scene: Scene, event: Callable[[Scene], None]) -> None:
    event(scene)
    if not scene.row()["by"]:
        assert "goes on by itself" in scene.approve()
    assert scene.ends() is None
    scene.becomes("done")
    (line,) = scene.lines("approved")
    assert (line["job"], line["proposer"]) == (scene.row()["job"], "bank")
    scene.stop()  # after what is told of the end, which comes behind the state
    assert scene.ends_told == [(scene.session.hex()[:8], "done")]
    assert scene.row()["state"] == "done"  # and after a restart


def forbidding_policy(scene: Scene) -> None:
    scene.policy(FORBIDS)


def too_late(scene: Scene) -> None:
    scene.clock = 100 * 3600


def denied(scene: Scene) -> None:
    scene.say("deny", scene.session.hex()[:8], "--why", "not this purpose")


def denied_while_down(scene: Scene) -> None:
    scene.stop()
    denied(scene)
    assert scene.row()["state"] == "denied"
    scene.start()


ENDS = [
    (forbidding_policy, "refused", "purpose 'test' asked, fraud allowed by policy"),
    pytest.param(too_late, "expired", "no officer has decided in time", marks=SLOW),
    pytest.param(denied, "denied", "not this purpose", marks=SLOW),
    (denied_while_down, "denied", "not this purpose"),
]


@pytest.mark.parametrize(
    ("event", "state", "why"), ENDS, ids=lambda one: getattr(one, "__name__", "")
)
def test_what_ends_a_waiting_proposal(
    scene: Scene, event: Callable[[Scene], None], state: str, why: str
) -> None:
    event(scene)
    error = scene.ends()
    assert isinstance(error, FedprofileError)
    assert why in error.message
    scene.becomes(state)
    (line,) = scene.lines("refused")
    assert (line["why"], line["job"], line["purpose"]) == (why, scene.row()["job"], "test")
    scene.stop()
    assert scene.row()["state"] == state
    assert scene.row()["why"] == why


def test_a_proposer_that_ends_for_good(scene: Scene) -> None:
    """An officer is not left with a question that nobody asks any more."""
    scene.bank.stop(Refused("stopped by this party"))
    assert isinstance(scene.ends(), Refused)
    scene.becomes("left")
    assert scene.lines("farewell")[0]["error"] == "Refused"
    assert not list(scene.home.jobs.glob("*/journal"))
    scene.stop()
    assert scene.row()["why"] == "bank says no"  # after a restart too
    scene.start()
    assert "bank has gone: the word counts once" in scene.approve()


@SLOW
def test_a_proposer_that_may_come_back(scene: Scene) -> None:
    """Its process is gone: the hub says so. The officer's word waits for it."""
    assert scene.node is not None
    scene.bank.leave(PeerGone("killed"))
    assert isinstance(scene.ends(), PeerGone)
    hand_on(
        scene.node.jobs[scene.session].endpoint,
        notice(Kind.REFUSED, scene.session, "bank", "bureau", "gone"),
    )
    end = time.monotonic() + 10
    while scene.row()["live"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert scene.row()["state"] == "waiting"
    scene.approve()
    scene.comes()  # job resume
    scene.call()
    scene.propose()
    assert scene.ends() is None
    scene.becomes("done")


def test_a_node_that_has_forgotten_a_proposal_says_that_it_has_ended(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put back to a copy from before it: the proposer only waits, and would wait for ever."""
    scene.stop()
    shutil.rmtree(scene.home.job(scene.session))
    for file in scene.home.desk.glob(f"{scene.session.hex()}.*"):
        file.unlink()
    monkeypatch.setattr(post, "SIGN_OF_LIFE", 0.2)
    monkeypatch.setattr(scene, "call", lambda: None)  # it was heard long ago
    scene.start()
    error = scene.ends()
    assert isinstance(error, PeerGone)
    assert error.message.startswith("bureau: the job has ended there")


@SLOW
def test_an_officer_who_stops_a_waiting_proposal(scene: Scene) -> None:
    assert "is stopped" in scene.say("stop", scene.session.hex()[:8], "--now")
    error = scene.ends()
    assert isinstance(error, PeerGone)
    assert error.message == "bureau has stopped the job for good"
    assert error.exit_code == 6
    scene.becomes("left")
    stopped = CliRunner().invoke(
        app, ["stop", scene.session.hex()[:8], "--now", "--home", str(scene.home.path)]
    )
    assert "it is left" in str(stopped.exception)


def test_a_node_that_is_revoked(scene: Scene) -> None:
    """Its process stops at the hub's word, and the job is over all the same."""
    assert scene.node is not None
    scene.node._ended(ShutOut("this node was revoked"))
    scene.stop()
    assert scene.row()["state"] == "left"
    assert scene.lines("ended")[-1]["error"] == "ShutOut"
    assert scene.row()["why"] == "this party was shut out by the hub"
    assert not list(scene.home.jobs.glob("*/journal"))


@pytest.mark.parametrize("runs", [True, False], ids=["node runs", "node down"])
def test_a_stop_takes_an_officers_yes_back(scene: Scene, runs: bool) -> None:
    """The same question, asked anew, waits for an officer: the yes was to the job that he ended."""
    name = scene.session.hex()[:8]
    scene.stop()
    scene.approve()
    if runs:
        scene.cut = True  # its proposer is away
        scene.start()
        scene.becomes("approved")
    assert "is stopped" in scene.say("stop", name, "--now")
    assert (scene.home.path / "spent" / scene.session.hex()).read_text() == "taken back"
    if not runs:
        scene.start()
        assert scene.ends() is not None  # its proposer is told
    scene.becomes("refused")
    scene.stop()
    row = scene.row()
    assert (row["state"], row["next"]) == ("refused", "")
    scene.approve()
    assert scene.row()["state"] == "refused"
    first, scene.session, scene.cut = scene.session.hex(), secrets.token_bytes(32), False
    scene.folder = scene.folder / "anew"
    scene.folder.mkdir()
    scene.comes()
    scene.start()
    scene.propose()
    end = time.monotonic() + 20
    while True:
        out = CliRunner().invoke(app, ["jobs", "--json", "--home", str(scene.home.path)]).stdout
        states = {row["session"]: row["state"] for row in json.loads(out)}
        if states.get(scene.session.hex()) not in (None, "called"):
            break
        assert time.monotonic() < end, states
        time.sleep(0.05)
    assert states == {first: "refused", scene.session.hex(): "waiting"}


def test_a_yes_to_a_job_that_has_left_is_taken_back(scene: Scene) -> None:
    scene.bank.stop(Refused("stopped by this party"))
    assert isinstance(scene.ends(), Refused)
    scene.becomes("left")
    scene.approve()
    assert scene.row()["state"] == "left"
    assert "the yes of" in scene.row()["next"]
    out = scene.say("stop", scene.session.hex()[:8], "--now")
    assert "is stopped: the yes to it counts no more" in out
    assert scene.row()["state"] == "refused"
    assert "the yes to it counts no more" in scene.row()["why"]
