"""Where a party's tables come from, seen from its steps: logical names in, Arrow out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from federated.readers.canonical import canonical
from federated.readers.settle import Declared, settle
from federated.tables.about import About
from federated.tables.basis import Basis
from federated.tables.bindings import TablesFile
from psi.protocol import InputError

__all__ = ["FileSource", "MemorySource", "PassingSource", "Source"]


class Source(Protocol):
    """A party's tables."""

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        """The named columns, key columns as text. Raises `InputError` or `JobError`."""

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns."""

    def permission(self, table: str, column: str) -> str:
        """What the owner allows the column for: "" where nothing is said."""

    def keys(self, table: str) -> tuple[str, ...]:
        """The columns that a job may match by: none where nothing is said."""

    def basis(self, table: str) -> Basis | None:
        """By what its rows are admitted to jobs; None where nothing is said."""

    def about(self, table: str) -> About:
        """Whom it is about, and which class of data it holds."""


class FileSource:
    """The tables of a `tables.toml`, read again whenever the file has changed."""

    def __init__(self, file: TablesFile) -> None:
        self._tables, self._seen = file, _stamp(file.file)

    def parties(self) -> list[str]:
        """Whose tables the file binds."""
        return list(dict.fromkeys(name.split(".", 1)[0] for name in self._file()))

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        return self._file()[table].load(columns, keys=keys)

    def columns(self, table: str) -> list[str]:
        return self._file()[table].columns()

    def permission(self, table: str, column: str) -> str:
        return self._file()[table].permissions.get(column, "")

    def keys(self, table: str) -> tuple[str, ...]:
        return self._file()[table].keys

    def basis(self, table: str) -> Basis | None:
        return self._file()[table].basis

    def about(self, table: str) -> About:
        return self._file()[table].about

    def _file(self) -> TablesFile:
        now = _stamp(self._tables.file)
        if now != self._seen:
            self._tables, self._seen = TablesFile.load(self._tables.file), now
        return self._tables


def _stamp(file: Path) -> tuple[int, int]:
    """Changes whenever the file is replaced or written to."""
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


class MemorySource:
    """Arrow tables in memory, by logical name: the demo, notebooks, tests."""

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        permissions: Mapping[str, Mapping[str, str]] | None = None,
        bases: Mapping[str, Basis] | None = None,
        about: Mapping[str, About] | None = None,
    ) -> None:
        self._tables, self._permissions = tables, permissions or {}
        self._bases, self._about = bases or {}, about or {}

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        if table not in self._tables:
            raise InputError(f"no table {table!r}", hint=_close(table, self._tables))
        found = self._tables[table]
        there = set(found.column_names)
        for column in columns:
            if column not in there:
                hint = _close(column, found.column_names)
                raise InputError(f"{table}: no column {column!r}", hint=hint)
        if found.num_rows == 0:
            raise InputError(f"{table}: the table is empty")
        chosen = canonical(found.select(list(dict.fromkeys(columns))))
        return settle(chosen, Declared(), textual=False, text=keys, where=table)

    def columns(self, table: str) -> list[str]:
        if table not in self._tables:
            raise InputError(f"no table {table!r}", hint=_close(table, self._tables))
        return list(self._tables[table].column_names)

    def permission(self, table: str, column: str) -> str:
        return self._permissions.get(table, {}).get(column, "")

    def keys(self, table: str) -> tuple[str, ...]:
        del table
        return ()

    def basis(self, table: str) -> Basis | None:
        return self._bases.get(table)

    def about(self, table: str) -> About:
        return self._about.get(table, About())


class PassingSource:
    """What a `Source` over another says of tables as the other does: all but what it loads."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns."""
        return self._source.columns(table)

    def permission(self, table: str, column: str) -> str:
        """What the owner allows a column for."""
        return self._source.permission(table, column)

    def keys(self, table: str) -> tuple[str, ...]:
        """The columns that a job may match by."""
        return self._source.keys(table)

    def basis(self, table: str) -> Basis | None:
        """By what its rows are admitted to jobs."""
        return self._source.basis(table)

    def about(self, table: str) -> About:
        """Whom it is about, and which class of data it holds."""
        return self._source.about(table)


def _close(name: str, known: Mapping[str, object] | Sequence[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
