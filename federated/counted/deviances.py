"""What a joined score leaves unexplained of a label that is a number: two sums over rows, no more.

With the label party's part a and the partner's part c of a row's score, the deviance of label y is

    linear   Σ (y − a)² − 2 Σ (y − a) c + Σ c²
    counts   Σ d(y, e^a) − 2 Σ y c + 2 Σ e^a (e^c − 1)

so beside what the label party knows it takes two sums of a product, an own number of each party's
in each. The label party's number is a private bin of 255, its level; the partner's a lane. Pure
functions; `opening` opens the sums under the partner's noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import LANES, ScoreGrid
from federated.models import MODELS, POISSON
from federated.regression.plan import count_noise

__all__ = ["LEVELS", "SUMS", "SUM_LEAVES", "OwnNumbers"]
__all__ += ["most_of_a_row", "number_lanes", "summed", "summed_bits"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

SUMS = 2
"""Sums that are opened of each group of rows: of the partner's lane 0 by tree 0, of 1 by tree 1."""
LEVELS = 127
"""Levels of the label party's number to each side of 0."""
SUM_LEAVES = 2 * LEVELS + 1
"""Private bins that the label party chooses from, in each tree."""
_LANE_BITS = 25
"""A lane is 2^25 at most: with levels and 2^29 rows a sum stays below 2^61."""
_FARTHEST = 300.0
"""As far as a score of counts goes, for its exponential to be taken."""
_SLACK = 12.0
"""Standard deviations of noise beyond which no honest sum lies."""


def most_of_a_row() -> float:
    """What one row adds to an opened sum at most, which noise is measured by."""
    return float(LEVELS << _LANE_BITS)


def summed_bits(noise: float) -> float:
    """The most that both sums tell of one row, in bits in the mean, whoever knows all others.

    A lane is at most 1, and its square in the mean of rows at most 1/16: the partner's part reaches
    four standard deviations, and e^c − 1 over its largest value is nearer to 0 than c is. So each
    of two sums tells ½ log2(1 + 1 / (16 s²)) (Shannon 1948).

    Args:
        noise: of the plan.
    """
    return math.log2(1.0 + 1.0 / (16.0 * count_noise(noise) ** 2))


def number_lanes(theirs: Floats, grid: ScoreGrid, link: str) -> Words:
    """The partner's two numbers of each row, `uint64[rows, 2]`.

    Args:
        theirs: `float64[rows]`, its part of each row's score.
        grid: that both parties have agreed on.
        link: the model's name.
    """
    far = _reach(grid, link)
    part = np.clip(theirs, -far, far)
    second = np.expm1(part) / np.expm1(far) if link == POISSON.name else np.square(part / far)
    both = np.stack([part / far, second], axis=1)
    return np.asarray(np.rint(np.ldexp(both, _LANE_BITS)).astype(np.int64).view(np.uint64))


def summed(shares: Sequence[Words]) -> Words:
    """A party's shares of the two sums, `uint64[2]`, from those by tree, leaf and lane.

    Args:
        shares: of each of two trees `uint64[leaves, 2]`.
    """
    levels = (np.arange(SUM_LEAVES) - LEVELS).astype(np.int64).view(np.uint64)
    return np.array(
        [(levels * share[:SUM_LEAVES, lane]).sum() for lane, share in enumerate(shares)], np.uint64
    )


class OwnNumbers:
    """The label party's two numbers of each row of one group, and what is left by opened sums.

    Args:
        link: the model's name.
        answers: `float64[rows]`, labels in the unit of scores; NaN: the row is not measured.
        own: `float64[rows]`, its part of each row's score, middle and all.
        grid: that both parties have agreed on.
    """

    def __init__(self, link: str, answers: Floats, own: Floats, grid: ScoreGrid) -> None:
        there = ~np.isnan(answers)
        y, a = answers[there], own[there]
        self._signs = np.array([-2.0, 2.0 if link == POISSON.name else 1.0])
        numbers = np.zeros((SUMS, len(answers)))
        far = _reach(grid, link)
        if link == POISSON.name:
            mean = np.exp(np.clip(a, -_FARTHEST, _FARTHEST))
            numbers[0, there], numbers[1, there] = y, mean
            scales = np.array([far, np.expm1(far)])
            alone = mean
        else:
            numbers[0, there], numbers[1, there] = y - a, 1.0
            scales = np.array([far, far * far])
            alone = a
        self._alone = MODELS[link].deviance(alone, y) if len(y) else 0.0
        units = np.abs(numbers).max(axis=1, initial=0.0) / LEVELS
        units = np.where(units > 0, units, 1.0)
        levels = np.rint(numbers / units[:, None]).astype(np.int64)
        self._units = units * scales
        self._most = np.abs(levels).sum(axis=1).astype(np.float64)
        self.bins: list[NDArray[Any]] = list(levels + LEVELS)
        """Of each tree the level of each row, `int64[rows]`."""

    def left(self, opened: Ints, noise: float) -> tuple[float, float, bool]:
        """What is left unexplained, the standard deviation of its noise, and whether it can be.

        Args:
            opened: the two sums, with noise.
            noise: its standard deviation, in parts of the most that one row adds.
        """
        sums = np.ldexp(opened.astype(np.float64), -_LANE_BITS)
        can_be = bool((np.abs(sums) <= self._most + _SLACK * LEVELS * noise).all())
        parts = self._signs * self._units
        moved = float(np.linalg.norm(parts)) * LEVELS * noise
        return self._alone + float(parts @ sums), moved, can_be


def _reach(grid: ScoreGrid, link: str) -> float:
    """How far the partner's part counts: as far as its points lie."""
    far = grid.step * (LANES // 2)
    return min(far, _FARTHEST) if link == POISSON.name else far
