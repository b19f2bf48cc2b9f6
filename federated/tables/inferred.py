"""What a column is taken for in training, decided once over the whole table.

A column of Arrow numbers is numbers. Text is categories, unless every value is a number: then it is
numbers if it has a fraction, a sign or many different values, and codes (categories) if it has
leading zeros or few. Text that is mostly numbers, or hundreds of numbers written out (1,234.50), is
neither until the table's owner says which: it would be pooled into one category in silence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import how_to_read, quoted_name
from federated.readers.canonical import is_text
from federated.readers.dates import MONTH
from federated.readers.fillers import WORDS
from federated.readers.numbers import fitting
from federated.readers.settle import noted, notes_of
from psi.identifiers.texts import among
from psi.protocol.errors import InputError

__all__ = [
    "CATEGORY",
    "FEW",
    "MANY",
    "NUMBER",
    "Taken",
    "all_durations",
    "mark",
    "mostly_dates",
    "refuse_unclear",
    "taken_for",
]

CATEGORY, NUMBER = "category", "number"
MANY = 100
"""More different values than these are no codes."""
FEW = 10
"""Up to so many different texts are categories, also where each spells a number (10%, 20%)."""

_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_POINT = r"^[+-]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d+\.\d{1,2})$"
_COMMA = r"^[+-]?(?:\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2})$"
"""Numbers of which it is certain what stands before the fraction."""
_DATE = r"^\d{4}\D{1,2}\d{1,2}\D{1,2}\d{1,2}(?:\D.*)?$|^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?:\D.*)?$"
_NAMED = rf"^(?:\d{{1,2}}[ ./-])?{MONTH}[ ./,-]+(?:\d{{1,2}}, *)?\d{{2,4}}(?:\D.*)?$"  # 1 Mar 2026


_DURATION = r"^-?(?:\d+ (?:years?|mons?|months?|days?)(?: |$))*(?:-?\d+:\d{2}:\d{2}(?:\.\d+)?)?$"
"""As databases write an interval: 1 year 3 days 04:05:06."""
_BESIDE = r"^(?P<mark>[^\pL\pN\s()\"'+-]{0,2})\s*[+-]?(?:\d+[.,]?)+\s*(?P<unit>[^\d\s.,]{0,4})$"
"""A number with a mark before it (~5, <10) or a unit behind (3 kg), or both ($5k)."""
_UNITS = 3
"""Different marks and words beside numbers, none among them, that are units rather than codes."""
_IN_QUOTES = r"^\s*=?\s*[\"'](.*)[\"']\s*$"
"""As ` "12.5"`, where a blank makes the quotes part of the text, and ="12.5" of spreadsheets."""


@dataclass(frozen=True)
class Taken:
    """`kind` is `CATEGORY`, `NUMBER` or "" where the owner must say; `why` then tells what to do.

    `distinct` counts different values.
    """

    kind: str
    why: str = ""
    hint: str = ""
    distinct: int = 0


def taken_for(table: pa.Table, name: str) -> Taken:
    """What a column is taken for: as it was marked, or by its values."""
    field = table.schema.field(name)
    notes = notes_of(field)
    if "taken" in notes:
        return Taken(**notes["taken"])
    return _decided(name, table.column(name), notes)


def mark(table: pa.Table, features: Sequence[str]) -> pa.Table:
    """The table with what its `features` are taken for: it holds for any choice of its rows."""
    there = set(table.column_names)
    for name in dict.fromkeys(features):
        if name in there and is_text(table.schema.field(name).type):
            found = taken_for(table, name)
            place = table.schema.get_field_index(name)
            field = noted(table.schema.field(name), {"taken": vars(found)})
            table = table.set_column(place, field, table.column(name))
    return table


def _decided(name: str, values: pa.ChunkedArray, notes: dict[str, Any]) -> Taken:
    if not is_text(values.type):
        return Taken(NUMBER)
    text = values.cast(pa.large_string())
    distinct = pc.unique(pc.utf8_trim_whitespace(text)).drop_null()
    distinct = distinct.filter(pc.not_equal(distinct, ""))
    many = len(distinct)
    if notes.get("declared"):
        return Taken(CATEGORY, distinct=many)
    known = distinct.filter(pc.invert(among(distinct, _WORDS)))
    numbers = _count(known, _NUMBER)
    if many > FEW and (why := _two_marks(text, known)):
        return Taken("", why, "export the column with one of them", many)
    if known and numbers == len(known):
        return _of_numbers(name, distinct, known, many)
    if numbers * 2 > len(known):
        return Taken("", _share(text), how_to_read(text, name), many)
    if many > FEW:
        if many > MANY and mostly_dates(known):
            hint = f"turn it into an age or a number of days, or types = {{ {quoted_name(name)} = "
            return Taken("", f"{many:,} different dates", f'{hint}"string" }}', many)
        bare = pc.replace_substring_regex(known, _IN_QUOTES, r"\1")
        if not bare.equals(known) and fitting(bare):
            hint = "delete the quotes and what stands before them, or export it again without"
            return Taken("", f"{many:,} different numbers in quotes of their own", hint, many)
        if fitting(known):
            hint = how_to_read(text, name)
            return Taken("", f"{many:,} different texts that spell numbers", hint, many)
    if many > FEW and all_durations(known):
        hint = f"turn it into a number; to take it as categories, types = {{ {quoted_name(name)} = "
        return Taken("", f"{many:,} different durations", f'{hint}"string" }} in tables.toml', many)
    if many > MANY and (units := _with_units(known)):
        hint = (
            f"delete what stands beside the numbers, {units}; multiply where it is a factor (%, 万)"
        )
        as_text = f'types = {{ {quoted_name(name)} = "string" }}'
        return Taken(
            "",
            f"{many:,} different numbers with words or marks beside them",
            f"{hint}; to take it as categories, {as_text} in tables.toml",
            many,
        )
    return Taken(CATEGORY, distinct=many)


def _two_marks(text: pa.ChunkedArray, known: pa.Array) -> str:
    """Where some numbers have a point before the fraction and some a comma; else ""."""
    point, comma = (_count(known, pattern) for pattern in (_POINT, _COMMA))
    if not point or not comma or 2 * _count(known, f"{_POINT}|{_COMMA}|{_NUMBER}") <= len(known):
        return ""
    trimmed, told = pc.utf8_trim_whitespace(text), list[str]()
    for mark, pattern in (("point", _POINT), ("comma", _COMMA)):
        there = pc.fill_null(pc.match_substring_regex(trimmed, pattern), False)
        rows, first = int(pc.sum(there).as_py()), int(pc.index(there, True).as_py()) + 1
        told.append(f"a {mark} before the fraction in {rows:,}, the first in row {first:,}")
    return f"two spellings of numbers: {told[0]}; {told[1]}"


def mostly_dates(distinct: pa.Array | pa.ChunkedArray) -> bool:
    """Whether more than half of these texts look like dates, in any order of their parts."""
    return bool(2 * _count(distinct, f"{_DATE}|{_NAMED}") > len(distinct) - distinct.null_count)


def all_durations(distinct: pa.Array | pa.ChunkedArray) -> bool:
    """Whether these texts are intervals, as databases write them."""
    known = distinct.drop_null()
    return bool(len(known) and _count(known, _DURATION) == len(known))


def _of_numbers(name: str, distinct: pa.Array, known: pa.Array, many: int) -> Taken:
    """Text in which every value is a number."""
    codes = _count(known, r"^[+-]?0\d") > 0
    if codes and many > MANY:
        key = quoted_name(name)
        return Taken(
            "",
            f"{many:,} different numbers, some with leading zeros",
            f'in tables.toml set types = {{ {key} = "number" }}, or {{ {key} = "string" }} to take '
            "them as categories",
            many,
        )
    if codes or (many <= MANY and _count(known, r"[.eE+-]") == 0):
        return Taken(CATEGORY, distinct=many)
    return Taken(NUMBER, distinct=many)


def _share(text: pa.ChunkedArray) -> str:
    trimmed = pc.utf8_trim_whitespace(text)
    numeric = pc.or_(pc.match_substring_regex(trimmed, _NUMBER), among(trimmed, _WORDS))
    wrong = pc.fill_null(pc.invert(numeric), False)
    count, first = int(pc.sum(wrong).as_py() or 0), int(pc.index(wrong, True).as_py()) + 1
    return (
        f"{count:,} of {len(text):,} values are not numeric, the first in row {first:,}; the "
        "others are"
    )


def _with_units(known: pa.Array) -> str:
    """What stands beside numbers where it is one of a few units; "" where it is no such column.

    A unit is no value of a row: it is shown where most rows have it.
    """
    parts = pc.extract_regex(known, _BESIDE).drop_null()
    blank = pa.scalar(" ", pa.large_string())  # made at import it would load pandas
    before, behind = (pc.struct_field(parts, [side]) for side in ("mark", "unit"))
    rests = pc.utf8_trim_whitespace(pc.binary_join_element_wise(before, behind, blank))
    counts = pc.value_counts(rests)
    named = [text for text in counts.field("values").to_pylist() if text]
    if len(rests) < len(known) or not named or len(counts) > _UNITS:
        return ""
    shown = [
        one for one in counts.to_pylist() if one["values"] and 10 * one["counts"] >= len(known)
    ]
    return (
        ", ".join(json.dumps(one["values"], ensure_ascii=False) for one in shown) or "a few words"
    )


def _count(text: pa.Array, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0)


def refuse_unclear(table: pa.Table, name: str, where: str = "") -> Taken:
    """What a feature is taken for.

    Raises:
        InputError: its owner must say first.
    """
    found = taken_for(table, name)
    if not found.kind:
        place = f"{where}: column" if where else "column"
        raise InputError(f"{place} {name!r}: {found.why}", hint=found.hint)
    return found


_WORDS = frozenset(WORDS)
