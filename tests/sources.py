"""One table in every kind of source that a `tables.toml` can name; a PostgreSQL of our own."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

__all__ = ["KINDS", "cluster", "entry", "spark"]

KINDS = ("csv", "parquet", "duckdb", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres))
"""Every kind of source, for `parametrize`."""


def _postgres() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).parent if on_path else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The socket folder of a private PostgreSQL, run by a user that is not root."""
    binaries = _postgres()
    pytest.importorskip("psycopg", reason="pip install 'fedprofile[postgres]'")
    if binaries is None:
        pytest.skip("no PostgreSQL here: apt install postgresql")
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if user:
        shutil.chown(folder, "postgres")

    def run(*words: str) -> None:
        subprocess.run([*user, *words], check=True, capture_output=True, cwd=folder, timeout=60)

    data, control = str(folder / "data"), str(binaries / "pg_ctl")
    run(str(binaries / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run(control, "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield str(folder)
    finally:
        run(control, "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An Ibis connection to a private Spark in local mode, set for few rows and many queries."""
    pytest.importorskip("pyspark", reason="pip install 'fedprofile[spark]'")
    if shutil.which("java") is None:
        pytest.skip("no Java runtime here: apt install default-jre-headless")
    import ibis
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1200m",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.warehouse.dir": str(folder),
        "spark.local.dir": str(folder),
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        # to compile a query takes longer than to run it over a few rows
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield ibis.pyspark.connect(session)
    finally:
        session.stop()


def entry(
    kind: str, table: pa.Table, folder: Path, name: str, request: pytest.FixtureRequest
) -> str:
    """Write `table` as `name` into a source of this kind; the lines of its section."""
    return _WRITERS[kind](table, folder, name, request)


def _csv(table: pa.Table, folder: Path, name: str, request: pytest.FixtureRequest) -> str:
    del request
    pa_csv.write_csv(table, folder / f"{name}.csv")
    return f'path = "{name}.csv"'


def _parquet(table: pa.Table, folder: Path, name: str, request: pytest.FixtureRequest) -> str:
    del request
    pq.write_table(table, folder / f"{name}.parquet", row_group_size=100)
    return f'path = "{name}.parquet"'


def _duckdb(table: pa.Table, folder: Path, name: str, request: pytest.FixtureRequest) -> str:
    del request
    with duckdb.connect(folder / "tables.duckdb") as database:
        database.register("given", table)
        database.execute(f'create table "{name}" as select * from given')  # noqa: S608
    return f'connection = "duckdb:///tables.duckdb"\ntable = "{name}"'


def _sqlite(table: pa.Table, folder: Path, name: str, request: pytest.FixtureRequest) -> str:
    del request
    file = folder / "tables.sqlite"
    columns = _columns(table, {"int64": "integer", "double": "real"})
    with sqlite3.connect(file) as database:
        database.execute(f'create table "{name}" ({columns})')
        marks = ", ".join("?" * table.num_columns)
        database.executemany(f'insert into "{name}" values ({marks})', _rows(table))  # noqa: S608
    database.close()
    return f'connection = "sqlite:///{file}"\ntable = "{name}"'


def _psql(table: pa.Table, folder: Path, name: str, request: pytest.FixtureRequest) -> str:
    import psycopg

    socket = request.getfixturevalue("cluster")
    schema = f"s{abs(hash(str(folder)))}"
    columns = _columns(table, {"int64": "bigint", "double": "double precision"})
    with psycopg.connect(host=socket, user="postgres", dbname="postgres") as database:
        database.execute(f"create schema if not exists {schema}")
        database.execute(f'create table {schema}."{name}" ({columns})')
        with database.cursor().copy(f'copy {schema}."{name}" from stdin') as copy:
            for row in _rows(table):
                copy.write_row(row)
    url = f"postgres://postgres@/postgres?host={socket}"
    return f'connection = "{url}"\ntable = "{schema}.{name}"'


def _columns(table: pa.Table, kinds: dict[str, str]) -> str:
    """Names and types for SQL."""
    return ", ".join(f'"{f.name}" {kinds.get(str(f.type), "text")}' for f in table.schema)


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


_WRITERS: dict[str, Callable[[pa.Table, Path, str, pytest.FixtureRequest], str]] = {
    "csv": _csv,
    "parquet": _parquet,
    "duckdb": _duckdb,
    "sqlite": _sqlite,
    "postgres": _psql,
}
