"""Where flows are typed: an embedded DuckDB, or the database in which the transactions are.

Everything above this file is Ibis; nothing else changes with the engine. Parquet files are streamed
into DuckDB, CSV files are read whole by this project's reader, which loses no row. A database's
tables stay where they are, and all of a flow's big tables must be in one database.
"""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from federated.readers.base import missing_column
from federated.readers.database import (
    arrow_expression,
    database_file,
    duckdb_connection,
    no_driver,
    server_connection,
)
from federated.readers.database_errors import reason
from federated.readers.settle import Declared
from federated.readers.sniff import is_parquet
from federated.tables.bindings import Table
from profiles.flows.settings import Bound
from psi.protocol.errors import InputError, JobError, MisuseError

__all__ = ["Engine", "Keep", "as_it_is", "open_engine", "seldom_collected"]

Keep = Callable[[Any, str], Any]
"""Computes a table once under a name: `Engine.stored`, or what `Engine.scratch` gives."""

# Without this whole row groups are held before one is decoded: 400 MB more, and slower.
_STREAMED = pads.ParquetFileFormat(
    default_fragment_scan_options=pads.ParquetFragmentScanOptions(pre_buffer=False)
)
_MADE = count(1)


class _Streamed(pads.FileSystemDataset):  # type: ignore[misc] # of no types
    """Parquet files of which a few batches are read ahead of the engine, not dozens: it is slower
    than they are, and what waits for it is memory that its limit does not count."""

    def scanner(self, *asked: Any, **named: Any) -> Any:
        return super().scanner(*asked, batch_readahead=2, fragment_readahead=1, **named)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Python looks for garbage less often: for programs that do nothing but ask an engine.

    A question is a tree of many small objects, most of which live until it is written. To go
    through all of them every 700 took a fifth of the time of a page of 28 questions.
    """
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def as_it_is(table: Any, name: str) -> Any:
    """Keeps nothing: the engine computes a table where it is used."""
    return table


class Engine:
    """An Ibis connection and the tables that it holds, by logical name."""

    def __init__(self, connection: Any, tables: Mapping[str, Any]) -> None:
        self.connection, self._tables = connection, dict(tables)
        if connection.name == "postgres":
            # to compile conditions of this size takes PostgreSQL far longer than to go through rows
            self._run("SET jit = off")

    def __repr__(self) -> str:
        return f"<flows on {self.connection.name}: {', '.join(self._tables)}>"

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Joins keep their sides, the smaller one on the right, as they are written.

        Of a stream nothing is known: DuckDB takes it for one row and holds all of it in memory.
        """
        if self.connection.name != "duckdb":
            yield
            return
        self.connection.raw_sql("SET disabled_optimizers = 'build_side_probe_side'")
        try:
            yield
        finally:
            self.connection.raw_sql("RESET disabled_optimizers")
            pa.default_memory_pool().release_unused()

    @staticmethod
    def fresh(name: str) -> str:
        """A name for a table that no other in this process has: engines may share a connection."""
        return f"flows_{name}_{next(_MADE)}"

    def stored(self, table: Any, name: str) -> Any:
        """`table` computed once and kept while the connection lasts: a temporary table.

        Spark has none. Its cache is no stand-in: a plan that reads one still holds all steps that
        led to it, and planning takes longer than the work. A checkpoint ends the plan there, on the
        executors' memory and disks. PostgreSQL knows nothing of a temporary table until it is told
        to look: without that it goes through one side again for each row of the other.
        """
        fresh = self.fresh(name)
        if self.connection.name != "pyspark":
            made = self.connection.create_table(fresh, table, temp=True)
            if self.connection.name == "postgres":
                self._run(f"ANALYZE {fresh}")
            return made
        self.connection.create_view(f"{fresh}_of", table)
        frame = self.connection.raw_sql(f"SELECT * FROM {fresh}_of").localCheckpoint()  # noqa: S608
        frame.createTempView(fresh)
        self.connection.raw_sql(f"DROP VIEW {fresh}_of")
        return self.connection.table(fresh)

    @contextmanager
    def scratch(self) -> Iterator[Keep]:
        """What keeps tables as `stored` does, but until the block's end only.

        What is made of them is read, or stored, before: a stage that left its steps behind took
        their memory from the next one.
        """
        made: list[Any] = []

        def keep(table: Any, name: str) -> Any:
            made.append(self.stored(table, name))
            return made[-1]

        try:
            yield keep
        finally:
            self.drop(made)

    def updated(
        self, table: Any, column: str, changes: Any, new: str, same: tuple[str, str]
    ) -> Any:
        """A table that `stored` gave, with `column` as `changes` has it where that has a row.

        In place: a join would say the same, but to each question that follows, and an engine that
        does not know that few rows change then holds all of them as the side of a later join. On
        Spark, whose tables do not change, it is a new one.

        Args:
            changes: another table that `stored` gave, at most one row a row of `table`.
            new: its column with the new values, of the type of `column`.
            same: a column of `table`, and the one of `changes` that says which row is meant.
        """
        if self.connection.name == "pyspark":
            joined = table.left_join(changes, table[same[0]] == changes[same[1]])
            joined = joined.mutate(**{column: joined[new].fill_null(joined[column])})
            return self.stored(joined.select(*table.columns), "updated")
        mine, other = table.get_name(), changes.get_name()
        self._run(
            f'UPDATE {mine} SET "{column}" = {other}."{new}" FROM {other} '  # noqa: S608 our names
            f'WHERE {mine}."{same[0]}" = {other}."{same[1]}"'
        )
        return table

    def _run(self, sql: str) -> None:
        if self.connection.name == "postgres":
            with self.connection.begin() as cursor:
                cursor.execute(sql)
        else:
            self.connection.raw_sql(sql)

    def drop(self, stored: Iterable[Any]) -> None:
        """Forget tables that `stored` gave."""
        what = "VIEW" if self.connection.name == "pyspark" else "TABLE"
        for table in stored:
            self._run(f"DROP {what} {table.get_name()}")

    def columns_of(self, bound: Bound) -> Any:
        """The Ibis table of a section, having checked that its columns are there."""
        table = self._tables[bound.table]
        known = [str(name) for name in table.columns]
        for column in bound.names:
            if column not in known:
                raise missing_column(bound.where, column, known)
            kind = table[column].type()
            if kind.is_nested() or kind.is_binary():
                what = "bytes" if kind.is_binary() else "several values in one"
                raise InputError(
                    f"{bound.where}: column {column!r} holds {what}, a text, number or time needed",
                    hint="make one of it in a view of the database or in the extract",
                )
        return table


def open_engine(
    tables: Mapping[str, Table], wanted: Iterable[str], *, threads: int = 0, memory: str = ""
) -> Engine:
    """The engine that holds the wanted tables.

    Args:
        tables: of the tables file.
        wanted: logical names.
        threads: of an embedded DuckDB; by default its own choice.
        memory: of the process, such as "4GB", of which an embedded DuckDB gets its share.

    Raises:
        MisuseError: `memory` is no amount.
        JobError: tables of two databases.
        InputError: a file or a database that cannot be opened.
    """
    names = list(dict.fromkeys(wanted))
    homes = {tables[name].connection for name in names if tables[name].connection}
    if len(homes) > 1:
        raise JobError(
            f"{tables[names[0]].file.name}: flows over {len(homes)} databases found, one allowed",
            hint="copy the smaller tables into the database with the transactions",
        )
    connection = _connect(tables, names) if homes else duckdb_connection()
    if connection.name == "duckdb":
        # rows have no order here; keeping one costs memory
        connection.raw_sql("SET preserve_insertion_order = false")
        for setting, value in (("threads", threads), ("memory_limit", _share(memory))):
            if value:
                connection.raw_sql(f"SET {setting} = '{value}'")
    return Engine(connection, {name: _opened(connection, tables[name]) for name in names})


def _share(memory: str) -> str:
    """What DuckDB may hold of a process's memory: it counts neither Python, nor what it is handed,
    nor what it has given back and the process still has: 1.1 GB beside 2.5, where all stages of ten
    million rows were asked for one after the other."""
    if not memory:
        return ""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B\s*", memory, re.IGNORECASE)
    size = (
        float(found[1]) * (1024 if found[3] else 1000) ** ("KMGT".index(found[2].upper()) + 1)
        if found
        else 0.0
    )
    if not size:
        raise MisuseError(f"memory: {memory[:40]!r} found", hint='an amount, such as "4GB", needed')
    return f"{int(max(size * 5 / 8, size - 1.5e9) / 1e6)}MB"


def _opened(connection: Any, table: Table) -> Any:
    if table.connection:
        schema, _, name = table.table.rpartition(".")
        try:
            return connection.table(name, database=schema or None)
        except Exception as error:  # drivers raise types of their own, with rows in the text
            raise _failed(table, f"cannot open table {table.table!r}", error) from None
    path = table.location()
    under = "flows_" + re.sub(r"\W", "_", table.name)
    plain = path.is_file() and is_parquet(path) and not table.row_number
    if plain and table.declared == Declared():
        # streamed: only the columns and rows in use are ever in memory
        whole = pads.dataset(path, format=_STREAMED)
        found = _Streamed(list(whole.get_fragments()), whole.schema, whole.format, whole.filesystem)
    else:
        found = table.load()
    if connection.name == "duckdb":
        return arrow_expression(connection, under, found)
    import ibis

    return ibis.memtable(found.to_table() if isinstance(found, pads.Dataset) else found)


def _connect(tables: Mapping[str, Table], names: Iterable[str]) -> Any:
    import os
    from urllib.parse import quote

    table = next(tables[name] for name in names if tables[name].connection)

    def value(match: re.Match[str]) -> str:
        if match.group(1) not in os.environ:
            name = match.group(1)
            raise JobError(f"{table.where}: the environment variable {name} is not set")
        return quote(os.environ[match.group(1)], safe="")

    url = re.sub(r"\$\{(\w+)\}", value, table.connection)
    try:
        if url.startswith("duckdb:"):
            file = database_file(table.where, url, table.file.parent)
            return duckdb_connection(file, read_only=True)
        if url.startswith("pyspark:"):  # of what Ibis fetches pandas 3 changes nothing
            message = "PySpark does not yet fully support pandas"
            warnings.filterwarnings("ignore", message, FutureWarning)
        return server_connection(url)
    except InputError:
        raise
    except ImportError:
        raise no_driver(table.where, url.partition(":")[0]) from None
    except Exception as error:  # the driver's text may hold the password
        raise _failed(table, f"cannot connect to {url.partition(':')[0]}", error) from None


def _failed(table: Table, what: str, error: Exception) -> InputError:
    why, hint = reason(error)
    return InputError(f"{table.where}: {what} ({why or type(error).__name__})", hint=hint)
