"""Where a column of numbers is cut: by its values alone, before a label is seen.

A value is frequent that has as many rows as a bin has in the mean. Of all ways to cut a column into
so many bins with rows enough, those count in which the fewest rows of frequent values share a bin
with others; of these the one whose bins are most alike, by the sum of their squared sizes. So a
column of few values has a bin for each, a frequent value has one for itself, and what is continuous
is cut at quantiles. Equal values are in one bin, and equal columns have equal cuts.

Found by dynamic programming over values; of a column of many values over runs of neighbours, each
of a 256th of the rows, but for those of values with more, which are runs of their own.

Sources: Bellman 1961 (segments by dynamic programming); Poosala, Haas, Ioannidis and Shekita 1996
(histograms in which frequent values have buckets of their own).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cuts"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_RUNS = 256


def cuts(values: Floats, most: int, least: int) -> tuple[Floats, Counts]:
    """Bins of `values`.

    Args:
        values: `float64[n]`, ascending, none missing.
        most: bins, 1 to 256.
        least: rows of each.

    Returns:
        Of each bin its lowest value and its rows: `float64[bins]` and `int64[bins]`, ascending; one
        bin where two would have too few rows, none where there is no value.
    """
    n = len(values)
    if not n:
        return np.zeros(0), np.zeros(0, np.int64)
    starts = _runs(values)
    ends, runs = np.append(starts, n), len(starts)
    sizes = ends[None, :] - ends[:, None]  # of the rows between any two ends
    each = np.diff(ends)
    frequent = np.cumsum(np.append(0, np.where(each * most >= n, each, 0)))
    shared = np.triu(frequent[None, :] - frequent[:, None], 2)  # in a bin of two runs or more
    cost = np.where(sizes >= max(1, least), (sizes / n) ** 2 + shared, np.inf)
    best, steps, totals = cost[0], list[Counts](), [cost[0, -1]]
    for _ in range(min(most, runs) - 1):
        ways = best[:, None] + cost
        steps.append(ways.argmin(axis=0))
        best = ways.min(axis=0)
        totals.append(best[-1])
    at, first = runs, list[int]()
    for step in steps[: int(np.argmin(totals))][::-1]:
        at = int(step[at])
        first.append(at)
    low = starts[[0, *first[::-1]]]
    return values[low], np.diff(low, append=n)


def _runs(values: Floats) -> Counts:
    """Where runs of equal values begin, or of neighbours where these are many."""
    n = len(values)
    starts: Counts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    if len(starts) <= _RUNS:
        return starts
    rows = np.diff(starts, append=n)
    alone = rows * _RUNS >= n
    others = np.cumsum(np.where(alone, 0, rows))
    part = (others - 1) * _RUNS // max(1, int(others[-1]))
    kept = (part[1:] != part[:-1]) | alone[1:] | alone[:-1]
    return np.asarray(starts[np.append(True, kept)])
