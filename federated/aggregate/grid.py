"""The line of a column's values, cut by every edge that shares and histograms ask of it.

Between neighbouring edges lies an *atom*: nothing that is told of the column, by any statistic of
any section or of an earlier job, tells values of one atom apart. What a section tells of a group is
how many values are above each of its own edges, so how many are in each of its *parts*, the runs of
atoms between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["NO_ATOM", "Atoms", "Binned", "Edges", "atoms_of", "grid_of", "parts_of"]

NO_ATOM = -1
"""The atom of a missing value, or of one that does not count."""

Edges = tuple[float, ...]
Atoms = np.ndarray[Any, np.dtype[np.int16]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Binned:
    """Where a column's records count: `atoms` is `int16[records]`.

    `wrong` is how many do in one in which they have no value. `missing` says of which atoms records
    have a value that count in none, though they count as having one; `loose` of which others do
    that do not count there. Both are `bool[atoms]`. `hidden`: some were in other parts in an
    earlier job.
    """

    atoms: Atoms
    wrong: int
    missing: Flags
    loose: Flags
    hidden: bool


def grid_of(edges: Iterable[Sequence[float]]) -> Edges:
    """All distinct edges, rising."""
    return tuple(sorted({edge for each in edges for edge in each}))


def atoms_of(values: np.ndarray, grid: Edges) -> Atoms:
    """The atom of each value, from 0; `NO_ATOM` where it is missing."""
    found = np.searchsorted(np.array(grid), values, side="right").astype(np.int16)
    return np.where(np.isnan(values), np.int16(NO_ATOM), found)


def parts_of(grid: Edges, edges: Edges) -> np.ndarray:
    """The part of each atom among these edges, all of the grid: `int64[atoms]`."""
    lowest = np.array([-np.inf, *grid])
    return np.searchsorted(np.array(edges, np.float64), lowest, side="right").astype(np.int64)
