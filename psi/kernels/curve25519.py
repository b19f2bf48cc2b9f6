"""Curve25519 by u-coordinates, many points at a time.

A point is 32 bytes, u in little endian. Multiplication is the Montgomery ladder over all 256
bits of any scalar (nothing is clamped), the same instructions whatever the scalar is; the final
inversions are shared by a batch. `encode_to_curve` is the map of RFC 9380's suite
curve25519_XMD:SHA-512_ELL2_NU_ before the cofactor is cleared: the protocol's scalars are
multiples of eight, which clears it.

Sources: RFC 7748 (curve, ladder), RFC 9380 sections 5.2, 6.7.1 and 8.5 (hashing, Elligator 2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.batches25519 import (
    BATCH,
    DIVIDEND,
    DIVISOR,
    ROWS,
    divide,
    power_250,
    unpack,
    workspace,
)
from psi.kernels.cache import kernel, part
from psi.kernels.field25519 import field_program
from psi.kernels.hashing import expand_words
from psi.kernels.ladder25519 import BITS, ladder
from psi.kernels.lanes25519 import PRIME
from psi.kernels.rows25519 import BLOCK, ROW
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["LOW_ORDER", "ORDER", "PRIME", "canonical", "encode_to_curve", "is_zero"]
__all__ += ["low_order", "multiply", "multiply_each", "point_words"]

ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the prime-order subgroup; the cofactor is 8."""

LOW_ORDER = (
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    PRIME - 1,
)
"""All u-coordinates of order 1, 2, 4 and 8 on the curve and its twist."""

Points = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_CHUNK = 1 << 16
"""Items hashed at a time, so that digests of a large set never lie in memory together."""


_T, _G, _ONE, _J, _MINUS_J, _CHI = range(6)
_POWER = 6
_map = field_program(
    "map",
    # a = low 255 bits, b = the rest: u = a + 19 b
    ("constant", _T, 19),
    ("multiply", "b", "b", _T),
    ("add", "a", "a", "b"),
    # w = 2 u^2, d = 1 + w: the candidates are -J / d and -J w / d
    ("square", "a", "a"),
    ("add", "a", "a", "a"),
    ("constant", _ONE, 1),
    ("add", "b", "a", _ONE),
    ("constant", _J, 486662),
    ("subtract", _T, _ONE, _J),
    ("subtract", _MINUS_J, _T, _ONE),
    # g = d J (J^2 w - d^2), a square exactly if the first candidate is on the curve
    ("square", _T, "b"),
    ("square", _G, _J),
    ("multiply", _G, _G, "a"),
    ("subtract", _G, _G, _T),
    ("multiply", _G, _G, _J),
    ("multiply", _G, _G, "b"),
    # Legendre: (p - 1) / 2 = (2^250 - 1) 2^4 + 6
    *power_250(_G, _CHI, _POWER),
    ("squares", _CHI, _CHI, 4),
    ("square", _T, _G),
    ("multiply", _T, _T, _G),
    ("square", _T, _T),
    ("multiply", _CHI, _CHI, _T),
    ("multiply", "a", "a", _MINUS_J),
    ("choose", "a", _MINUS_J, _CHI),
)


@part
def _exchanges(scalars, first, each, masks):  # type: ignore[no-untyped-def]
    """For each step of the ladder whether the points change places: all ones, or zero."""
    for k in range(BLOCK):
        row = min(first + k, len(scalars) - 1) * each
        before = np.uint64(0)
        for step in range(BITS):
            bit = BITS - 1 - step
            value = (scalars[row, bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1)
            masks[step * BLOCK + k] = np.uint64(0) - (value ^ before)
            before = value
        masks[BITS * BLOCK + k] = np.uint64(0) - before


@kernel
def _multiply_rows(low, high, points, scalars, each, out):  # type: ignore[no-untyped-def]
    """`each` is 1 for a scalar a point, 0 for one for all."""
    work = workspace(ROWS * ROW)
    masks = workspace((BITS + 1) * BLOCK)
    _exchanges(scalars, low, each, masks)
    for start in range(low, high, BATCH * BLOCK):
        count = min(BATCH, (high - start + BLOCK - 1) // BLOCK)
        for i in range(count):
            first = start + i * BLOCK
            if each:
                _exchanges(scalars, first, each, masks)
            unpack(points, first, 0, work, 0)
            ladder(work, masks, DIVIDEND + i, DIVISOR + i, 0)
        divide(work, out, start, high, count)


@kernel
def _map_rows(low, high, uniform, out):  # type: ignore[no-untyped-def]
    """Elligator 2 of 384-bit numbers, `uint64[n, 6]`, lowest word first."""
    work = workspace(ROWS * ROW)
    for start in range(low, high, BATCH * BLOCK):
        count = min(BATCH, (high - start + BLOCK - 1) // BLOCK)
        for i in range(count):
            unpack(uniform, start + i * BLOCK, 0, work, DIVIDEND + i)
            unpack(uniform, start + i * BLOCK, 255, work, DIVISOR + i)
            _map(work, DIVIDEND + i, DIVISOR + i, 0)
        divide(work, out, start, high, count)


def point_words(points: Points) -> Words:
    """32 bytes a row as four 64-bit words."""
    if points.ndim != 2 or points.shape[1] != 32 or points.dtype != np.uint8:
        raise ValueError(f"points of shape {points.shape} found, n × 32 bytes allowed")
    return readonly(points).view("<u8")


def _multiply(points: Points, scalars: Points, each: int) -> Points:
    out = np.empty((len(points), 4), "<u8")
    if len(out):
        args = (point_words(points), point_words(scalars), each, out)
        parallel_rows(_multiply_rows, len(out), *args, block=BLOCK)
    return out.view(np.uint8)


def multiply(points: Points, scalar: bytes) -> Points:
    """`scalar` (32 bytes, little endian, any 256-bit number) times every point: `uint8[n, 32]`.

    The top bit of a point is not looked at. A point of low order times a multiple of eight is
    zero; the caller refuses zeros. Raises `ValueError` on a wrong shape or length.
    """
    if len(scalar) != 32:
        raise ValueError(f"a scalar of {len(scalar)} bytes found, 32 allowed")
    return _multiply(points, np.frombuffer(scalar, np.uint8).reshape(1, 32), 0)


def multiply_each(points: Points, scalars: Points) -> Points:
    """Row i of `scalars` (`uint8[n, 32]`, little endian) times point i: `uint8[n, 32]`."""
    if len(points) != len(scalars):
        raise ValueError(f"{len(scalars)} scalars found, {len(points)} allowed")
    return _multiply(points, scalars, 1)


def encode_to_curve(data: Any, offsets: Any, dst: bytes) -> Points:
    """The u-coordinate of RFC 9380's map for every string, cofactor not cleared: `uint8[n, 32]`.

    `data: uint8[]` and `offsets: int64[n + 1]` are an Arrow string column.
    """
    out = np.empty((len(offsets) - 1, 4), "<u8")
    for first in range(0, len(out), _CHUNK):
        piece = out[first : first + _CHUNK]
        uniform = expand_words(data, offsets[first : first + len(piece) + 1], dst)
        parallel_rows(_map_rows, len(piece), readonly(uniform), piece, block=BLOCK)
    return out.view(np.uint8)


def canonical(points: Points) -> Flags:
    """Whether each 32-byte string is a number below p: `bool[n]`."""
    words = point_words(points)
    top, full = words[:, 3], np.uint64(2**64 - 1)
    good = top < 2**63
    # all but one in 2^63 random points are done here
    rows = np.flatnonzero(top == 2**63 - 1)
    at_top = (words[rows, 2] == full) & (words[rows, 1] == full)
    good[rows] = ~(at_top & (words[rows, 0] >= 2**64 - 19))
    return np.asarray(good)


def is_zero(points: Points) -> Flags:
    """Whether each point is zero, as low-order points are after a multiple of eight: `bool[n]`."""
    words = point_words(points)
    return np.asarray((words[:, 0] | words[:, 1] | words[:, 2] | words[:, 3]) == 0)


def low_order(points: Points) -> Flags:
    """Whether each canonical point is one of `LOW_ORDER`: `bool[n]`."""
    words = point_words(points)
    bad = np.zeros(len(words), np.bool_)
    for value in LOW_ORDER:
        wanted = np.frombuffer(value.to_bytes(32, "little"), "<u8")
        rows = np.flatnonzero(words[:, 0] == wanted[0])
        bad[rows] |= (words[rows] == wanted).all(axis=1)
    return np.asarray(bad)
