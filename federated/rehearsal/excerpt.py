"""This party's tables as a rehearsal reads them: whole, or so many rows spread evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from federated.tables.about import About
from federated.tables.basis import Basis
from federated.tables.source import Source

__all__ = ["Excerpt"]


class Excerpt:
    """A `Source` over another; `most` rows of each table, 0 for all. `sizes`: rows found.

    Every load takes the same rows, as the steps of a job demand; tables of bases stay whole.
    """

    def __init__(self, source: Source, most: int) -> None:
        self._source, self._most = source, most
        self.sizes: dict[str, int] = {}
        self._whole: set[str] = set()

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        found = self._source.load(table, columns, keys=keys)
        rows = self.sizes[table] = found.num_rows
        if not self._most or rows <= self._most or table in self._whole:
            return found
        return found.take(pa.array(np.linspace(0, rows - 1, self._most).astype(np.int64)))

    def columns(self, table: str) -> list[str]:
        return self._source.columns(table)

    def permission(self, table: str, column: str) -> str:
        return self._source.permission(table, column)

    def keys(self, table: str) -> tuple[str, ...]:
        return self._source.keys(table)

    def basis(self, table: str) -> Basis | None:
        found = self._source.basis(table)
        self._whole |= {found.table} if found else set()
        return found

    def about(self, table: str) -> About:
        return self._source.about(table)
