"""A job's own copy of its tables: what it holds, how it lies on disk, and what cannot be had."""

from __future__ import annotations

import decimal
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.tables import kept_tables
from federated.tables.kept_tables import Extract, KeptTables
from federated.tables.source import MemorySource
from psi.protocol import InputError

PEOPLE = pa.table(
    {
        "id": pa.array(["planted7", None, "b"] * 100).dictionary_encode(),
        "loans": pa.array([1, 2, None] * 100, pa.int32()),
        "share": pa.array([0.5, np.nan, None] * 100, pa.float32()),
        "age": pa.array([34.0, np.nan, -1.0] * 100),
        "none": pa.array([None, np.nan, None] * 100, pa.float64()),
        "sum": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal(3)] * 100),
        "at": pa.array([datetime(2026, 1, 2), None, datetime(2026, 1, 3)] * 100, pa.timestamp("s")),
    }
)
WANTED = Extract("bank.people", ("id", "loans", "share", "age", "none", "sum", "at"), ("id",))


class Source(MemorySource):
    """Counts how often it is read."""

    reads = 0

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        self.reads += 1
        return super().load(table, columns, keys=keys)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(kept_tables, "PART", 128)
    return Source({"bank.people": PEOPLE, "bank.managers": pa.table({"manager": ["Ann"]})})


def tables(source: Source, folder: Path, session: bytes = bytes(32)) -> KeptTables:
    return KeptTables(source, folder, session, secrets.token_bytes)


def test_one_read_serves_everything_after_it(source: Source, tmp_path: Path) -> None:
    kept = tables(source, tmp_path)
    managers = Extract("bank.managers", ("manager",))
    kept.keep([WANTED, Extract("bank.people", ("loans", "id")), managers])
    assert source.reads == 2
    later = tables(source, tmp_path)  # another life of the party
    for asked in (["id"], ["share", "loans"], ["sum", "at"], []):
        found = later.load("bank.people", asked)
        assert found.column_names == asked
        assert found.num_rows == 300
    assert later.load("bank.managers", ["manager"]).to_pydict() == {"manager": ["Ann"]}
    assert later.columns("bank.people") == list(WANTED.columns)
    assert source.reads == 2


def test_equal_values_have_equal_types(source: Source, tmp_path: Path) -> None:
    kept = tables(source, tmp_path)
    kept.keep([WANTED])
    found = kept.load("bank.people", WANTED.columns)
    kinds = {field.name: str(field.type) for field in found.schema}
    assert kinds == {
        "id": "large_string", "loans": "int64", "share": "double", "age": "int64",
        "none": "null", "sum": "double", "at": "timestamp[us]",
    }  # fmt: skip
    first = found.slice(0, 3).to_pydict()
    assert first == {
        "id": ["planted7", None, "b"],
        "loans": [1, 2, None],
        "share": [0.5, None, None],
        "age": [34, None, -1],
        "none": [None, None, None],
        "sum": [1.25, None, 3.0],
        "at": [datetime(2026, 1, 2), None, datetime(2026, 1, 3)],
    }


def test_it_is_sealed_for_this_session_and_goes_with_its_key(
    source: Source, tmp_path: Path
) -> None:
    kept = tables(source, tmp_path)
    kept.keep([WANTED])
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + 3 + 1  # the key, three parts, what they are
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert b"planted" not in file.read_bytes()
        assert "people" not in file.name
    with pytest.raises(InputError, match="of another contract or was altered"):
        tables(source, tmp_path, bytes([1] * 32)).load("bank.people", ["id"])
    (tmp_path / "key").unlink()
    with pytest.raises(InputError):
        tables(source, tmp_path).load("bank.people", ["id"])


@pytest.mark.parametrize("how", ["swapped", "altered", "missing", "of an earlier copy"])
def test_a_copy_that_is_not_whole_is_refused(source: Source, tmp_path: Path, how: str) -> None:
    kept = tables(source, tmp_path)
    kept.keep([WANTED])
    first, second = sorted(tmp_path.glob("table-*-[01]"))
    data = first.read_bytes()
    if how == "swapped":
        first.write_bytes(second.read_bytes())
    elif how == "altered":
        first.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif how == "missing":
        first.unlink()
    else:
        kept.keep([WANTED])
        first.write_bytes(data)
    with pytest.raises(InputError):
        kept.load("bank.people", ["id"])


def test_what_was_not_kept_is_not_read_from_the_table(source: Source, tmp_path: Path) -> None:
    kept = tables(source, tmp_path)
    with pytest.raises(InputError, match="was not kept"):
        kept.load("bank.people", ["id"])
    kept.keep([Extract("bank.people", ("id", "loans"), ("id",))])
    with pytest.raises(InputError, match="has no column 'share'"):
        kept.load("bank.people", ["id", "share"])
    assert source.reads == 1
    assert kept.holds(Extract("bank.people", ("id",), ("id",)))
    assert not kept.holds(Extract("bank.people", ("loans",), ("loans",)))  # a key is text
    assert not kept.holds(Extract("bank.people", ("id",)))
    assert not kept.holds(Extract("bank.people", ("share",)))
    assert not kept.holds(Extract("bank.managers", ()))
