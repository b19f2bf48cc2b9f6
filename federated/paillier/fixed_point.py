"""Real numbers as integers with one exponent a vector: round(x 2^fraction_bits)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psi.protocol.errors import InputError, MisuseError

__all__ = ["decode", "encode"]


def encode(
    values: NDArray[Any], fraction_bits: int, bound: float, *, column: str = "values"
) -> NDArray[np.int64]:
    """Round to multiples of 2^-fraction_bits: an `int64` array of the same shape.

    Raises InputError, naming `column` and how many values, where one is missing, infinite or
    larger in magnitude than `bound`; never the value.
    """
    if not 0 <= fraction_bits <= 62 or not 0 < bound * 2.0**fraction_bits < 2.0**62:
        raise MisuseError(
            f"fixed point of {fraction_bits} fraction bits does not fit its bound in 63 bits"
        )
    numbers = np.asarray(values, dtype=np.float64)
    for what, wrong in (
        ("missing", np.isnan(numbers)),
        ("infinite", np.isinf(numbers)),
        ("beyond the declared bound", np.abs(numbers) > bound),
    ):
        count = int(np.count_nonzero(wrong))
        if count:
            raise InputError(
                f"column {column!r}: {count} of {numbers.size} values are {what}",
                hint="clean the column or declare a larger bound",
            )
    return np.rint(np.ldexp(numbers, fraction_bits)).astype(np.int64)


def decode(values: NDArray[Any], fraction_bits: int) -> NDArray[np.float64]:
    """The reverse of `encode`; object arrays of large integers are taken too.

    Args:
        values: integers, of any shape.
        fraction_bits: how many of their bits stand behind the point.
    """
    if values.dtype == object:
        flat = [float(int(value) / (1 << fraction_bits)) for value in values.ravel()]
        return np.array(flat, dtype=np.float64).reshape(values.shape)
    return np.ldexp(values.astype(np.float64), -fraction_bits)
