"""What ends jobs that are approved, run, or are at rest, and what their proposers hear."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from federated.ledger.account import read_account
from federated.ledger.compare import compare
from federated.ledger.ending import told_in
from federated.node.job_rows import OTHER_VERSION
from federated.session.journal import can_resume, stop_file
from federated.session.reasons import PeerRefused, ShutOut
from federated.wire.parcels import Kind, notice
from federated.wire.post import PostEndpoint, hand_on
from psi.protocol import PeerGone, Refused
from tests.unit.states.scene import (
    FORBIDS,
    SLOW,
    Scene,
    at_rest,
    restarted,
)
from tests.unit.states.test_at_rest import goes_on


def test_a_job_at_rest_is_stopped_while_no_node_runs(scene: Scene) -> None:
    """It does not go on at the next start: the others are told, and the ledger says who it was."""
    at_rest(scene, "align", "running")
    scene.stop()
    said = scene.say("stop", scene.session.hex()[:8], "--now")
    assert "is stopped: the others are told once the node runs" in said
    assert "an officer has stopped it: the others are told once the node" in scene.say("jobs")
    scene.cut, scene.cut_at = False, "no such step"
    scene.start()
    error = scene.ends()
    assert isinstance(error, PeerGone)
    assert error.message == "bureau has stopped the job for good"
    scene.becomes("refused")
    assert scene.lines("ended")[-1]["error"] == "Stopped"
    assert not [line for line in scene.lines("sent") if line["step"].startswith("finish")]
    assert not stop_file(scene.home.job(scene.session)).exists()


def test_a_proposer_that_has_ended_before_its_last_frame_came(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that dies takes it along; the bank's node has kept it, and hands it out."""
    close = PostEndpoint.close
    monkeypatch.setattr(PostEndpoint, "close", lambda self: close(self, 0.2))
    scene.loses = "finish"
    scene.approve()
    assert scene.ends() is None
    scene.becomes("done")
    assert scene.lines("finished")[0]["unheard"] == []
    scene.stop()  # the journal goes behind the line
    assert not list(scene.home.jobs.glob("*/journal"))
    files = [scene.folder / "bank", scene.home.job(scene.session)]
    assert not compare(*(read_account(file / "ledger.jsonl", name=file.name) for file in files))


def test_a_proposer_that_comes_back_to_a_job_that_was_stopped(scene: Scene) -> None:
    """It hears by whom, in words that only that party can seal, and keeps no journal of it."""
    at_rest(scene, "align", "running")
    scene.bank.leave(PeerGone("killed"))
    assert isinstance(scene.ends(), PeerGone)
    assert can_resume(scene.folder / "bank")
    scene.say("stop", scene.session.hex()[:8], "--now")
    scene.becomes("refused")
    scene.stop()  # what was said is over by the time that the bank comes back
    scene.comes()
    scene.cut, scene.cut_at = False, "no such step"
    scene.start()
    scene.propose()
    error = scene.ends()
    assert isinstance(error, PeerRefused)
    assert error.message == "bureau has stopped the job for good"
    assert not can_resume(scene.folder / "bank")
    assert told_in(scene.folder / "bank" / "ledger.jsonl").left_by == "Stopped"


def test_a_job_of_another_version_says_that_it_is(scene: Scene) -> None:
    at_rest(scene, "align", "running")
    scene.stop()
    (file,) = (scene.home.path / "desk").glob("*.request")
    file.write_text(file.read_text().replace("-v", "-v9"))
    assert scene.row()["state"] == "interrupted"
    assert scene.row()["why"] == OTHER_VERSION
    assert f"interrupted: {OTHER_VERSION}" in scene.say("show", scene.session.hex()[:8])


@SLOW
def test_a_proposer_that_has_ended_while_no_node_ran(scene: Scene) -> None:
    """The hub's word alone, which nobody signed, does not take a journal away: an officer does."""
    at_rest(scene, "align", "running")
    scene.stop()
    scene.bank.stop(Refused("stopped by this party"))
    assert isinstance(scene.ends(), Refused)
    scene.cut, scene.cut_at = False, "no such step"
    scene.start()
    gone = notice(Kind.REFUSED, scene.session, "bank", "bureau", "ended")
    assert scene.node is not None
    hand_on(scene.node.jobs[scene.session].endpoint, gone)
    scene.becomes("interrupted")
    end = time.monotonic() + 20  # it may be interrupted still, and about to be taken up by the node
    while "is stopped" not in (said := scene.say("stop", scene.session.hex()[:8], "--now")):
        assert time.monotonic() < end, said
        time.sleep(0.1)
    scene.becomes("refused")


def forbidden_since(scene: Scene) -> None:
    scene.policy(FORBIDS)
    scene.mend()


def forbidden_over_a_restart(scene: Scene) -> None:
    scene.policy(FORBIDS)
    restarted(scene)


def given_up(scene: Scene) -> None:
    """While the hub was gone: the farewell comes with what stands before it once it is back."""
    scene.bank.stop(Refused("stopped by this party"))
    scene.mend()


def clock_far_ahead(scene: Scene) -> None:
    """The contract's time is over before it is signed."""
    scene.session_clock = 400 * 86400
    scene.mend()


def clock_far_ahead_over_a_restart(scene: Scene) -> None:
    """It is over when the job is to go on."""
    scene.session_clock = 400 * 86400
    restarted(scene)


def policy_broken_meanwhile(scene: Scene) -> None:
    scene.policy("[proposals\n")
    scene.mend()


def revoked_at_rest(scene: Scene) -> None:
    """It is started again, and the hub does not know it any more."""
    scene.stop()
    scene.start()
    revoked(scene)


def revoked(scene: Scene) -> None:
    assert scene.node is not None
    scene.node._ended(ShutOut("this node was revoked"))


def test_a_proposer_whose_partner_was_revoked_hears_that(scene: Scene) -> None:
    """Once its node is back by a new invite; and it is no rule that said no."""
    at_rest(scene, "align", "running")
    revoked(scene)
    scene.becomes("failed")
    assert "this node was revoked" in scene.row()["why"]
    scene.stop()
    assert scene.row()["why"] == "this party was shut out by the hub"
    scene.cut, scene.cut_at = False, "no such step"
    scene.start()
    error = scene.ends()
    assert isinstance(error, PeerRefused)
    assert error.message == "bureau was shut out by the hub"
    assert "rule" not in error.hint
    assert "new invite" in error.hint


def test_both_killed_rest_until_the_proposer_is_back(scene: Scene) -> None:
    """What is signed is not shown as approved while the node waits for its proposer."""
    at_rest(scene, "align", "running")
    began = scene.row()["received"]
    scene.stop()
    scene.bank.leave(PeerGone("killed"))
    assert isinstance(scene.ends(), PeerGone)
    scene.start()
    scene.notes("resumed")
    row = scene.row()
    assert (row["state"], row["live"], row["received"]) == ("interrupted", True, began)
    assert "it goes on once bank is there; fedprofile node stop" in scene.say("jobs")
    assert scene.node is not None
    job = scene.node.jobs[scene.session].summary()
    assert job["began"] == int((scene.home.job(scene.session) / "call").stat().st_mtime)
    goes_on(scene, start=False)


def stopped_by_its_officer(scene: Scene) -> None:
    scene.cut, scene.cut_at = False, "no such step"
    scene.say("stop", scene.session.hex()[:8], "--now")


@pytest.mark.parametrize(
    ("step", "state", "event", "ends"),
    [
        ("", "approved", forbidden_since, "refused"),
        pytest.param("", "approved", given_up, "failed", marks=SLOW),
        pytest.param("align", "running", given_up, "failed", marks=SLOW),
        pytest.param("", "approved", clock_far_ahead, "refused", marks=SLOW),
        pytest.param("", "approved", revoked, "failed", marks=SLOW),
        ("align", "running", forbidden_over_a_restart, "refused"),
        pytest.param("align", "running", revoked, "failed", marks=SLOW),
        pytest.param("align", "running", revoked_at_rest, "failed", marks=SLOW),
        pytest.param("", "approved", policy_broken_meanwhile, "refused", marks=SLOW),
        pytest.param("align", "running", clock_far_ahead_over_a_restart, "refused", marks=SLOW),
        pytest.param("align", "running", stopped_by_its_officer, "refused", marks=SLOW),
    ],
)
def test_what_ends_approved_and_running_jobs(
    scene: Scene, step: str, state: str, event: Callable[[Scene], None], ends: str
) -> None:
    at_rest(scene, step, state)
    event(scene)
    scene.becomes(ends)
    scene.stop()
    assert scene.row()["state"] == ends  # and after a restart
