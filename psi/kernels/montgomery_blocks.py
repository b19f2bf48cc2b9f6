"""Rows into lanes and back: the steps that whole-vector operations share.

Eight rows go side by side as limbs, `uint64[limbs, 8]`. Words are rows `uint64[n, W]` of 64 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.montgomery_emit import LIMB_BITS, LIMB_MASK
from psi.kernels.montgomery_lanes import carry

__all__ = [
    "add_lanes",
    "block",
    "copy",
    "increment",
    "pick",
    "read_limbs",
    "reduce_once",
    "spread",
    "write_words",
]

_MASK = np.uint64(LIMB_MASK)
_BITS = np.uint64(LIMB_BITS)
_ZERO = np.uint64(0)
_WORD = np.uint64(64)
# what a word has beyond a limb, and the bits of two limbs
_SPARE = np.uint64(64 - LIMB_BITS)
_TWO = np.uint64(2 * LIMB_BITS)


@kernel
def block(rows: Any, start: int, stop: int) -> None:
    """Row numbers of the lane block at `start`: lanes past `stop` repeat the last row."""
    for lane in range(8):
        rows[lane] = min(start + lane, stop - 1)


@kernel
def pick(rows: Any, index: Any, start: int, stop: int) -> None:
    """The same, through an index."""
    for lane in range(8):
        rows[lane] = index[min(start + lane, stop - 1)]


@kernel
def spread(out: Any, row: Any) -> None:
    """One row into all lanes."""
    for j in range(len(row)):
        for lane in range(8):
            out[j, lane] = row[j]


@kernel
def copy(out: Any, source: Any, rows: int) -> None:
    """Vectors of limbs."""
    for j in range(rows):
        for lane in range(8):
            out[j, lane] = source[j, lane]


@kernel
def read_limbs(out: Any, lane: int, words: Any, row: int, first: int, count: int) -> None:
    """Limbs `first` to `first + count` of a row of words, zero past its end, into a lane."""
    width = words.shape[1]
    for j in range(count):
        bit = (first + j) * LIMB_BITS
        word = bit >> 6
        shift = np.uint64(bit & 63)
        value = _ZERO
        if word < width:
            value = words[row, word] >> shift
            if shift > _SPARE and word + 1 < width:
                value |= words[row, word + 1] << (np.uint64(64) - shift)
        out[j, lane] = value & _MASK


@kernel
def write_words(words: Any, row: int, limbs: Any, lane: int, count: int) -> None:
    """`count` limbs of a lane as a row of words."""
    for word in range(words.shape[1]):
        bit = word << 6
        limb = bit // LIMB_BITS
        shift = np.uint64(bit - limb * LIMB_BITS)
        value = _ZERO
        if limb < count:
            value = limbs[limb, lane] >> shift
        if limb + 1 < count:
            value |= limbs[limb + 1, lane] << (_BITS - shift)
        if limb + 2 < count and shift > _TWO - _WORD:
            value |= limbs[limb + 2, lane] << (_TWO - shift)
        words[row, word] = value


@kernel
def reduce_once(values: Any, lane: int, first: int, modulus: Any, h: int) -> bool:
    """Subtract N from limbs `first` to `first + h` of a lane if they are at least N."""
    for j in range(h - 1, -1, -1):
        if values[first + j, lane] != modulus[j]:
            if values[first + j, lane] < modulus[j]:
                return False
            break
    borrow = _ZERO
    for j in range(h):
        value = values[first + j, lane] - modulus[j] - borrow
        borrow = value >> np.uint64(63)
        values[first + j, lane] = value & _MASK
    return True


@kernel
def increment(values: Any, lane: int, first: int, h: int) -> None:
    """Add one to limbs `first` to `first + h` of a lane."""
    j = 0
    while j < h:
        if values[first + j, lane] != _MASK:
            values[first + j, lane] += np.uint64(1)
            return
        values[first + j, lane] = _ZERO
        j += 1


@kernel
def add_lanes(out: Any, other: Any, first: int, h: int) -> None:
    """out += other on limbs `first` to `first + h`, carried."""
    for j in range(first, first + h):
        for lane in range(8):
            out[j, lane] += other[j, lane]
    carry(out, out, first, first + h, _ZERO)
