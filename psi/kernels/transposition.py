"""Bits of 128 rows turned into 128-bit columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel, part
from psi.kernels.simd import parallel_rows, readonly, room_for

__all__ = ["columns_of"]

Words = np.ndarray[Any, np.dtype[np.uint64]]


@part
def _turn(tile):  # type: ignore[no-untyped-def]
    """64 x 64 bits transposed in place, by halves (Hacker's Delight, section 7-3)."""
    shift, mask = np.int64(32), np.uint64(0x00000000FFFFFFFF)
    while shift:
        k = np.int64(0)
        while k < 64:
            moved = ((tile[k] >> np.uint64(shift)) ^ tile[k + shift]) & mask
            tile[k] ^= moved << np.uint64(shift)
            tile[k + shift] ^= moved
            k = (k + shift + 1) & ~shift
        shift >>= 1
        mask ^= mask << np.uint64(shift)


@kernel
def _turn_rows(low, high, rows, out):  # type: ignore[no-untyped-def]
    tile = np.empty(64, np.uint64)
    for word in range(low, high):
        for half in range(2):
            for r in range(64):
                tile[r] = rows[64 * half + r, word]
            _turn(tile)
            for r in range(64):
                out[64 * word + r, half] = tile[r]


def columns_of(rows: Words, into: Words | None = None) -> Words:
    """`uint64[128, w]` to `uint64[64 * w, 2]`: bit i of all rows, row j at bit j."""
    out = room_for((64 * rows.shape[1], 2), into)
    parallel_rows(_turn_rows, rows.shape[1], readonly(rows), out, least=512)
    return out
