"""What both parties agree on before hidden trees are grown, and what is told by it, in bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from federated.trees.plan import CURVATURE_BITS, MANY_ROWS, SLOPE_BITS, TreesPlan
from psi.protocol import MisuseError

__all__ = ["FEWEST_ROWS", "MOST_HIDDEN", "MOST_LEAF", "MOST_SCORE_BITS", "REACH"]
__all__ += ["SUM_NOISE", "TABLE_ROWS", "TOLD_BITS", "TOLD_REACH", "VALUE_BITS", "HiddenPlan"]
__all__ += ["ring_bits", "rounding_bytes", "score_step"]

FEWEST_ROWS, MOST_HIDDEN = MANY_ROWS, 1 << 18
"""Rows that bear both parties' noise; rows whose messages are of a size to send."""
TABLE_ROWS = 1 << 14
"""Rows whose tables of slopes go in one message: the other side opens them while more are made."""
SUM_NOISE = 4.0, 1.0
"""Standard deviations of the noise on a node's G and H: so many rows' slope; one's curvature 1."""
REACH = 31
"""How far from 0 the score of a row with a label may come, in log odds, and be looked up by."""
MOST_LEAF = 1
"""What a leaf is worth at most, in log odds, whatever its sums: no row runs away from others."""
VALUE_BITS = 16
"""Fraction bits of a leaf's value."""
TOLD_REACH = 4
"""As far as scores less that of no tree are told, in log odds: what lies further is told as the
last step on its side. Few rows lie beyond."""
TOLD_BITS = VALUE_BITS + TOLD_REACH.bit_length()
"""Bits of a score that is no further, in units of a leaf's value."""
MOST_SCORE_BITS = 12
_MOST_SUM_BITS = 16


def ring_bits(trees: int) -> int:
    """Bits of a score less that of no tree, and where its steps begin: no sum of leaves wraps.

    >>> ring_bits(20)
    22
    """
    return VALUE_BITS + 1 + (trees * MOST_LEAF + TOLD_REACH).bit_length()


def rounding_bytes(trees: int, score_bits: int) -> int:
    """What telling a row's score takes at most: transfers, two blocks a product, colours."""
    ring = ring_bits(trees)
    products = 2 * ring - TOLD_BITS - 3 + score_bits
    return 4 * ring + 32 * products + 2


def score_step(score_bits: int) -> float:
    """The step of a score that is told in so many bits, in log odds: it is off by up to half.

    >>> score_step(5)
    0.25
    """
    return 2.0 * TOLD_REACH / (1 << score_bits)


@dataclass(frozen=True, kw_only=True)
class HiddenPlan(TreesPlan):
    """The terms of hidden trees, the same at both parties.

    Args:
        rows, trees, depth, rate, penalty, least_weight, subsample: as in `TreesPlan`.
        least_gain, least_rows, patience, row_bits, partner_ways: 0: there is no least gain, no
            count of rows, no validation part, no side told, no column with a way.
        partners: 1.
        score_bits: bits of a row's score that the label party is told, at most.
    """

    named: ClassVar[str] = "hidden trees"

    row_bits: int = 0
    score_bits: int

    def __post_init__(self) -> None:
        """Raise MisuseError for terms that make no model."""
        super().__post_init__()
        if not 1 <= self.score_bits <= MOST_SCORE_BITS:
            raise MisuseError(f"score_bits = {self.score_bits} found, 1 to {MOST_SCORE_BITS}")
        if self.partners > 1:
            raise MisuseError(f"{self.partners} partners found, one allowed in hidden trees")
        if self.patience or self.row_bits or self.least_gain:
            raise MisuseError("hidden trees have no validation part, row_bits or least gain")
        if self.partner_ways or self.least_rows:
            raise MisuseError("hidden trees have no ways, and count no rows")
        if self.rows > MOST_HIDDEN:
            raise MisuseError(f"{self.rows:,} rows found, {MOST_HIDDEN:,} allowed in hidden trees")

    @property
    def tree_levels(self) -> int:
        """Of splits, and leaves are a level too."""
        return self.depth + 1

    @property
    def ring_bits(self) -> int:
        """Of a score less that of no tree."""
        return ring_bits(self.trees)

    @property
    def sum_range(self) -> int:
        """Bits of a node's G or H with its noise and sign, in the units of sums."""
        return max(SLOPE_BITS, CURVATURE_BITS - 2) + 2 + math.ceil(math.log2(self.rows))

    @property
    def sum_dropped(self) -> int:
        """Low bits of it that are not told: twice its noise, or what leaves 16 bits."""
        noise = round(math.log2(SUM_NOISE[0] * 2**SLOPE_BITS))
        return max(noise + 1, self.sum_range - _MOST_SUM_BITS)

    @property
    def sum_bits(self) -> float:
        """Bits of a row that all nodes' noisy sums tell the label party at most.

        A row is in one node of each level, the leaves too. What it adds to G lies within an
        interval of 1, to H within one of 1/4: variances of 1/4 and 1/64 at most (Shannon 1948).
        """
        g, h = 1.0 / (4.0 * SUM_NOISE[0] ** 2), 1.0 / (64.0 * SUM_NOISE[1] ** 2)
        return self.levels * 0.5 * (math.log2(1.0 + g) + math.log2(1.0 + h))

    def node_bits(self, candidates: int) -> int:
        """Bits of all rows together that the label party learns by who won a node, and with what.

        Args:
            candidates: its own.
        """
        return 1 + (candidates - 1).bit_length()

    @property
    def sums_told(self) -> int:
        """Bits of all nodes' sums, of all rows together, whatever they are sums of."""
        nodes = (2 << self.depth) - 1
        return self.trees * nodes * 2 * (self.sum_range - self.sum_dropped)
