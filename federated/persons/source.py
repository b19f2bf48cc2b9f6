"""A party's tables without those who were forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from federated.persons.book import PersonBook
from federated.tables.source import PassingSource, Source
from psi.protocol import Refused

__all__ = ["WithoutForgotten"]


class WithoutForgotten(PassingSource):
    """A `Source` over another: no load has a row of a person that the book has forgotten."""

    def __init__(self, source: Source, book: PersonBook) -> None:
        super().__init__(source)
        self._book = book

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
