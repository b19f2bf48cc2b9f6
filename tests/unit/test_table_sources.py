"""What every source of tables promises: one order of rows, whole values, the same copy of them."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.tables.bindings import Table, TablesFile
from federated.tables.kept_tables import Extract, KeptTables
from federated.tables.snapshot import snapshot_hash
from federated.tables.source import FileSource
from tests.sources import KINDS, entry

ROWS = 500


def people() -> pa.Table:
    """Rows in no order of any column; keys repeat; texts, numbers, and nulls in every column."""
    rng = np.random.default_rng(3)
    number = 110101199001010000 + rng.integers(0, 400, ROWS)  # above 2^53, some of them twice
    columns = {
        "id": number,
        "name": [f"{i:03d}" for i in rng.integers(0, 300, ROWS)],
        "said": ["it's", 'a "quoted", one', "张三", " spaced "] * (ROWS // 4),
        "balance": rng.normal(size=ROWS) * 10.0 ** rng.integers(-9, 9, ROWS),
        "label": rng.integers(0, 2, ROWS),
        "months": rng.integers(0, 99, ROWS).astype(float),
        "notes": np.full(ROWS, "x"),
    }
    gaps = {name: rng.random(ROWS) < (0.1 if name != "notes" else 2) for name in columns}
    return pa.table({name: pa.array(of, mask=gaps[name]) for name, of in columns.items()})


def bound(kind: str, folder: Path, request: pytest.FixtureRequest) -> Table:
    lines = entry(kind, people(), folder, "people", request)
    (folder / "tables.toml").write_text(f"[bank.people]\n{lines}\ntypes = {{ name = 'string' }}\n")
    return TablesFile.load(folder / "tables.toml")["bank.people"]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_asked_apart_are_of_the_same_rows(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    table, stored = bound(kind, tmp_path, request), people()
    for columns in (["label"], ["balance", "id"], ["name", "label"], None):
        found = table.load(columns)
        for name in found.column_names:
            assert found.column(name).to_pylist() == stored.column(name).to_pylist()


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_keys_keep_their_digits(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found = bound(kind, tmp_path, request).load(["id"], keys=["id"]).column("id")
    stored = [None if n is None else str(n) for n in people().column("id").to_pylist()]
    assert found.to_pylist() == stored


@pytest.mark.parametrize("kind", KINDS)
def test_the_copy_that_a_job_takes_is_the_same_from_each(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Values, types, chunks: what comes after it cannot tell where the table was."""
    bound(kind, tmp_path, request)
    source = FileSource(TablesFile.load(tmp_path / "tables.toml"))
    kept = KeptTables(source, tmp_path / "journal", bytes(32), secrets.token_bytes)
    names = tuple(people().column_names)
    kept.keep([Extract("bank.people", names, ("id",))])
    found, kinds = kept.load("bank.people", names), ["large_string"] * 3
    kinds += ["double", "int64", "int64", "null"]
    stored = {
        name: pa.nulls(ROWS) if name == "notes" else column.cast(found.schema.field(name).type)
        for name, column in zip(names, people().columns, strict=True)
    }
    assert [str(field.type) for field in found.schema] == kinds
    assert found.equals(pa.table(stored))
    assert {column.num_chunks for column in found.columns} == {1}
    assert snapshot_hash(found) == snapshot_hash(pa.table(stored))


@pytest.mark.parametrize("made", ["view", "without rowid", "own names"])
def test_what_sqlite_does_not_number(made: str, tmp_path: Path) -> None:
    """No row number, or names in its way: whole rows stay together, in one order."""
    file = tmp_path / "t.sqlite"
    with sqlite3.connect(file) as database:
        if made == "own names":
            database.execute("create table t (rowid text, _rowid_ text, place text)")
        elif made == "view":
            database.execute("create table b (rowid text, _rowid_ text, place text)")
            database.execute("create view t as select * from b")
        else:
            database.execute(
                "create table t (rowid text, _rowid_ text, place text primary key) without rowid"
            )
        to = "b" if made == "view" else "t"
        rows = [("b", "x", "2"), ("a", "y", "1"), ("c", "x", "3")]
        database.executemany(f"insert into {to} values (?, ?, ?)", rows)  # noqa: S608
    database.close()
    (tmp_path / "tables.toml").write_text(
        f'[p.t]\nconnection = "sqlite:///{file}"\ntable = "t"\nrow_number = "number"\n'
    )
    table = TablesFile.load(tmp_path / "tables.toml")["p.t"]
    whole = table.load().to_pylist()
    assert sorted(tuple(row.values())[1:] for row in whole) == sorted(rows)
    for name in ("rowid", "_rowid_", "place", "number"):
        assert table.load([name]).column(name).to_pylist() == [row[name] for row in whole]
    assert [row["rowid"] for row in whole] == (
        ["b", "a", "c"] if made == "own names" else ["a", "b", "c"]
    )


@pytest.mark.postgres
def test_what_postgresql_does_not_number(tmp_path: Path, cluster: str) -> None:
    import psycopg

    with psycopg.connect(host=cluster, user="postgres", dbname="postgres") as database:
        database.execute("create table parts (n int, s text, j json) partition by list (s)")
        database.execute("create table part_b partition of parts for values in ('b')")
        database.execute("create table part_a partition of parts for values in ('a')")
        for row in ("4, 'b', '{}'", "1, 'a', '{}'", "3, 'b', '[]'", "2, 'a', null"):
            database.execute(f"insert into parts values ({row})")  # noqa: S608
        database.execute("create view seen as select * from parts")
    (tmp_path / "tables.toml").write_text(
        "".join(
            f'[p.{name}]\nconnection = "postgres://postgres@/postgres?host={cluster}"\n'
            f'table = "{name}"\n'
            for name in ("parts", "seen")
        )
    )
    file = TablesFile.load(tmp_path / "tables.toml")
    assert file["p.parts"].load(["n"]).column("n").to_pylist() == [4, 3, 1, 2]
    assert file["p.parts"].load(["s"]).column("s").to_pylist() == ["b", "b", "a", "a"]
    assert file["p.seen"].load(["n"]).column("n").to_pylist() == [1, 2, 3, 4]
    assert file["p.seen"].load(["s"]).column("s").to_pylist() == ["a", "a", "b", "b"]
