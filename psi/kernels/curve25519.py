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

from psi.kernels.cache import kernel, part
from psi.kernels.field25519 import field_program
from psi.kernels.hashing import expand_words
from psi.kernels.ladder25519 import BITS, ladder
from psi.kernels.lanes25519 import PRIME
from psi.kernels.rows25519 import BLOCK, ELEMENT, LANES, LIMBS, ROW
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["ORDER", "PRIME", "canonical", "encode_to_curve", "is_zero", "multiply", "multiply_each"]

ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the prime-order subgroup; the cofactor is 8."""

Points = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_CHUNK = 1 << 16
"""Items hashed at a time, so that digests of a large set never lie in memory together."""
_BATCH = 32
"""Blocks whose inversions are shared."""
_SCRATCH = 12
_X, _Z, _PREFIX = _SCRATCH, _SCRATCH + _BATCH, _SCRATCH + 2 * _BATCH
_ROWS = _PREFIX + _BATCH
_M51, _M26 = np.uint64(2**51 - 1), np.uint64(2**26 - 1)


def _power_250(z: int, out: int, t: int) -> list[tuple[Any, ...]]:
    """out = z^(2^250 - 1), t + 1 = z^11; rows t..t+3 are used. The usual addition chain."""
    a, b, c, d = t, t + 1, t + 2, t + 3
    return [
        ("square", a, z),
        ("squares", c, a, 2),
        ("multiply", c, c, z),
        ("multiply", b, a, c),
        ("square", a, b),
        ("multiply", c, c, a),
        ("squares", a, c, 5),
        ("multiply", c, a, c),
        ("squares", a, c, 10),
        ("multiply", a, a, c),
        ("squares", d, a, 20),
        ("multiply", a, d, a),
        ("squares", a, a, 10),
        ("multiply", c, a, c),
        ("squares", a, c, 50),
        ("multiply", a, a, c),
        ("squares", d, a, 100),
        ("multiply", a, d, a),
        ("squares", a, a, 50),
        ("multiply", out, a, c),
    ]


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
    *_power_250(_G, _CHI, _POWER),
    ("squares", _CHI, _CHI, 4),
    ("square", _T, _G),
    ("multiply", _T, _T, _G),
    ("square", _T, _T),
    ("multiply", _CHI, _CHI, _T),
    ("multiply", "a", "a", _MINUS_J),
    ("choose", "a", _MINUS_J, _CHI),
)
_invert = field_program(
    # p - 2 = (2^250 - 1) 2^5 + 11
    "invert",
    *_power_250(0, 1, 2),
    ("squares", 1, 1, 5),
    ("multiply", 0, 1, 3),
)
_begin = field_program("begin", ("constant", "a", 1))
_enter = field_program("enter", ("guard", "a", "b"), ("copy", "c", 0), ("multiply", 0, 0, "b"))
_leave = field_program(
    "leave", ("multiply", 1, 0, "c"), ("multiply", "a", "a", 1), ("multiply", 0, 0, "b")
)
_freeze = field_program("least", ("freeze", "a", "a"))


@part
def _workspace(words):  # type: ignore[no-untyped-def]
    """`words` 64-bit words that begin where a cache line begins."""
    data = np.empty(words + 8, np.uint64)
    skip = (-(data.ctypes.data >> 3)) & 7
    return data[skip : skip + words]


@part
def _unpack(rows, first, bit, work, row):  # type: ignore[no-untyped-def]
    """255 bits from `bit` on of BLOCK rows (past the end the last one again) into a row."""
    width = rows.shape[1]
    for k in range(BLOCK):
        source = min(first + k, len(rows) - 1)
        place = row * ROW + (k // LANES) * ELEMENT + k % LANES
        for limb in range(5):
            word, shift = (bit + 51 * limb) >> 6, (bit + 51 * limb) & 63
            value = np.uint64(0)
            if word < width:
                value = rows[source, word] >> np.uint64(shift)
            if shift > 13 and word + 1 < width:
                value |= rows[source, word + 1] << np.uint64(64 - shift)
            value &= _M51
            if LIMBS == 5:
                work[place + limb * LANES] = value
            else:
                work[place + 2 * limb * LANES] = value & _M26
                work[place + (2 * limb + 1) * LANES] = value >> np.uint64(26)


@part
def _pack(work, row, rows, first, last):  # type: ignore[no-untyped-def]
    """Frozen elements to 256-bit numbers, those of rows below `last`."""
    limbs = np.empty(5, np.uint64)
    for k in range(min(BLOCK, last - first)):
        place = row * ROW + (k // LANES) * ELEMENT + k % LANES
        for limb in range(5):
            if LIMBS == 5:
                limbs[limb] = work[place + limb * LANES]
            else:
                high = work[place + (2 * limb + 1) * LANES] << np.uint64(26)
                limbs[limb] = work[place + 2 * limb * LANES] | high
        for word in range(4):
            # 64 w = 51 w + 13 w: word w begins at bit 13 w of limb w
            low = limbs[word] >> np.uint64(13 * word)
            rows[first + k, word] = low | (limbs[word + 1] << np.uint64(51 - 13 * word))


@part
def _divide(work, rows, first, last, count):  # type: ignore[no-untyped-def]
    """Rows _X.. over rows _Z.. with one inversion, 0 where the divisor is 0; packed.

    Source: Montgomery's simultaneous inversion. Row 0 runs along the products.
    """
    _begin(work, 0, 0, 0)
    for i in range(count):
        _enter(work, _X + i, _Z + i, _PREFIX + i)
    _invert(work, 0, 0, 0)
    for i in range(count - 1, -1, -1):
        _leave(work, _X + i, _Z + i, _PREFIX + i)
        _freeze(work, _X + i, 0, 0)
        _pack(work, _X + i, rows, first + i * BLOCK, last)


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
    work = _workspace(_ROWS * ROW)
    masks = _workspace((BITS + 1) * BLOCK)
    _exchanges(scalars, low, each, masks)
    for start in range(low, high, _BATCH * BLOCK):
        count = min(_BATCH, (high - start + BLOCK - 1) // BLOCK)
        for i in range(count):
            first = start + i * BLOCK
            if each:
                _exchanges(scalars, first, each, masks)
            _unpack(points, first, 0, work, 0)
            ladder(work, masks, _X + i, _Z + i, 0)
        _divide(work, out, start, high, count)


@kernel
def _map_rows(low, high, uniform, out):  # type: ignore[no-untyped-def]
    """Elligator 2 of 384-bit numbers, `uint64[n, 6]`, lowest word first."""
    work = _workspace(_ROWS * ROW)
    for start in range(low, high, _BATCH * BLOCK):
        count = min(_BATCH, (high - start + BLOCK - 1) // BLOCK)
        for i in range(count):
            _unpack(uniform, start + i * BLOCK, 0, work, _X + i)
            _unpack(uniform, start + i * BLOCK, 255, work, _Z + i)
            _map(work, _X + i, _Z + i, 0)
        _divide(work, out, start, high, count)


def _words(points: Points) -> Words:
    """32 bytes a row as four 64-bit words."""
    if points.ndim != 2 or points.shape[1] != 32 or points.dtype != np.uint8:
        raise ValueError(f"points of shape {points.shape} found, n × 32 bytes allowed")
    return readonly(points).view("<u8")


def _multiply(points: Points, scalars: Points, each: int) -> Points:
    out = np.empty((len(points), 4), "<u8")
    if len(out):
        args = (_words(points), _words(scalars), each, out)
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
    words = _words(points)
    top, full = words[:, 3], np.uint64(2**64 - 1)
    good = top < 2**63
    # all but one in 2^63 random points are done here
    rows = np.flatnonzero(top == 2**63 - 1)
    at_top = (words[rows, 2] == full) & (words[rows, 1] == full)
    good[rows] = ~(at_top & (words[rows, 0] >= 2**64 - 19))
    return np.asarray(good)


def is_zero(points: Points) -> Flags:
    """Whether each point is zero, as low-order points are after a multiple of eight: `bool[n]`."""
    words = _words(points)
    return np.asarray((words[:, 0] | words[:, 1] | words[:, 2] | words[:, 3]) == 0)
