"""What happens to jobs that are approved, run, or are at rest."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from federated.approval.inbox import Inbox
from federated.ledger.lines import Ledger, read_ledger
from federated.node.let_go import STOPPED
from federated.session.journal import stop_file
from federated.store.files import disk_failed
from psi.protocol import PeerGone
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


def no_room_for(patch: pytest.MonkeyPatch, what: str) -> None:
    """From this line of the bureau's ledger on no room is left for any; or for a word that is
    spent."""
    full = partial(disk_failed, error=OSError(errno.ENOSPC, "No space left on device"))
    line, is_full = Ledger.write, list[bool]()

    def write(self: Ledger, kind: str, **body: Any) -> None:
        if is_full or (kind == what and self._keys.identity.name == "bureau"):
            is_full.append(True)
            if self._keys.identity.name == "bureau":
                raise full(f"cannot write {self._path}")
        line(self, kind, **body)

    def spend(self: Inbox, decided: bytes, text: str) -> bool:
        raise full(f"cannot write {decided.hex()}")

    patch.setattr(Ledger, "write", write)
    if what == "spent":
        patch.setattr(Inbox, "_mark", spend)


@SLOW
@pytest.mark.parametrize(
    ("what", "state"),
    [("approved", "approved"), ("spent", "approved"), ("contract", "interrupted")],
)
def test_no_room_for_the_words_of_a_contract(scene: Scene, what: str, state: str) -> None:
    """It says what it is, why, and what to do; with room it goes on, and tells nothing twice."""
    with pytest.MonkeyPatch.context() as patch:
        no_room_for(patch, what)
        scene.approve()
        assert isinstance(scene.ends(), PeerGone)
        _has_failed(scene, "No space left on device")
        row = scene.row()
        assert row["state"] == state
        assert "No space left on device" in row["why"]
        assert row["next"].startswith("make room on the disk and start again")
        assert row["next"] in scene.say("jobs")
        scene.stop()
        assert scene.row()["state"] == state
    goes_on(scene)
    assert len(scene.lines("approved")) == len(scene.lines("contract")) == 1


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
