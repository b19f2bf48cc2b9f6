"""Spools: sealed parts of a job's large values, in memory to a bound and on disk."""

from __future__ import annotations

import secrets
import stat
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federated.store import part_log
from federated.store import spool as spools
from federated.store.files import private_file
from federated.store.spool import Spool
from psi.protocol import InputError, MisuseError
from tests.unit.test_journal import journal


def test_steps_with_long_names_have_spools(tmp_path: Path) -> None:
    spool = journal(tmp_path).spool("train/" + "流失预测" * 12)
    spool.put("own", 0, np.arange(3))
    spool.flush()
    assert (spool.get("own", 0) == np.arange(3)).all()


@pytest.mark.parametrize("rows", [3, 4096], ids=["small", "large"])
def test_spools_are_sealed_and_private(tmp_path: Path, rows: int) -> None:
    spool = Spool(tmp_path / "spool", secrets.token_bytes, memory=0)
    planted = np.frombuffer(b"planted!" * 2 * rows, np.uint64).reshape(rows, 2)
    spool.put("own.0", 1, planted)
    assert (spool.get("own.0", 1) == planted).all()
    spool.flush()
    again = Spool(tmp_path / "spool", secrets.token_bytes)
    assert (again.get("own.0", 1) == planted).all()
    assert again.get("own.0", 1).dtype == np.uint64
    with pytest.raises(MisuseError, match=r"part 2 of own\.0"):
        spool.get("own.0", 2)
    for path in (tmp_path / "spool").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"planted" not in path.read_bytes()
    spool.clear()
    assert not (tmp_path / "spool").exists()
    spool.clear()


def test_first_parts_of_a_spool_reach_the_disk_with_the_next_point(tmp_path: Path) -> None:
    book = journal(tmp_path)
    spool, rows = book.spool("align"), np.arange(4)
    folder = tmp_path / "journal" / f"spool-{b'align'.hex()}"
    spool.put("own", 0, rows)
    spool.put("own", 0, rows + 1)
    assert not folder.exists()
    assert spool.get("own", 0).tolist() == [1, 2, 3, 4]
    book.save("align", b"role", bytes(32), {})
    spool.put("own", 0, rows)
    spool.put("own", 1, rows + 2)
    again = journal(tmp_path).spool("align")
    assert again.get("own", 0).tolist() == [1, 2, 3, 4]
    with pytest.raises(MisuseError, match="part 1"):
        again.get("own", 1)
    spool.flush()
    assert again.get("own", 1).tolist() == [2, 3, 4, 5]
    spool.clear()
    assert not folder.exists()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_spool_keeps_in_memory_what_its_bound_allows(tmp_path: Path) -> None:
    folder, rows = tmp_path / "spool", np.arange(3000)
    spool = Spool(folder, secrets.token_bytes, memory=30_000)
    spool.put("own", 0, rows)
    assert not folder.exists()
    spool.put("own", 0, rows[:2])  # in its place, so that there is room again
    spool.put("own", 1, rows)
    assert not folder.exists()
    spool.put("own", 2, rows[:2000])
    assert names_in(folder) == {"key", "own-2.1"}
    spool.put("own", 2, rows[:0])
    assert [len(spool.get("own", part)) for part in range(3)] == [2, 3000, 0]
    spool.flush()
    assert names_in(folder) == {"key", "own-1.1", "small.1"}


def test_small_parts_of_a_turn_go_in_one_record(tmp_path: Path) -> None:
    """Of all that was put what was put last counts, small or large, in another life too."""
    spool, rows = Spool(tmp_path, secrets.token_bytes), np.arange(3000)

    def kept() -> list[int]:
        found = [len(Spool(tmp_path, secrets.token_bytes).get("own", part)) for part in range(4)]
        assert found == [len(spool.get("own", part)) for part in range(4)]
        return found

    for part in range(4):
        spool.put("own", part, rows[:part])
    spool.flush()
    assert names_in(tmp_path) == {"key", "small.1"}
    assert kept() == [0, 1, 2, 3]
    spool.put("own", 0, rows)
    spool.put("own", 1, rows[:10])
    spool.flush()
    assert kept() == [3000, 10, 2, 3]
    spool.put("own", 0, rows[:5])
    spool.flush()
    assert names_in(tmp_path) == {"key", "small.1"}
    assert kept() == [5, 10, 2, 3]


def test_a_file_of_small_parts_that_were_put_anew_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_log, "_FULL", 2000)
    spool = Spool(tmp_path, secrets.token_bytes)
    spool.put("other", 0, np.arange(3))
    for number in range(60):
        spool.put("own", 0, np.arange(number))
        spool.flush()
        assert sum(path.stat().st_size for path in tmp_path.glob("small.*")) < 4000
    (path,) = tmp_path.glob("small.*")
    assert path.name != "small.1"
    again = Spool(tmp_path, secrets.token_bytes)
    assert (len(again.get("own", 0)), len(again.get("other", 0))) == (59, 3)


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "at rest"])
def test_nothing_is_written_into_a_journal_that_was_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """A turn may fail while its large arrays are on their way."""
    book, folder = journal(tmp_path), tmp_path / "journal"

    def slow(path: Path, mode: str) -> Any:
        time.sleep(0.2)
        return private_file(path, mode)

    monkeypatch.setattr(spools, "private_file", slow)
    book.spool("align").put("own", 0, np.arange(3000))
    book.begin()
    if ends:
        book.destroy()
        assert not folder.exists()
    else:
        book.close()
        assert names_in(next(folder.glob("spool-*"))) == {"key", "own-0.1"}


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_what_a_kill_left_half_written_does_not_count(tmp_path: Path, *, large: bool) -> None:
    rows = np.arange(3000 if large else 30)
    spool = Spool(tmp_path, secrets.token_bytes)
    spool.put("own", 0, rows)
    spool.flush()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    spool.put("own", 0, rows[:-1])
    spool.flush()
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (grown,) = {name for name, data in after.items() if data != before.get(name)}
    begun = len(before.get(grown, b""))
    for size in (begun, begun + 1, begun + 9, begun + 60, len(after[grown]) - 1):
        for name, data in (before | {grown: after[grown][:size]}).items():
            (tmp_path / name).write_bytes(data)
        again = Spool(tmp_path, secrets.token_bytes)
        assert len(again.get("own", 0)) == len(rows)
        again.put("own", 1, rows)
        again.put("own", 0, rows[:-2])
        again.flush()
        third = Spool(tmp_path, secrets.token_bytes)
        assert (len(third.get("own", 0)), len(third.get("own", 1))) == (len(rows) - 2, len(rows))
        for path in tmp_path.glob("own*"):
            path.unlink()


def test_a_part_that_is_written_again_takes_a_file_that_was_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written onto one that is there, or renamed, it would go through to the disk at once."""
    spool, killed = Spool(tmp_path, secrets.token_bytes, memory=0), list[bool]()
    for number in range(12):  # a tenth is newer than a ninth
        spool.put("own", 0, np.arange(3000 + number))
    assert names_in(tmp_path) == {"key", "own-0.12"}

    def kill(path: Path, *, missing_ok: bool = False) -> None:
        del path, missing_ok
        killed.append(True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", kill)
        with pytest.raises(KeyboardInterrupt):
            spool.put("own", 0, np.arange(2000))
    assert killed
    assert len(Spool(tmp_path, secrets.token_bytes).get("own", 0)) == 2000
    assert names_in(tmp_path) == {"key", "own-0.13"}


def test_a_part_cannot_stand_for_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path, secrets.token_bytes, memory=0)
    spool.put("own", 0, np.zeros(3000, np.uint64))
    spool.put("small", 0, np.zeros(3))
    spool.flush()
    (tmp_path / "own-0.1").rename(tmp_path / "own-1.1")
    with pytest.raises(InputError, match="altered"):
        spool.get("own", 1)
    (tmp_path / "small.1").rename(tmp_path / "small.2")
    with pytest.raises(InputError, match="altered"):
        Spool(tmp_path, secrets.token_bytes).get("small", 0)
