"""Sums of some of sixteen streams at once, for many groups of keys: what transfers are made of.

A stream is what `aes_streams` makes of a key. It is made a block of words at a time, which is added
up while it is in the first cache, and never written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.aes import KEY_WORDS
from psi.kernels.aes_streams import BLOCKS, expand_key, stream_blocks, streams
from psi.kernels.cache import kernel
from psi.kernels.simd import block_path, parallel_rows, readonly
from psi.kernels.subset_sums import subset_sums

__all__ = ["stream_sums"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Places = np.ndarray[Any, np.dtype[np.int64]]

_WORDS = 256
"""Words of a stream that are made and added up at a time."""
_SHORT = 512
"""Words of streams that are worth a thread."""


@kernel
def _sum_groups(low, high, keys, start, missing, sums, totals):  # type: ignore[no-untyped-def]
    leaves, width = keys.shape[1], totals.shape[1]
    bits = sums.shape[0] // keys.shape[0]
    words, line = np.empty(44, np.uint64), np.empty(_WORDS, np.uint64)
    rounds = np.empty((leaves, KEY_WORDS), np.uint64)
    for group in range(low, high):
        absent = missing[group]
        shift = max(np.int64(0), absent)
        for k in range(leaves):
            expand_key(keys[group, k], words, rounds[k])
        for first in range(0, width, _WORDS):
            many = min(_WORDS, width - first)
            total = totals[group, first : first + many]
            own = sums[group * bits : (group + 1) * bits, first : first + many]
            total[:], own[:] = np.uint64(0), np.uint64(0)
            steps = (many // 2 + BLOCKS - 1) // BLOCKS
            for k in range(leaves):
                if k != absent:
                    stream_blocks(line, steps, start + np.uint64(first // 2), rounds[k])
                    for w in range(many):
                        total[w] ^= line[w]
                    for t in range(bits):
                        if (k ^ shift) >> t & 1:
                            for w in range(many):
                                own[t, w] ^= line[w]
    words[:], line[:], rounds[:] = np.uint64(0), np.uint64(0), np.uint64(0)


def stream_sums(keys: Bytes, start: int, missing: Places, sums: Words, totals: Words) -> None:
    """Of each group, `sums` of its streams k with bit t of k + shift set, and `totals` of all.

    Addition is bit by bit.

    Args:
        keys: secret ones, `uint8[groups, 2^bits, 16]`.
        start: the block that streams begin with.
        missing: `int64[groups]`: the stream that is left out, as if it were zeros, and the shift;
            -1: none is, and the shift is 0.
        sums: `uint64[groups * bits, w]`, w even: room for them, group by group.
        totals: `uint64[groups, w]`.
    """
    groups, leaves, _ = keys.shape
    width, bits = totals.shape[1], leaves.bit_length() - 1
    shapes = sums.shape == (groups * bits, width) and totals.shape == (groups, width)
    if not shapes or leaves != 1 << bits or width % 2 or not 0 <= start < 1 << 62:
        raise ValueError(f"sums of shape {sums.shape} of {width} words of {groups} groups")
    if missing.shape != (groups,) or (missing < -1).any() or (missing >= leaves).any():
        raise ValueError(f"places of shape {missing.shape} in {groups} groups of {leaves}")
    if block_path() != "portable":
        words = readonly(np.ascontiguousarray(keys).view("<u8").astype(np.uint64))
        given = words, np.uint64(start), readonly(missing), sums, totals
        least = 4 if width >= _SHORT else groups
        parallel_rows(_sum_groups, groups, *given, block=1, least=least)
        return
    room = np.empty((leaves, width), np.uint64)
    for group, absent in enumerate(missing):
        streams(keys[group], start, room)
        if absent >= 0:
            room[absent] = 0
        own = sums[group * bits : (group + 1) * bits]
        subset_sums(room, max(0, int(absent)), own, totals[group])
