"""The mean of a score that several parties have a part of each, as a chain of lookups.

mean(a + b_1 + … + b_m) is nearly of low rank in a and in what follows: σ(a + t) = f(a)·u_1(t) for t
in the range of b_1 + … + b_m, and each u_i(b + t) = M_i(b) u_{i+1}(t), down to u_{m+1} = 1. So a
lookup of b_1's point in a public table of matrices turns lanes f(a) into shares of what b_2's
lookup takes, and the last one gives shares of the mean. With one partner the table has one column.

The label party makes the tables from the ranges that its partners tell, from the last one back:
each is fitted to the rounded ones after it, so that rounding costs the fit nothing but digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.regression.links import Floats, Grid, means_of

__all__ = ["MOST_ONES", "Chain", "Table", "chain_of"]

Table = NDArray[np.int16]
"""`int16[2^bits, ins, outs]`, entries at most 1 in the table's fraction bits."""

MOST_ONES = 2.0
"""What magnitudes of a table's `ones` add up to, at most, where points are moved.

A partner takes off its own shares how far its points are moved, times these, and later entries are
at most 1: so no more than twice of it comes off, whatever they are. Honest ones add up to 1.3 for
ranges of 8 of two partners, and to 4.5 of three: these are shrunk, and a part of the moves stays.
"""
_CLOSE = 3e-5
"""How near products come to the mean."""
_FAR = 12.0
_COARSE, _SAMPLES = 192, 400
_FINEST = 1 << 12
_FITTED = 256
_MOST_RANK = 60
_POINTS, _PAIRS, _FINE = 40, 640, 1 << 14
"""Of several partners: points of each, sums of them that are fitted to, and of a whole range."""


@dataclass(frozen=True, repr=False)
class Chain:
    """Tables of an evaluation's lookups, one a partner, and how a mean is made of them.

    points: sums of partners' scores, `float64[s]`; values: what a chain of moved lookups makes of
    each, `float64[s, ins]`; ones: of each table the weights of its outcomes that add up to 1.
    """

    link: str
    tables: tuple[Table, ...]
    ones: tuple[Floats, ...]
    points: Floats
    values: Floats

    def lanes(self, scores: Floats) -> Floats:
        """f of each score: `float64[n, ins]`."""
        if self.link == "poisson":
            found = np.zeros((len(scores), self.values.shape[1]))
            found[:, 0] = np.exp(scores + self.points[-1]) / self.values[-1, 0]
            return found
        inverse = np.linalg.pinv(self.values).T
        if len(scores) <= _FINEST:
            return np.asarray(means_of(self.link, scores, self.points) @ inverse)
        low, high = float(scores.min()), float(scores.max()) + 1e-9
        at_points = np.linspace(low, high, _FINEST)
        values = means_of(self.link, at_points, self.points) @ inverse
        return _between(values, (scores - low) * ((_FINEST - 1) / (high - low)))


def chain_of(link: str, grids: Sequence[Grid], bits: int) -> Chain:
    """The lookups of partners whose scores lie on `grids`, in `bits` fraction bits each."""
    if link == "poisson":
        points = grids[0].points
        one = np.exp(points - points.max())
        table = _whole(np.stack([one, np.zeros_like(one)], axis=1)[:, :, None], bits)
        shown = grids[0].inner(_read(table[:, :, 0], bits))
        return Chain(link, (table,), (np.ones(1),), grids[0].inner(points), shown)
    tables: list[Table] = []
    ones: list[Floats] = []
    points, values = np.zeros(1), np.ones((1, 1))
    for at in reversed(range(len(grids))):
        grid, last = grids[at], at == len(grids) - 1
        basis = _Basis.over(link, grids[at:])
        ones.append(_bounded(np.linalg.pinv(values).sum(axis=1), grid))
        sums = grid.points[:, None] + points
        wanted = basis.at(sums, exact=last)
        found = (np.linalg.pinv(values) @ wanted).swapaxes(1, 2)
        table = _whole(found / np.abs(found).max(axis=(0, 2))[:, None], bits)
        tables.append(table)
        inner, moved = grid.inner(grid.points), grid.inner(_read(table, bits))
        many = _FITTED if len(grids) == 1 else _POINTS
        few = np.unique(np.rint(np.linspace(0, len(inner) - 1, many)).astype(np.int64))
        points = (inner[few, None] + points).reshape(-1)
        values = (values @ moved[few].swapaxes(1, 2)).reshape(len(points), -1)
        if len(points) > 2 * _PAIRS:
            order = np.argsort(points)[np.linspace(0, len(points) - 1, _PAIRS).astype(np.int64)]
            points, values = points[order], values[order]
    return Chain(link, tuple(reversed(tables)), tuple(reversed(ones)), points, values)


@dataclass(frozen=True, repr=False)
class _Basis:
    """Functions of t that all mean(x + t) are sums of, for t in a range and x + t within FAR."""

    link: str
    low: float
    high: float
    x: Floats
    weights: Floats

    @classmethod
    def over(cls, link: str, grids: Sequence[Grid]) -> _Basis:
        low = sum(float(grid.points[0]) for grid in grids)
        high = sum(float(grid.points[-1]) for grid in grids)
        x = np.linspace(-_FAR - high, _FAR - low, _SAMPLES)
        if len(grids) == 1:
            points = grids[0].points
            few = np.unique(np.rint(np.linspace(0, len(points) - 1, _COARSE)).astype(np.int64))
            points = points[few]
        else:
            points = np.linspace(low, high, _COARSE)
        wanted = means_of(link, x, points)
        left, sizes, _ = np.linalg.svd(wanted, full_matrices=False)
        most = min(_MOST_RANK, len(sizes))
        basis = (wanted.T @ left[:, :most]) / sizes[:most]
        for rank in range(2, most + 1, 2):
            # orthogonal on these points: least squares are projections
            near = left[:, :rank] @ (sizes[:rank, None] * basis[:, :rank].T)
            if np.abs(wanted - near).max() < _CLOSE:
                break
        return cls(link, low, high, x, left[:, :rank] / sizes[:rank])

    def at(self, points: Floats, *, exact: bool) -> Floats:
        """`float64[..., rank]`; of many points between those of a fine grid."""
        if exact:
            return np.asarray(means_of(self.link, points, self.x) @ self.weights)
        fine = np.linspace(self.low, self.high, _FINE)
        values = means_of(self.link, fine, self.x) @ self.weights
        return _between(values, (points - self.low) * ((_FINE - 1) / (self.high - self.low)))


def _between(values: Floats, place: Floats) -> Floats:
    """Of rows `float64[n, d]` what lies at each place from 0 to n - 1: `float64[..., d]`."""
    at = np.clip(place.astype(np.int64), 0, len(values) - 2)
    found = np.diff(values, axis=0)[at]
    found *= (place - at)[..., None]
    found += values[at]
    return np.asarray(found)


def _bounded(ones: Floats, grid: Grid) -> Floats:
    size = float(np.abs(ones).sum())
    return ones * (MOST_ONES / size) if grid.blurred and size > MOST_ONES else np.asarray(ones)


def _read(table: Table, bits: int) -> Floats:
    return np.asarray(table.astype(np.float64) * 2.0**-bits)


def _whole(table: Floats, bits: int) -> Table:
    return np.rint(table * 2.0**bits).astype(np.int16)
