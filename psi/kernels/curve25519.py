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

from psi.kernels.cache import kernel
from psi.kernels.field25519 import (
    LANES,
    fe_add,
    fe_multiply,
    fe_square,
    fe_subtract,
    ladder_step,
)
from psi.kernels.hashing import expand_message
from psi.kernels.simd import parallel_rows

__all__ = ["ORDER", "PRIME", "canonical", "encode_to_curve", "is_zero", "multiply", "multiply_each"]

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the prime-order subgroup; the cofactor is 8."""

Points = np.ndarray[Any, np.dtype[np.uint8]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_M51 = np.uint64(2**51 - 1)
_J = 486662
_ROWS = 24
_BATCH = 64
"""Lane blocks whose inversions are shared."""


@kernel
def _constant(work, row, value):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        work[row, 0, lane] = value
        for limb in range(1, 5):
            work[row, limb, lane] = 0


@kernel
def _copy(work, to, row):  # type: ignore[no-untyped-def]
    for limb in range(5):
        for lane in range(LANES):
            work[to, limb, lane] = work[row, limb, lane]


@kernel
def _word(data, row, start):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for i in range(8):
        value |= np.uint64(data[row, start + i]) << np.uint64(8 * i)
    return value


@kernel
def _unpack(points, first, work, row):  # type: ignore[no-untyped-def]
    """LANES points from `first` on (the last one again past the end) into a row, top bit off."""
    for lane in range(LANES):
        k = min(first + lane, len(points) - 1)
        a, b = _word(points, k, 0), _word(points, k, 8)
        c, d = _word(points, k, 16), _word(points, k, 24) & np.uint64(2**63 - 1)
        work[row, 0, lane] = a & _M51
        work[row, 1, lane] = ((a >> np.uint64(51)) | (b << np.uint64(13))) & _M51
        work[row, 2, lane] = ((b >> np.uint64(38)) | (c << np.uint64(26))) & _M51
        work[row, 3, lane] = ((c >> np.uint64(25)) | (d << np.uint64(39))) & _M51
        work[row, 4, lane] = d >> np.uint64(12)


@kernel
def _reduce(work, row, lane, limbs):  # type: ignore[no-untyped-def]
    """The least representative of one element as five 51-bit limbs; no branch."""
    for limb in range(5):
        limbs[limb] = work[row, limb, lane]
    for _ in range(2):
        for limb in range(4):
            limbs[limb + 1] += limbs[limb] >> np.uint64(51)
            limbs[limb] &= _M51
        limbs[0] += np.uint64(19) * (limbs[4] >> np.uint64(51))
        limbs[4] &= _M51
    over = (limbs[0] + np.uint64(19)) >> np.uint64(51)
    for limb in range(1, 5):
        over = (limbs[limb] + over) >> np.uint64(51)
    limbs[0] += np.uint64(19) * over
    for limb in range(4):
        limbs[limb + 1] += limbs[limb] >> np.uint64(51)
        limbs[limb] &= _M51
    limbs[4] &= _M51


@kernel
def _pack(work, row, points, first, last, limbs):  # type: ignore[no-untyped-def]
    for lane in range(LANES):
        if first + lane >= last:
            break
        _reduce(work, row, lane, limbs)
        words = (
            limbs[0] | (limbs[1] << np.uint64(51)),
            (limbs[1] >> np.uint64(13)) | (limbs[2] << np.uint64(38)),
            (limbs[2] >> np.uint64(26)) | (limbs[3] << np.uint64(25)),
            (limbs[3] >> np.uint64(39)) | (limbs[4] << np.uint64(12)),
        )
        for i in range(4):
            for j in range(8):
                value = (words[i] >> np.uint64(8 * j)) & np.uint64(255)
                points[first + lane, 8 * i + j] = np.uint8(value)


@kernel
def _squares(work, to, row, count):  # type: ignore[no-untyped-def]
    fe_square(work, to, row, row)
    for _ in range(count - 1):
        fe_square(work, to, to, to)


@kernel
def _power_250(work, z, t, out):  # type: ignore[no-untyped-def]
    """out = z^(2^250 - 1), t+1 = z^11; uses rows t..t+3. The usual addition chain."""
    a, b, c, d = t, t + 1, t + 2, t + 3
    fe_square(work, a, z, z)
    _squares(work, c, a, 2)
    fe_multiply(work, c, c, z)
    fe_multiply(work, b, a, c)
    fe_square(work, a, b, b)
    fe_multiply(work, c, c, a)
    _squares(work, a, c, 5)
    fe_multiply(work, c, a, c)
    _squares(work, a, c, 10)
    fe_multiply(work, a, a, c)
    _squares(work, d, a, 20)
    fe_multiply(work, a, d, a)
    _squares(work, a, a, 10)
    fe_multiply(work, c, a, c)
    _squares(work, a, c, 50)
    fe_multiply(work, a, a, c)
    _squares(work, d, a, 100)
    fe_multiply(work, a, d, a)
    _squares(work, a, a, 50)
    fe_multiply(work, out, a, c)


@kernel
def _invert(work, row, t):  # type: ignore[no-untyped-def]
    """row = row^(p - 2), zero for zero; uses rows t..t+4."""
    _power_250(work, row, t, t + 4)
    _squares(work, t + 4, t + 4, 5)
    fe_multiply(work, row, t + 4, t + 1)


@kernel
def _is_zero_row(work, row, lane, limbs):  # type: ignore[no-untyped-def]
    _reduce(work, row, lane, limbs)
    joined = limbs[0] | limbs[1] | limbs[2] | limbs[3] | limbs[4]
    return ((joined | (np.uint64(0) - joined)) >> np.uint64(63)) ^ np.uint64(1)


@kernel
def _add_where_zero(work, to, row, limbs):  # type: ignore[no-untyped-def]
    """to = row, but one in every lane where row is zero: safe to put in a product."""
    for lane in range(LANES):
        zero = _is_zero_row(work, row, lane, limbs)
        for limb in range(5):
            work[to, limb, lane] = work[row, limb, lane]
        work[to, 0, lane] += zero


@kernel
def _divide_batch(work, numerators, denominators, count, limbs):  # type: ignore[no-untyped-def]
    """numerators[i] /= denominators[i] for the batch with one inversion; x / 0 is 0.

    Rows 5..15 of `work` are used; `denominators` is spoiled. Where a denominator is zero the
    ladder's numerator is multiplied by zero.
    """
    _constant(work, 5, 1)
    for i in range(count):
        for limb in range(5):
            for lane in range(LANES):
                work[6, limb, lane] = denominators[i, limb, lane]
        _add_where_zero(work, 7, 6, limbs)
        for limb in range(5):
            for lane in range(LANES):
                keep = np.uint64(0) - (np.uint64(1) - _same(work, 6, 7, lane))
                numerators[i, limb, lane] &= ~keep
                denominators[i, limb, lane] = work[7, limb, lane]
                numerators[count + i, limb, lane] = work[5, limb, lane]
        fe_multiply(work, 5, 5, 7)
    _invert(work, 5, 8)
    for i in range(count - 1, -1, -1):
        for limb in range(5):
            for lane in range(LANES):
                work[6, limb, lane] = numerators[count + i, limb, lane]
                work[7, limb, lane] = denominators[i, limb, lane]
                work[8, limb, lane] = numerators[i, limb, lane]
        fe_multiply(work, 6, 6, 5)
        fe_multiply(work, 8, 8, 6)
        fe_multiply(work, 5, 5, 7)
        for limb in range(5):
            for lane in range(LANES):
                numerators[i, limb, lane] = work[8, limb, lane]


@kernel
def _same(work, x, y, lane):  # type: ignore[no-untyped-def]
    """1 if limb 0 of both rows is equal in this lane (they differ only where one was added)."""
    gap = work[x, 0, lane] ^ work[y, 0, lane]
    return ((gap | (np.uint64(0) - gap)) >> np.uint64(63)) ^ np.uint64(1)


@kernel
def _ladder(work, bits):  # type: ignore[no-untyped-def]
    """Rows 1, 2 = scalar times the point in row 0, as x, z. `bits: int64[256]`, low first."""
    _constant(work, 1, 1)
    _constant(work, 2, 0)
    _copy(work, 3, 0)
    _constant(work, 4, 1)
    swap = np.int64(0)
    for t in range(255, -1, -1):
        ladder_step(work, swap ^ bits[t])
        swap = bits[t]
    ladder_swap(work, swap)


@kernel
def ladder_swap(work, swap):  # type: ignore[no-untyped-def]
    """Exchange rows 1, 2 with 3, 4 where `swap` is 1, by a mask."""
    mask = np.uint64(0) - np.uint64(swap)
    for row in range(1, 3):
        for limb in range(5):
            for lane in range(LANES):
                flip = (work[row, limb, lane] ^ work[row + 2, limb, lane]) & mask
                work[row, limb, lane] ^= flip
                work[row + 2, limb, lane] ^= flip


@kernel
def _multiply_rows(low, high, points, bits, out):  # type: ignore[no-untyped-def]
    work = np.zeros((_ROWS, 5, LANES), np.uint64)
    limbs = np.empty(5, np.uint64)
    xs = np.empty((2 * _BATCH, 5, LANES), np.uint64)
    zs = np.empty((_BATCH, 5, LANES), np.uint64)
    for start in range(low, high, _BATCH * LANES):
        count = min(_BATCH, (high - start + LANES - 1) // LANES)
        for i in range(count):
            _unpack(points, start + i * LANES, work, 0)
            _ladder(work, bits)
            for limb in range(5):
                for lane in range(LANES):
                    xs[i, limb, lane] = work[1, limb, lane]
                    zs[i, limb, lane] = work[2, limb, lane]
        _divide_batch(work, xs, zs, count, limbs)
        for i in range(count):
            for limb in range(5):
                for lane in range(LANES):
                    work[1, limb, lane] = xs[i, limb, lane]
            _pack(work, 1, out, start + i * LANES, high, limbs)


@kernel
def _map_one(work, limbs):  # type: ignore[no-untyped-def]
    """Elligator 2 on row 0: rows 1, 2 = numerator and denominator of u. Uses rows 3..16."""
    u, x, d, t, one, j, g = 0, 1, 2, 3, 4, 5, 6
    _constant(work, one, 1)
    _constant(work, j, _J)
    fe_square(work, t, u, u)
    fe_add(work, t, t, t)
    fe_add(work, d, t, one)
    _constant(work, 7, 0)
    fe_subtract(work, x, 7, j)
    fe_square(work, 7, d, d)
    fe_multiply(work, g, j, t)
    fe_multiply(work, g, g, x)
    fe_add(work, g, g, 7)
    fe_multiply(work, g, g, x)
    fe_multiply(work, 7, 7, d)
    fe_multiply(work, g, g, 7)
    _power_250(work, g, 8, 12)
    _squares(work, 12, 12, 4)
    fe_multiply(work, 13, g, g)
    fe_multiply(work, 13, 13, g)
    fe_square(work, 14, 13, 13)
    fe_multiply(work, 12, 12, 14)
    fe_multiply(work, 15, x, t)
    for lane in range(LANES):
        _reduce(work, 12, lane, limbs)
        square = np.uint64(limbs[0] <= np.uint64(1)) & np.uint64(limbs[4] == np.uint64(0))
        keep = np.uint64(0) - square
        for limb in range(5):
            first, second = work[1, limb, lane], work[15, limb, lane]
            work[1, limb, lane] = (first & keep) | (second & ~keep)


@kernel
def _map_rows(low, high, elements, out):  # type: ignore[no-untyped-def]
    work = np.zeros((_ROWS, 5, LANES), np.uint64)
    limbs = np.empty(5, np.uint64)
    xs = np.empty((2 * _BATCH, 5, LANES), np.uint64)
    ds = np.empty((_BATCH, 5, LANES), np.uint64)
    for start in range(low, high, _BATCH * LANES):
        count = min(_BATCH, (high - start + LANES - 1) // LANES)
        for i in range(count):
            _unpack(elements, start + i * LANES, work, 0)
            _map_one(work, limbs)
            for limb in range(5):
                for lane in range(LANES):
                    xs[i, limb, lane] = work[1, limb, lane]
                    ds[i, limb, lane] = work[2, limb, lane]
        _divide_batch(work, xs, ds, count, limbs)
        for i in range(count):
            for limb in range(5):
                for lane in range(LANES):
                    work[1, limb, lane] = xs[i, limb, lane]
            _pack(work, 1, out, start + i * LANES, high, limbs)


@kernel
def _fold_rows(low, high, uniform, out):  # type: ignore[no-untyped-def]
    """48 big-endian bytes mod p to 32 little-endian bytes (not fully reduced, top bit clear)."""
    value = np.empty(6, np.uint64)
    for row in range(low, high):
        for i in range(6):
            word = np.uint64(0)
            for k in range(8):
                word = (word << np.uint64(8)) | np.uint64(uniform[row, 40 - 8 * i + k])
            value[i] = word
        _fold_384(value)
        for i in range(4):
            for k in range(8):
                byte = (value[i] >> np.uint64(8 * k)) & np.uint64(255)
                out[row, 8 * i + k] = np.uint8(byte)


@kernel
def _fold_384(value):  # type: ignore[no-untyped-def]
    """value[0:4] = value mod p, up to one p: 2^256 is 38 and 2^255 is 19."""
    over = np.uint64(0)
    half = np.uint64(0xFFFFFFFF)
    for i in range(4):
        term = value[4 + i] if i < 2 else np.uint64(0)
        low = (value[i] & half) + (term & half) * np.uint64(38) + (over & half)
        high = (value[i] >> np.uint64(32)) + (term >> np.uint64(32)) * np.uint64(38)
        high += (low >> np.uint64(32)) + (over >> np.uint64(32))
        value[i] = (low & half) | (high << np.uint64(32))
        over = high >> np.uint64(32)
    for _ in range(2):
        top = (over << np.uint64(1)) | (value[3] >> np.uint64(63))
        value[3] &= np.uint64(2**63 - 1)
        add = top * np.uint64(19)
        for i in range(4):
            total = value[i] + add
            add = np.uint64(total < add)
            value[i] = total
        over = np.uint64(0)


def _bits(scalar: bytes) -> np.ndarray[Any, np.dtype[np.int64]]:
    if len(scalar) != 32:
        raise ValueError(f"a scalar of {len(scalar)} bytes found, 32 allowed")
    packed = np.frombuffer(scalar, dtype=np.uint8)
    return np.unpackbits(packed, bitorder="little").astype(np.int64)


def multiply(points: Points, scalar: bytes) -> Points:
    """`scalar` (32 bytes, little endian, any 256-bit number) times every point: `uint8[n, 32]`.

    A point of low order times a multiple of eight is zero; the caller refuses zeros.
    """
    points = np.ascontiguousarray(points)
    out = np.empty_like(points)
    if len(points):
        block = LANES * 8
        parallel_rows(_multiply_rows, len(points), points, _bits(scalar), out, block=block)
    return out


def multiply_each(points: Points, scalars: Points) -> Points:
    """Row i of `scalars` (`uint8[n, 32]`) times point i; for tests and small batches."""
    rows = zip(points, scalars, strict=True)
    done = [multiply(point[None], scalar.tobytes()) for point, scalar in rows]
    return np.concatenate(done) if done else np.empty((0, 32), np.uint8)


def encode_to_curve(data: Any, offsets: Any, dst: bytes) -> Points:
    """The u-coordinate of RFC 9380's map for every string, cofactor not cleared: `uint8[n, 32]`."""
    uniform = expand_message(data, offsets, dst)
    elements = np.empty((len(uniform), 32), np.uint8)
    out = np.empty_like(elements)
    if len(uniform):
        parallel_rows(_fold_rows, len(uniform), uniform, elements)
        parallel_rows(_map_rows, len(uniform), elements, out, block=LANES * 8)
    return out


def canonical(points: Points) -> Flags:
    """Whether each 32-byte string is a number below p: `bool[n]`."""
    words = np.ascontiguousarray(points).view("<u8")
    top, full = words[:, 3], np.uint64(2**64 - 1)
    at_top = (top == 2**63 - 1) & (words[:, 2] == full) & (words[:, 1] == full)
    return np.asarray((top < 2**63) & ~(at_top & (words[:, 0] >= 2**64 - 19)))


def is_zero(points: Points) -> Flags:
    """Whether each point is zero, as low-order points are after a multiple of eight: `bool[n]`."""
    return np.asarray(~points.any(axis=1))
