"""Gaussian noise on whole numbers modulo 2^64 that reaches their lowest digit, however wide it is.

A float has 53 binary digits: a number above 2^53 is a multiple of 2, 4, …, so that noise of such a
size leaves the lowest digits of what it is added to as they are, and beyond 2^63 is no number of 64
bits at all. How wide noise is follows from numbers that another party tells, so it is drawn in two
parts: the upper digits as a float has them, and those below at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psi.protocol import MisuseError

__all__ = ["whole_noise"]

_EXACT = 48
"""Noise of 2^48 units has every digit: no normal number drawn from 53 bits is beyond 2^4."""
_WIDEST = 2.0**80
"""Wider noise is uniform modulo 2^64 as it is."""


def whole_noise(
    normal: NDArray[np.float64], deviations: Any, low: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Noise in units, modulo 2^64; read as `int64` it is the number itself below 2^59 units.

    Args:
        normal: standard normal numbers, of any shape.
        deviations: of the noise in units, of a shape that broadcasts to it; 0 gives 0.
        low: uniform words of the same shape, for digits that floats lack.

    Raises:
        MisuseError: a deviation that is no number, or below 0.
    """
    widths = np.minimum(np.asarray(deviations, np.float64), _WIDEST)
    if not (widths >= 0).all():
        raise MisuseError("noise of a deviation that is no number, or below 0")
    below = np.maximum(0, np.frexp(widths)[1] - _EXACT)
    upper = np.rint(np.ldexp(normal * widths, -below)).astype(np.int64).astype(np.uint64)
    shift = np.broadcast_to(below.astype(np.uint64), upper.shape)
    digits = low & ((np.uint64(1) << shift) - np.uint64(1))
    return np.asarray((upper << shift) + digits)
