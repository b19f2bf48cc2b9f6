"""What each side finds out about its own keys before any cryptography.

Counts only: a report shows columns, kinds and reasons, never a value, so it can be pasted
into a mail. Nothing here leaves the party.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.party.advice import of_column, of_level, problems
from federated.party.key_columns import cleaned_key
from psi.identifiers import Cleaned, clean, combine, guess_kind
from psi.identifiers.columns import as_text
from psi.protocol.errors import InputError, MisuseError

__all__ = ["ColumnReport", "LevelReport", "PreflightReport", "preflight"]

_SAMPLE = 2000
# UTF-8 read as Latin-1 or Windows-1252, GBK read twice, and the replacement character.
_MOJIBAKE = "[\u00c2-\u00f4][\u0080-\u00bf]|\ufffd|锟斤拷|烫烫|屯屯|锘|ï»¿"
_FULL_WIDTH = "[\uff01-\uff5e\u3000]"
_NOTHING = "nothing to mend"
_SCIENTIFIC = r"^\d(?:\.\d+)?[eE]\+?\d+$"


@dataclass(frozen=True)
class ColumnReport:
    """One key column: how many rows are usable, and why the others are not."""

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


@dataclass(frozen=True)
class PreflightReport:
    """One party's report on its own keys; `minimum` and `largest` are the job's, 0: none."""

    rows_: int
    columns: tuple[ColumnReport, ...]
    levels: tuple[LevelReport, ...]
    duplicates: str = "collapse"
    minimum: int = 0
    largest: int = 0

    @property
    def usable(self) -> int:
        """Rows that have at least one usable key."""
        return sum(level.reached for level in self.levels)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the job cannot succeed with these keys, one sentence each; none if it can."""
        return tuple(problems(self))

    @property
    def suggestions(self) -> tuple[str, ...]:
        """What to fix, one sentence each."""
        found = [text for column in self.columns for text in column.suggestions]
        found += [text for level in self.levels for text in of_level(level, self)]
        if 0 < self.usable * 2 < self.rows_:
            missing = self.rows_ - self.usable
            found.append(f"{missing:,} rows have no usable key: add another level of keys")
        return tuple(found)

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
        for what, texts in (
            ("the job cannot succeed with these keys:", self.problems),
            ("what to do:", self.suggestions),
        ):
            lines += [what] * bool(texts) + [f"  - {text}" for text in texts]
        return "\n".join(lines if self.problems or self.suggestions else [*lines, _NOTHING])


def _share(part: int, whole: int) -> str:
    """Per cent, never rounded to all or nothing."""
    if part in (0, whole) or not whole:
        return "100%" if part else "0%"
    return f"{min(99.9, max(0.1, 100 * part / whole)):.1f}%"


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: -entry[1])


def preflight(
    table: pa.Table,
    keys: Sequence[Sequence[str]],
    kinds: Mapping[str, str],
    *,
    duplicates: str = "collapse",
    minimum: int = 0,
    largest: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> PreflightReport:
    """Check the key columns of one party's table.

    Args:
        table: holds every key column.
        keys: the waterfall: levels of one or more columns, tried in order.
        kinds: identifier kind by column; a column without one is checked as `text`.
        duplicates: what the job does with rows that share a key, `collapse` or `join`.
        minimum: how many shared records the job needs.
        largest: how many distinct keys the other party takes; 0: any number.
        progress: told a column whose kind takes long, and the share of it that is done.

    Raises:
        InputError: no rows, or a key column that the table does not have.
        MisuseError: unknown kind, or no key at all.
    """
    if not keys or not all(keys):
        raise MisuseError("found no key columns, allowed: at least 1 in every level")
    if table.num_rows == 0:
        raise InputError("the table is empty")
    names = list(dict.fromkeys(name for level in keys for name in level))
    for name in names:
        if name not in table.column_names:
            raise InputError(f"no key column {name!r}")
    cleaned = {}
    for name in names:
        told = partial(progress, name) if progress else None
        cleaned[name] = cleaned_key(table, name, kinds.get(name, "text"), told)
    columns = tuple(_column(name, table.column(name), cleaned[name], kinds) for name in names)
    levels = []
    waiting = np.ones(table.num_rows, dtype=np.bool_)
    for level in keys:
        key = combine([cleaned[name] for name in level])
        usable = np.asarray(pc.is_valid(key).to_numpy(zero_copy_only=False), dtype=np.bool_)
        reached = int((usable & waiting).sum())
        distinct = int(pc.count_distinct(key).as_py())
        levels.append(LevelReport(tuple(level), int(usable.sum()), distinct, reached))
        waiting &= ~usable
    return PreflightReport(table.num_rows, columns, tuple(levels), duplicates, minimum, largest)


def _count(text: pa.Array, pattern: str) -> int:
    return int(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0)


def _column(
    name: str, values: pa.ChunkedArray, cleaned: Cleaned, kinds: Mapping[str, str]
) -> ColumnReport:
    text, _ = as_text(values)
    wide = text.filter(pc.fill_null(pc.invert(pc.string_is_ascii(text)), False))
    reasons = dict(cleaned.reasons)
    nulls = reasons.pop("null", 0) + reasons.pop("empty", 0)
    distinct = int(pc.count_distinct(cleaned.values).as_py())
    filled = cleaned.rows - nulls
    guessed = ""
    plain = cleaned.kind == "text"
    if plain or name not in kinds or (filled and cleaned.usable < 0.5 * filled):
        sample = text.drop_null().slice(0, _SAMPLE)
        guessed = guess_kind(name, sample) or ""
        if name in kinds and guessed == "number":
            guessed = ""  # digits may be text on purpose, and digits of any kind are a number
        # A guess must beat the kind that was given, not only pass.
        better = guessed and name in kinds and clean(sample, guessed, threads=1).usable
        if guessed == cleaned.kind or (name in kinds and 2 * (better or 0) < len(sample)):
            guessed = ""
    found = ColumnReport(
        column=name,
        kind=cleaned.kind,
        rows=cleaned.rows,
        nulls=nulls,
        invalid=reasons,
        changed=cleaned.changed,
        duplicates=cleaned.usable - distinct,
        full_width=_count(wide, _FULL_WIDTH),
        byte_order_marks=_count(wide, "\ufeff"),
        mojibake=_count(wide, _MOJIBAKE),
        scientific=_count(text, _SCIENTIFIC),
        suggested_kind=guessed,
        suggestions=(),
    )
    return replace(found, suggestions=tuple(of_column(found, values.type)))
