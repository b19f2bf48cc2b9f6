"""What every reader of tables is: columns by name, values as they are written, one clear error."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa

from federated.readers.canonical import canonical
from psi.protocol.errors import InputError

__all__ = ["CsvFormat", "Reader", "column_hint", "missing_column", "table_hint"]


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written; `quote` and `escape` are "" where there is none.

    Attributes:
        encoding: a name that Python knows.
        delimiter: one character between fields.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    escape: str = ""


class Reader(ABC):
    """A source of one table's columns.

    `textual` sources hold text only (CSV, the folders of a hive table): what a column is has to be
    found out. `where` names the table in errors.
    """

    textual = False

    def __init__(self, where: str) -> None:
        self.where = where

    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the columns, without reading the rows."""

    @abstractmethod
    def read(self, columns: Sequence[str], text: Collection[str] = ()) -> pa.Table:
        """The named columns, whole, in canonical types (`canonical`).

        Those in `text` may come as text where parts of a table have several types.

        Raises:
            InputError: no such column, or what cannot be read: never with a value.
        """

    def known(self, columns: Sequence[str]) -> list[str]:
        """The columns there are; raises `InputError` if a named one is not among them."""
        there = self.columns()
        known = set(there)
        for column in columns:
            if column not in known:
                raise missing_column(self.where, column, there)
        return there

    def canonical(self, table: pa.Table) -> pa.Table:
        """The table in canonical types; an `InputError` names the table."""
        try:
            return canonical(table)
        except InputError as error:
            raise InputError(f"{self.where}: {error.message}", hint=error.hint) from None


def table_hint(table: str, known: Sequence[str]) -> str:
    """What to do about a table that a database does not have: `known` are those that it has."""
    names = {name.casefold(): name for name in known}
    close = get_close_matches(table.casefold(), names, n=1)
    if table in known:
        return "the dot parts SCHEMA and TABLE: make a view of it under a name without one"
    if close:
        return f"did you mean {names[close[0]]!r}?"
    return f"there are: {_few(sorted(known))}" if known else "SCHEMA.TABLE names one in a schema"


_VALUE = r"\s*[+-]?(?:\d{5,}|\d+[.,]\d+|\d+[-/.]\d+[-/.]\d+)\s*"
"""A long number, a fraction or a date: no column has such a name, as one may have a year."""
_UNSEEN = "[\\s\u00a0\u00ad\u200b-\u200f\u2060\ufeff]+"
_LONG = 60


def missing_column(where: str, column: str, known: Sequence[str]) -> InputError:
    """The error for a column that a table does not have.

    Args:
        where: where the table is bound, "tables.toml: [bank.people]", for messages.
        known: the columns that it has; the nearest is proposed.
    """
    return InputError(f"{where}: no column {column!r}", hint=column_hint(column, known))


def column_hint(column: str, known: Sequence[str]) -> str:
    """What to do about a column that is not among those that are there; shows no value of a row."""
    if not known:
        return "it has no columns at all: see whether the export ended well"
    if len(known) == 1:
        for mark in (";", "\t", "|", ","):
            if column in (name.strip('" ') for name in known[0].split(mark)):
                shown = "\\t" if mark == "\t" else mark
                return (
                    f'the fields are divided by another mark: set delimiter = "{shown}" in '
                    "tables.toml"
                )
    letters = set("".join(known)) - {"\t"}
    if any(unicodedata.category(letter) in ("Cc", "Co", "Cn") for letter in letters):
        return "its first line holds characters that no name has: see encoding in tables.toml"
    if any(re.fullmatch(_VALUE, part) for name in known for part in re.split(r"[;,\t|]", name)):
        # names that are values are somebody's row, which no error shows
        return "the first line looks like a row, not like names: put a header above it"
    if any(name != column and name.strip().strip("\"'") == column for name in known if '"' in name):
        return (
            "quotes stand behind blanks there, and are part of the names: export it without "
            "blanks behind the delimiter"
        )
    folded = {_folded(name): name for name in known}
    close = get_close_matches(column, known, n=1)
    if same := folded.get(_folded(column)):
        if same.strip().casefold() != column.strip().casefold():
            return f"{same!r} differs by the width of letters, or by characters that are not seen"
        close = [same]
    if not close and len(known) == 1:
        return f"its only column is {known[0]!r}: see the delimiter, and lines above the header"
    return f"did you mean {close[0]!r}?" if close else f"columns: {_few(known)}"


def _folded(name: str) -> str:
    """A name without case, width, accents apart from their letters, and invisible marks."""
    return re.sub(_UNSEEN, "", unicodedata.normalize("NFKC", name)).casefold()


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(name if len(name) <= _LONG else f"{name[:_LONG]}…" for name in names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown
