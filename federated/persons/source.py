"""A party's tables without those who were forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from federated.persons.book import PersonBook
from federated.tables.about import About
from federated.tables.basis import Basis
from federated.tables.source import Source
from psi.protocol import Refused

__all__ = ["WithoutForgotten"]


class WithoutForgotten:
    """A `Source` over another: no load has a row of a person that the book has forgotten."""

    def __init__(self, source: Source, book: PersonBook) -> None:
        self._source, self._book = source, book

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        """The named columns. Raises `Refused` where nobody is left."""
        naming = self._book.excluded(table)
        if not naming:
            return self._source.load(table, columns, keys=keys)
        wanted = list(dict.fromkeys([*columns, *naming]))
        loaded = self._source.load(table, wanted, keys=list(dict.fromkeys([*keys, *naming])))
        left = loaded.filter(pa.array(~self._book.out(table, loaded)))
        if not left.num_rows:
            raise Refused(f"no row of {table} may be in a job")
        return left.select(list(dict.fromkeys(columns)))

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
