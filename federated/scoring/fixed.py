"""Scores in whole numbers: the same row has the same score, on every machine and in any batch.

Each column's contribution, value times coefficient, is rounded to 2^-30 by itself, and these are
added up as whole numbers: an order of adding, a number of rows or a library for matrices changes
nothing. A partner's part is told as the number of a step: steps are 2^shift units wide, and a row
is told in the middle of its own. Finer steps halve coarser ones, so that what several models' ages
of asking tell of a row is no more than the finest does.

How much a step tells: of all whole numbers with a variance V the entropy is at most
1/2 log2(2 pi e (V + 1/12)) (Massey 1988; Cover and Thomas 2006, 8.5.1), V = (deviation / step)^2.
The step is the smallest power of two for which that is at most 1/2 log2(1 + 4^b), what noise of
2^-b deviations tells in a training: b is `score_bits`. What lies further than FARTHEST deviations
from the mean is told as that far, so no row tells more than log2(2 FARTHEST deviation / step + 1).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["FRACTION_BITS", "LARGEST_SHIFT", "fixed_scores", "levels_of", "middle", "shift_of"]

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

FRACTION_BITS = 30
"""Fraction bits of a score."""
LARGEST_SHIFT = 62
FARTHEST = 8
"""Deviations from the mean at which a partner's part ends."""
_MOST = 2.0**30
_ROWS = 1 << 16


def fixed_scores(matrix: Floats, coefficients: Floats, intercept: float = 0.0) -> Whole:
    """`int64[n]`: each row's sum of values times coefficients, in units of 2^-30.

    Args:
        matrix: `float64[n, d]`, finite.
        coefficients: `float64[d]`.
        intercept: added to each row.
    """
    found = np.full(len(matrix), _units(np.array([intercept]))[0])
    for start in range(0, len(matrix), _ROWS):  # memory grows with chunks
        part = slice(start, start + _ROWS)
        found[part] += _units(matrix[part] * coefficients).sum(axis=1)
    return found


def shift_of(deviation: float, score_bits: int) -> int:
    """The step of a part with this standard deviation, as a power of two of units: 1 to 62."""
    most = (1.0 + 4.0**score_bits) / (2.0 * math.pi * math.e) - 1.0 / 12.0
    step = math.ldexp(deviation, FRACTION_BITS) / math.sqrt(most)
    return min(LARGEST_SHIFT, max(1, math.ceil(math.log2(step)) if step > 0 else 1))


def levels_of(scores: Whole, shift: int, mean: float, deviation: float) -> Whole:
    """`int64[n]`: the number of each row's step."""
    ends = _units(np.array([mean - FARTHEST * deviation, mean + FARTHEST * deviation]))
    return np.asarray(np.clip(scores, *ends) >> shift)


def middle(levels: Whole, shift: int, parts: int = 1) -> Whole:
    """`int64[n]`: in units, the middle of steps, of which `parts` were added up."""
    return np.asarray((levels << shift) + (parts << (shift - 1)))


def _units(numbers: Floats) -> Whole:
    within = np.clip(numbers, -_MOST, _MOST)
    return np.rint(np.ldexp(within, FRACTION_BITS)).astype(np.int64)
