"""SHA-512 over many strings at once (FIPS 180-4), in the three shapes that the protocols need.

Strings come as an Arrow buffer: `data: uint8[]` and `offsets: int64[n + 1]`. Python's hashlib
takes one call a string; these kernels take one call a column and run on all cores.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.simd import parallel_rows

__all__ = ["expand_message", "sha512", "tag_hash"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Offsets = np.ndarray[Any, np.dtype[np.int64]]
Tags = np.ndarray[Any, np.dtype[np.uint64]]


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(number: int, degree: int) -> int:
    """The first 64 bits of the fraction of a number's square or cube root."""
    target = number << (64 * degree)
    low, high = 0, 1 << 80
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= target else (low, middle)
    return low & (2**64 - 1)


_K = np.array([_root(prime, 3) for prime in _primes(80)], dtype=np.uint64)
_H = np.array([_root(prime, 2) for prime in _primes(8)], dtype=np.uint64)
_BLOCK = 128


@kernel
def _rotate(x, n):  # type: ignore[no-untyped-def]
    return (x >> np.uint64(n)) | (x << np.uint64(64 - n))


@kernel
def _compress(state, block, w):  # type: ignore[no-untyped-def]
    """One 128-byte block into `state: uint64[8]`; `w: uint64[80]` is scratch."""
    for i in range(16):
        value = np.uint64(0)
        for j in range(8):
            value = (value << np.uint64(8)) | np.uint64(block[8 * i + j])
        w[i] = value
    for i in range(16, 80):
        x, y = w[i - 15], w[i - 2]
        low = _rotate(x, 1) ^ _rotate(x, 8) ^ (x >> np.uint64(7))
        high = _rotate(y, 19) ^ _rotate(y, 61) ^ (y >> np.uint64(6))
        w[i] = w[i - 16] + low + w[i - 7] + high
    a, b, c, d = state[0], state[1], state[2], state[3]
    e, f, g, h = state[4], state[5], state[6], state[7]
    for i in range(80):
        s1 = _rotate(e, 14) ^ _rotate(e, 18) ^ _rotate(e, 41)
        t1 = h + s1 + ((e & f) ^ (~e & g)) + _K[i] + w[i]
        s0 = _rotate(a, 28) ^ _rotate(a, 34) ^ _rotate(a, 39)
        t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
        h, g, f, e, d, c, b, a = g, f, e, d + t1, c, b, a, t1 + t2
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


@kernel
def _begin(state):  # type: ignore[no-untyped-def]
    for i in range(8):
        state[i] = _H[i]


@kernel
def _absorb(state, block, used, data, low, high, w):  # type: ignore[no-untyped-def]
    """data[low:high] behind the `used` bytes that wait in `block`; the bytes that wait then."""
    for i in range(low, high):
        block[used] = data[i]
        used += 1
        if used == _BLOCK:
            _compress(state, block, w)
            used = 0
    return used


@kernel
def _end(state, block, used, total, w):  # type: ignore[no-untyped-def]
    """Padding and the length in bits."""
    block[used] = 0x80
    used += 1
    if used > 112:
        for i in range(used, _BLOCK):
            block[i] = 0
        _compress(state, block, w)
        used = 0
    for i in range(used, 120):
        block[i] = 0
    bits = np.uint64(total) * np.uint64(8)
    for i in range(8):
        block[120 + i] = np.uint8((bits >> np.uint64(56 - 8 * i)) & np.uint64(255))
    _compress(state, block, w)


@kernel
def _put(state, out):  # type: ignore[no-untyped-def]
    for i in range(8):
        for j in range(8):
            out[8 * i + j] = np.uint8((state[i] >> np.uint64(56 - 8 * j)) & np.uint64(255))


@kernel
def _sha512_rows(low, high, prefix, data, offsets, suffix, out):  # type: ignore[no-untyped-def]
    state, w = np.empty(8, np.uint64), np.empty(80, np.uint64)
    block = np.empty(_BLOCK, np.uint8)
    for row in range(low, high):
        _begin(state)
        used = _absorb(state, block, 0, prefix, 0, len(prefix), w)
        used = _absorb(state, block, used, data, offsets[row], offsets[row + 1], w)
        used = _absorb(state, block, used, suffix, 0, len(suffix), w)
        total = len(prefix) + offsets[row + 1] - offsets[row] + len(suffix)
        _end(state, block, used, total, w)
        _put(state, out[row])


@kernel
def _tag_rows(low, high, prefix, data, offsets, bound, points, out):  # type: ignore[no-untyped-def]
    state, w = np.empty(8, np.uint64), np.empty(80, np.uint64)
    block, size = np.empty(_BLOCK, np.uint8), np.empty(4, np.uint8)
    for row in range(low, high):
        _begin(state)
        total = len(prefix) + 32
        used = _absorb(state, block, 0, prefix, 0, len(prefix), w)
        if bound:
            length = offsets[row + 1] - offsets[row]
            for i in range(4):
                size[i] = (length >> (24 - 8 * i)) & 255
            used = _absorb(state, block, used, size, 0, 4, w)
            used = _absorb(state, block, used, data, offsets[row], offsets[row + 1], w)
            total += 4 + length
        used = _absorb(state, block, used, points[row], 0, 32, w)
        _end(state, block, used, total, w)
        out[row, 0] = state[0]
        out[row, 1] = state[1]


def _bytes(value: bytes) -> Bytes:
    return np.frombuffer(value, dtype=np.uint8)


def sha512(data: Bytes, offsets: Offsets, *, prefix: bytes = b"", suffix: bytes = b"") -> Bytes:
    """SHA-512 of prefix || string || suffix for every string: `uint8[n, 64]`."""
    out = np.empty((len(offsets) - 1, 64), np.uint8)
    args = (_bytes(prefix), data, offsets, _bytes(suffix), out)
    parallel_rows(_sha512_rows, len(out), *args)
    return out


def expand_message(data: Bytes, offsets: Offsets, dst: bytes) -> Bytes:
    """RFC 9380, section 5.3.1, expand_message_xmd with SHA-512 to 48 bytes: `uint8[n, 48]`.

    48 bytes need one block, so two hashes a string.
    """
    if not 0 < len(dst) < 256:
        raise ValueError(f"a tag of {len(dst)} bytes found, 1 to 255 allowed")
    dst_prime = dst + bytes([len(dst)])
    first = sha512(data, offsets, prefix=bytes(_BLOCK), suffix=bytes([0, 48, 0]) + dst_prime)
    starts = np.arange(len(first) + 1, dtype=np.int64) * 64
    second = sha512(first.reshape(-1), starts, suffix=b"\x01" + dst_prime)
    return np.ascontiguousarray(second[:, :48])


def tag_hash(prefix: bytes, data: Bytes | None, offsets: Offsets | None, points: Bytes) -> Tags:
    """The first 128 bits of SHA-512(prefix || length || item || point): `uint64[n, 2]`.

    With `data` None the item (and its 4-byte length) is left out. Points are `uint8[n, 32]`.
    """
    out = np.empty((len(points), 2), np.uint64)
    bound = data is not None
    items = data if data is not None else np.zeros(0, np.uint8)
    ends = offsets if offsets is not None else np.zeros(1, np.int64)
    args = (_bytes(prefix), items, ends, bound, np.ascontiguousarray(points), out)
    parallel_rows(_tag_rows, len(out), *args)
    return out
