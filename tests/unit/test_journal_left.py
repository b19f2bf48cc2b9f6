"""What is left of a journal that is removed, put back or cut off by a failure."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import pytest

from federated.session.journal import HANDSHAKE, Journal, can_resume, sweep
from federated.session.reached import Reached
from psi.protocol import EnvironmentFailed
from tests.unit.test_journal import KNOWN, SESSION, Job


def test_a_kill_while_it_is_removed_leaves_nothing_to_go_on_from(tmp_path: Path) -> None:
    """The key goes first: without it the rest is nothing, and no new one is made for it."""
    made = Job(tmp_path)
    with made.opened() as open_one:
        open_one.keep(f"{HANDSHAKE}bank", b"its keys")
    assert can_resume(tmp_path)
    (made.folder / "key").unlink()
    assert not can_resume(tmp_path)
    sweep(tmp_path)
    assert not made.folder.exists()


def test_what_died_before_its_first_point_is_swept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, bytes(32), secrets.token_bytes, {})
    journal.keep("salt", b"x")
    sweep(tmp_path)
    assert not (tmp_path / "journal").exists()
    journal = Journal(tmp_path, bytes(32), secrets.token_bytes, {})
    journal.keep("salt", b"x")
    journal.save("step", b"", bytes(32), {})
    sweep(tmp_path)
    assert Journal(tmp_path, bytes(32), secrets.token_bytes, {}).kept("salt") == b"x"


def test_a_folder_that_is_put_back_alone_does_not_go_on(tmp_path: Path) -> None:
    """At no turn, nor after the end: what was sent since is sealed under its numbers."""
    home, file = tmp_path / "job", tmp_path / "reached" / "job"
    for turn in range(4):
        journal = with_reached(home, file)
        journal.keep("salt", b"x")
        shutil.copytree(home, tmp_path / f"copy-{turn}")  # before the first point too
        journal.log("bank", b"frame")
        journal.save("align", b"", bytes(32), {})  # no close: it is killed
    shutil.copytree(home, tmp_path / "copy-last")
    for turn in range(4):
        put_back(tmp_path / f"copy-{turn}", home)
        with pytest.raises(EnvironmentFailed, match="put back from a copy"):
            with_reached(home, file)
    put_back(tmp_path / "copy-last", home)
    journal = with_reached(home, file)
    assert journal.point
    assert journal.point.turn == 4
    journal.destroy()
    assert not file.exists()
    put_back(tmp_path / "copy-last", home)
    with pytest.raises(EnvironmentFailed, match="put back from a copy"):
        with_reached(home, file)


def test_a_power_failure_is_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn is noted once its point is on the disk: a loss before leaves neither."""
    home, file = tmp_path / "job", tmp_path / "reached" / "job"
    journal = with_reached(home, file)
    journal.save("align", b"", bytes(32), {})
    before = shutil.copytree(home, tmp_path / "before")

    def fails(self: object, files: object) -> None:
        raise OSError(5, "gone")

    monkeypatch.setattr("federated.store.syncing.Syncing.all", fails)
    with pytest.raises(EnvironmentFailed):
        journal.save("align", b"", bytes(32), {})
    journal.close()
    put_back(before, home)
    point = with_reached(home, file).point
    assert point
    assert point.turn == 1


def with_reached(home: Path, file: Path) -> Journal:
    return Journal(home, SESSION, secrets.token_bytes, KNOWN, None, Reached(file))


def put_back(copy: Path, home: Path) -> None:
    shutil.rmtree(home)
    shutil.copytree(copy, home)
