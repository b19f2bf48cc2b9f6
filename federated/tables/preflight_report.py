"""A preflight's report: counts only, never a value, so that it can be pasted into a mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ColumnReport", "LevelReport", "PreflightReport", "what_to_do"]

_NOTHING = "nothing to mend"


@dataclass(frozen=True, kw_only=True)
class ColumnReport:
    """One key column: how many rows are usable, and why the others are not.

    `words`: taken as missing for a word such as NULL; `fractions`: whole numbers that end in .0;
    `mistyped`: valid with 0 for O or 1 for I; `times`: with a time of day; `fillers`: what stands
    for nothing on a public list, with its count; `gone`: texts taken as missing; `wrapped`: written
    for a spreadsheet (="0123", '0123); `control`: with NUL and the like; `uneven`: the fewest and
    most digits of numbers that have no leading zero among them, where these differ; `most`: rows of
    one value that stands in far more of them than others do; `dates`: the patterns that read days
    that are written in another way; `zeros`, `digits`: rows of text that are numbers with and
    without a leading zero; `hashed`: as long as a hash in hexadecimal; `said`: what else its texts
    look like, in sentences; `marks`: what reads numbers in which thousands are parted; `lengths`:
    of the shortest and the longest key, in characters.
    """

    column: str
    kind: str
    rows: int
    nulls: int
    invalid: Mapping[str, int]
    changed: int
    duplicates: int
    full_width: int
    byte_order_marks: int
    mojibake: int
    scientific: int
    suggested_kind: str
    suggestions: tuple[str, ...]
    words: int = 0
    gone: tuple[str, ...] = ()
    fractions: int = 0
    mistyped: int = 0
    times: int = 0
    fillers: tuple[tuple[str, int], ...] = ()
    wrapped: int = 0
    zeros: int = 0
    digits: int = 0
    control: int = 0
    uneven: tuple[int, int] = (0, 0)
    most: int = 0
    dates: tuple[str, ...] = ()
    hashed: int = 0
    said: tuple[str, ...] = ()
    marks: str = ""
    lengths: tuple[int, int] = (0, 0)

    @property
    def usable(self) -> int:
        """Rows with a valid identifier."""
        return self.rows - self.nulls - sum(self.invalid.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "column": self.column,
            "kind": self.kind,
            "rows": self.rows,
            "usable": self.usable,
            "nulls": self.nulls,
            "invalid": dict(self.invalid),
            "changed": self.changed,
            "duplicates": self.duplicates,
            "full_width": self.full_width,
            "byte_order_marks": self.byte_order_marks,
            "mojibake": self.mojibake,
            "scientific": self.scientific,
            "words": self.words,
            "fractions": self.fractions,
            "mistyped": self.mistyped,
            "times": self.times,
            "fillers": dict(self.fillers),
            "most": self.most,
            "suggested_kind": self.suggested_kind,
            "suggestions": list(self.suggestions),
        }


@dataclass(frozen=True)
class LevelReport:
    """One level of the waterfall: a single key or a composite one.

    `duplicates` counts usable rows whose key an earlier row has; `reached` counts rows whose
    first usable level is this one.
    """

    columns: tuple[str, ...]
    usable: int
    distinct: int
    reached: int

    @property
    def duplicates(self) -> int:
        """Usable rows beyond the first of each key."""
        return self.usable - self.distinct

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "columns": list(self.columns),
            "usable": self.usable,
            "distinct": self.distinct,
            "duplicates": self.duplicates,
            "reached": self.reached,
        }


@dataclass(frozen=True, kw_only=True)
class PreflightReport:
    """One party's report on its own keys; `minimum` and `largest` are the job's, 0: none.

    `problems` say why the job cannot succeed with these keys, `suggestions` what to fix, a
    sentence each.
    """

    rows_: int
    columns: tuple[ColumnReport, ...]
    levels: tuple[LevelReport, ...]
    duplicates: str = "collapse"
    minimum: int = 0
    largest: int = 0
    problems: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()

    @property
    def usable(self) -> int:
        """Rows that have at least one usable key."""
        return sum(level.reached for level in self.levels)

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict a key column."""
        return [column.as_dict() for column in self.columns]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "ok": not self.problems,
            "problems": list(self.problems),
            "rows": self.rows_,
            "usable": self.usable,
            "columns": self.rows(),
            "levels": [level.as_dict() for level in self.levels],
            "suggestions": list(self.suggestions),
        }

    def to_text(self) -> str:
        """The report for a terminal."""
        return "\n".join([*self.lines(), *what_to_do(self.problems, self.suggestions)])

    def lines(self) -> list[str]:
        """What was counted, without what to do about it."""
        keyed = f"{self.usable:,} with a usable key ({_share(self.usable, self.rows_)})"
        lines = [f"{self.rows_:,} rows, {keyed}"]
        for column in self.columns:
            usable = f"{column.usable:,} usable ({_share(column.usable, column.rows)})"
            lines.append(f"{column.column} ({column.kind}): {usable}")
            counts = {"null or blank": column.nulls, **column.invalid}
            told = [f"{reason} {count:,}" for reason, count in _largest(counts) if count]
            if told:
                lines.append(f"  unusable: {', '.join(told)}")
            if column.changed:
                wide = f", {column.full_width:,} with full-width characters" * bool(
                    column.full_width
                )
                lines.append(f"  brought to one spelling: {column.changed:,}{wide}")
        for number, level in enumerate(self.levels, start=1):
            repeats = f" ({level.duplicates:,} rows repeat one)" * bool(level.duplicates)
            lines.append(
                f"key {number} ({' + '.join(level.columns)}): {level.usable:,} usable, "
                f"{level.distinct:,} distinct{repeats}, first usable key of {level.reached:,} rows"
            )
        return lines


def what_to_do(
    problems: Sequence[str], suggestions: Sequence[str], remarks: bool = False
) -> list[str]:
    """What is in the way and what to mend, in lines; that nothing is where there are no `remarks`
    either."""
    found = list[str]()
    for what, texts in (
        ("the job cannot succeed with this table:", problems),
        ("what to do:", suggestions),
    ):
        found += [what] * bool(texts) + [f"  - {text}" for text in texts]
    return found if found or remarks else [_NOTHING]


def _share(part: int, whole: int) -> str:
    """Per cent, never rounded to all or nothing."""
    if part in (0, whole) or not whole:
        return "100%" if part else "0%"
    return f"{min(99.9, max(0.1, 100 * part / whole)):.1f}%"


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: -entry[1])
