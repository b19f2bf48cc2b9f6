"""Every role a column can have, by every type that Arrow has: a right result, or a typed error
that names the column, before anything is signed. Never a traceback, never another value."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.steps.sections_told import groups_of
from federated.tables.bindings import TablesFile
from federated.tables.column_roles import ROLES, check_role, kind_of
from federated.tables.encoding import Encoder
from federated.tables.key_columns import check_key, cleaned_key
from federated.tables.matrix import categorical, known_labels, numeric_matrix
from federated.tables.source import FileSource, MemorySource
from federated.text import csv_safe
from profiles.spreadsheet import csv_bytes
from psi.protocol import InputError

ROWS = 120
DAY = datetime.date(2026, 3, 4)
NOON = datetime.datetime(2026, 3, 4, 12, 30)


def half(one: Any, other: Any) -> list[Any]:
    """The two values by turns, and a gap."""
    return [None if i == 7 else (one, other)[i % 2] for i in range(ROWS)]


def _extension(kind: str) -> pa.Array:
    if kind == "uuid":
        return pa.array([u.bytes if u else None for u in half(*UUIDS)], pa.uuid())
    if kind == "bool8":
        return pa.array(half(1, 0), pa.int8()).cast(pa.bool8())
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(half("a", "b")))


UUIDS = (uuid.UUID(int=2**127 + 9), uuid.UUID(int=5))
TYPES: dict[str, Callable[[], pa.Array]] = {
    **{
        str(kind): (lambda kind=kind: pa.array(half(1, 0), kind))  # type: ignore[misc]
        for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32())
    },
    "uint64": lambda: pa.array(half(2**64 - 1, 0), pa.uint64()),
    "int64 beyond 2^53": lambda: pa.array(half(2**60 + 1, 0), pa.int64()),
    "half": lambda: pa.array([None if v is None else np.float16(v) for v in half(1, 0)]),
    "float": lambda: pa.array(half(1.0, 0.0), pa.float32()),
    "double": lambda: pa.array(half(1.0, 0.0), pa.float64()),
    "double with NaN": lambda: pa.array([float("nan") if v is None else v for v in half(1.0, 0.0)]),
    "decimal128": lambda: pa.array(half(Decimal("1.00"), Decimal("0.00")), pa.decimal128(9, 2)),
    "decimal256": lambda: pa.array(half(Decimal(1), Decimal(0)), pa.decimal256(50, 0)),
    "negative scale": lambda: pa.array(half(Decimal(100), Decimal(0)), pa.decimal128(5, -2)),
    "bool": lambda: pa.array(half(True, False)),
    "string": lambda: pa.array(half("a", "b")),
    "large_string": lambda: pa.array(half("a", "b"), pa.large_string()),
    "string_view": lambda: pa.array(half("a", "b"), pa.string_view()),
    "dictionary": lambda: pa.array(half("a", "b")).dictionary_encode(),
    "dictionary of numbers": lambda: pa.array(half(1, 0)).dictionary_encode(),
    "dictionary of dates": lambda: pa.array(half(DAY, DAY)).dictionary_encode(),
    "run-end encoded": lambda: pa.RunEndEncodedArray.from_arrays([60, ROWS], ["a", "b"]),
    "text without a mark": lambda: pa.array(half(b"a", b"b")),
    "short bytes of fixed size": lambda: pa.array(half(b"aa", b"bb"), pa.binary(2)),
    "binary_view": lambda: pa.array(half(b"a", b"b"), pa.binary_view()),
    "bytes": lambda: pa.array(half(b"\x00\xff", b"\x01\xfe")),
    "bytes of fixed size": lambda: pa.array(half(UUIDS[0].bytes, UUIDS[1].bytes), pa.binary(16)),
    "control characters": lambda: pa.array(half(b"\x00\x01", b"\x02")),
    "date32": lambda: pa.array(half(DAY, DAY)),
    "date64": lambda: pa.array(half(DAY, DAY), pa.date64()),
    "timestamp": lambda: pa.array(half(NOON, NOON), pa.timestamp("ms")),
    "timestamp ns": lambda: pa.array(half(NOON, NOON), pa.timestamp("ns")),
    "timestamp with a zone": lambda: pa.array(
        half(NOON, NOON), pa.timestamp("us", "Asia/Shanghai")
    ),
    "time32": lambda: pa.array(half(3600, 0), pa.time32("s")),
    "time64": lambda: pa.array(half(3600, 0), pa.time64("us")),
    "duration": lambda: pa.array(half(3600, 0), pa.duration("s")),
    "interval": lambda: pa.array(half(pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([0, 0, 0]))),
    "null": lambda: pa.nulls(ROWS),
    "list": lambda: pa.array(half(["a", None], []), pa.list_(pa.string())),
    "large_list": lambda: pa.array(half([1], [2, 3]), pa.large_list(pa.int64())),
    "list_view": lambda: pa.array(half(["a"], []), pa.list_view(pa.string())),
    "fixed_size_list": lambda: pa.array(half([1, 2], [3, 4]), pa.list_(pa.int8(), 2)),
    "list of dictionary": lambda: pa.array(
        half(["a"], ["b"]), pa.list_(pa.dictionary(pa.int8(), pa.string()))
    ),
    "list of lists": lambda: pa.array(half([[1]], [[2]])),
    "struct": lambda: pa.array(half({"a": 1}, {"a": 2})),
    "map": lambda: pa.array(half([("a", 1)], []), pa.map_(pa.string(), pa.int64())),
    "uuid": lambda: _extension("uuid"),
    "bool8": lambda: _extension("bool8"),
    "json": lambda: _extension("json"),
    "union": lambda: pa.UnionArray.from_sparse(
        pa.array([0] * ROWS, pa.int8()), [pa.array(range(ROWS))]
    ),
}


def loaded(name: str, keys: tuple[str, ...] = ()) -> pa.Table:
    return MemorySource({"p.t": pa.table({"q": TYPES[name]()})}).load("p.t", ["q"], keys=keys)


def use(role: str, table: pa.Table) -> Any:
    """What a job does with a column in this role."""
    if role == "key":
        return cleaned_key(table, "q", "text").values.to_pylist()
    if role == "feature":
        return Encoder.fit(table, ["q"]).transform(table)[0].tolist()
    if role == "measure":
        return numeric_matrix(table, ["q"])[:, 0].tolist()
    if role == "label":
        return known_labels(table, "q", positive="" if numbers(table) else "a").tolist()
    if role == "category":
        return categorical(table, "q").to_pylist()
    if role == "segment":
        return groups_of(table.column("q"))
    if role in ("name", "entity"):
        return table.column("q").cast(pa.string()).to_pylist()
    if role == "fact":
        return pq.write_table(table, pa.BufferOutputStream())
    return csv_bytes(table)


def numbers(table: pa.Table) -> bool:
    return kind_of(table.schema.field("q").type) in ("number", "boolean")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", TYPES)
def test_a_result_or_a_typed_error(name: str, role: str) -> None:
    table = loaded(name, ("q",) if role == "key" else ())
    allowed = kind_of(table.schema.field("q").type) in ROLES[role]
    problem = raised(lambda: checked(role, table))
    assert (problem is None) == allowed
    if problem is not None:
        assert "'q'" in problem.message
        assert problem.hint
        if role in ("feature", "measure", "label", "category", "segment"):
            assert raised(lambda: use(role, table)) is not None
        return
    problem = raised(lambda: use(role, table))
    if problem is not None:  # of its values: text that is no numbers, a label of one class
        assert role in ("measure", "label")
        assert "'q'" in problem.message


def checked(role: str, table: pa.Table) -> None:
    """What is looked at before a signature."""
    if role == "key":
        check_key(table, "q", "text")
    else:
        check_role(table, "q", role, where="p.t")


def raised(act: Callable[[], Any]) -> InputError | None:
    """The typed error of `act`; any other goes on up."""
    try:
        act()
    except InputError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("name", "one"),
    [
        *((kind, "1") for kind in ("int8", "int64", "uint32", "half", "double", "decimal128")),
        ("decimal256", "1"), ("negative scale", "100"), ("uint64", str(2**64 - 1)),
        ("double with NaN", "1"), ("dictionary of numbers", "1"), ("string_view", "a"),
        ("dictionary", "a"), ("text without a mark", "a"), ("binary_view", "a"),
        ("date32", "2026-03-04"), ("date64", "2026-03-04"),
        ("timestamp", "2026-03-04 12:30:00"), ("timestamp ns", "2026-03-04 12:30:00"),
        ("timestamp with a zone", "2026-03-04 20:30:00"), ("uuid", str(UUIDS[0])),
        ("int64 beyond 2^53", str(2**60 + 1)),
    ],
)  # fmt: skip
def test_keys_are_what_a_person_would_have_typed(name: str, one: str) -> None:
    found = use("key", loaded(name, ("q",)))
    assert found[0] == one
    assert found[7] is None


@pytest.mark.parametrize("name", [n for n in TYPES if n[:4] in ("int8", "int6", "uint", "doub")])
def test_gaps_are_gaps_in_every_role(name: str) -> None:
    table = loaded(name)
    assert np.isnan(use("measure", table)[7])
    assert use("segment", table)[1][7] == -1
    assert use("category", table)[7] is None
    if len(set(use("category", table)) - {None}) == 2 and "1" in use("category", table):
        assert use("label", table)[7] == -1


@pytest.mark.parametrize("name", ["bytes", "bytes of fixed size"])
def test_bytes_have_a_declared_form(name: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"q": TYPES[name]()}), tmp_path / "t.parquet")
    kind = "uuid" if "fixed" in name else "hex"
    with pytest.raises(InputError, match=r'types = { q = "hex" }, or "uuid"'):
        check_role(loaded(name), "q", "segment")
    (tmp_path / "tables.toml").write_text(
        f'[p.t]\npath = "t.parquet"\ntypes = {{ q = "{kind}" }}\n'
    )
    found = FileSource(TablesFile.load(tmp_path / "tables.toml")).load("p.t", ["q"], keys=["q"])
    assert found["q"][0].as_py() == (str(UUIDS[0]) if kind == "uuid" else "00ff")
    assert found["q"][7].as_py() is None


def test_a_spreadsheet_keeps_digits() -> None:
    table = pa.table({"id": ["110105199001010000", "000123", "12E4", "1-2", "12.5", "x"]})
    rows = csv_bytes(table).decode("utf-8-sig").splitlines()[1:]
    assert rows == [f'"\'{v}"' for v in ("110105199001010000", "000123", "12E4", "1-2")] + [
        '"12.5"', '"x"',
    ]  # fmt: skip
    card = csv_bytes(pa.table({"n": [6222020000000000001, 5]})).decode("utf-8-sig").splitlines()
    assert card[1:] == ['"\'6222020000000000001"', '"5"']
    assert csv_safe("000123") == "'000123"
