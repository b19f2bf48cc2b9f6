"""Tags of items by what a key-value store holds for them, in one pass while they are at hand.

A tag is the head of H(value, digest) with H keyed BLAKE2s, where the value is the store's for
the item or, with a factor, that plus the factor times the item's own value (digest words 0, 1).
The hash's second half is for whoever has to show later that it knew what was hashed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.blake2s import BLOCK, Blake2s
from psi.kernels.blake2s_rounds import LANES, compress
from psi.kernels.cache import kernel, part
from psi.kernels.gf128 import multiply
from psi.kernels.okvs import DENSE, check, dense_tables, value_of
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["tags_of_items"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Index = np.ndarray[Any, np.dtype[np.int64]]

_HASHED = 6
"""Words that are hashed for an item: its value and its digest."""


@part
def _put(message, at, x, y, z):  # type: ignore[no-untyped-def]
    """Three words into a lane's message, each as two of 32 bits."""
    half = np.uint64(32)
    message[at], message[at + LANES] = np.uint32(x), np.uint32(x >> half)
    message[at + 2 * LANES], message[at + 3 * LANES] = np.uint32(y), np.uint32(y >> half)
    message[at + 4 * LANES], message[at + 5 * LANES] = np.uint32(z), np.uint32(z >> half)


@part
def _word(state, at):  # type: ignore[no-untyped-def]
    return np.uint64(state[at + LANES]) << np.uint64(32) | np.uint64(state[at])


@kernel
def _tag_bins(  # type: ignore[no-untyped-def]
    low, high, digests, starts, bins, sparse, store, factor, chain, kept, out, rest
):
    """out[row] = two words of the hash, the first cut to `kept`; `factor` is empty or one.

    rest[row] = the other two, unless `rest` is empty.
    """
    tables = np.empty((DENSE // 8, 256, 2), np.uint64)
    message, state = np.empty(16 * LANES, np.uint32), np.empty(8 * LANES, np.uint32)
    every, count = np.empty(LANES, np.uint32), np.empty(LANES, np.uint32)
    for lane in range(LANES):
        every[lane] = np.uint32(0xFFFFFFFF)
        count[lane] = np.uint32(BLOCK + 8 * _HASHED)
    for i in range(16 * LANES):
        message[i] = np.uint32(0)
    for b in range(low, high):
        mine = store[b * (sparse + DENSE) : (b + 1) * (sparse + DENSE)]
        if starts[b + 1] > starts[b]:
            dense_tables(mine, sparse, tables)
        for first in range(starts[b], starts[b + 1], LANES):
            lanes = min(LANES, starts[b + 1] - first)
            for lane in range(lanes):
                row = first + lane
                w0, w1, w2, w3 = (
                    digests[row, 0], digests[row, 1], digests[row, 2], digests[row, 3],
                )  # fmt: skip
                v0, v1 = value_of(w2, w3, bins, sparse, mine, tables)
                if len(factor) > 0:
                    p0, p1 = multiply(w0, w1, factor[0], factor[1])
                    v0 ^= p0
                    v1 ^= p1
                _put(message, lane, v0, v1, w0)
                _put(message, lane + 6 * LANES, w1, w2, w3)
            for i in range(8):
                for lane in range(LANES):
                    state[i * LANES + lane] = chain[i]
            compress(state, message, 0, count, every, every)
            for lane in range(lanes):
                out[first + lane, 0] = _word(state, lane) & kept
                out[first + lane, 1] = _word(state, lane + 2 * LANES)
                if len(rest) > 0:
                    rest[first + lane, 0] = _word(state, lane + 4 * LANES)
                    rest[first + lane, 1] = _word(state, lane + 6 * LANES)


def tags_of_items(
    digests: Words,
    starts: Index,
    bins: int,
    sparse: int,
    store: Words,
    hashed: Blake2s,
    bits: int,
    factor: Words | None = None,
    *,
    halves: bool = False,
) -> tuple[Words, Words]:
    """`bits`, 64 to 128, of each item's tag: all of word 1, and the low ones of word 0.

    `factor: uint64[2]`, or none; the rest as for `okvs.decode`. To `uint64[n, 2]` and, with
    `halves`, the hash's second halves in the same shape; no rows of these otherwise.
    """
    check(digests, starts, sparse, store)
    if not 64 <= bits <= 128:
        raise ValueError(f"tags of {bits} bits found, 64 to 128 allowed")
    out = np.empty((len(digests), 2), np.uint64)
    rest = np.empty((len(digests) if halves else 0, 2), np.uint64)
    by = np.empty(0, np.uint64) if factor is None else factor
    inputs = readonly(digests), readonly(starts), bins, sparse, readonly(store), readonly(by)
    kept = np.uint64((1 << (bits - 64)) - 1)
    args = *inputs, readonly(hashed.chain()), kept, out, rest
    parallel_rows(_tag_bins, len(starts) - 1, *args, block=1, least=1)
    return out, rest
