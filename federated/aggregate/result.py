"""What the receiver of an aggregation holds at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.aggregate.statistics import Statistic

__all__ = ["AggregateResult"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class AggregateResult:
    """Statistics by group, in the receiver's order of groups.

    `rows[g]` is the number of shared records of a group, 0 where it is not told; `statistics[s]`
    a column and what was asked of it. `values[s]` is `float64[groups]`, for a histogram
    `float64[groups, bins]`, NaN where `kept[s][g]` is false because too few values stand behind.
    """

    groups: list[str]
    rows: np.ndarray
    statistics: list[tuple[str, str]]
    values: list[Floats]
    kept: list[np.ndarray]

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
