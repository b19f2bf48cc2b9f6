"""A table of an SQLite file, by Python's own driver: SQLite's values have types, its columns not.

Each column becomes what its values are: whole numbers, numbers, text or bytes. Text among numbers
makes it text. Names in SQL are quoted (`_name`), values are never in it. The file is opened for
reading and never made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from federated.readers.base import Reader, table_hint
from federated.readers.database import database_file
from psi.protocol.errors import InputError

__all__ = ["SqliteReader"]

_ROWS = 100_000
_ROW_NUMBERS = ("rowid", "_rowid_", "oid")
_EXACT = 2**53
_TAKE = "end what writes to it, or bind a copy: sqlite3 FILE '.backup COPY' makes a whole one"
_HINT = "leave it out, or make a view of the table that casts it to text"


class SqliteReader(Reader):
    """`TABLE` of `sqlite:///FILE`."""

    def __init__(self, where: str, url: str, table: str, base: Path) -> None:
        super().__init__(where)
        self._url, self._table, self._base = url, table, base

    def columns(self) -> list[str]:
        """Raises `InputError`: no such file or table."""
        with closing(self._open()) as connection:
            return self._names(connection)

    def read(self, columns: Sequence[str], text: Collection[str] = ()) -> pa.Table:
        """In the order of rows."""
        del text
        self.known(columns)
        chosen = ", ".join(_name(column) for column in columns)
        with closing(self._open()) as connection:
            try:
                return self._read(connection, f"select {chosen} from {self._from()}", columns)  # noqa: S608
            except sqlite3.Error as error:
                found = self._failing(connection, columns) or f"reading {self._table!r} failed"
                raise InputError(f"{self.where}: {found} ({_why(error)})", hint=_HINT) from None

    def _failing(self, connection: sqlite3.Connection, columns: Sequence[str]) -> str:
        """The column that cannot be read alone either, where there is one."""
        for name in columns:
            try:
                self._read(connection, f"select {_name(name)} from {self._from()}", [name])  # noqa: S608
            except sqlite3.Error:
                return f"column {name!r} cannot be read"
        return ""

    def _read(self, connection: sqlite3.Connection, query: str, columns: Sequence[str]) -> pa.Table:
        cursor = connection.execute(f"{query} order by {self._order(connection)}")
        blocks = iter(lambda: cursor.fetchmany(_ROWS), [])
        turned: list[list[tuple[Any, ...]]] = [list(zip(*block, strict=True)) for block in blocks]
        found = {
            name: self._column(name, [block[place] for block in turned])
            for place, name in enumerate(columns)
        }
        return self.canonical(pa.table(found))

    def _order(self, connection: sqlite3.Connection) -> str:
        """The row number, or all columns where there is none (a view): not those asked for."""
        names = self._names(connection)
        table = self._table.rpartition(".")[2]
        found = connection.execute("select type from sqlite_master where name = ?", (table,))
        if (found.fetchone() or ("",))[0] == "view":  # which older versions give row numbers
            return ", ".join(_name(name) for name in names)
        taken = {name.lower() for name in names}
        for number in (name for name in _ROW_NUMBERS if name not in taken):
            with suppress(sqlite3.OperationalError):  # a table made without
                connection.execute(f"select {number} from {self._from()} limit 0")  # noqa: S608
                return number
        return ", ".join(_name(name) for name in names)

    def _column(self, name: str, blocks: list[tuple[Any, ...]]) -> pa.ChunkedArray:
        kinds = set(chain.from_iterable(set(map(type, block)) for block in blocks))
        kinds.discard(type(None))
        if kinds <= {int}:
            kind = pa.int64() if kinds else pa.null()
        elif kinds <= {int, float} and _exact(blocks):
            kind = pa.float64()
        elif kinds == {bytes}:
            kind = pa.large_binary()
        elif bytes in kinds:
            count = sum(isinstance(value, bytes) for value in chain.from_iterable(blocks))
            raise InputError(
                f"{self.where}: column {name!r} holds bytes in {count:,} rows, beside other values",
                hint=_HINT,
            )
        else:
            kind = pa.large_string()
            if kinds != {str}:
                blocks = [tuple(map(_text, block)) for block in blocks]
        return pa.chunked_array([pa.array(block, kind) for block in blocks], kind)

    def _open(self) -> sqlite3.Connection:
        path = database_file(self.where, self._url, self._base)
        try:
            connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
            connection.execute("select 1 from sqlite_master limit 1")
        except sqlite3.Error as error:
            found = f"{path.name} cannot be opened as sqlite ({_why(error)})"
            raise InputError(f"{self.where}: {found}", hint=_TAKE) from None
        return connection

    def _from(self) -> str:
        schema, _, table = self._table.rpartition(".")
        return f"{_name(schema)}.{_name(table)}" if schema else _name(table)

    def _names(self, connection: sqlite3.Connection) -> list[str]:
        try:
            cursor = connection.execute(f"select * from {self._from()} limit 0")  # noqa: S608
        except sqlite3.Error:
            query = "select name from sqlite_master where type in ('table', 'view')"
            known = [str(row[0]) for row in connection.execute(query)]
            raise InputError(
                f"{self.where}: cannot open table {self._table!r}",
                hint=table_hint(self._table, known),
            ) from None
        return [entry[0] for entry in cursor.description]


def _name(text: str) -> str:
    """An identifier in SQL."""
    return '"' + text.replace('"', '""') + '"'


def _why(error: sqlite3.Error) -> str:
    """In words of our own: SQLite's quote what it read."""
    text = str(error).lower()
    if "locked" in text or "busy" in text:
        return "it is locked: another process is writing to it"
    if "not a database" in text:
        return "it is none, or an encrypted one"
    if "malformed" in text:
        return "it is damaged, or cut off while it was copied"
    return "text that is not UTF-8" if "decode" in text else type(error).__name__


def _exact(blocks: list[tuple[Any, ...]]) -> bool:
    whole = (abs(v) for block in blocks for v in block if type(v) is int)
    return max(whole, default=0) <= _EXACT


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
