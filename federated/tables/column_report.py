"""What each column of a table is taken for, with counts, and what about it looks wrong.

For the owner's eyes before a job: counts and names only, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.readers.advice import how_dated, listed_nulls, quoted_name
from federated.readers.fillers import FILLERS
from federated.readers.settle import gone_of, notes_of
from federated.tables.advice import looks_like
from federated.tables.alike import copies
from federated.tables.column_roles import check_role, kind_of
from federated.tables.inferred import (
    CATEGORY,
    FEW,
    MANY,
    NUMBER,
    all_durations,
    mostly_dates,
    taken_for,
)
from federated.tables.matrix import numeric_matrix
from psi.identifiers.texts import among
from psi.protocol.errors import InputError

__all__ = ["ColumnTaken", "columns_taken", "in_lines", "stand_ins"]

_TAIL = 100.0
"""A largest value so many times as far from the median as 95 in 100 values are: a heavy tail."""
_HELD = 0.8
"""The least share of the variance in a hundredth of the rows of a heavy tail; .07 where normal."""
_MANY_ROWS = 1000
_TOLD = 20
"""The smallest group that is told, where a job does not say otherwise."""
_APART = 10.0
"""So many times as far from a few different values as these are from each other: no count."""
_GROUPS = frozenset({"segment", "category", "list column"})
"""Roles whose texts are groups as they are written."""
_AMOUNTS = frozenset({"feature", "measure", "label", "fact"})
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_UNSEEN = "[\\s\u00a0\u00ad\u200b-\u200f\u2060\ufeff]+"
_DATED = re.compile(
    r"(?i)date|datum|day|opened|closed|since|until|birth|expir|(?:_|\b)(?:on|at|dt)$|日|时间|時間"
)
_QUOTED = r"^\s+[\"'].*[\"']\s*$"


@dataclass(frozen=True, kw_only=True)
class ColumnTaken:
    """One column: what it is taken for, how many rows have no value, how many values differ.

    `wrong` has a sentence for each thing that looks wrong, `stops` those of them that end the job.
    """

    column: str
    roles: tuple[str, ...]
    taken: str
    rows: int
    missing: int
    distinct: int
    wrong: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    @property
    def problem(self) -> bool:
        """Whether what is wrong ends the job."""
        return bool(self.stops)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "column": self.column,
            "roles": list(self.roles),
            "taken": self.taken,
            "rows": self.rows,
            "missing": self.missing,
            "distinct": self.distinct,
            "wrong": list(self.wrong),
            "problem": self.problem,
        }


def columns_taken(table: pa.Table, roles: Mapping[str, Sequence[str]]) -> list[ColumnTaken]:
    """A report on the columns that `roles` names, those of `federated.tables.column_roles`.

    A column without a role is looked at as a fact.
    """
    found = [_column(table, name, tuple(asked)) for name, asked in roles.items()]
    told = copies(table, [c.column for c in found if "feature" in c.roles and not c.problem])
    said = "is {!r} once more, or a straight line of it: a model has the same twice; leave one out"
    return [
        replace(c, wrong=(*c.wrong, said.format(told[c.column]))) if c.column in told else c
        for c in found
    ]


def in_lines(found: Iterable[ColumnTaken]) -> list[str]:
    """For a terminal: a line a column, what looks wrong below it."""
    lines = []
    for one in found:
        roles = f" ({', '.join(one.roles)})" if one.roles else ""
        gaps = f", {one.missing:,} of {one.rows:,} missing" if one.missing else ""
        lines.append(f"{one.column}{roles}: {one.taken}{gaps}")
        lines += [f"  - {text}" for text in one.wrong]
    return lines


def _column(table: pa.Table, name: str, roles: tuple[str, ...]) -> ColumnTaken:
    values = table.column(name)
    gone = gone_of(table.schema.field(name))
    kind, notes = kind_of(values.type), notes_of(table.schema.field(name))
    missing, distinct, wrong, stops = values.null_count, _distinct(values, kind), [], list[str]()
    trained = "feature" in roles
    taken = _words(values.type, kind, distinct)
    if missing == len(values):
        taken, wrong = "empty", ["no row has a value: see whether the export lost it"]
    elif kind == "text":
        found = taken_for(table, name)
        if found.kind == NUMBER:
            taken = "numbers in text"
        elif found.kind:
            taken = f"text, {distinct:,} different" if not trained else f"{distinct:,} categories"
        elif trained or not roles:  # a fact is carried as it is written, a key is read as its kind
            wrong.append(f"{found.why}: {found.hint}")
            stops += wrong[-1:] if trained else []
        wrong += _of_text(values, name, distinct, trained and found.kind == CATEGORY, gone)
        if _GROUPS & set(roles) or (not roles and distinct <= MANY) or found.kind == CATEGORY:
            wrong += _of_spellings(values, distinct)
    numeric = taken == "numbers in text" or kind == "number"
    if numeric and missing < len(values) and _AMOUNTS & set(roles):
        wrong += _of_numbers(table, name, bool({"feature", "measure"} & set(roles)), gone)
    if trained and distinct == 1 and missing < len(values):
        wrong.append("the same value in all rows that have one: it tells a model nothing")
    elif trained and 1 < distinct <= _TOLD <= len(values) and not stops:
        apart = len(values) - missing - _most(values, kind)
        if apart + missing < _TOLD or (apart < _TOLD and numeric):
            wrong.append(
                f"fewer than {_TOLD} rows differ from its most frequent value, or have one: a "
                "training takes no such column in; leave it out, or see whether the export lost it"
            )
    most = _most(values, kind) if "segment" in roles and len(values) >= _TOLD else 0
    if 0 < most < _TOLD:
        wrong.append(
            f"no value is in more than {most:,} rows: of groups of fewer than minimum_group, which "
            f"is {_TOLD} by default, nothing is told; take a coarser column"
        )
    if count := notes.get("undated"):
        wrong.append(
            f"{count:,} values are no days as dates in tables.toml says, the first in row "
            f"{notes['undated_row']:,}: {how_dated(values, name, declared=True)}"
        )
    if kind == "number" and _DATED.search(name) and _serial(values):
        wrong.append(
            "whole numbers from 30,000 to 60,000, in a column named like a day: where a "
            "spreadsheet has counted days (45931 is 2025-10-01), set dates = { "
            f'{quoted_name(name)} = "excel" }} in tables.toml'
        )
    if notes.get("thousands"):
        key = quoted_name(name)
        wrong.append(
            "a point in these numbers has three digits behind it each time, and others have none: "
            f"where it parts thousands (1.234 is more than 950), set thousands = {{ {key} = "
            f'"." }}, decimal = {{ {key} = "," }} in tables.toml'
        )
    if notes.get("words"):
        wrong.append(
            f"{notes['words']:,} words for nothing (NA, NULL …) are taken as missing: nulls = {{ "
            f"{quoted_name(name)} = [] }} in tables.toml keeps them"
        )
    for role in roles:
        try:
            _check(table, name, role)
        except InputError as error:
            stops.append(f"{error.message}{f': {error.hint}' if error.hint else ''}")
            wrong.append(stops[-1])
    rows = len(values)
    return ColumnTaken(
        column=name,
        roles=roles,
        taken=taken,
        rows=rows,
        missing=missing,
        distinct=distinct,
        wrong=tuple(wrong),
        stops=tuple(stops),
    )


def _check(table: pa.Table, name: str, role: str) -> None:
    """What this role asks of type and values. Raises `InputError`."""
    check_role(table, name, role)
    if role == "measure":
        numeric_matrix(table, [name])


def _distinct(values: pa.ChunkedArray, kind: str) -> int:
    if kind in ("nested", "list", "other", "bytes", "nothing"):
        return 0
    return int(pc.count_distinct(values).as_py())


def _serial(values: pa.ChunkedArray) -> bool:
    """Whether these are whole numbers that a spreadsheet has for days of 1982 to 2064."""
    if not pa.types.is_integer(values.type):
        return False
    ends = pc.min_max(values).as_py()
    return ends["min"] is not None and ends["min"] >= 30_000 and ends["max"] <= 60_000


def _most(values: pa.ChunkedArray, kind: str) -> int:
    """In how many rows the most frequent value is; 0 where values cannot be counted."""
    if kind in ("nested", "list", "other", "bytes", "nothing"):
        return 0
    counts = pc.value_counts(values.drop_null()).field("counts")
    return int(pc.max(counts).as_py() or 0)


def _words(type_: pa.DataType, kind: str, distinct: int) -> str:
    if kind == "number":
        whole = "whole numbers" if pa.types.is_integer(type_) else "numbers"
        return f"{whole}, {distinct:,} different"
    if kind == "timestamp":
        return f"times with a date{f', zone {type_.tz}' if type_.tz else ''}"
    names = {"boolean": "yes or no", "date": "dates", "time": "times of day", "nothing": "empty"}
    return names.get(kind, f"text, {distinct:,} different" if kind == "text" else str(type_))


def _of_text(
    values: pa.ChunkedArray, name: str, distinct: int, category: bool, gone: Sequence[str]
) -> list[str]:
    """What looks wrong about text; `gone` are words that are taken as missing already."""
    found, trimmed = list[str](), pc.utf8_trim_whitespace(values)
    marks = pc.value_counts(trimmed.filter(pc.fill_null(among(trimmed, _STAND_INS), False)))
    if len(marks):
        held = sorted(marks.field("values").to_pylist())
        shown = ", ".join(f'"{text}"' for text in held)
        listed = listed_nulls(held, gone)
        count = int(pc.sum(marks.field("counts")).as_py())
        key = quoted_name(name)
        found.append(
            f"{count:,} rows hold {shown}, values here: if they mean missing, set nulls = {{ {key} "
            f"= {listed} }} in tables.toml"
        )
    blanks = int(pc.sum(pc.not_equal(trimmed, values)).as_py() or 0)
    if blanks:
        found.append(f"{blanks:,} rows have blanks around their text")
    found += looks_like(values, name)
    control = int(pc.sum(pc.match_substring_regex(values, _CONTROL)).as_py() or 0)
    if control:
        found.append(
            f"{control:,} rows hold NUL or other control characters: the export or a copy of it is "
            "damaged"
        )
    quoted = int(pc.sum(pc.match_substring_regex(values, _QUOTED)).as_py() or 0)
    if quoted:
        found.append(f"{quoted:,} rows have quotes behind a blank, which are part of the text")
    if category and distinct > FEW and mostly_dates(values):
        found.append(
            f"{distinct:,} different dates, each taken for a category: turn them into an age or a "
            "number of days"
        )
    if category and distinct <= FEW and all_durations(pc.utf8_trim_whitespace(values)):
        found.append(
            f"{distinct:,} different durations, each taken for a category: turn them into a number"
        )
    if category and distinct > MANY:
        found.append(
            f"{distinct:,} categories: those with fewer than 20 rows are pooled into one; group "
            "them, or leave the column out"
        )
    return found


def _of_spellings(values: pa.ChunkedArray, distinct: int) -> list[str]:
    """Where texts that a person takes for one are several groups."""
    if not (alike := distinct - _spelled_apart(values)):
        return []
    return [
        f"{alike:,} of {distinct:,} categories differ from another by case, width, blanks or "
        "invisible marks alone: each is a category of its own; bring them to one spelling"
    ]


def _spelled_apart(values: pa.ChunkedArray) -> int:
    """How many different texts are left without case, width, blanks and invisible marks."""
    text = pc.utf8_normalize(pc.unique(values).drop_null(), "NFKC")
    return int(
        pc.count_distinct(pc.utf8_lower(pc.replace_substring_regex(text, _UNSEEN, ""))).as_py()
    )


def _of_numbers(table: pa.Table, name: str, far: bool, gone: Sequence[str]) -> list[str]:
    """Numbers that stand for nothing and, where `far`, values that would decide a fit."""
    try:
        values = numeric_matrix(table, [name])[:, 0]
    except InputError:
        return []  # said by the role
    values = values[np.isfinite(values)]
    if values.size < 20:
        return []
    found = list[str]()
    for code in stand_ins(values):
        rows = values == code
        found.append(
            f"{int(rows.sum()):,} rows hold {code:.0f}, apart from all others: if that stands for "
            f"a missing value, set nulls = {{ {quoted_name(name)} = "
            f"{listed_nulls([f'{code:.0f}'], gone)} }} in tables.toml; it is taken for a number"
        )
        values = values[~rows]
    return found + _of_far_values(values) if far else found


def stand_ins(values: np.ndarray) -> list[float]:
    """Numbers that people write where there is none, such as -999 or -1, several times and apart.

    Nines lie farther from the others than these do from each other; negative ones are the only
    such values. Among a few different values, such as counts, only 999 and the like are told.
    """
    found = []
    kinds, counts = np.unique(values, return_counts=True)
    few = len(kinds) <= FEW
    if len(kinds) <= 2:
        return []
    for place in (0, -1):
        code, others = float(kinds[place]), np.delete(kinds, place)
        nines = len(f"{abs(code):.0f}") > 1 and set(f"{abs(code):.15g}") == {"9"}
        gap = float(np.abs(others - code).min())
        alone = code < 0 <= others.min()
        apart = alone if code == -1 else nines and (alone or gap > float(np.ptp(others)))
        apart = apart and (not few or (abs(code) >= 999 and gap > _APART * float(np.ptp(others))))
        if apart and counts[place] > 1:
            found.append(code)
    return found


def _of_far_values(values: np.ndarray) -> list[str]:
    if not values.size:
        return []
    low, middle, high = np.percentile(values, (2.5, 50, 97.5))
    reach, usual = float(np.abs(values - middle).max()), max(high - middle, middle - low)
    if usual > 0 and reach > _TAIL * usual:
        return [
            "a few values lie far beyond all others: they would decide a mean or a model; see "
            "whether they are errors, or take the logarithm"
        ]
    held = _held(values)
    if held > _HELD:
        how = (
            "take the logarithm" if values.min() > 0 else "take the logarithm of 1 more, or cap it"
        )
        return [
            f"a heavy tail: one row in a hundred holds {held:.0%} of the variance, and would "
            f"decide a model; {how}"
        ]
    return []


def _held(values: np.ndarray) -> float:
    """The share of the variance that the hundredth of the rows farthest from the mean holds."""
    if values.size < _MANY_ROWS or len(np.unique(values)) <= MANY:
        return 0.0
    scaled = values / max(float(np.abs(values).max()), 1e-300)  # squares then stay finite
    squares = (scaled - scaled.mean()) ** 2
    far = values.size // 100
    total = float(squares.sum())
    return float(np.partition(squares, -far)[-far:].sum()) / total if total else 0.0


_STAND_INS = frozenset(text.strip() for text in FILLERS if text.strip())
