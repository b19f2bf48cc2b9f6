"""A proposer's own policy and officers come first, and a run can be stopped while they think."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from federated.approval.decision import Decision, Request, Undecided
from federated.contract.terms import Contract
from federated.keys.party_keys import PartyKeys
from federated.node import participant
from federated.node.home import NodeHome
from federated.session.progress import APPROVAL
from federated.session.routers import Silence
from federated.tables.source import MemorySource
from profiles import remote
from profiles import run as running
from profiles.job import Job
from profiles.run import _synthetic
from profiles.runs import Run, RunFolder, Started, runs_in
from profiles.tables import open_tables
from psi.protocol import Declined, Refused
from tests.e2e.conftest import JOB

KEYS = {name: PartyKeys.generate(name) for name in ("bank", "bureau")}


class Mount:
    """A hub that nobody may call."""

    def __init__(self, *given: Any) -> None:
        self.endpoint, self.name = self, "bank"

    def call(self, data: bytes) -> None:
        raise AssertionError("the others were called")

    def stop(self, error: BaseException) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is open."""


class Officer:
    """Says no by policy, or thinks until the run is stopped."""

    def __init__(self, why: str, asked: threading.Event) -> None:
        self.why, self.asked = why, asked

    def allows(self, contract: Contract) -> None:
        if self.why:
            raise Declined(self.why)

    def decide(self, request: Request, stop: threading.Event) -> Decision:
        self.asked.set()
        if self.why:
            return Decision(False, "policy", self.why)
        assert stop.wait(20), "the run was stopped and nobody was told"
        raise Undecided("nobody has decided yet")


def propose(
    folder: Path, monkeypatch: pytest.MonkeyPatch, officer: Officer, said: list[str]
) -> None:
    """`said` gets the steps that the screen is told."""
    (folder / "job.toml").write_text(JOB)
    (folder / "node.toml").write_text('version = 1\nname = "bank"\nhub = "nowhere:1"\n')
    link = remote.HubLink(folder)
    pinned = {name: keys.identity for name, keys in KEYS.items()}
    monkeypatch.setattr(NodeHome, "pinned", lambda self: pinned)
    monkeypatch.setattr(remote, "LocalMount", Mount)
    remote.federate_remote(
        Job.load(folder / "job.toml"), MemorySource({}), link, KEYS["bank"], folder / "parties",
        Started("t", "o", False), decider=officer,  # type: ignore[arg-type]
        progress=lambda party, step, share: said.append(step),
    )  # fmt: skip


def test_a_refusal_of_its_own_policy_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = Officer("column 'x' of bank.people asked as feature", threading.Event())
    said = list[str]()
    with pytest.raises(Declined, match="bank itself says no: column 'x'") as error:
        propose(tmp_path, monkeypatch, officer, said)
    assert APPROVAL not in said, "nobody was waited for"
    assert str(tmp_path / "policy.toml") in error.value.hint
    assert "Nobody else has been asked" in error.value.hint
    (run,) = (folder.load() for folder in runs_in(tmp_path / "jobs"))
    assert run.state == "refused"


def test_a_run_is_stopped_while_its_own_officer_thinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = Officer("", threading.Event())

    def stop() -> None:
        assert officer.asked.wait(20)
        time.sleep(0.2)
        runs_in(tmp_path / "jobs")[0].stop_file.touch()

    threading.Thread(target=stop, daemon=True).start()
    said = list[str]()
    monkeypatch.setattr(participant, "_AT_ONCE", 0.05)
    with pytest.raises(Refused, match="stopped by this party"):
        propose(tmp_path, monkeypatch, officer, said)
    assert APPROVAL in said
    (folder,) = runs_in(tmp_path / "jobs")
    assert isinstance(folder, RunFolder)
    assert folder.load().state == "stopped"


def test_who_heard_nothing_says_for_whom_it_waited(tmp_path: Path) -> None:
    """Also where the hours of --wait are over and an officer has not decided."""
    (tmp_path / "job.toml").write_text(JOB)
    place, run = RunFolder(tmp_path / ("ab" * 32)), Run(
        session="ab" * 32, job="churn", purpose="retention", me="bank", parties=["bank", "bureau"],
        started=Started("t", "o", False), began=1,
    )  # fmt: skip

    def waits() -> None:
        with remote._held(place, run, tmp_path / "job.toml"):
            place.note("bureau", APPROVAL, 0.0)
            raise Silence("nothing received for 36 s", hint="the other party may be down")

    with pytest.raises(Silence, match="nothing received for 36 s: it waited for bureau's officer"):
        waits()
    ended = place.load()
    assert (ended.state, ended.hint.split(",")[0]) == (
        "failed",
        "fedprofile job resume abababab waits on",
    )


def test_what_keeps_outputs_from_being_made_stays_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is done with everybody, and a list is refused: the words were on one screen alone."""
    (tmp_path / "job.toml").write_text(JOB)
    place, run = RunFolder(tmp_path / ("ab" * 32)), Run(
        session="ab" * 32, job="churn", purpose="retention", me="bank", parties=["bank", "bureau"],
        started=Started("t", "o", False), began=1,
    )  # fmt: skip
    with remote._held(place, run, tmp_path / "job.toml"):
        pass

    def over(*given: object) -> object:
        return SimpleNamespace(tables={}, failed=partial(remote._end, place))

    def refuses(*given: object, **more: object) -> None:
        raise Refused("nobody is left for the list", hint="allow another channel")

    monkeypatch.setattr(running, "check_own", lambda *given: None)
    monkeypatch.setattr(running, "_synthetic", lambda *given: False)
    monkeypatch.setattr(running, "write_outputs", refuses)
    tables = {"bank.people": MemorySource({})}
    monkeypatch.setattr(running, "_by_party", lambda *given: {"bank": tables["bank.people"]})
    with pytest.raises(Refused, match="nobody is left"):
        running.run_job(Job.load(tmp_path / "job.toml"), {}, tmp_path / "out", over=over)  # type: ignore[arg-type]
    ended = place.load()
    assert (ended.error, ended.hint) == ("nobody is left for the list", "allow another channel")
    assert not (tmp_path / "out").exists()


def test_only_tables_that_are_here_are_asked_whether_they_are_made_up(tmp_path: Path) -> None:
    """Over a hub the file binds this party's own: another's is nobody's to ask for."""
    (tmp_path / "job.toml").write_text(JOB)
    job = Job.load(tmp_path / "job.toml")
    (tmp_path / "bank.csv").write_text("id\n1\n")
    bound = '[bank.consumers]\npath = "bank.csv"\n'
    for more, told in (("", False), ("synthetic = true\n", True)):
        (tmp_path / "tables.toml").write_text(bound + more)
        assert _synthetic(job, {"bank": open_tables(tmp_path / "tables.toml")}) == told
