"""What both parties agree on before trees are grown."""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass
from typing import ClassVar

from psi.protocol import MisuseError

__all__ = ["CURVATURE_BITS", "MANY_ROWS", "MOST_DEPTH", "MOST_PARTNERS", "MOST_ROWS"]
__all__ += ["MOST_TREES", "NOISE", "SLOPE_BITS", "TreesPlan"]

MOST_DEPTH, MOST_TREES = 6, 1000
MOST_PARTNERS = 3
MOST_ROWS = 4_000_000
"""Slopes of so many rows add up to less than 2^30 units, their curvatures to less than 2^31."""
MANY_ROWS = 1 << 14
"""Rows from which on the label party's noise costs no quality."""
NOISE = 1.0
"""Standard deviations of each of its two noises: so many times what one row can add."""
HEARD = 8.0
"""The variance that chance makes of a sum over so much curvature, as a share of a noise's."""
SLOPE_BITS, CURVATURE_BITS = 8, 10
"""Fraction bits of a row's slope, at most 1, and curvature, at most ¼."""


@dataclass(frozen=True, kw_only=True)
class TreesPlan:
    """The terms of a training, the same at both parties.

    rows: aligned rows, at most: what the contract knows before the alignment.
    trees: at most; fewer where the validation part stops them.
    depth: levels of splits of a tree, 1 to 6.
    rate: what a tree's values are multiplied with.
    penalty: λ, added to a node's curvature.
    least_weight: the least curvature on each side of a split.
    least_rows: the fewest rows there, of those that the tree is grown on; 0: they are not counted.
    least_gain: γ, what a split has to gain.
    subsample: the share of the rows that each tree is grown on, drawn by a secret of the label
        party's: it could leave out rows by itself anyway.
    patience: trees without a better validation loss before training stops; 0 for no validation.
    row_bits: bits of a row that the label party may learn of each feature party: levels of trees,
        over all of them, in which that one splits. When they are spent, its levels have own splits.
    partner_ways: whether scores may go one way only with some of the feature parties' columns.
    partners: feature parties, 1 to 3. They are asked level by level in turns, each by itself; the
        next tree begins with the next one, so that each is asked on every depth.
    """

    named: ClassVar[str] = "trees"

    rows: int
    trees: int
    depth: int = 4
    rate: float = 0.3
    penalty: float = 1.0
    least_weight: float = 1.0
    least_gain: float = 0.0
    subsample: float = 1.0
    patience: int = 0
    row_bits: int
    partner_ways: bool = False
    least_rows: int = 0
    partners: int = 1

    def __post_init__(self) -> None:
        """Raise MisuseError for terms that make no model."""
        _within("rows", self.rows, 1, MOST_ROWS)
        _within("trees", self.trees, 1, MOST_TREES)
        _within("depth", self.depth, 1, MOST_DEPTH)
        _within("patience", self.patience, 0, MOST_TREES)
        _within("partners", self.partners, 1, MOST_PARTNERS)
        _within("row_bits", self.row_bits, 0, MOST_TREES * MOST_DEPTH)
        _within("rate", self.rate, 1e-4, 1.0)
        _within("penalty", self.penalty, 1e-3, 1e6)
        _within("least_weight", self.least_weight, 0.0, 1e6)
        _within("least_rows", self.least_rows, 0, MOST_ROWS)
        _within("least_gain", self.least_gain, 0.0, 1e6)
        _within("subsample", self.subsample, 0.05, 1.0)

    @property
    def tree_levels(self) -> int:
        """Levels of a tree that take messages of their own: those of splits."""
        return self.depth

    @property
    def levels(self) -> int:
        """Of all trees."""
        return self.trees * self.tree_levels

    def turn(self, level: int) -> int:
        """The feature party that is asked on a level, by its number."""
        return sum(divmod(level, self.tree_levels)) % self.partners

    def following(self, level: int, partner: int) -> int:
        """The first level from this one on that is a partner's; `levels` where there is none."""
        levels = range(level, min(level + 2 * self.partners, self.levels))
        return next((each for each in levels if self.turn(each) == partner), self.levels)

    def levels_of(self, partner: int) -> int:
        """How many levels are a partner's."""
        return sum(self.turn(level) == partner for level in range(self.levels))

    def summed_nodes(self, depth: int) -> int:
        """Nodes of a level whose slopes go to the partner that is asked: one of each pair.

        Of several partners, all: the one that is asked has no sums of their parents.
        """
        return 1 << (depth if self.partners > 1 else max(0, depth - 1))

    @property
    def noise(self) -> float:
        """The label party's on each candidate's sum (`blur`); fewer rows do not bear it: 0."""
        return NOISE if self.rows >= MANY_ROWS else 0.0

    @property
    def least_heard(self) -> float:
        """The curvature that each side of a partner's split needs: chance far above the noise."""
        return max(self.least_weight, HEARD * self.noise**2)

    @property
    def lanes(self) -> int:
        """Sums of a node and bin: of slopes, of curvatures, and of rows if they are counted."""
        return 2 + (self.least_rows > 0)

    @property
    def rows_heard(self) -> int:
        """Rows that a side needs by noisy counts, so that it has `least_rows` in truth.

        Six deviations more: of a node's count and its left side's, two noises each.
        """
        return self.least_rows and self.least_rows + math.ceil(6.0 * 2.0 * self.noise)

    def digest(self) -> bytes:
        """32 bytes that name the terms."""
        return hashlib.sha256(f"{self.named} {astuple(self)}".encode()).digest()


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise MisuseError(f"{name} = {value} found, {low} to {high} allowed")
