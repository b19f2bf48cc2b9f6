"""Noise on what a join and sum opens, so that one shared record more or less does not show.

Every number that is told gets discrete Laplace noise of its own. A record moves a count by one and
a sum by its range at most, since the sender clips its values to the contract's ranges before it
encrypts them; epsilon is shared out evenly over all numbers. Values and noise are multiples of one
step, which grows with the range, so that no digit below the noise's is told.

Source: Dwork, McSherry, Nissim and Smith 2006; Ghosh, Roughgarden and Sundararajan 2009.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from federated.aggregate.noise import Noise, most_noise
from federated.join_sum.layout import FRACTION_BITS
from federated.join_sum.placed import Placed
from psi.protocol import MisuseError

__all__ = ["Noising"]

RANGE_BITS = 32
"""Of a range, in steps: with epsilon of a thousandth and 256 columns noise stays below 2^63."""

Ints = np.ndarray[Any, np.dtype[np.int64]]


class Noising:
    """For `columns`, of which those in `ranges` are summed: `low` to `high` in whole numbers.

    `epsilon` is of the whole release, in thousandths.
    """

    def __init__(
        self, columns: Sequence[str], ranges: Mapping[str, tuple[int, int]], epsilon: int
    ) -> None:
        if epsilon < 1 or not set(ranges) <= set(columns):
            raise MisuseError("noise needs an epsilon, and ranges of the columns that are summed")
        self._columns, self._ranges = list(columns), dict(ranges)
        told = len(self._columns) + len(self._ranges)
        self.steps = [self._step(column) for column in self._columns]
        """Multiples of 2^-20 in a step, column by column."""
        self.count_scale = -(-told * 1000 // epsilon)
        self.sum_scales = [
            -(-told * 1000 * self._reach(column) // (step * epsilon)) if column in ranges else 0
            for column, step in zip(self._columns, self.steps, strict=True)
        ]
        """In steps; 0 where no sum is told."""

    def __repr__(self) -> str:
        return f"<noise on {len(self._columns)} columns>"

    def _reach(self, column: str) -> int:
        """How far one record moves a sum, in fixed point: it comes, goes or has another value."""
        low, high = self._ranges[column]
        return max(abs(low), abs(high), high - low) << FRACTION_BITS

    def _step(self, column: str) -> int:
        if column not in self._ranges:
            return 1
        return 1 << max(0, self._reach(column).bit_length() - RANGE_BITS)

    def bounded(self, placed: Placed) -> Placed:
        """Values clipped to their ranges, in whole steps; those of columns only counted are 0."""
        values = np.zeros_like(placed.values)
        for number, (column, step) in enumerate(zip(self._columns, self.steps, strict=True)):
            if column in self._ranges:
                low, high = (limit << FRACTION_BITS for limit in self._ranges[column])
                clipped = np.clip(placed.values[:, number], low, high)
                values[:, number] = np.where(placed.there[:, number], clipped // step * step, 0)
        return Placed(values, placed.there)

    def draw(self, noise: Noise) -> tuple[Ints, list[int]]:
        """Noise for each count, and for each sum in fixed point."""
        counts = noise([self.count_scale] * len(self._columns))
        sums = [noise([scale])[0] if scale else 0 for scale in self.sum_scales]
        scaled = [number * step for number, step in zip(sums, self.steps, strict=True)]
        return np.array(counts, np.int64), scaled

    @property
    def farthest_count(self) -> int:
        """The largest noise of a count."""
        return most_noise(self.count_scale)

    @property
    def farthest_sums(self) -> list[int]:
        """The largest noise of each sum, in fixed point."""
        pairs = zip(self.sum_scales, self.steps, strict=True)
        return [most_noise(scale) * step for scale, step in pairs]

    @property
    def largest(self) -> list[int]:
        """The largest magnitude of a value of each column, in fixed point; 0 if it is not told."""
        ranges = [self._ranges.get(column, (0, 0)) for column in self._columns]
        return [max(abs(low), abs(high)) << FRACTION_BITS for low, high in ranges]

    def moves(self) -> tuple[float, dict[str, float]]:
        """How far noise moves a count, and a sum of each column, in 95 of 100 cases."""
        found = zip(self._columns, self.sum_scales, self.steps, strict=True)
        sums = {c: 3.0 * scale * step / 2**FRACTION_BITS for c, scale, step in found if scale}
        return 3.0 * self.count_scale, sums
