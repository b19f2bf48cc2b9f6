"""Tables in databases, through Ibis; DuckDB files are opened for reading only.

No error holds a connection's URL, which may name a password, or a driver's own text, which quotes
rows.
"""

from __future__ import annotations

import atexit
import errno
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from federated.readers.base import Reader, table_hint
from federated.readers.database_errors import reason
from federated.readers.postgres_watch import PATIENCE, patient, watch, within
from federated.readers.sniff import unreadable
from federated.readers.stored import read_stored
from psi.protocol.errors import EnvironmentFailed, InputError, not_installed

__all__ = [
    "DatabaseReader",
    "arrow_expression",
    "database_file",
    "duckdb_connection",
    "no_driver",
    "server_connection",
]


_AS_TEXT = ("TIME WITH TIME ZONE", "INTERVAL", "BIT")
_EXTRAS = dict.fromkeys(("postgres", "postgresql"), "fedprofile[postgres]") | {
    "pyspark": "fedprofile[spark]"
}
"""What has the driver of a scheme; of others Ibis's extra of that name."""
_SHOWN = 60
"""Letters of a type that an error shows: a nested one may be pages long."""


class _ArrowNames:
    """A DuckDB 2 connection under the method names that Ibis 12 calls it by."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        renamed = {
            "fetch_arrow_table": "to_arrow_table",
            "fetch_record_batch": "to_arrow_reader",
        }
        return getattr(self._connection, renamed.get(name, name))

    def execute(self, *args: Any, **kwargs: Any) -> _ArrowNames:
        self._connection.execute(*args, **kwargs)
        return self

    def cursor(self) -> _ArrowNames:
        return _ArrowNames(self._connection.cursor())

    def __enter__(self) -> _ArrowNames:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def duckdb_connection(path: str | Path = ":memory:", *, read_only: bool = False) -> Any:
    """An Ibis connection to DuckDB; every DuckDB connection is made here.

    Extensions are neither installed nor loaded, by themselves or by a query, and no query
    reads or writes another file: DuckDB lets none of these be turned on again. Arrow tables
    come in by `arrow_expression`, files by this package's readers. What does not fit into memory
    is spilled, as plain rows, to a folder of this user's alone that ends with the process.

    Args:
        path: a database file.
        read_only: nothing in the file can be changed.
    """
    import duckdb
    import ibis

    connection: Any = duckdb.connect(
        str(path),
        read_only=read_only,
        config={
            "enable_external_access": False,
            "temp_directory": _spill_folder(),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
        },
    )
    # it is drawn into what a program prints as soon as a statement takes two seconds
    connection.execute("SET enable_progress_bar = false")
    if not hasattr(connection, "fetch_arrow_table"):
        connection = _ArrowNames(connection)
        # About a copy of a few rows of schema, and about an old name of a method.
        for message in ("Arrow output on a DB-API result", r"fetch_arrow_table\(\) is deprecated"):
            warnings.filterwarnings("ignore", message=message)
    return ibis.duckdb.from_connection(connection)


@cache
def _spill_folder() -> str:
    """DuckDB's own choice is a folder where the command was given, for all to read."""
    folder, owner = tempfile.mkdtemp(prefix="fedprofile-"), os.getpid()

    def end() -> None:
        if os.getpid() == owner:  # not a child that was forked
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return folder


def server_connection(url: str) -> Any:
    """An Ibis connection to a database that is no file.

    One to PostgreSQL waits for a lock for half a minute only, and for its server no longer than it
    is there (`postgres_watch`); others wait as their drivers do.

    Raises what the driver raises, with a password in its text perhaps.
    """
    import ibis

    if urlsplit(url).scheme not in ("postgres", "postgresql"):
        return ibis.connect(url)
    found = within(2 * PATIENCE, lambda: ibis.connect(url, **patient(url)))
    watch(found.con)
    return found


def no_driver(where: str, scheme: str) -> EnvironmentFailed:
    """The error of a database whose driver is not installed."""
    needed = _EXTRAS.get(scheme, f"ibis-framework[{scheme}]")
    return not_installed(f"{where}: {scheme}", "its driver", needed)


def arrow_expression(connection: Any, name: str, table: pa.Table) -> Any:
    """An Ibis expression over an Arrow table, without a copy, under `name` on a connection."""
    connection.con.register(name, table)
    return connection.table(name)


def database_file(where: str, url: str, base: Path) -> Path:
    """The file of `SCHEME:///file.db`: beside tables.toml, or an absolute path.

    Nothing is created. Raises `InputError` where there is no such file.
    """
    scheme, _, path = url.partition("://")
    beside = base / path.lstrip("/")
    places = [beside]
    if path.startswith("/"):
        absolute = Path("/" + path.lstrip("/"))
        # A bare name is the file beside tables.toml, whatever lies at the root.
        places = [beside, absolute] if absolute.parent == Path("/") else [absolute, beside]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(
            f"{where}: no database file {places[0]}",
            hint=f"{scheme}:///NAME is beside tables.toml, {scheme}:////PATH an absolute path",
        )
    # opened and closed here, a database would lose its locks
    if not os.access(found, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise unreadable(where, found, OSError(errno.EACCES, os.strerror(errno.EACCES)))
    return found


class DatabaseReader(Reader):
    """`SCHEMA.TABLE` or `TABLE` behind a connection URL."""

    def __init__(self, where: str, url: str, table: str, base: Path) -> None:
        super().__init__(where)
        self._url, self._table, self._base = url, table, base
        self._scheme = urlsplit(url).scheme

    def columns(self) -> list[str]:
        """Raises `InputError`: no such database or table, or no driver for it."""
        return [str(name) for name in self._expression.columns]

    def read(self, columns: Sequence[str], text: Collection[str] = ()) -> pa.Table:
        """Raises `InputError`, naming the column whose type cannot be read."""
        self.known(columns)
        try:
            return self.canonical(read_stored(self._expression, columns, list(text)))
        except InputError:
            raise
        except Exception as error:  # drivers raise types of their own, with rows in the text
            raise self._failed(columns, error) from None

    def _failed(self, columns: Sequence[str], error: Exception) -> InputError:
        """Which column it was, where one alone fails too."""
        if (said := self._refused(f"{self._table!r} cannot be read", error)) is not None:
            return said
        schema = self._expression.schema()
        for name in columns:
            try:
                self.canonical(read_stored(self._expression, [name], []))
            except Exception as own:
                hint = "leave it out, or make a view of the table that casts it to text"
                if schema[name].is_temporal():
                    hint += "; days that are infinite or before year 1 cannot be read"
                return InputError(
                    f"{self.where}: column {name!r} of type {_type(schema[name])} cannot be read "
                    f"({type(own).__name__})",
                    hint=hint,
                )
        return InputError(f"{self.where}: reading {self._table!r} failed ({type(error).__name__})")

    def _refused(self, what: str, error: Exception) -> InputError | None:
        """Where the database itself says no, whatever is read."""
        why, hint = reason(error) if self._scheme != "duckdb" else ("", "")
        return InputError(f"{self.where}: {what}: {why}", hint=hint) if why else None

    @cached_property
    def _expression(self) -> Any:
        connection = self._connection()
        schema, _, table = self._table.rpartition(".")
        try:
            found = connection.table(table, database=schema or None)
            if self._scheme == "duckdb":
                found = _without_a_place(connection, found, schema, table)
            return found
        except Exception as error:
            found = f"cannot open table {self._table!r}"
            if (said := self._refused(found, error)) is not None:
                raise said from None
            hint = table_hint(self._table, _tables(connection, schema))
            raise InputError(f"{self.where}: {found} ({type(error).__name__})", hint=hint) from None

    def _connection(self) -> Any:
        try:
            if self._scheme == "duckdb":
                path = database_file(self.where, self._url, self._base)
                return duckdb_connection(path, read_only=True)
            return server_connection(self._url)
        except InputError:
            raise
        except ImportError:
            raise no_driver(self.where, self._scheme) from None
        except Exception as error:  # drivers raise types of their own, the password in the text
            raise self._unopened(error) from None

    def _unopened(self, error: Exception) -> InputError:
        locked = re.search(r"lock on file.*?\(PID (\d+)\)", str(error), re.DOTALL)
        if self._scheme == "duckdb" and "lock" in str(error).lower():
            holder = f"process {locked.group(1)}" if locked else "another process"
            return InputError(
                f"{self.where}: the database is locked: {holder} has it open for writing",
                hint="close it there, or bind a copy of the file",
            )
        if self._scheme == "duckdb":
            return InputError(
                f"{self.where}: the file is no DuckDB database, or a damaged one",
                hint="or a later DuckDB has written it than is installed here: export it again",
            )
        if isinstance(error, ValueError):
            return InputError(
                f"{self.where}: connection: {self._scheme or 'it'!r} is no database that is known",
                hint="such as postgres://USER:${PASSWORD}@HOST/DATABASE or duckdb:///FILE",
            )
        found = f"cannot connect to {self._scheme}"
        said = self._refused(found, error)
        return said or InputError(f"{self.where}: {found} ({type(error).__name__})")


def _tables(connection: Any, schema: str) -> list[str]:
    """Names of the tables of a schema, or of the connection's own."""
    for place in dict.fromkeys((schema or None, None)):
        with suppress(Exception):
            if found := [str(name) for name in connection.list_tables(database=place)]:
                return found
    return []


def _without_a_place(connection: Any, found: Any, schema: str, table: str) -> Any:
    """A DuckDB table with columns of types that Arrow has no place for as the text of DuckDB.

    Ibis reads a time of day with a zone as one without.
    """
    parts = [part.replace('"', '""') for part in (schema, table) if part]
    name = ".".join(f'"{part}"' for part in parts)
    described = connection.con.execute(f"DESCRIBE {name}").fetchall()
    texts = [str(column) for column, kind, *_ in described if kind in _AS_TEXT]
    return found.mutate(**{column: found[column].cast("string") for column in texts})


def _type(kind: Any) -> str:
    """A type in one line, as SQL writes those that Ibis does not know."""
    raw = getattr(kind, "raw_type", None)
    shown = " ".join(str(kind if raw is None else raw.sql()).split())
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
