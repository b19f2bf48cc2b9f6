"""Means and slopes of scores, and the grids that partners' scores are brought to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psi.protocol import PeerError

__all__ = [
    "MOST_RANGE",
    "Floats",
    "Grid",
    "mean_of",
    "means_of",
    "slope_of",
]

Floats = NDArray[np.float64]

QUARTER = 4
MOST_RANGE = 64.0
"""The widest range of a partner's score, and the farthest from zero that it may go."""


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


def means_of(link: str, scores: Floats, points: Floats) -> Floats:
    """`mean_of` of every score with every point, `float64[..., p]`: an exponential of each."""
    if link not in ("logistic", "poisson"):
        return np.asarray(scores[..., None] + points)
    sign = -1.0 if link == "logistic" else 1.0
    with np.errstate(over="ignore"):  # what is beyond all numbers has a mean of 0
        found = np.exp(sign * scores)[..., None] * np.exp(sign * points)
    if link == "logistic":
        found += 1.0
        np.reciprocal(found, out=found)
    return np.asarray(found)


def slope_of(link: str, scores: Floats) -> Floats:
    """How fast the mean grows with the score."""
    mean = mean_of(link, scores)
    if link == "logistic":
        return np.asarray(mean * (1.0 - mean))
    return mean if link == "poisson" else np.ones_like(scores)
