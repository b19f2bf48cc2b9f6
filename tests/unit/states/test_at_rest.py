"""What happens to jobs that are approved, run, or are at rest."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from federated.ledger.account import read_account
from federated.ledger.compare import compare
from federated.ledger.ending import told_in
from federated.ledger.lines import read_ledger
from federated.node.job_rows import OTHER_VERSION
from federated.node.let_go import STOPPED
from federated.session.journal import can_resume, stop_file
from federated.session.reasons import PeerRefused, ShutOut
from federated.wire.parcels import Kind, notice
from federated.wire.post import PostEndpoint, hand_on
from psi.protocol import PeerGone, Refused
from tests.unit.states.scene import (
    FORBIDS,
    OPEN,
    SLOW,
    Scene,
    at_rest,
    back,
    new_keys,
    people,
    restarted,
)


@pytest.mark.parametrize(
    ("step", "state", "event"),
    [
        ("", "approved", back),
        pytest.param("", "approved", restarted, marks=SLOW),
        pytest.param("", "approved", new_keys, marks=SLOW),
        pytest.param("align", "running", back, marks=SLOW),
        ("align", "running", restarted),
        pytest.param("align", "running", new_keys, marks=SLOW),
    ],
)
def test_what_approved_and_running_jobs_outlive(
    scene: Scene, step: str, state: str, event: Callable[[Scene], None]
) -> None:
    at_rest(scene, step, state)
    event(scene)
    assert scene.ends() is None
    scene.becomes("done")
    assert len(scene.lines("approved")) == 1
    scene.stop()
    assert scene.row()["state"] == "done"


def later(scene: Scene) -> None:
    """Steps have no dates."""
    scene.session_clock = 400 * 86400
    scene.mend()


def broken_policy(scene: Scene) -> None:
    """What is signed holds, whatever the file says; until the job goes on after a restart."""
    scene.policy("[proposals\n")
    scene.mend()


def forbidding_policy(scene: Scene) -> None:
    """Nor at one that was saved since: what is signed holds."""
    scene.policy(FORBIDS)
    scene.mend()


@SLOW
@pytest.mark.parametrize("event", [later, broken_policy, forbidding_policy])
def test_what_a_running_job_does_not_look_at(scene: Scene, event: Callable[[Scene], None]) -> None:
    at_rest(scene, "align", "running")
    event(scene)
    assert scene.ends() is None
    scene.becomes("done")


@SLOW
@pytest.mark.parametrize(("state", "rows"), [("waiting", 30), ("running", 40)])
def test_a_table_that_changes_is_read_once(scene: Scene, state: str, rows: int) -> None:
    """After the decision, when this party states its facts; from then on its own copy counts."""
    if state == "running":
        at_rest(scene, "align", state)
    assert scene.node is not None
    scene.node._source._tables["bureau.people"] = people(30)  # type: ignore[attr-defined]
    if state == "running":
        scene.mend()
    else:
        scene.approve()
    assert scene.ends() is None
    scene.becomes("done")
    (line,) = scene.lines("contract")
    assert [p["rows"] for p in line["terms"]["parties"] if p["name"] == "bureau"] == [rows]


def states_facts(scene: Scene) -> None:
    """The word is given, and this party's facts are on their way to a hub that is gone."""
    at_rest(scene, "", "approved")
    end = time.monotonic() + 20
    while not [line for line in scene.lines("sent") if line["step"] == "contract"]:
        assert time.monotonic() < end
        time.sleep(0.02)


def before_it_starts(scene: Scene) -> None:
    scene.stop()
    scene.approve()
    scene.becomes("approved")
    scene.people = 30
    scene.start()


def while_at_rest(scene: Scene) -> None:
    """It has run, and its node is away."""
    at_rest(scene, "align", "running")
    scene.people = 30
    restarted(scene)


def after_its_facts(scene: Scene) -> None:
    states_facts(scene)
    assert scene.node is not None
    scene.node._source._tables["bureau.people"] = people(30)  # type: ignore[attr-defined]
    scene.mend()


def after_its_facts_and_a_restart(scene: Scene) -> None:
    states_facts(scene)
    scene.people = 30
    restarted(scene)


@SLOW
@pytest.mark.parametrize(
    ("event", "rows"),
    [
        (before_it_starts, 30),
        (after_its_facts, 40),
        (after_its_facts_and_a_restart, 40),
        (while_at_rest, 40),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_table_that_changes_after_the_word(
    scene: Scene, event: Callable[[Scene], None], rows: int
) -> None:
    """The reading divides before from after, not the word, which it follows where a node runs."""
    event(scene)
    assert scene.ends() is None
    scene.becomes("done")
    (line,) = scene.lines("contract")
    assert [p["rows"] for p in line["terms"]["parties"] if p["name"] == "bureau"] == [rows]


def test_a_jobs_folder_that_is_put_back_alone_does_not_go_on(scene: Scene) -> None:
    """Numbers of sealed frames would be used twice. Its officer ends it, and nothing is left."""
    at_rest(scene, "", "approved")
    place = scene.home.job(scene.session)
    copy = shutil.copytree(place, scene.folder / "copy")
    scene.mend()
    assert scene.ends() is None
    scene.becomes("done")
    scene.stop()
    shutil.rmtree(place)
    shutil.copytree(copy, place)
    scene.comes()
    scene.start()
    _has_failed(scene, "put back from a copy")
    assert scene.row()["state"] == "interrupted"
    scene.stop()
    ends = f"fedprofile node stop {scene.session.hex()[:8]} --now ends it"
    assert ends in scene.say("jobs")  # after a restart too
    assert ends in scene.say("show", scene.session.hex()[:8])
    scene.say("stop", scene.session.hex()[:8], "--now")
    scene.start()
    scene.becomes("failed")
    assert scene.row()["why"] == STOPPED
    scene.stop()
    assert scene.row()["why"] == STOPPED  # and after a restart
    assert not (place / "journal").exists()
    assert not stop_file(place).exists()
    assert read_ledger(scene.home.path / "ledger.jsonl")[-1]["body"]["why"] == STOPPED


def _has_failed(scene: Scene, why: str) -> None:
    assert scene.node is not None
    job = scene.node.jobs[scene.session]
    end = time.monotonic() + 20
    while job.state != "failed":
        assert time.monotonic() < end, job.state
        time.sleep(0.05)
    assert why in job.error


@contextlib.contextmanager
def full_disk(scene: Scene) -> Iterator[None]:
    """No room in the folder of jobs."""
    jobs, make = str(scene.home.jobs), tempfile.mkstemp

    def full(*given: Any, **named: Any) -> tuple[int, str]:
        if str(named.get("dir", "")).startswith(jobs):
            raise OSError(errno.ENOSPC, "No space left on device")
        return make(*given, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "mkstemp", full)
        yield


def falls_to_rest(scene: Scene) -> None:
    """The job ends at this node for want of room, and the proposer is told."""
    assert isinstance(scene.ends(), PeerGone)
    _has_failed(scene, "No space left on device")


def goes_on(scene: Scene, *, start: bool = True) -> None:
    """The node is started again, the proposer if it has ended, and the job comes to its end."""
    resumed = scene.ended.is_set()
    if resumed:
        scene.comes()
    if start:
        scene.start()
    else:
        scene.cut, scene.cut_at = False, "no such step"
        scene.call()
    if resumed:
        scene.propose()
    assert scene.ends() is None
    scene.becomes("done")


@SLOW
@pytest.mark.parametrize(
    ("step", "state", "stopped"),
    [(None, "waiting", False), ("", "approved", False), ("align", "running", True)],
)
def test_a_full_disk_leaves_a_job_at_rest(
    scene: Scene, step: str | None, state: str, stopped: bool
) -> None:
    """It goes on once there is room and the node is started again; or its officer ends it."""
    if step is not None:
        at_rest(scene, step, state)
    with full_disk(scene):
        scene.approve()
        scene.mend()
        falls_to_rest(scene)
    assert scene.ends_told == [(scene.session.hex()[:8], "interrupted")]
    if stopped:
        assert "is stopped" in scene.say("stop", scene.session.hex()[:8], "--now")
        scene.becomes("refused")
        assert not list(scene.home.job(scene.session).glob("journal/*"))
        return
    scene.stop()
    scene.becomes("approved")  # nothing was signed
    goes_on(scene)


def disk_full(scene: Scene) -> None:
    """Room is missing when it would go on: it stays, and the next start finds it."""
    with full_disk(scene):
        scene.cut, scene.cut_at = False, "no such step"
        scene.start()
        falls_to_rest(scene)
        scene.stop()
        assert scene.row()["state"] == "interrupted"


def hub_gone(scene: Scene) -> None:
    """It is taken up, and waits for the hub."""
    scene.start()
    time.sleep(0.3)
    assert scene.row()["live"]
    scene.stop()


def policy_broken(scene: Scene) -> None:
    """What limits there are is not known: it does not go on, and nothing is lost."""
    scene.policy("[proposals\n")
    scene.start()
    assert scene.node is not None
    end = time.monotonic() + 20
    while scene.node.jobs[scene.session].state != "failed":
        assert time.monotonic() < end
        time.sleep(0.05)
    scene.stop()
    scene.policy(OPEN)


@SLOW
@pytest.mark.parametrize("event", [disk_full, hub_gone, policy_broken])
def test_what_an_interrupted_job_outlives(scene: Scene, event: Callable[[Scene], None]) -> None:
    at_rest(scene, "align", "running")
    scene.stop()
    assert scene.row()["state"] == "interrupted"
    event(scene)
    assert scene.row()["state"] == "interrupted"
    scene.cut, scene.cut_at = False, "no such step"
    goes_on(scene)


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


def test_a_policy_that_is_mended_lets_go_on_what_came_to_rest_by_it(scene: Scene) -> None:
    """By itself; and whoever calls meanwhile is told to call again, not that the job is over."""
    at_rest(scene, "align", "running")
    scene.stop()
    scene.policy("[proposals\n")
    scene.cut, scene.cut_at = False, "no such step"
    scene.start()
    _has_failed(scene, "policy.toml")
    scene.call()
    assert not scene.bank.failed
    scene.policy(OPEN)
    assert scene.ends() is None
    scene.becomes("done")


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
    assert "is stopped" in scene.say("stop", scene.session.hex()[:8], "--now")
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
