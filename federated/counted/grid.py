"""How both parts of a score are cut, so that sums of their points are ranges of the whole score.

Pure functions that both parties share. The partner's points are a step apart, the label party's a
whole number of these steps: a row's place among all is `stride` × its own point + the partner's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "CLASSES", "LANES", "MOST_POINTS", "MOST_STRIDE", "MOST_WIDE", "OTHER", "REACH"]
__all__ += [
    "Cut",
    "ScoreGrid",
    "bins_of",
    "counts_of",
    "groups_of",
    "lanes_of",
    "leaves_of",
    "wide_of",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

BINS = 64
"""Ranges of the score that rows are counted in."""
LANES = 64
"""Points of the partner's part, a lane each."""
CLASSES = 3
"""Negative, positive, and rows that measure nothing."""
OTHER = 2
"""The class of rows that are not counted."""
MOST_POINTS = 85
"""Of the label party's part: with the classes they fill 256 leaves."""
MOST_STRIDE, MOST_WIDE = 1 << 20, 80
_HALVES = (1, 2, 3, 5, 7, 10, 14, 21, 28, MOST_POINTS // 2)
"""How many points the label party's part may have to each side of its middle."""
_STRIDES = (1, *(of << n for n in range(20) for of in (2, 3) if of << n <= MOST_STRIDE))
"""How many of the partner's steps its own may be: two to an octave."""
REACH = 4.0
"""Standard deviations that each part's points reach at least, to both sides of its middle."""


class Cut(Protocol):
    """How rows are counted by a private bin of the label party's and a lane of a partner's."""

    @property
    def points(self) -> int:
        """Of the label party's part."""

    @property
    def bins(self) -> int:
        """Ranges that rows are counted in."""

    @property
    def blur(self) -> float:
        """How wide a range counts as for an AUC, in its own width: more where parts are rounded
        before they are added."""

    def own(self, part: Any) -> Ints:
        """Each row's point of what the label party has of the score."""

    def theirs(self, part: Any) -> Ints:
        """Each row's point of what the partner has of it, below `LANES`."""

    def of_points(self) -> Ints:
        """The range that two points make: `int64[points, LANES]`."""

    def ends(self) -> Floats:
        """Where ranges begin and end, `float64[bins + 1]`, the label party's middle left out."""

    def middles(self) -> Floats:
        """The score in the middle of each range, the same left out."""


@dataclass(frozen=True)
class ScoreGrid:
    """`wide`: the partner's points are 2^(`wide` / 2) apart; `stride`: the label party's are so
    many times as far; `points`: how many of these there are, an odd number; `most`: ranges that
    rows are counted in, at most.
    """

    wide: int
    stride: int
    points: int
    most: int = BINS

    @staticmethod
    def of(wide: int, own: Floats) -> ScoreGrid:
        """For the label party's part of all rows.

        The partner chooses its step, and is told `stride` and `points`: of each there are few, or
        it would read how wide the other part lies to as many digits as it likes.
        """
        reach = REACH * float(own.std()) / 2.0 ** (wide / 2)
        stride = next((each for each in _STRIDES if each * _HALVES[-1] >= reach), MOST_STRIDE)
        half = next((each for each in _HALVES if each * stride >= reach), _HALVES[-1])
        return ScoreGrid(wide, stride, 2 * (half if stride == 1 else _HALVES[-1]) + 1)

    @property
    def step(self) -> float:
        """Between two of the partner's points."""
        return float(2.0 ** (self.wide / 2))

    @property
    def places(self) -> int:
        """How many sums of two points there are."""
        return self.stride * (self.points - 1) + LANES

    @property
    def bins(self) -> int:
        """Ranges that rows are counted in."""
        return min(self.most, self.places)

    @property
    def blur(self) -> float:
        """How wide a range counts as for an AUC: as it is, as sums of points are whole places."""
        return 1.0

    def own(self, scores: Floats) -> Ints:
        """Each row's point of the label party's part, which is centred."""
        middle = self.points // 2
        found = np.rint(scores / (self.step * self.stride)) + middle
        return np.asarray(np.clip(found, 0, self.points - 1).astype(np.int64))

    def theirs(self, scores: Floats) -> Ints:
        """Each row's point of the partner's part."""
        found = np.rint(scores / self.step) + LANES // 2
        return np.asarray(np.clip(found, 0, LANES - 1).astype(np.int64))

    def of_points(self) -> Ints:
        """The range that two points make: `int64[points, LANES]`."""
        sums = self.stride * np.arange(self.points)[:, None] + np.arange(LANES)
        return np.asarray(sums * self.bins // self.places)

    def ends(self) -> Floats:
        """Where ranges begin and end, the label party's own middle left out."""
        first = -(-np.arange(self.bins + 1) * self.places // self.bins)  # rounded up
        zero = self.stride * (self.points // 2) + LANES // 2
        return np.asarray((first - 0.5 - zero) * self.step)

    def middles(self) -> Floats:
        """The score in the middle of each range, the label party's own middle left out."""
        ends = self.ends()
        return np.asarray((ends[:-1] + ends[1:]) / 2)


def counts_of(grid: Cut, shares: Words) -> Words:
    """Shares of sums by leaf and lane as shares of counts, `uint64[2, bins]`.

    Args:
        grid: that both parties have agreed on.
        shares: `uint64[leaves, LANES]`, as `leaves_of` numbers leaves.
    """
    found = np.zeros((2, grid.bins), np.uint64)
    of = grid.of_points()
    for each in range(2):
        part = shares[each * grid.points : (each + 1) * grid.points]
        np.add.at(found[each], of.ravel(), part.ravel())
    return found


def wide_of(deviation: float) -> int:
    """The partner's step, which its points reach far enough with: as in `ScoreGrid.wide`.

    Args:
        deviation: standard deviation of the partner's part of the score.
    """
    least = 2.0 * REACH * deviation / LANES
    if not least > 0:
        return -MOST_WIDE
    return max(-MOST_WIDE, min(MOST_WIDE, math.ceil(2.0 * math.log2(least))))


def leaves_of(grid: Cut) -> int:
    """Private bins that the label party chooses from.

    Args:
        grid: that both parties have agreed on.
    """
    return CLASSES * grid.points


def bins_of(grid: Cut, own: NDArray[Any], classes: NDArray[np.int8]) -> Ints:
    """The label party's bin of each row: its class and its point, `int64[n]`.

    Args:
        grid: that both parties have agreed on.
        own: `[n]`, its part of all rows' scores as the grid takes it.
        classes: `int8[n]`, below `CLASSES`.
    """
    return np.asarray(classes.astype(np.int64) * grid.points + grid.own(own))


def lanes_of(points: Ints) -> Words:
    """The partner's lanes of each row: one is 1, `uint64[rows, LANES]`.

    Args:
        points: `int64[rows]`, as `Cut.theirs` gives them.
    """
    found = np.zeros((len(points), LANES), np.uint64)
    found[np.arange(len(points)), points] = 1
    return found


def groups_of(
    labelled: NDArray[np.bool_], folds: NDArray[np.int8], count: int, *, later: bool
) -> list[Ints]:
    """The rows of each group that is counted by itself, by what both parties know.

    Args:
        labelled: rows that were trained on.
        folds: the fold of each, -1 for none.
        count: folds that there are; 0: all labelled rows are one group.
        later: whether rows without a label are a group more, for a look at a later time.
    """
    masks = [labelled & (folds == fold) for fold in range(count)] or [labelled]
    masks += [~labelled] * later
    return [np.flatnonzero(mask) for mask in masks]
