"""Files of databases: found beside tables.toml, never made, read as they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
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


def test_a_type_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "b.db")) as database:
        database.execute("create table t as select 1 x, interval 1 day i")
    table = bound(tmp_path, "duckdb:///b.db")
    with pytest.raises(InputError, match="column 'i' of type interval"):
        table.load()
    assert table.load(["x"]).to_pydict() == {"x": [1]}
