"""A party's tables as a job sees them: only rows with a lawful basis, where a table states one.

For looking ahead (`plan`, `preflight`). A job itself takes a copy once (`kept_tables`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from federated.tables.about import About
from federated.tables.basis import Admission, Basis, BasisAsked, admit, nobody_left
from federated.tables.source import Source

__all__ = ["AdmittedTables"]


class AdmittedTables:
    """A `Source` over another. `asked` says what the rows of a table need a basis for.

    `found` has the admission of each table that was loaded and states a basis.
    """

    def __init__(self, source: Source, asked: Callable[[str], BasisAsked]) -> None:
        self._source, self._asked = source, asked
        self.found: dict[str, Admission] = {}

    def load(self, table: str, columns: Sequence[str], *, keys: Sequence[str] = ()) -> pa.Table:
        """The named columns of the rows that are in. Raises `Refused` where none is."""
        basis = self._source.basis(table)
        if basis is None:
            return self._source.load(table, columns, keys=keys)
        wanted = list(dict.fromkeys([*columns, basis.of]))
        loaded = self._source.load(table, wanted, keys=[*keys, basis.of])
        admission = admit(basis, self._source, loaded.column(basis.of), self._asked(table))
        if not admission.rows.any():
            raise nobody_left(table, basis)
        self.found[table] = admission
        return loaded.filter(pa.array(admission.rows)).select(list(dict.fromkeys(columns)))

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
