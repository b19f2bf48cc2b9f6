"""The mean of a score that two parties have a part of each, as a sum of a few products.

mean(a + b) is nearly of low rank as a function of a and b: for b on the points of a grid, the
columns of a table g_m(b) are a basis, and mean(a + b) = Σ f_m(a) g_m(b) with a's least squares in
it. So a lookup by b's number in g, weighted by f of a, gives both parties shares of the mean. The
table is sent, not computed twice, and the label party checks that it is such a basis.

For Poisson regression exp(a + b) is one product. Linear regression needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psi.protocol import PeerError

__all__ = [
    "MOST_RANGE",
    "TABLE_BITS",
    "Grid",
    "check_table",
    "lanes",
    "mean_of",
    "slope_of",
    "table_of",
]

Floats = NDArray[np.float64]
Table = NDArray[np.int16]

TABLE_BITS = 12
"""Fraction bits of a table; its columns are scaled to a largest magnitude of 1."""
QUARTER = 4
MOST_RANGE = 64.0
"""The widest range of a partner's score, and the farthest from zero that it may go."""
_CLOSE, _WRONG = 3e-5, 1e-3
"""How near a party's table comes to the mean, and how far off it may be at the other's."""
_FAR = 12.0
_COARSE, _SAMPLES = 192, 400
_FINEST = 4096
_FITTED = 256
MOST_RANK = 60


@dataclass(frozen=True)
class Grid:
    """The points that a score may have: from `low` to `high` quarters, 2^bits of them.

    If `blurred`, a score's point is moved by up to `reach` points, at random and evenly, in every
    evaluation anew; scores have room for that on both sides.
    """

    low: int
    high: int
    bits: int
    blurred: bool = False

    @classmethod
    def over(cls, scores: Floats, bits: int, *, blurred: bool = False) -> Grid:
        """The range of scores, rounded outwards to quarters: its ends are two rows' scores."""
        first, last = float(scores.min()), float(scores.max())
        room = (last - first) / 8 + 0.1 if blurred else 0.0
        low = int(np.floor(QUARTER * (first - room)))
        high = max(int(np.ceil(QUARTER * (last + room))), low + 1)
        return cls(low, high, bits, blurred)

    @property
    def reach(self) -> int:
        """How many points a score may be moved by."""
        return (1 << self.bits) // 10 if self.blurred else 0

    @property
    def points(self) -> Floats:
        """`float64[2^bits]`."""
        return np.linspace(self.low / QUARTER, self.high / QUARTER, 1 << self.bits)

    @property
    def step(self) -> float:
        """Between two points."""
        return (self.high - self.low) / QUARTER / ((1 << self.bits) - 1)

    @property
    def span(self) -> float:
        """From the first to the last."""
        return (self.high - self.low) / QUARTER

    def numbers(self, scores: Floats, moved: NDArray[np.int16] | int = 0) -> NDArray[np.uint16]:
        """The nearest point of each score, and so many points further."""
        found = np.rint((scores - self.low / QUARTER) / self.step) + moved
        return np.clip(found, 0, (1 << self.bits) - 1).astype(np.uint16)

    def inner(self, of: Floats) -> Floats:
        """Of an array by point the mean over the points that each score may be moved to.

        For those scores that have room on both sides: `[2^bits - 2 reach, ...]`.
        """
        if not self.reach:
            return of
        wide = 2 * self.reach + 1
        sums = np.cumsum(np.concatenate([np.zeros_like(of[:1]), of]), axis=0)
        return np.asarray((sums[wide:] - sums[:-wide]) / wide)

    def check(self) -> None:
        """Raise `PeerError` unless scores may have this range."""
        ends = abs(self.low), abs(self.high), self.high - self.low
        if self.high <= self.low or max(ends) > QUARTER * MOST_RANGE:
            raise PeerError("a range of scores that no model here has")


def mean_of(link: str, scores: Floats) -> Floats:
    """The mean that a score stands for."""
    if link == "logistic":
        small = np.exp(-np.abs(scores))
        return np.where(scores >= 0, 1.0, small) / (1.0 + small)
    return np.exp(scores) if link == "poisson" else np.asarray(scores)


def slope_of(link: str, scores: Floats) -> Floats:
    """How fast the mean grows with the score."""
    mean = mean_of(link, scores)
    if link == "logistic":
        return np.asarray(mean * (1.0 - mean))
    return mean if link == "poisson" else np.ones_like(scores)


def table_of(link: str, grid: Grid) -> Table:
    """A basis for a grid, `int16[2^bits, rank]`, rank even, in TABLE_BITS fraction bits."""
    points = grid.points
    if link == "poisson":
        one = np.exp(points - points.max())
        return _whole(np.stack([one, np.zeros_like(one)], axis=1))
    a = np.linspace(-_FAR - points[-1], _FAR - points[0], _SAMPLES)
    wanted = mean_of(link, a[:, None] + points)
    coarse = np.unique(np.rint(np.linspace(0, len(points) - 1, _COARSE)).astype(np.int64))
    left, sizes, _ = np.linalg.svd(wanted[:, coarse], full_matrices=False)
    most = min(MOST_RANK, len(sizes))
    basis = (wanted.T @ left[:, :most]) / sizes[:most]
    for rank in range(2, most + 1, 2):
        # orthogonal on the coarse points: least squares are projections
        near = left[:, :rank] @ (sizes[:rank, None] * basis[coarse, :rank].T)
        if np.abs(wanted[:, coarse] - near).max() < _CLOSE:
            break
    basis = basis[:, :rank]
    return _whole(basis / np.abs(basis).max(axis=0))


def check_table(link: str, grid: Grid, table: Table, scores: Floats) -> None:
    """Raise `PeerError` unless a received table is a basis for the grid, for scores like these."""
    if np.abs(table.astype(np.int64)).max(initial=0) > 1 << TABLE_BITS:
        raise PeerError("a table with entries beyond 1")
    ends = float(scores.min()), float(scores.max())
    inner = np.linspace(*ends, _SAMPLES)
    wanted = mean_of(link, inner[:, None] + grid.inner(grid.points))
    near = _least(link, grid, table, inner) @ grid.inner(table / 2.0**TABLE_BITS).T
    off = float(np.abs(wanted - near).max()) / max(1.0, float(np.abs(wanted).max()))
    if not off < _WRONG:
        raise PeerError("a table that is no basis for its range")


def lanes(link: str, grid: Grid, table: Table, scores: Floats) -> Floats:
    """f of each score: `float64[n, rank]`."""
    if link == "poisson" or len(scores) <= _FINEST:
        return _least(link, grid, table, scores)
    low, high = float(scores.min()), float(scores.max()) + 1e-9
    points = np.linspace(low, high, _FINEST)
    values = _least(link, grid, table, points)
    place = (scores - low) * ((_FINEST - 1) / (high - low))
    at = np.clip(place.astype(np.int64), 0, _FINEST - 2)
    share = (place - at)[:, None]
    return np.asarray(values[at] * (1.0 - share) + values[at + 1] * share)


def _least(link: str, grid: Grid, table: Table, scores: Floats) -> Floats:
    """Least squares in the mean of what a moved score looks up: moving has no bias then."""
    points, basis = grid.inner(grid.points), grid.inner(table / 2.0**TABLE_BITS)
    if link == "poisson":
        found = np.zeros((len(scores), table.shape[1]))
        found[:, 0] = np.exp(scores + points[-1]) / basis[-1, 0]
        return found
    coarse = np.unique(np.rint(np.linspace(0, len(points) - 1, _FITTED)).astype(np.int64))
    inverse: Any = np.linalg.pinv(basis[coarse])
    return np.asarray(mean_of(link, scores[:, None] + points[coarse]) @ inverse.T)


def _whole(basis: Floats) -> Table:
    return np.rint(basis * 2.0**TABLE_BITS).astype(np.int16)
