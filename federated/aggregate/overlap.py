"""What several groupings of records tell together, and which groups must go for it.

Sums of one column are told by one grouping, then by another. Where two groups differ in one row,
the difference of their sums is that row's value, however large both are. Rows that lie in the same
group of every grouping are a *cell*: no combination of told sums tells them apart. A combination
gives each told group a factor, and so each cell the sum of its groups' factors; it *isolates* if
the cells whose sum is not zero hold fewer than `least` values. Everything that is not told of a
grouping counts as one group more, as if the sum over all its rows were known. Groupings of
different jobs are of different records: the factor of a grouping that does not have a record (one
that has joined since, or left) is zero.

`withheld` lets the newest grouping tell only what leaves no such combination. Three steps find one:

1. Two groups of a grouping that meet `least` values in the same groups of all others have the same
   factor in every combination that isolates, for in each pair of cells that differ in these two
   groups alone one would count. They are one group from here on. "Does not have the record" is a
   group in this, and has as many as it takes of those that no grouping has: groups that meet it
   have the factor zero. So a group that `least` records have joined or left since, of whom nothing
   else sets them apart, can be told whatever the past; this carries the ordinary monthly job.
2. A cell of `least` values is zero in every combination that isolates.
3. For each cell that is left, a linear programme (HiGHS, by SciPy) gives it the factor 1 and the
   least total of values times factors' magnitudes. With every factor at most 1 in magnitude that is
   at most the number of values that the combination speaks of. Where it is `least` or more, no
   combination that isolates is largest in this cell.

A combination of earlier groupings alone is none of the newest's making and withholds nothing.
Records may be `hidden`: left out of the cells, or counted in a wrong one. Then a combination that
all cells cancel out of may speak of these alone, and is taken to isolate.

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

from federated.aggregate import linear

__all__ = ["isolating", "withheld"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

HUBS = 64
"""Groups of a grouping that others are compared with, in each pass."""
MOST_PROGRAMMES = 256
"""Cells that programmes are solved for; more that are left count as isolated."""
SLACK = 1e-6


def withheld(
    cells: Ints,
    values: Ints,
    told: Sequence[Flags],
    least: int,
    *,
    hidden: bool = False,
    alike: bool = True,
    occupied: bool = False,
) -> Flags:
    """Which groups of the newest grouping may be told, of those it would: `bool[groups]`.

    Args:
        cells: `int64[cells, groupings]`, as `numbered_cells` gives them; the newest grouping
            first. Those that are -1 in the others are left out: their values count nowhere.
        values: how many values of the column each cell has, `int64[cells]`.
        told: for each grouping which groups it tells, or would: `bool[groups]`.
        least: no combination may speak of fewer values.
        hidden: some values are in none of these cells, or in a wrong one.
        alike: all groupings are of the same records, the hidden ones too.
        occupied: each of the cells may hold values that are not counted.
    """
    kept = np.asarray(told[0], bool).copy()
    sizes = np.bincount(cells[:, 0], values, minlength=len(kept) + 2)[2:]
    whole = (cells >= 0).all(axis=1)
    hidden = hidden or not whole.all()
    cells, values = cells[whole], values[whole]
    blocks = np.stack([_blocks(c, flags) for c, flags in zip(cells.T, told, strict=True)], axis=1)
    while kept.any():
        blocks[:, 0] = _blocks(cells[:, 0], kept)
        used = isolating(blocks, values, least, hidden=hidden, alike=alike, occupied=occupied)
        if used is None:
            break
        chosen = used[used > 1] - 2
        if not len(chosen):  # all rows together are too few
            return np.zeros(len(kept), bool)
        smallest = chosen[np.argsort(sizes[chosen], kind="stable")]
        kept[smallest[: max(1, len(chosen) // 8)]] = False  # of many at once, not one by one
    return kept


def isolating(
    blocks: Ints,
    values: Ints,
    least: int,
    *,
    hidden: bool = False,
    alike: bool = True,
    occupied: bool = False,
) -> Ints | None:
    """The first grouping's groups that a combination which isolates needs; None: there is none.

    `blocks` is `int64[cells, groupings]`, numbered as cells are, with 1 for all that is not told;
    `values` as in `withheld`. With more than two groupings the combination may be one that could
    be told.
    """
    if not occupied:
        blocks, values = blocks[values > 0], values[values > 0]
    groups = np.unique(blocks[:, 0])
    groups = groups[groups > 0]  # the rest first, if there is one
    nobody = np.zeros((1, blocks.shape[1]), np.int64)  # as many as it takes, in no grouping
    many = int(values.sum()) + least
    first, cells, weights = _merged(np.vstack([blocks, nobody]), np.append(values, many), least)
    places = first[groups]
    bound = groups[places > 0]
    if not len(bound):
        return None
    rest = bool(groups[0] == 1)
    if hidden:
        factors = _cancelling(cells, _slopes(places, int(cells[:, 0].max()) + 1, level=alike))
        if np.abs(factors).max(initial=0.0) > SLACK:
            return np.asarray(groups[_differ(factors[places], rest or alike)])
    small = np.flatnonzero(weights < least)
    if len(small) > MOST_PROGRAMMES:
        return bound
    for cell in small.tolist():
        apart = _apart(_Programme(cells, weights, least, cell), places, rest)
        if apart is not None:
            return np.asarray(groups[apart])
    return None


def _apart(programme: _Programme, places: Ints, rest: bool) -> Flags | None:
    """Which of the first grouping's groups a combination that isolates has use for, or None.

    None of them where it takes their whole; `places` are the groups' numbers in the programme, the
    first of them that of the `rest`, if there is one.
    """
    level = rest or programme.shifts
    factors = programme.least()
    if factors is None:
        return None
    if (found := _differ(factors[places], level)).any():
        return found
    whole = not programme.shifts and abs(factors[places[0]]) > SLACK
    if whole or programme.least(alone=True) is None:
        return found
    # earlier groupings isolate this cell by themselves: does any use of the newest do so too?
    slopes = _slopes(places, len(factors), level=programme.shifts)
    for direction in (slopes, -slopes):
        factors = programme.most(direction)
        if factors is None:
            continue
        whole = not programme.shifts and abs(factors[places[0]]) > SLACK
        if whole or (found := _differ(factors[places], level)).any():
            return found
    return None


def _slopes(places: Ints, count: int, *, level: bool) -> Floats:
    """A direction in which hardly any factors stay equal by chance; `level`: all alike do."""
    slopes, distinct = np.zeros(count), np.unique(places[places > 0])
    slopes[distinct] = np.sin(np.arange(1, 1 + len(distinct)))
    if level:
        slopes[distinct] -= slopes[distinct].mean()
    return slopes


def _cancelling(cells: Ints, slopes: Floats) -> Floats:
    """Factors of the first grouping's groups, far in a direction, that all cells cancel out of."""
    speaks, starts = _speaks(cells)
    far = np.ones(speaks.shape[1])
    far[starts] = 0.0
    solved = linear.least(
        np.append(-slopes, np.zeros(speaks.shape[1] - len(slopes))),
        equal=(speaks, np.zeros(len(cells))),
        low=-far,
        high=far,
    )
    if solved.status != linear.SOLVED:  # no answer is no permission: as if every group were needed
        return np.arange(len(slopes), dtype=np.float64)
    return np.asarray(solved.x[: len(slopes)] * (-solved.cost > SLACK))


def _speaks(cells: Ints) -> tuple[linear.Matrix, Ints]:
    """Each cell's sum of factors as a sparse 0/1 matrix, and where the absent's factors are."""
    starts = np.cumsum([0, *(cells.max(axis=0) + 1)])
    rows = np.repeat(np.arange(len(cells)), cells.shape[1])
    speaks = linear.Matrix(
        shape=(len(cells), int(starts[-1])),
        rows=rows,
        columns=(cells + starts[:-1]).reshape(-1),
        values=np.ones(cells.size),
    )
    return speaks, starts[:-1]


def _differ(factors: Floats, level: bool) -> Flags:
    """Which are not as the first (`level`: their whole is known as well), or not zero."""
    return np.asarray(np.abs(factors - level * factors[0]) > SLACK)


def _blocks(groups: Ints, told: Flags) -> Ints:
    """Each cell's group where it is told, else 1, and 0 where it is absent."""
    return np.where(groups > 1, np.where(np.append([False] * 2, told)[groups], groups, 1), groups)


def _merged(blocks: Ints, values: Ints, least: int) -> tuple[Ints, Ints, Ints]:
    """Groups that have the same factor as one, cells of the same groups as one.

    The number that each of the first grouping's groups has now, the cells, and their values.
    Ends as soon as all of the first grouping's factors are known to be zero.
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
            if not cells[:, 0].any():
                return first, cells, weights
        if len(cells) == before:
            return first, cells, weights


def _collected(cells: Ints, weights: Ints) -> tuple[Ints, Ints]:
    """Distinct cells and what they weigh together."""
    found, place = np.unique(cells, axis=0, return_inverse=True)
    return found, np.bincount(place.reshape(-1), weights, len(found)).astype(np.int64)


def _same_factor(cells: Ints, weights: Ints, column: int, least: int) -> Ints:
    """The group that each group of a grouping is one with: `int64[groups]`; 0 stays 0."""
    own, others = cells[:, column], np.delete(cells, column, axis=1)
    _, elsewhere = np.unique(others, axis=0, return_inverse=True)
    elsewhere, width = elsewhere.reshape(-1), int(elsewhere.max(initial=0)) + 1
    found = np.arange(int(own.max(initial=0)) + 1)
    sizes = np.bincount(own, weights, len(found))
    sizes[0] = sizes.sum() + 1  # whoever is absent before all others
    for hub in np.argsort(-sizes, kind="stable")[:HUBS].tolist():
        if found[hub] != hub:
            continue
        joined = len(found)
        while joined:  # what is one with the hub may bring more
            beside = found[own] == hub
            reach = np.bincount(elsewhere[beside], weights[beside], width)
            shared = np.bincount(own, np.minimum(weights, reach[elsewhere]), len(found))
            more = (shared >= least) & (found == np.arange(len(found)))
            more[hub] = False
            found[more] = hub
            joined = int(more.sum())
    return found


class _Programme:
    """Factors of groups that give one cell 1, every other at most 1, and speak of little."""

    def __init__(self, cells: Ints, weights: Ints, least: int, cell: int) -> None:
        speaks, self._absent = _speaks(cells)
        self._count, self._least = len(cells), least
        self._factors, self._first = speaks.shape[1], int(cells[:, 0].max()) + 1
        minus, large = linear.Matrix.diagonal(len(cells), -1.0), weights >= least
        zero_rows = speaks.taken(np.append(np.flatnonzero(large), cell))
        self._sizes = np.concatenate([np.zeros(self._factors), weights * ~large])
        self._above = speaks.beside(minus).above((-speaks).beside(minus))
        self._equal = zero_rows.widened(len(cells))
        self._is = np.append(np.zeros(int(large.sum())), 1.0)
        # of the same records as another grouping: all factors may rise if the other's fall
        self.shifts = any(((c > 0) == (cells[:, 0] > 0)).all() for c in cells.T[1:])

    def least(self, *, alone: bool = False) -> Floats | None:
        """The first grouping's factors that speak of fewest values; None if these are too many.

        `alone`: the earlier groupings by themselves.
        """
        return self._solve(self._sizes, alone=alone)

    def most(self, wanted: Floats) -> Floats | None:
        """The first grouping's factors that reach furthest in a direction, within `least`."""
        return self._solve(
            np.append(-wanted, np.zeros(len(self._sizes) - len(wanted))), within=True
        )

    def _solve(self, aim: Floats, *, alone: bool = False, within: bool = False) -> Floats | None:
        above, limits = self._above, np.zeros(2 * self._count)
        if within:
            above = above.above(linear.Matrix.of(self._sizes[None, :]))
            limits = np.append(limits, self._least - 0.5)
        far = np.full(self._factors, np.inf)
        far[self._absent] = 0.0
        far[: self._first * alone] = 0.0
        solved = linear.least(
            aim,
            at_most=(above, limits),
            equal=(self._equal, self._is),
            low=np.append(-far, np.zeros(self._count)),
            high=np.append(far, np.ones(self._count)),
        )
        if solved.status == linear.INFEASIBLE:
            return None
        if (
            solved.status != linear.SOLVED
        ):  # no answer is no permission: as if every group were needed
            return np.arange(self._first, dtype=np.float64)
        if not within and solved.cost >= self._least - SLACK:
            return None
        return np.asarray(solved.x[: self._first])
