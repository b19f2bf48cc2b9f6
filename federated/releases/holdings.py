"""How many bits a row of a party's table holds, measured once for each set of columns."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from federated.contract.terms import PartyTerms
from federated.releases.entropy import joint_entropy
from federated.tables.source import Source

__all__ = ["Holdings"]


class Holdings:
    """Measures the table of `me`; `table` are columns of it that have been read already.

    Called with a set of columns it gives the bits of those that the table still has.
    """

    def __init__(self, source: Source, me: PartyTerms, table: pa.Table | None = None) -> None:
        self._source, self._me, self._table = source, me, table
        self._found: dict[frozenset[str], float] = {}

    def __repr__(self) -> str:
        return f"<holdings of {self._me.table}>"

    def __call__(self, columns: Iterable[str]) -> float:
        wanted = frozenset(columns)
        if wanted not in self._found:
            self._found[wanted] = self._measured(wanted)
        return self._found[wanted]

    def _measured(self, wanted: frozenset[str]) -> float:
        table = self._table
        if table is None or not wanted <= set(table.column_names):
            there = set(self._source.columns(self._me.table))
            names = sorted(wanted & there)
            keys = [column for level in self._me.keys for column in level]
            table = self._source.load(self._me.table, names, keys=keys) if names else None
            if self._table is None:
                self._table = table
        return joint_entropy(table, sorted(wanted & set(table.column_names))) if table else 0.0
