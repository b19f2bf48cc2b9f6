"""By which columns a table names persons, and one person found in a party's tables.

A table names its rows by the column `of` of its basis, then by the columns in its `keys`, in order:
the first that a row has a value in names it. Values are cleaned as their kind in tables.toml says,
so that "+86 138…" and "138…" are one; without a kind blanks around them go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.tables.bindings import TablesFile
from federated.tables.source import Source
from psi.identifiers import clean
from psi.protocol import InputError

__all__ = ["Person", "cleaned", "find_person", "naming"]


@dataclass(frozen=True)
class Person:
    """One person at this party. `rows` are its rows by table, all columns, one at least where any
    was found, and `named` the columns that name the rows of these tables. Never shown: it has no
    `repr`."""

    word: str
    rows: Mapping[str, pa.Table]
    named: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def words(self) -> set[str]:
        """What the person is called in the columns that name rows, and the word itself."""
        found = {self.word}
        for table, columns in self.named.items():
            for _, values in self.texts(table, columns):
                found |= {text.strip() for text in values.to_pylist() if text and text.strip()}
        return found

    def __repr__(self) -> str:
        return "<one person>"

    def texts(self, table: str, columns: Sequence[str]) -> Iterator[tuple[str, pa.Array]]:
        """Of each column its values in the person's rows; where there is no row, the word."""
        rows = self.rows.get(table)
        for column in columns:
            if rows is not None and column in rows.column_names:
                yield column, rows.column(column).cast(pa.large_string()).combine_chunks()
            else:
                yield column, pa.array([self.word], pa.large_string())


def naming(source: Source, table: str) -> list[str]:
    """The columns that name a table's rows, the first one first."""
    basis = source.basis(table)
    return list(dict.fromkeys([*([basis.of] if basis else []), *source.keys(table)]))


def cleaned(column: pa.Array | pa.ChunkedArray, kind: str) -> pa.Array:
    """As text in its clean form; null where nothing is left, or it is none of its kind."""
    text = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.large_string()), text)
    text = text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text
    if not kind:
        return text
    found = clean(text, kind).values.cast(pa.large_string())
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return pc.coalesce(found, text)  # what is none of its kind still names its row as written


def find_person(file: TablesFile, source: Source, word: str, *, column: str = "") -> Person:
    """The rows that `word` names, in all bound tables that name persons.

    Args:
        file: the party's bindings.
        source: its tables.
        word: an identifier: whatever stands in one of the columns that name rows.
        column: looks at this column alone, of tables that have it.

    Raises:
        InputError: the word names several persons of one table; no value is in the error.
    """
    bases = {table.basis.table for table in file.tables.values() if table.basis}
    rows: dict[str, pa.Table] = {}
    named: dict[str, list[str]] = {}
    for name, table in file.tables.items():
        columns = [c for c in naming(source, name) if column in ("", c)]
        if not columns or name in bases:
            continue
        loaded = source.load(name, columns, keys=columns)
        hit = np.zeros(loaded.num_rows, bool)
        for one in columns:
            kind = table.kinds.get(one, "")
            asked = cleaned(pa.array([word]), kind)
            same = pc.equal(cleaned(loaded.column(one), kind), asked[0])
            hit |= same.fill_null(False).to_numpy(zero_copy_only=False)
        if not hit.any():
            continue
        first = cleaned(loaded.column(columns[0]).filter(pa.array(hit)), "")
        if len(pc.unique(first.drop_null())) > 1:
            raise InputError(
                f"{name}: what was given names {int(hit.sum())} rows of several persons",
                hint="give what is in the column that names one person, and --column NAME",
            )
        every = source.load(name, source.columns(name), keys=columns)
        rows[name], named[name] = every.filter(pa.array(hit)), columns
    return Person(word, rows, named)
