"""What is known of a lead, or of a manager, as numbers that a model can add up.

A text becomes a level for each value of at least 20 earlier leads, the 40 most frequent of them,
and one for all others, if there are any. A number becomes two: its place among the earlier leads'
on the scale of a normal distribution, so that an amount that lies far out weighs no more than
another, and how far it is from the middle. What is missing is a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profiles.routing import compared

__all__ = ["Trait", "blocks_of", "shown"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_MOST_LEVELS = 40
_FEW = 5
"""Different numbers up to which each is a level."""
_PLACES = 101
_FURTHEST = 2.0


@dataclass(frozen=True, kw_only=True)
class Trait:
    """How one column is read: `texts` in order, or `cuts`, quantiles of the earlier leads; `others`
    says whether there is a level for what is none of these."""

    column: str
    texts: pa.Array | None = None
    cuts: Floats | None = None
    others: bool

    @classmethod
    def of(cls, table: pa.Table, column: str, rows: int = 20) -> Trait:
        """Read it as a table's values suggest; a level wants so many `rows`."""
        values = table.column(column)
        if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
            numbers = values.cast(pa.float64(), safe=False).to_numpy()
            numbers = numbers[np.isfinite(numbers)]
            if len(np.unique(numbers)) > _FEW:
                cuts = np.quantile(numbers, np.linspace(0, 1, _PLACES))
                return cls(column=column, cuts=cuts, others=len(numbers) < table.num_rows)
        counts = compared(values).drop_null().value_counts()
        often = [(-c["counts"].as_py(), c["values"].as_py()) for c in counts]
        kept = sorted(text for many, text in sorted(often)[:_MOST_LEVELS] if -many >= rows)
        held = sum(-many for many, text in often if text in kept)
        texts = pa.array(kept, pa.string())
        return cls(column=column, texts=texts, others=held < table.num_rows)

    @property
    def blocks(self) -> list[int]:
        """How many numbers it becomes, together in blocks that are alike."""
        if self.texts is None:
            return [1, 1, 1][: 2 + self.others]
        return [len(self.texts) + self.others] if len(self.texts) + self.others else []

    def shown(self, table: pa.Table) -> Floats:
        """`float64[rows, width]`."""
        values = table.column(self.column)
        if self.texts is not None:
            found = pc.index_in(compared(values), value_set=self.texts, skip_nulls=True)
            codes = found.fill_null(len(self.texts)).to_numpy(zero_copy_only=False)
            return np.asarray(np.eye(len(self.texts) + 1)[codes][:, : sum(self.blocks)])
        cuts = np.zeros(1) if self.cuts is None else self.cuts
        return _places(values.cast(pa.float64(), safe=False).to_numpy(), cuts)[
            :, : len(self.blocks)
        ]


def _places(numbers: Floats, cuts: Floats) -> Floats:
    from scipy.stats import norm  # a node reads job files and has no SciPy

    there = np.isfinite(numbers)
    known = np.where(there, numbers, cuts[0])
    # of equal values the middle of their places
    low, high = (np.searchsorted(cuts, known, side=side) for side in ("left", "right"))
    place = np.interp(known, cuts, np.linspace(0, 1, len(cuts)))
    place = np.where(high - low > 1, (low + high - 1) / 2 / (len(cuts) - 1), place)
    z = np.clip(norm.ppf(np.clip(place, 1e-3, 1 - 1e-3)), -_FURTHEST, _FURTHEST)
    return np.stack([z * there, (z**2 - 1) / np.sqrt(2) * there, ~there], axis=1)


def shown(traits: Sequence[Trait], table: pa.Table) -> Floats:
    """`float64[rows, 1 + widths]`: a one, then each trait."""
    return np.concatenate(
        [np.ones((table.num_rows, 1)), *(trait.shown(table) for trait in traits)], axis=1
    )


def blocks_of(traits: Sequence[Trait]) -> Ints:
    """`int64[1 + widths]`: the block of each number that `shown` gives."""
    many = [1, *(size for trait in traits for size in trait.blocks)]
    return np.repeat(np.arange(len(many)), many)
