"""What the system does not let us read is an error with the file's name, never fewer rows."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from federated.readers.csv_file import CsvReader
from federated.readers.folder import FolderReader
from federated.readers.parquet_file import ParquetReader
from federated.tables.bindings import TablesFile
from psi.protocol import InputError
from tests.sources import entry

ROWS = pa.table({"id": [f"{i:04d}" for i in range(60)], "x": pa.array(range(60))})
_OVERRIDE = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@contextlib.contextmanager
def modes_count() -> Iterator[None]:
    """Root, too, reads only what modes allow: this thread goes without two capabilities."""
    if os.geteuid():
        yield
        return
    libc, words = ctypes.CDLL(None, use_errno=True), ctypes.c_uint32 * 6
    header, held = (ctypes.c_uint32 * 2)(0x20080522, 0), words()
    assert not libc.capget(header, held)
    fewer = words(*held)
    fewer[0] &= ~_OVERRIDE
    assert not libc.capset(header, fewer)
    try:
        yield
    finally:
        assert not libc.capset(header, held)


def bound(folder: Path, lines: str) -> TablesFile:
    (folder / "tables.toml").write_text(f"[bank.t]\n{lines}\n")
    return TablesFile.load(folder / "tables.toml")


def linked(part: Path, to: str) -> None:
    part.unlink()
    part.symlink_to(to)


@pytest.mark.parametrize("kind", ["csv", "parquet", "duckdb", "sqlite"])
def test_a_file_without_permission_is_named(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    table = bound(tmp_path, entry(kind, ROWS, tmp_path, "t", request))["bank.t"]
    file = next(path for path in tmp_path.iterdir() if path.name != "tables.toml")
    assert table.load().num_rows == 60
    file.chmod(0)
    for asked in (table.columns, table.load):
        with modes_count(), pytest.raises(InputError, match="permission denied") as caught:
            asked()
        assert caught.value.message.startswith(f"tables.toml: [bank.t]: {file.name} cannot be read")
        assert "ls -l" in caught.value.hint


@pytest.mark.parametrize(
    ("hurt", "message"),
    [
        (lambda part: part.chmod(0), "b.csv cannot be read .permission denied"),
        (lambda part: part.parent.chmod(0), "day=2 cannot be read .permission denied"),
        (lambda part: part.parent.chmod(0o444), "b.csv cannot be read .permission denied"),
        (lambda part: linked(part, "gone"), "b.csv cannot be read .no such"),
        (lambda part: linked(part, "/dev/zero"), "b.csv is neither a file nor a folder"),
        (lambda part: linked(part, "b.csv"), "b.csv cannot be read .too many"),
        (lambda part: (part.parent / "up").symlink_to(".."), "up is a link to a folder above it"),
    ],
)
def test_a_part_that_cannot_be_read_is_never_left_out(
    tmp_path: Path, hurt: object, message: str
) -> None:
    """Rows of a folder that may not be listed were lost without a word."""
    folder, part = tmp_path / "t", tmp_path / "t" / "day=2" / "b.csv"
    for place, rows in ((folder / "day=1" / "a.csv", ROWS[:20]), (part, ROWS[20:])):
        place.parent.mkdir(parents=True)
        pa_csv.write_csv(rows, place)
    table = bound(tmp_path, 'path = "t"')["bank.t"]
    assert table.load().num_rows == 60
    hurt(part)  # type: ignore[operator]
    with modes_count(), pytest.raises(InputError, match=message):
        table.load()
    part.parent.chmod(0o700)


def test_parts_behind_a_link_are_read_and_hidden_ones_never_looked_at(tmp_path: Path) -> None:
    for name, rows in (("t/day=1", ROWS[:20]), ("elsewhere", ROWS[20:]), ("t/_temporary", ROWS)):
        (tmp_path / name).mkdir(parents=True)
        pa_csv.write_csv(rows, tmp_path / name / "a.csv")
    (tmp_path / "t" / "day=2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "t" / "_temporary").chmod(0)
    with modes_count():
        found = bound(tmp_path, 'path = "t"')["bank.t"].load()
    assert sorted(found["id"].to_pylist()) == ROWS["id"].to_pylist()
    assert found["day"].to_pylist() == [1] * 20 + [2] * 40


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('path = "t"', "t cannot be read .permission denied"),
        ('path = "t/a.csv"', "a.csv cannot be read .permission denied"),
        (f'path = "{"n" * 300}.csv"', "cannot be read .file name too long"),
        ('path = "pipe"', "pipe is neither a file nor a folder"),
        ('path = "/proc/self/mem"', "mem cannot be read .input/output error"),
        ('connection = "sqlite:///t.csv"\ntable = "t"', "it is none, or an encrypted one"),
        ('connection = "sqlite:///cut.db"\ntable = "t"', "damaged, or cut off"),
        ('connection = "duckdb:///t.csv"\ntable = "t"', "no DuckDB database, or a damaged one"),
    ],
)
def test_what_is_bound_and_no_table_is_told_as_what_it_is(
    tmp_path: Path, lines: str, message: str, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "t").mkdir()
    pa_csv.write_csv(ROWS, tmp_path / "t" / "a.csv")
    pa_csv.write_csv(ROWS, tmp_path / "t.csv")
    (tmp_path / "t").chmod(0)
    os.mkfifo(tmp_path / "pipe")
    entry("sqlite", ROWS, tmp_path, "t", request)
    (tmp_path / "cut.db").write_bytes((tmp_path / "tables.sqlite").read_bytes()[:4096])
    with modes_count(), pytest.raises(InputError, match=message):
        bound(tmp_path, lines)["bank.t"].load()
    (tmp_path / "t").chmod(0o700)


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ('path = "*.csv"', "name the folder"),
        ('path = "s3://bucket/t.parquet"', "bound by connection"),
        ('path = "~/t.csv"', "write $HOME"),
        ('connection = "jdbc:oracle://h/d"\ntable = "t"', "such as postgres://"),
        (
            'path = "t.csv"\nencoding = "cp037"',
            "see encoding",
        ),  # its names would be somebody's rows
    ],
)
def test_what_leads_nowhere_has_a_hint(tmp_path: Path, lines: str, hint: str) -> None:
    pa_csv.write_csv(ROWS, tmp_path / "t.csv")
    with pytest.raises(InputError) as caught:
        bound(tmp_path, lines)["bank.t"].load(["id"])
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text(""),
        lambda path: path.write_text(path.read_text() + "9999,1\n"),
        lambda path: path.write_text(path.read_text()[:100]),
        lambda path: path.write_text(path.read_text().replace('"id","x"', '"x","id"')),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    """Columns in another order were read under each other's names."""
    pa_csv.write_csv(ROWS, tmp_path / "t.csv")
    table, parsed = bound(tmp_path, 'path = "t.csv"')["bank.t"], CsvReader._parsed

    def changed(self: CsvReader, *asked: Any) -> pa.Table:
        change(tmp_path / "t.csv")
        return parsed(self, *asked)

    monkeypatch.setattr(CsvReader, "_parsed", changed)
    with pytest.raises(InputError, match=r"t\.csv has changed while it was read"):
        table.load()


def test_a_parquet_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(ROWS, tmp_path / "t.parquet")
    table, read = bound(tmp_path, 'path = "t.parquet"')["bank.t"], ParquetReader._read

    def changed(self: ParquetReader, columns: list[str]) -> pa.Table:
        found = read(self, columns)
        pq.write_table(ROWS.slice(0, 5), tmp_path / "t.parquet")
        return found

    monkeypatch.setattr(ParquetReader, "_read", changed)
    with pytest.raises(InputError, match=r"t\.parquet has changed while it was read"):
        table.load()


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: pa_csv.write_csv(ROWS, folder / "c.csv"),
        lambda folder: (folder / "b.csv").unlink(),
        lambda folder: pa_csv.write_csv(ROWS.slice(0, 3), folder / "a.csv"),
    ],
    ids=["one more", "one fewer", "another"],
)
def test_a_folder_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    """Parts of two exports were one table."""
    (tmp_path / "t").mkdir()
    for name in "ab":
        pa_csv.write_csv(ROWS, tmp_path / "t" / f"{name}.csv")
    table, joined = bound(tmp_path, 'path = "t"')["bank.t"], FolderReader._part

    def changed(self: FolderReader, place: int, *asked: Any) -> pa.Table:
        found = joined(self, place, *asked)
        if place == 1:
            change(tmp_path / "t")
        return found

    monkeypatch.setattr(FolderReader, "_part", changed)
    with pytest.raises(InputError, match="t has changed while it was read"):
        table.load()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_part_of_no_bytes_is_told_unless_its_writer_says_that_all_is_there(
    tmp_path: Path, ending: str
) -> None:
    """It was passed over: a copy that a full disk cut off lost its rows in silence."""
    (tmp_path / "t").mkdir()
    first = tmp_path / "t" / f"a.{ending}"
    pa_csv.write_csv(ROWS, first) if ending == "csv" else pq.write_table(ROWS, first)
    (tmp_path / "t" / "day=02").mkdir()
    (tmp_path / "t" / "day=02" / f"b.{ending}").touch()
    table = bound(tmp_path, 'path = "t"')["bank.t"]
    with pytest.raises(InputError, match=rf"day=02/b\.{ending} in t has 0 bytes") as met:
        table.load()
    assert "_SUCCESS" in met.value.hint
    for place in ("t", "t/day=02"):
        (tmp_path / place / "_SUCCESS").touch()
        assert table.load().num_rows == ROWS.num_rows
        (tmp_path / place / "_SUCCESS").unlink()
