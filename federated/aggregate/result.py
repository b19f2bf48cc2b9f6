"""What the receiver of an aggregation holds at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from federated.aggregate.statistics import Statistic

__all__ = ["AggregateResult", "CategoryResult", "MeasureResult", "known_of"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class AggregateResult:
    """Statistics by group, in the receiver's order of groups.

    `rows[g]` is the number of shared records of a group, 0 where it is not told; `statistics[s]`
    a column and what was asked of it. `values[s]` is `float64[groups]`, for a histogram
    `float64[groups, bins]`, NaN where `kept[s][g]` is false because too few values stand behind.
    Bins of few values are not told apart from a neighbour: NaN, and what is missing to the number
    of values is theirs together. `there` is how many values of each column a group has,
    `int64[groups]`, 0 where the column is not told of it.
    """

    groups: list[str]
    rows: np.ndarray
    statistics: list[tuple[str, str]]
    values: list[Floats]
    kept: list[np.ndarray]
    there: dict[str, np.ndarray] = field(default_factory=dict)

    def table(self) -> dict[str, list[Any]]:
        """Columns by name, ready for `pandas.DataFrame`; a bin of a histogram is a column."""
        found: dict[str, list[Any]] = {"group": list(self.groups), "rows": self.rows.tolist()}
        for (column, text), values in zip(self.statistics, self.values, strict=True):
            bins = Statistic.parse(text).bins
            for place, name in enumerate(bins):
                found[f"{column}: {name}"] = values[:, place].tolist()
            if not bins:
                found[f"{column}:{text}"] = values.tolist()
        return found


@dataclass(frozen=True)
class MeasureResult:
    """What the partner holds at the end: each group's rows, `int64[groups]`, and what it told.

    `kept` is `bool[groups, 1 + columns + edges]`: whether the group was told at all, then each
    column, then above which edges of the columns' shares and histograms.
    """

    rows: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True, kw_only=True)
class CategoryResult:
    """Counts and sums by the partner's category, and by the receiver's segment if it has any.

    `counts` is `float64[categories, segments]` (one segment, named "", without any), `sums[a]`
    the same for each amount; whole numbers, NaN where a category is not told. With noise each is
    off by a number of its own: within 3 `scales` (of the counts, then of each amount's sums) with
    a probability of 95%. `clipped` says how many of the receiver's rows each amount's range cut.

    Attributes:
        amounts: names of what was added up.
    """

    categories: list[str]
    segments: list[str]
    amounts: list[str]
    counts: Floats
    sums: list[Floats]
    scales: list[int]
    clipped: list[int]

    @property
    def kept(self) -> np.ndarray:
        """Which categories are told: `bool[categories]`."""
        return np.asarray(~np.isnan(self.counts[:, 0]))

    def table(self) -> dict[str, list[Any]]:
        """Columns by name, ready for `pandas.DataFrame`: a row a category and segment."""
        found: dict[str, list[Any]] = {
            "category": [name for name in self.categories for _ in self.segments]
        }
        if self.segments != [""]:
            found["segment"] = self.segments * len(self.categories)
        found["rows"] = self.counts.reshape(-1).tolist()
        for name, sums in zip(self.amounts, self.sums, strict=True):
            found[f"{name}:sum"] = sums.reshape(-1).tolist()
        return found


def known_of(values: Floats) -> np.ndarray:
    """Of which groups something of a statistic is told: `bool[groups]`."""
    known = ~np.isnan(values)
    return np.asarray(known if known.ndim == 1 else known.any(axis=1))
