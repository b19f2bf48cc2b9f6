"""From what a reader gives to what a job sees: gaps, declared forms, and numbers in text.

`Declared` holds what a `tables.toml` says of a table's values. The same rules hold for every
source:

- A text that is blank is missing. So are the texts of `nulls`, where the table names some.
- Without `nulls`, the usual words for nothing (`WORDS`) mean missing among numbers, where they can
  be nothing else, and among keys, where they would match each other. In other text they are
  values: a zone NA, a surname None.
- `types` decide; else text from a CSV file becomes numbers where every value is one and keeps its
  digits, and stays text otherwise: 0123 and 1E5 are codes.

What was done is noted at the field (`notes_of`), counts only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import how_to_read, quoted_name
from federated.readers.canonical import hex_text, is_bytes, is_text
from federated.readers.dates import undated, written_dates
from federated.readers.fillers import WORDS
from federated.readers.numbers import (
    CURRENCIES,
    NUMBER_TYPES,
    Spelling,
    currencies,
    plain_numbers,
    spelled,
)
from psi.identifiers.columns import as_text
from psi.protocol.errors import InputError

__all__ = ["TYPES", "Declared", "gone_of", "noted", "notes_of", "settle", "unwritten"]

TYPES = ("string", *NUMBER_TYPES, "uuid", "hex")
"""Column types that a tables file may force."""
_NOTE = b"fedprofile"
_POINTS = 20
"""Numbers with a point that all have three digits behind it: by chance in one table of eight."""


@dataclass(frozen=True)
class Declared:
    """What a table's owner says of its values; the key "" of a mapping stands for all columns."""

    types: Mapping[str, str] = field(default_factory=dict)
    nulls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decimal: Mapping[str, str] = field(default_factory=dict)
    thousands: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)

    def named(self) -> set[str]:
        """Columns that are named anywhere."""
        every = (self.types, self.nulls, self.decimal, self.thousands, self.dates)
        return {column for part in every for column in part if column}

    def nulls_of(self, column: str) -> tuple[str, ...] | None:
        """The texts that mean missing; None where the table does not say."""
        return self.nulls.get(column, self.nulls.get(""))

    def marks(self, column: str) -> bool:
        """Whether marks in numbers are declared for this column."""
        form = self.spelling(column)
        return (form.decimal, form.thousands) != (".", "")

    def marked(self, column: str) -> bool:
        """Whether marks in numbers are declared for this very column, and not for all."""
        return column in self.decimal or column in self.thousands

    def spelling(self, column: str) -> Spelling:
        """How numbers of a column are written."""
        kind = self.types.get(column, "number")
        return Spelling(
            self.decimal.get(column, self.decimal.get("", ".")),
            self.thousands.get(column, self.thousands.get("", "")),
            kind if kind in NUMBER_TYPES else "number",
        )


def settle(
    table: pa.Table,
    declared: Declared,
    *,
    textual: bool,
    text: Collection[str] = (),
    where: str = "",
) -> pa.Table:
    """The table as a job sees it; columns in `text` (keys) as text.

    Raises:
        InputError: values that are not of their declared type: names the column and how many.
    """
    columns, fields = [], []
    for name in table.column_names:
        values, notes = _settled(name, table.column(name), declared, textual, name in text, where)
        columns.append(values)
        fields.append(noted(pa.field(name, values.type), notes))
    return pa.table(columns, schema=pa.schema(fields)) if fields else table


def noted(field: pa.Field, notes: Mapping[str, Any]) -> pa.Field:
    """The field with these notes beside those it has."""
    every = notes_of(field) | dict(notes)
    return field.with_metadata({_NOTE: json.dumps(every).encode()}) if every else field


def notes_of(field: pa.Field) -> dict[str, Any]:
    """What was noted of a column: `declared` (its type), `words` (how many were taken as missing).

    And `gone` (words, or texts of `nulls`, that were), and `taken`, by `federated.tables.inferred`.
    """
    held = (field.metadata or {}).get(_NOTE)
    found: dict[str, Any] = json.loads(held) if held else {}
    return found


def gone_of(field: pa.Field) -> list[str]:
    """The texts of a column that were taken as missing: its `nulls`, or words that it has."""
    return [str(text) for text in notes_of(field).get("gone", [])]


def _settled(
    name: str,
    values: pa.ChunkedArray,
    declared: Declared,
    textual: bool,
    key: bool,
    where: str,
) -> tuple[pa.ChunkedArray, dict[str, Any]]:
    notes: dict[str, Any] = {"textual": True} if textual and is_text(values.type) else {}
    kind, nulls = declared.types.get(name, ""), declared.nulls_of(name)
    if is_text(values.type):
        values = unwritten(values)
        found = _without(values, WORDS if nulls is None and key else nulls or ())
        if nulls is None and key and found.null_count > values.null_count:
            notes["words"] = found.null_count - values.null_count
            notes["gone"] = _words_in(values)
        values = found
    elif nulls:
        values = _without_numbers(values, nulls)
    if nulls:
        notes["gone"] = list(nulls)
    if kind:
        notes["declared"] = kind
    if name in declared.dates and is_text(values.type):
        values = written_dates(values, declared.dates[name])
        notes["declared"] = "date"
        count, first = undated(values)
        notes |= {"undated": count, "undated_row": first} if count else {}
    if kind in ("uuid", "hex"):
        values = _bytes_as_text(values, name, kind, where)
    elif key and not kind and is_text(values.type) and declared.marked(name):
        values = _numbers(values, name, declared, nulls, notes, where)
    elif kind == "string" or (key and _digits(values.type)):
        values = _text(values, name, where)
    elif kind and is_text(values.type):
        notes |= {"gone": gone} if nulls is None and (gone := _words_in(values)) else {}
        values = _forced(values, name, declared, nulls, where)
    elif kind and not _number(values.type):
        raise InputError(f"{_place(where, name)}: found {values.type}, declared {kind!r}")
    elif not key and is_text(values.type) and (textual or declared.marks(name)):
        values = _numbers(values, name, declared, nulls, notes, where)
    return values, notes


def _thousands(text: pa.ChunkedArray, numbers: pa.ChunkedArray) -> bool:
    """Whether points may part thousands: three digits behind each, and some numbers without any.

    Numbers that are rounded to three digits have a point all, or fewer digits at times.
    """
    if not pa.types.is_floating(numbers.type):
        return False
    pointed = pc.match_substring(text, ".")
    parted = pc.match_substring_regex(text, r"^\s*-?[1-9]\d{0,2}\.\d{3}\s*$")
    small = pc.match_substring_regex(text, r"^\s*-?\d{1,3}\s*$")
    points, parts, whole = (int(pc.sum(one).as_py() or 0) for one in (pointed, parted, small))
    return parts == points >= _POINTS and 0 < whole == len(text) - text.null_count - points


def unwritten(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null where a text is blank."""
    blank = pc.or_(pc.equal(pc.binary_length(values), 0), pc.utf8_is_space(values))
    if not pc.any(blank).as_py():
        return values
    return pc.if_else(pc.fill_null(blank, True), pa.scalar(None, values.type), values)


def _without(values: pa.ChunkedArray, texts: Collection[str]) -> pa.ChunkedArray:
    """Null where a text, without blanks around it, is one of these."""
    if not texts:
        return values
    known = pa.array(sorted({text.strip() for text in texts}), pa.large_string())
    gone = pc.is_in(values, value_set=known)
    if not pc.any(gone).as_py():
        gone = pc.is_in(pc.utf8_trim_whitespace(values), value_set=known)
    return pc.if_else(gone, pa.scalar(None, values.type), values)


def _words_in(values: pa.ChunkedArray) -> list[str]:
    """Which of the usual words for nothing a column has."""
    held = pc.utf8_trim_whitespace(values)
    known = pa.array(sorted(WORDS), pa.large_string())
    return sorted(pc.unique(held.filter(pc.is_in(held, value_set=known))).to_pylist())


def _without_numbers(values: pa.ChunkedArray, texts: Collection[str]) -> pa.ChunkedArray:
    """Null where a number is one of those that these texts spell."""
    if not _number(values.type):
        return values
    numbers = plain_numbers(pa.chunked_array([pa.array(_spelled_out(texts), pa.large_string())]))
    if numbers is None or not len(numbers):
        return values
    gone = pc.is_in(values.cast(pa.float64(), safe=False), value_set=numbers.cast(pa.float64()))
    return pc.if_else(gone, pa.scalar(None, values.type), values)


def _spelled_out(texts: Collection[str]) -> list[str]:
    one = [pa.chunked_array([pa.array([text], pa.large_string())]) for text in texts]
    return [str(text[0].as_py()) for text in one if plain_numbers(text) is not None]


def _number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    )  # fmt: skip


def _digits(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or is_text(kind))


def _place(where: str, name: str) -> str:
    return f"{where}: column {name!r}" if where else f"column {name!r}"


def _text(values: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    if is_text(values.type):
        return values
    if pa.types.is_boolean(values.type):
        return values.cast(pa.large_string())
    if is_bytes(values.type):
        with suppress(pa.ArrowInvalid):
            return values.cast(pa.large_binary()).cast(pa.large_string())
        raise InputError(
            f"{_place(where, name)}: holds bytes that are no text",
            hint=f'types = {{ {quoted_name(name)} = "hex" }}, or "uuid" for 16 bytes, in '
            "tables.toml",
        )
    try:
        return pa.chunked_array([as_text(values)[0]])
    except InputError:
        raise InputError(
            f"{_place(where, name)}: found {values.type}, which has no text",
            hint="leave it out, or export it as text",
        ) from None


def _bytes_as_text(values: pa.ChunkedArray, name: str, kind: str, where: str) -> pa.ChunkedArray:
    if is_text(values.type):
        return values
    try:
        return hex_text(values, uuid=kind == "uuid")
    except (ValueError, pa.ArrowException):
        found = f"found {values.type}, declared {kind!r}"
        raise InputError(f"{_place(where, name)}: {found}") from None


def _forced(
    values: pa.ChunkedArray,
    name: str,
    declared: Declared,
    nulls: tuple[str, ...] | None,
    where: str,
) -> pa.ChunkedArray:
    form = declared.spelling(name)
    text = values if nulls is not None else _without(values, WORDS)
    if form.kind == "money" and len(signs := currencies(text)) > 1:
        raise InputError(
            f"{_place(where, name)}: amounts in several currencies ({', '.join(signs)})",
            hint=CURRENCIES,
        )
    numbers, wrong = spelled(text, form)
    count = int(wrong.sum())
    if count:
        first = int(np.flatnonzero(wrong)[0]) + 1
        numeric = "not numeric" if form.kind == "number" else f"no {form.kind}"
        raise InputError(
            f"{_place(where, name)}: {count:,} of {len(values):,} values are {numeric}, the first "
            f"in row {first:,}",
            hint=how_to_read(values, name),
        )
    return numbers


def _undeclared(name: str, form: Spelling) -> str:
    """What to declare where numbers are written as programs write them."""
    key = quoted_name(name)
    keys = [f'decimal = {{ {key} = "." }}'] if form.decimal != "." else []
    keys += [f'thousands = {{ {key} = "" }}'] if form.thousands else []
    every = ', beside "*" for all others' if keys else ""
    return f"in tables.toml set {', '.join(keys)}{every}"


def _numbers(
    values: pa.ChunkedArray,
    name: str,
    declared: Declared,
    nulls: tuple[str, ...] | None,
    notes: dict[str, Any],
    where: str,
) -> pa.ChunkedArray:
    """Numbers where all values are some, words for nothing left out; else the text."""
    plain = None if declared.marks(name) else plain_numbers(values)
    if plain is not None and values.null_count < len(values):  # most columns, without more ado
        notes.pop("textual", None)
        notes |= {"thousands": True} if _thousands(values, plain) else {}
        return plain
    text = values if nulls is not None else _without(values, WORDS)
    if text.null_count == len(text):
        return values
    if declared.marks(name):
        found, wrong = spelled(text, declared.spelling(name))
        codes = pc.any(pc.match_substring_regex(text, r"^-?0\d")).as_py()
        numbers = None if wrong.any() or codes else found
        if wrong.any() and plain_numbers(text) is not None:
            form, first = declared.spelling(name), int(np.flatnonzero(wrong)[0]) + 1
            declared_so = f"decimal = {form.decimal!r} and thousands = {form.thousands!r}"
            raise InputError(
                f"{_place(where, name)}: {int(wrong.sum()):,} of {len(values):,} values are not as "
                f"declared, {declared_so}, the first in row {first:,}: all have a point",
                hint=_undeclared(name, form),
            )
    else:
        numbers = plain_numbers(text)
    if numbers is None:
        return values
    if text.null_count > values.null_count:
        notes["words"] = text.null_count - values.null_count
        notes["gone"] = _words_in(values)
    notes.pop("textual", None)
    return numbers
