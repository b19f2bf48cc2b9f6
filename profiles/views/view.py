"""What a feature view is: a name, a version, columns with their meaning, a file of expressions.

A view sees what was known at the begin of its cut-off's day and nothing later: `Known` is made from
flows that were cut before anything was typed (`Flows.before`), so that no rule, series or link can
look ahead. Windows are days before the cut-off: 30 of them are its last 30 days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import ibis

from profiles.flows.base import Base
from profiles.flows.engine import Keep, as_it_is
from profiles.flows.taxonomy import Taxonomy

__all__ = ["BLOCK", "YEAR", "Column", "Known", "View", "among", "money"]

BLOCK, YEAR = 30, 360
"""Days of a block, and of twelve of them."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One feature. `kinds` has it (C, B, G); `empty` is what an entity without any row has.

    Attributes:
        name: of the feature.
        unit: of its values, in words.
        window: of time that it looks at, in words.
        meaning: a sentence.
    """

    name: str
    unit: str
    window: str
    meaning: str
    kinds: str = "CBG"
    empty: float | None = None


def _nothing_kept() -> AbstractContextManager[Keep]:
    return nullcontext(as_it_is)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known at the begin of `cut_off`.

    `everyone` are the rows, typed unless no view asks for it, with `ago`, whole days before the
    cut-off, 1 for the day before it; `rows` those of the kind asked for. `accounts` and `balances`
    are those of `base`. `keep` computes a small table once, `scratch` gives what keeps one until
    the end of a block.
    """

    rows: Any
    everyone: Any
    base: Base
    accounts: Any
    balances: Any
    taxonomy: Taxonomy
    cut_off: dt.date
    kind: str
    keep: Keep = as_it_is
    scratch: Callable[[], AbstractContextManager[Keep]] = _nothing_kept

    def last(self, days: int, before: int = 0) -> Any:
        """Whether a row is of the last `days` days, or of those `before` so many."""
        return (self.rows.ago > before) & (self.rows.ago <= before + days)

    def money(self, minor: Any) -> Any:
        """Whole minor units as the totals' currency, float64."""
        return money(minor, self.base.settings.digits)


@dataclass(frozen=True, kw_only=True)
class View:
    """A named set of columns. `build` gives an Ibis table with `entity` and the columns of a kind.

    `needs` are the sections of `[flows.NAME]` without which there is nothing to say. A view that is
    not `typed` looks at no row's type: where none asked for is, nothing has to be typed. A column
    whose meaning changes gets another name, and the view another version.
    """

    name: str
    version: int
    meaning: str
    columns: tuple[Column, ...]
    build: Callable[[Known], Any]
    needs: tuple[str, ...] = ()
    typed: bool = True

    def of(self, kind: str) -> tuple[Column, ...]:
        """The columns that entities of a kind have."""
        return tuple(column for column in self.columns if kind in column.kinds)


def money(minor: Any, digits: int) -> Any:
    """Whole minor units as a currency, float64; nothing is 0."""
    return minor.fill_null(0).cast("float64") / float(10**digits)


def among(part: Any, whole: Any) -> Any:
    """`part` of `whole`, float64; null where there is nothing to be a part of."""
    part, whole = part.fill_null(0).cast("float64"), whole.fill_null(0).cast("float64")
    return ibis.ifelse(whole > 0, part / ibis.greatest(whole, 1.0), ibis.null("float64"))
