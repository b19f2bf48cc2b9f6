"""What several groupings of the same rows tell together, and which groups must go for it.

Sums of one column are told by one grouping, then by another. Where two groups differ in one row,
the difference of their sums is that row's value, however large both are. Rows that lie in the same
group of every grouping are a *cell*: no combination of told sums tells them apart. A combination
gives each told group a factor, and so each cell the sum of its groups' factors; it *isolates* if
the cells whose sum is not zero hold fewer than `least` values. Everything that is not told of a
grouping counts as one group more, as if the sum over all rows were known.

`withheld` lets the newest grouping tell only what leaves no such combination. Three steps find one:

1. Two groups of a grouping that meet `least` values in the same groups of all others have the same
   factor in every combination that isolates, for in each pair of cells that differ in these two
   groups alone one would count. They are one group from here on.
2. A cell of `least` values is zero in every combination that isolates.
3. For each cell that is left, a linear programme (HiGHS, by SciPy) gives it the factor 1 and the
   least total of values times factors' magnitudes. With every factor at most 1 in magnitude that is
   at most the number of values that the combination speaks of. Where it is `least` or more, no
   combination that isolates is largest in this cell.

By duality the programme asks how far the sum of a cell's values could be from what it is, if all
told sums are to stay as they are and each value of the other cells may move by one: a sum that is
not told keeps an interval as wide as `least` values can make it, in units of what one may differ
by. It needs counts alone, which the owner of the values has, not sums, which nobody has before
they are told. With two groupings the answer is exact (a cut of the graph of groups and cells);
with more it may withhold a group that could be told, never the other way round.

Sources: Chin and Özsoyoğlu 1982 (auditing of sums); Nagamochi and Ibaraki 1992 (contraction of
what no small cut separates), whose simplest case step 1 carries over to several groupings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["isolating", "withheld"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

HUBS = 64
"""Groups of a grouping that others are compared with, in each pass."""
MOST_CELLS = 256
"""Cells that programmes are solved for; more that are left count as isolated."""
SLACK = 1e-6
INFEASIBLE = 2
"""SciPy's status of a programme that no factors satisfy."""


def withheld(cells: Ints, values: Ints, told: Sequence[Flags], least: int) -> Flags:
    """Which groups of the newest grouping may be told, of those it would: `bool[groups]`.

    Args:
        cells: `int64[cells, groupings]`, each cell's group in every grouping from 1 on, 0 for
            none; the newest grouping first. Every cell has rows.
        values: how many values of the column each cell has, `int64[cells]`.
        told: for each grouping which groups it tells, or would: `bool[groups]`.
        least: no combination may speak of fewer values.
    """
    kept = np.asarray(told[0], bool).copy()
    blocks = np.stack([_blocks(c, flags) for c, flags in zip(cells.T, told, strict=True)], axis=1)
    sizes = np.bincount(cells[:, 0], values, minlength=len(kept) + 1)[1:]
    while kept.any():
        blocks[:, 0] = _blocks(cells[:, 0], kept)
        used = isolating(blocks, values, least)
        if used is None:
            break
        chosen = used[used > 0] - 1
        if not len(chosen):  # all rows together are too few
            return np.zeros(len(kept), bool)
        smallest = chosen[np.argsort(sizes[chosen], kind="stable")]
        kept[smallest[: max(1, len(chosen) // 8)]] = False  # of many at once, not one by one
    return kept


def isolating(blocks: Ints, values: Ints, least: int) -> Ints | None:
    """The first grouping's groups that a combination which isolates needs; None: there is none.

    `blocks` is `int64[cells, groupings]`, each grouping a partition of all cells; `values` as in
    `withheld`. With more than two groupings the combination may be one that could be told.
    """
    first, cells, weights = _merged(blocks, values, least)
    small = np.flatnonzero(weights < least)
    if len(small) > MOST_CELLS:
        return np.unique(blocks[:, 0])
    for cell in small.tolist():
        factors = _least(cells, weights, least, cell)
        if factors is not None:
            groups = np.unique(blocks[:, 0])  # the rest first, if there is one
            apart = np.abs(factors[first[groups]] - factors[first[groups[0]]]) > SLACK
            return np.asarray(groups[apart])
    return None


def _blocks(groups: Ints, told: Flags) -> Ints:
    """Each cell's group where it is told, else 0."""
    return np.append(False, told)[groups] * groups


def _merged(blocks: Ints, values: Ints, least: int) -> tuple[Ints, Ints, Ints]:
    """Groups that have the same factor as one, cells of the same groups as one.

    The number that each of the first grouping's groups has now, the cells, and their values.
    """
    cells, weights = _collected(blocks, values)
    first = np.arange(int(blocks[:, 0].max(initial=0)) + 1)
    while True:
        before = len(cells)
        for column in range(cells.shape[1]):
            groups = _same_factor(cells, weights, column, least)
            if column == 0:
                first = groups[np.minimum(first, len(groups) - 1)]
            cells[:, column] = groups[cells[:, column]]
            cells, weights = _collected(cells, weights)
        if len(cells) == before:
            return first, cells, weights


def _collected(cells: Ints, weights: Ints) -> tuple[Ints, Ints]:
    """Distinct cells and what they weigh together."""
    found, place = np.unique(cells, axis=0, return_inverse=True)
    return found, np.bincount(place.reshape(-1), weights, len(found)).astype(np.int64)


def _same_factor(cells: Ints, weights: Ints, column: int, least: int) -> Ints:
    """The group that each group of a grouping is one with: `int64[groups]`."""
    own, others = cells[:, column], np.delete(cells, column, axis=1)
    _, elsewhere = np.unique(others, axis=0, return_inverse=True)
    elsewhere, width = elsewhere.reshape(-1), int(elsewhere.max(initial=0)) + 1
    found = np.arange(int(own.max(initial=0)) + 1)
    sizes = np.bincount(own, weights, len(found))
    for hub in np.argsort(-sizes, kind="stable")[:HUBS].tolist():
        if found[hub] != hub:
            continue
        beside = own == hub
        reach = np.bincount(elsewhere[beside], weights[beside], width)
        shared = np.bincount(own, np.minimum(weights, reach[elsewhere]), len(found))
        found[(shared >= least) & (found == np.arange(len(found)))] = hub
    return found


def _least(cells: Ints, weights: Ints, least: int, cell: int) -> Floats | None:
    """Factors of the first grouping's groups that give `cell` 1, and speak of fewer than `least`.

    None if none do. Nothing of the other groupings' factors is told.
    """
    from scipy import sparse
    from scipy.optimize import linprog  # slow to import, and not needed by most jobs

    count = len(cells)
    starts = np.cumsum([0, *(cells.max(axis=0) + 1)])
    factors = int(starts[-1])
    place = (np.repeat(np.arange(count), cells.shape[1]), (cells + starts[:-1]).reshape(-1))
    speaks = sparse.csr_array((np.ones(cells.size), place), shape=(count, factors))
    size, zero = sparse.eye_array(count), weights >= least
    zero_rows = speaks[np.append(np.flatnonzero(zero), cell)]
    nothing = sparse.csr_array((zero_rows.shape[0], count))
    solved = linprog(
        np.concatenate([np.zeros(factors), weights * ~zero]),
        A_ub=sparse.block_array([[speaks, -size], [-speaks, -size]]),
        b_ub=np.zeros(2 * count),
        A_eq=sparse.block_array([[zero_rows, nothing]]),
        b_eq=np.append(np.zeros(int(zero.sum())), 1.0),
        bounds=[(None, None)] * factors + [(0.0, 1.0)] * count,
        method="highs",
    )
    if solved.status == INFEASIBLE or (solved.status == 0 and solved.fun >= least - SLACK):
        return None
    if solved.status != 0:  # no answer is no permission: as if every group were needed
        return np.arange(starts[1], dtype=np.float64)
    return np.asarray(solved.x[: starts[1]])
