"""A party's tables as a job sees them: only rows with a lawful basis, where a table states one.

For looking ahead (`plan`, `preflight`). A job itself takes a copy once (`kept_tables`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from federated.tables.basis import Admission, BasisAsked, admit, nobody_left
from federated.tables.source import PassingSource, Source

__all__ = ["AdmittedTables"]


class AdmittedTables(PassingSource):
    """A `Source` over another. `asked` says what the rows of a table need a basis for.

    `found` has the admission of each table that was loaded and states a basis. Tables of bases are
    read once.
    """

    def __init__(self, source: Source, asked: Callable[[str], BasisAsked]) -> None:
        super().__init__(source)
        self._asked = asked
        self.found: dict[str, Admission] = {}
        self._bases = _ReadOnce(source)

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        """The named columns of the rows that are in. Raises `Refused` where none is."""
        basis = self._source.basis(table)
        if basis is None:
            return self._source.load(table, columns, keys=keys)
        wanted = list(dict.fromkeys([*columns, basis.of]))
        loaded = self._source.load(table, wanted, keys=[*keys, basis.of])
        admission = admit(basis, self._bases, loaded.column(basis.of), self._asked(table))
        if not admission.rows.any():
            raise nobody_left(table, basis)
        self.found[table] = admission
        return loaded.filter(pa.array(admission.rows)).select(list(dict.fromkeys(columns)))


class _ReadOnce:
    """Loads that are asked for again are not made again."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: dict[object, pa.Table] = {}

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        asked = table, *columns, "", *keys
        if asked not in self._read:
            self._read[asked] = self._source.load(table, columns, keys=keys)
        return self._read[asked]
