"""What is public of a level: its shape, and the units of the numbers that are computed on it.

A gradient's sum G has `GRADIENT_BITS` fraction bits, a hessian's sum H `HESSIAN_BITS`. The
difference D = G_L - μ(H_L + λ) has more, then `fraction`: few where many rows make it large.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from psi.protocol import MisuseError

__all__ = [
    "GRADIENT_BITS",
    "HESSIAN_BITS",
    "INDEX_BITS",
    "MESSAGES_A_LEVEL",
    "MOST_CANDIDATES",
    "MOST_ROWS",
    "RECIPROCAL_BITS",
    "SCORE_BITS",
    "Level",
]

MESSAGES_A_LEVEL = 6
"""Ask, answer, tables, picks, circuit, won: in turns, from the label party first."""
GRADIENT_BITS, HESSIAN_BITS = 8, 10
MOST_CANDIDATES = 1 << 17
"""Of a level, all nodes together."""
MOST_ROWS = 1 << 22
INDEX_BITS = 7
"""Of a candidate's place u between 0 and 1, by which its scale is looked up."""
SCORE_BITS = 15
"""Of a signed score, shared modulo 2^15."""
RECIPROCAL_BITS = 22
"""Of the label party's 2^32 / T."""
_COUNTED = 64
"""So much may noise add to a count of rows."""
_MEAN_BITS, _ROOM, _BOUND, _FINEST = 14, 4, 23, 14


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of a tree, alike at both parties.

    Args:
        number: of the level in the run; no two levels share one.
        depth: 0 for the root's.
        nodes: how many, empty ones too.
        candidates: of each node.
        rows: how many the table has at most; sets units only.
        ways: whether a candidate may be kept for one sign of D alone.
        counted: whether each side of a split needs rows, which are summed up besides.

    Raises:
        MisuseError: a shape that there cannot be.
    """

    number: int
    depth: int
    nodes: int
    candidates: int
    rows: int
    ways: bool = False
    counted: bool = False

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.candidates < 1 or self.size > MOST_CANDIDATES:
            found = f"{self.nodes} nodes of {self.candidates} candidates found"
            raise MisuseError(f"{found}, 1 to {MOST_CANDIDATES} together allowed")
        if not 1 <= self.rows <= MOST_ROWS or self.number < 0 or self.depth < 0:
            raise MisuseError(f"{self.rows} rows found, 1 to {MOST_ROWS} allowed")

    @property
    def size(self) -> int:
        """Candidates of all nodes."""
        return self.nodes * self.candidates

    @property
    def _root(self) -> int:
        return _BOUND - ceil(log2(max(2.0, self.rows / 2)))

    @property
    def fraction(self) -> int:
        """Fraction bits of D: a node of half the rows may have one more."""
        return min(self._root + self.depth, _FINEST)

    @property
    def mean_bits(self) -> int:
        """By how many bits a product with μ is finer than a gradient."""
        return _MEAN_BITS + max(0, GRADIENT_BITS - self._root)

    @property
    def slope_bits(self) -> int:
        """Of the integer that stands for μ, which is below 2^5; with its sign."""
        return self.mean_bits + GRADIENT_BITS - HESSIAN_BITS + _ROOM + 2

    @property
    def dropped(self) -> int:
        """Low bits of a product with μ that D has no more: it is shared modulo 2^(32 + dropped)."""
        return GRADIENT_BITS + self.mean_bits - self.fraction

    @property
    def slope_bytes(self) -> int:
        """Of a number modulo 2^(32 + dropped)."""
        return -(-(32 + self.dropped) // 8)

    @property
    def lifts(self) -> int:
        """How many shared sums a candidate are lifted to more than 32 bits: H, in units of many
        rows G as well."""
        return 1 + (self.dropped > self.mean_bits)

    @property
    def lift_bytes(self) -> int:
        """Of a number modulo 2^dropped."""
        return max(1, -(-self.dropped // 8))

    @property
    def pick_bits(self) -> int:
        """Of a candidate, by which the feature party chooses: of its score, and what is kept."""
        return SCORE_BITS + 1 + self.ways + self.count_bits

    @property
    def count_bits(self) -> int:
        """Of a count of rows less the fewest that a side may have, with its noise; 0: not asked."""
        return (self.rows + _COUNTED).bit_length() if self.counted else 0

    @property
    def number_bits(self) -> int:
        """Bits of a candidate's number."""
        return max(1, (self.candidates - 1).bit_length())
