"""Squares of values in lanes of 64 bits: their sum comes out exactly, and next to nothing
beside it. An exact sum of squares is much by itself, of few rows above all.

A square in units of 2^-40 has up to 108 bits. One lane has it modulo 2^64; a second one about how
many times 2^46 it is, rounded at random and with a little noise. Sums of the first are exact modulo
2^64, those of the second tell which multiple of 2^64 it is: both together the sum. Cut into parts
that add up exactly, squares would tell the sum of each part. Of what the second tells beside the
sum, rounding, a row's share lies under noise of thirteen times its largest variance for each row.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from federated.aggregate.measured import scaled, square
from psi.protocol import InputError, MisuseError

__all__ = ["FULL_SQUARES", "HIGH", "SEED", "check_squares", "square_lanes", "whole_squares"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

HIGH = "square high"
"""What the second lane is of, beside "square"."""
SEED = 32
_STEP = 46
"""The second lane counts 2^46: sums of it are right to 2^17, and off by 3.3 √rows (one sd)."""
_DRAWN, _NOISE = 16, 7
FULL_SQUARES = 2.0**108
"""Squares of all rows together, in units of 2^-40, for the second lane to hold half its room."""


def check_squares(name: str, column: Floats, where: str = "") -> None:
    """Raise `InputError` where a column's squares are too large, all together, for their lanes.

    Args:
        name: of the column.
        column: `float64[rows]`, NaN for none.
        where: what the error begins with.
    """
    if np.square(scaled(column).astype(np.float64)).sum() >= FULL_SQUARES:
        raise InputError(
            f"{where}column {name!r}: the squares of {len(column):,} values add up to 2^68 or "
            "more, which private sums do not hold",
            hint='divide them by 1000, or take protocol = "paillier"',
        )


def square_lanes(column: Floats, seed: bytes, name: str) -> Words:
    """Both lanes of each row, `uint64[rows, 2]`.

    Args:
        column: `float64[rows]`, NaN for none.
        seed: 32 secret bytes: the same rows have the same lanes, whenever they are asked for.
        name: of the column and its section; no two have the same.
    """
    if len(seed) != SEED:
        raise MisuseError("squares without a seed")
    key = hashlib.blake2s(name.encode(), key=seed, person=b"squares1").digest()
    drawn = np.frombuffer(hashlib.shake_256(key).digest(4 * len(column)), "<u4").astype(np.uint64)
    words = square(scaled(column))
    part = (drawn & np.uint64((1 << _DRAWN) - 1)) << np.uint64(_STEP - _DRAWN)
    low = words[:, 0] + part
    high = words[:, 1] + (low < part)
    rounded = high << np.uint64(64 - _STEP) | low >> np.uint64(_STEP)
    more, less = (drawn >> np.uint64(at) & np.uint64(_NOISE) for at in (_DRAWN, _DRAWN + 3))
    return np.stack([words[:, 0], rounded + more - less], axis=1)


def whole_squares(low: Words, high: Words) -> np.ndarray:
    """Sums of squares, whole numbers `object[groups]`, from the sums of both lanes.

    Args:
        low: modulo 2^64, `uint64[groups]`.
        high: `uint64[groups]`, two's complement.
    """
    exact = low.astype(object)
    about = high.view(np.int64).astype(object) * (1 << _STEP)
    half = 1 << 63
    return np.asarray(exact + (about - exact + half) // (1 << 64) * (1 << 64), object)
