"""Files of databases: found beside tables.toml, never made, read as they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.tables.bindings import Table, TablesFile
from psi.protocol import InputError


def bound(folder: Path, url: str, table: str = "t") -> Table:
    text = f'[bank.t]\nconnection = "{url}"\ntable = "{table}"\n'
    (folder / "tables.toml").write_text(text)
    return TablesFile.load(folder / "tables.toml")["bank.t"]


def sqlite(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_files_are_found_beside_tables_toml(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    if scheme == "sqlite":
        sqlite(tmp_path / "bank.db", "create table t (x)", "insert into t values (5)")
    else:
        with duckdb.connect(str(tmp_path / "bank.db")) as database:
            database.execute("create table t as select 5 x")
    for place in ("/bank.db", "bank.db", f"/{tmp_path}/bank.db", f"{tmp_path}/bank.db"):
        found = bound(tmp_path, f"{scheme}://{place}").load()
        assert found.to_pydict() == {"x": [5]}
    for place in ("/none.db", "none.db", f"/{tmp_path}/none.db"):
        with pytest.raises(InputError, match="no database file"):
            bound(tmp_path, f"{scheme}://{place}").load()
    assert not list(Path("/").glob("none.db*"))
    assert not list(tmp_path.rglob("none.db*"))


def test_sqlite_values_have_types_columns_not(tmp_path: Path) -> None:
    sqlite(
        tmp_path / "b.db",
        "create table t (id TEXT, code STRING, mixed INTEGER, v REAL, big INTEGER, raw BLOB, n)",
        "insert into t values ('007', 'a1', 1, 1.5, 9007199254740993, x'6162', null)",
        "insert into t values ('008', 'a2', 'A2', 2, 1, x'00ff', null)",
        "create view v as select id, v * 2 as w from t",
        'create table "odd ""name" ("a b" TEXT)',
        'insert into "odd ""name" values (\'x\')',
    )
    url = "sqlite:///b.db"
    found = bound(tmp_path, url).load().to_pydict()
    assert found["id"] == ["007", "008"]
    assert found["mixed"] == ["1", "A2"]
    assert (found["v"], found["big"]) == ([1.5, 2.0], [9007199254740993, 1])
    assert found["raw"] == [b"ab", b"\x00\xff"]
    assert bound(tmp_path, url, "v").load(["w"]).to_pydict() == {"w": [3.0, 4.0]}
    assert bound(tmp_path, url, 'odd \\"name').load().to_pydict() == {"a b": ["x"]}
    with pytest.raises(InputError, match="cannot open table"):
        bound(tmp_path, url, "t; drop table t").load()
    (tmp_path / "text.db").write_text("no database, but text that is long enough to be read as one")
    with pytest.raises(InputError, match="cannot be opened as sqlite"):
        bound(tmp_path, "sqlite:///text.db").load()


def test_a_database_that_another_process_writes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    duckdb.connect(str(path)).execute("create table t as select 1 x").close()
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(InputError, match=rf"locked: process {holder.pid} has it open"):
            bound(tmp_path, "duckdb:///b.db").load()
    finally:
        holder.kill()
        holder.wait()
    assert bound(tmp_path, "duckdb:///b.db").load().num_rows == 1


def test_what_arrow_has_no_place_for_is_the_text_of_duckdb(tmp_path: Path) -> None:
    values = "1 x, interval 3 day i, timetz '10:00:00+02' z, time '10:00' t, '101'::bit b"
    with duckdb.connect(str(tmp_path / "b.db")) as database:
        database.execute(f'create table "a ""t" as select {values}')
    found = bound(tmp_path, "duckdb:///b.db", 'a \\"t').load()
    assert found.select(["x", "i", "z", "b"]).to_pylist() == [
        {"x": 1, "i": "3 days", "z": "10:00:00+02", "b": "101"}
    ]


def test_a_nested_type_is_named_in_one_line(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "b.db")) as database:
        fields = ", ".join(f"name_{i} INT" for i in range(30))
        database.execute(f"create table t (u UNION(num INT, str TEXT), wide UNION({fields}))")
        database.execute("insert into t values (1, 1::UNION(name_0 INT))")
    for name in ("u", "wide"):
        with pytest.raises(InputError, match=f"column '{name}' of type UNION") as caught:
            bound(tmp_path, "duckdb:///b.db").load([name])
        assert "\n" not in caught.value.message
        assert len(caught.value.message) < 180


@pytest.mark.parametrize("kind", ["date", "timestamp"])
def test_days_that_no_calendar_has_are_counted(kind: str, tmp_path: Path) -> None:
    """Databases write infinity as a day of the year 5,881,580."""
    with duckdb.connect(str(tmp_path / "b.db")) as database:
        cases = "case i when 3 then 'infinity' when 4 then '-infinity' else '9999-12-31' end"
        database.execute(f"create table t as select ({cases})::{kind} d from range(9) r(i)")  # noqa: S608
        stored = database.execute("select d from t").to_arrow_table()
    pq.write_table(stored, tmp_path / "t.parquet")
    (tmp_path / "file.toml").write_text('[bank.t]\npath = "t.parquet"\n')
    file = TablesFile.load(tmp_path / "file.toml")["bank.t"]
    for table in (bound(tmp_path, "duckdb:///b.db"), file):
        with pytest.raises(InputError, match=r"\[bank.t\]: column 'd': 2 of 9 days are infinite"):
            table.load(["d"])
    days = [
        duckdb.sql(f"select '{day}'::{kind}").fetchone() for day in ("0001-01-01", "1750-01-01")
    ]
    pq.write_table(pa.table({"d": [day[0] for day in days if day]}), tmp_path / "t.parquet")
    assert file.load(["d"]).num_rows == 2


def test_sqlite_says_which_column_it_is(tmp_path: Path) -> None:
    sqlite(
        tmp_path / "b.db",
        "create table t (id INTEGER, bad TEXT, mixed TEXT)",
        *["insert into t values (1, 'x', 'a')"] * 5,
        "insert into t values ('six', cast(x'ff41' as text), x'6162')",
    )
    table = bound(tmp_path, "sqlite:///b.db")
    assert table.load(["id"]).column("id").to_pylist() == [*"11111", "six"]
    with pytest.raises(InputError, match=r"column 'bad' cannot be read .text that is not UTF-8"):
        table.load(["id", "bad"])
    with pytest.raises(InputError, match="column 'mixed' holds bytes in 1 rows, beside other"):
        table.load(["id", "mixed"])


POSTGRES = {
    "uuid": ("uuid", "f02109ad-4ff0-4958-99aa-4c154f19a708", None),
    "mood": ("mood", "sad", None),
    "cents": ("cents", "12.50", Decimal("12.50")),
    "numeric": ("numeric", "0.12345678901234567890", Decimal("0.12345678901234567890")),
    "large": ("numeric", f"-{12345678901 * 10**20}", Decimal(-12345678901 * 10**20)),
    "precise": ("numeric(38,10)", "1234567890123456789012345678.0123456789",
                Decimal("1234567890123456789012345678.0123456789")),
    "widest": ("numeric", f"{10**70}.5", Decimal(f"{10**70}.5")),
    "beyond": ("numeric", f"{10**80}", f"{10**80}"),
    "hundreds": ("numeric(5,-2)", "1234", Decimal(1200)),
    "not a number": ("numeric", "infinity", float("inf")),
    "money": ("money", "-1234.50", Decimal("-1234.50")),
    "padded": ("char(10)", "000123", None),
    "zone": ("timetz", "12:30:00+08", None),
    "interval": ("interval", "1 mon 02:00:00", None),
    "range": ("int4range", "[1,5)", None),
    "jsonb": ("jsonb", '{"a": 1, "b": 2}', None),
    "uuids": ("uuid[]", "{f02109ad-4ff0-4958-99aa-4c154f19a708}",
              ["f02109ad-4ff0-4958-99aa-4c154f19a708"]),
    "numbers": ("int[]", "{1,NULL}", [1, None]),
    "bytes": ("bytea", "\\x00ff", b"\x00\xff"),
    "number": ("bigint", "9007199254740993", 9007199254740993),
}  # fmt: skip


@pytest.mark.postgres
def test_types_of_postgresql_keep_what_was_written(tmp_path: Path, cluster: str) -> None:
    """From a table, a view and one row apart; a null beside each value."""
    import psycopg

    columns = ", ".join(f'"{name}" {kind}' for name, (kind, _, _) in POSTGRES.items())
    values = [text for _, text, _ in POSTGRES.values()]
    with psycopg.connect(host=cluster, user="postgres", dbname="postgres") as database:
        database.execute("create type mood as enum ('sad', 'happy')")
        database.execute("create domain cents as numeric(12,2)")
        database.execute(f"create table typed (row int, {columns})")
        marks = ", ".join(["%s"] * len(values))
        database.execute(f"insert into typed values (2, {marks})", values)  # noqa: S608
        database.execute("insert into typed values (1)")
        database.execute("create view typed_view as select * from typed")
    url = f"postgres://postgres@/postgres?host={cluster}"
    for name, rows in (("typed", (0, 1)), ("typed_view", (1, 0))):
        found = bound(tmp_path, url, name).load().to_pydict()
        for column, (_, text, value) in POSTGRES.items():
            assert [found[column][at] for at in rows] == [text if value is None else value, None]


@pytest.mark.parametrize(
    ("table", "hint"),
    [
        ("people.x", "parts SCHEMA and TABLE"),
        ("PEOPEL", "did you mean 'people'"),
        ("orders", "there are: people, people.x"),
        ("s.people", "did you mean 'people'"),
    ],
)
@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_table_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, kind: str, table: str, hint: str
) -> None:
    making = [f'create table "{name}" (id int)' for name in ("people", "people.x")]
    if kind == "sqlite":
        sqlite(tmp_path / "b.db", *making)
    else:
        with duckdb.connect(tmp_path / "b.db") as base:
            for one in making:
                base.execute(one)
    with pytest.raises(InputError, match="cannot open table") as met:
        bound(tmp_path, f"{kind}:///b.db", table).columns()
    assert hint in met.value.hint
