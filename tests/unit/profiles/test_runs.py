"""What `job ls` and its kind read: the folder of a run."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from federated.keys.identity_file import write_identity
from federated.keys.keyfile import save_keys
from federated.keys.peers import Peers
from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from federated.session.journal import Journal
from federated.session.over import halt
from federated.session.progress import APPROVAL, AWAY
from profiles.ask_runs import left_run
from profiles.cli.job import app
from profiles.remote import HubLink, withdraw
from profiles.runs import Run, RunFolder, Started, find_run, runs_in
from psi.protocol import InputError, MisuseError
from tests.unit.test_node_replay import KEYS, PINNED

SESSION = "ab" * 32


def begun(tmp_path: Path, session: str = SESSION) -> RunFolder:
    job = tmp_path / "mine.toml"
    job.write_text("[job]\n")
    folder = RunFolder(tmp_path / "jobs" / session)
    started = Started("/t/tables.toml", "/t/out", False)
    run = Run(
        session=session,
        job="churn",
        purpose="retention",
        me="bank",
        parties=["bank", "bureau"],
        started=started,
        began=1000,
    )
    folder.path.mkdir(parents=True)
    folder.begin(run, job)
    return folder


def test_a_run_is_running_while_its_process_holds_it(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    with folder.held():
        folder.note("bank", "align/bureau/0", 0.25)
        folder.note("bureau", APPROVAL, 0.0)
        run = folder.load()
        assert (run.state, run.step, run.id) == ("running", "align/bureau/0", "abababab")
        assert run.waits_for() == ["bureau's officer"]
        folder.note("bureau", AWAY, 0.0)
        assert folder.load().waits_for() == ["bureau to connect to the hub"]
        with pytest.raises(MisuseError, match="is running"), folder.held():
            pass
    run = folder.load()
    assert (run.state, run.error) == ("failed", "its process has ended")
    assert run.waits_for() == []
    assert (folder.path / "run.json").stat().st_mode & 0o777 == 0o600


def test_how_a_run_ended(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.end("failed", "bureau has ended the session with Refused", "ask there")
    folder.note("bank", "finish", 1.0)
    run = folder.load()
    assert (run.state, run.hint, run.started.out) == ("failed", "ask there", "/t/out")
    assert not folder.resumable


def test_a_run_that_goes_on_began_when_it_did(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.end("failed", "interrupted")
    again = replace(folder.load(), began=2000, state="running", error="")
    RunFolder(folder.path).begin(again, tmp_path / "mine.toml")
    assert folder.load().began == 1000


def test_a_run_whose_folder_does_not_open_is_to_be_stopped(tmp_path: Path) -> None:
    """No screen offers to go on with it."""
    home = NodeHome.create(tmp_path / "node", "bank", "hub:1")
    place = begun(home.path)
    for name in ("key", "point"):
        (place.path / "journal").mkdir(exist_ok=True)
        (place.path / "journal" / name).touch()
    home.reached(bytes.fromhex(SESSION)).parent.mkdir()
    home.reached(bytes.fromhex(SESSION)).touch()
    hub = ["--hub", str(home.path)]

    def say(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, *hub])
        return done.output + str(done.exception or "")

    assert "job resume abababab" in say("ls")
    assert "job resume abababab" in say("show", place.load().id)
    halt(place.path, "this job's folder is older than the job")
    assert "job resume" not in say("ls")
    shown = say("show", place.load().id)
    assert "because: this job's folder is older than the job" in shown
    assert f"next: fedprofile job stop abababab --hub {home.path}" in shown
    refused = say("resume", place.load().id)
    assert "this job's folder is older than the job" in refused
    assert "fedprofile job stop abababab" in refused


def test_runs_are_found_by_the_begin_of_their_id(tmp_path: Path) -> None:
    first, second = begun(tmp_path), begun(tmp_path, "ac" * 32)
    jobs = tmp_path / "jobs"
    assert {folder.path for folder in runs_in(jobs)} == {first.path, second.path}
    assert find_run(jobs, "ac").path == second.path
    for name in ("", "../jobs", "zz", "a", "dead"):
        with pytest.raises(MisuseError):
            find_run(jobs, name)
    (tmp_path / "mine.toml").write_text("[job]\nname = 'another'\n")
    assert not first.of_job(tmp_path / "mine.toml")
    (first.path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="not a run"):
        first.load()


def test_a_service_that_was_killed_finds_the_runs_that_it_left(tmp_path: Path) -> None:
    """At work, done, broken off in mid-job, or broken off before it began."""
    jobs, out = tmp_path / "jobs", Path("/t/out")
    assert left_run(jobs, out) is None
    folder = begun(tmp_path)
    left = left_run(jobs, out)
    assert left is not None
    assert left_run(jobs, Path("/t/another")) is None

    def is_now() -> tuple[int | None, bool]:
        return left.poll(), left.goes_on

    with folder.held():
        assert is_now() == (None, False)
    assert is_now() == (1, False)
    (folder.path / "journal").mkdir()
    (folder.path / "journal" / "key").touch()
    (folder.path / "journal" / "point").touch()
    assert is_now() == (1, True)
    (folder.path / "journal" / "point").unlink()
    folder.end("done")
    assert is_now() == (0, False)


def test_a_run_that_does_not_open_is_stopped_all_the_same(tmp_path: Path) -> None:
    """Its folder was put back alone: it never goes on, and `job stop` leaves nothing of it."""
    home = NodeHome.create(tmp_path / "node", "bank", "hub:1")
    write_identity(home.path / "identity.json", PINNED["bank"])
    save_keys(home.keys, KEYS["bank"], b"secret", secrets.token_bytes)
    write_identity(home.peers / "bureau.json", PINNED["bureau"])
    Peers(home.path).confirm("bureau", PINNED["bureau"].fingerprint, "ann")
    session = bytes([7] * 32)
    place = begun(home.path, session.hex())
    journal = Journal(place.path, session, secrets.token_bytes, {})
    journal.save("align", b"role", b"", {})
    journal.close()
    assert withdraw(HubLink(home.path), KEYS["bank"], place) == ["bureau"]
    assert not journal.folder.exists()
    assert place.load().state == "stopped"
    (line,) = (one for one in read_ledger(home.path / "ledger.jsonl") if one["kind"] == "let_go")
    assert line["body"]["jobs"] == [session.hex()]
