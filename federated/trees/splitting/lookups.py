"""A table of 128 entries at one side, looked up at the other's index: one of 128 transfers.

Seven transfers of a bit each give keys k(b, c), of which the choosing side has those of its index.
An entry is padded twice: by its number's upper five bits, whose keys' sum makes a block of four
entries' pads, and by its lower two, whose keys' sum makes a stream over the 32 blocks. A sum with
a key that the choosing side lacks is uniform to it, and each is hashed under a place of its own.

Source: M. Naor, B. Pinkas, "Computationally secure oblivious transfer", 2005.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.trees.splitting.level import INDEX_BITS
from federated.trees.splitting.transfers import PER_KEY, hashed

__all__ = ["ENTRIES", "looked_up", "tables"]

Words = NDArray[np.uint64]
Entries = NDArray[np.uint32]

ENTRIES = 1 << INDEX_BITS
_LOW = 2
_HIGH = INDEX_BITS - _LOW
_PER = PER_KEY >> _HIGH
_BLOCKS = (1 << _HIGH) // 4
"""Blocks of a stream over the upper numbers, four entries' pads each."""


def _sums(keys: Words) -> Words:
    """Of keys `uint64[n, bits, 2, 2]` the sum for every number: `uint64[n, 2^bits, 2]`."""
    found = np.zeros((len(keys), 1, 2), np.uint64)
    for bit in range(keys.shape[1]):
        found = np.concatenate([found ^ keys[:, bit, :1], found ^ keys[:, bit, 1:]], axis=1)
    return found


def tables(keys: Words, entries: Entries, nonce: bytes) -> Entries:
    """Padded entries `uint32[n, 128]`, by both keys of each index bit `uint64[n, 7, 2, 2]`."""
    rows = len(keys)
    upper = _sums(keys[:, _LOW:])
    tweaks = np.arange(upper.shape[1], dtype=np.uint64)[None]
    block = hashed(upper, tweaks, nonce, "upper", _PER).view(np.uint32)  # [n, 32, 4]
    lower = np.repeat(_sums(keys[:, :_LOW]), _BLOCKS, axis=1)
    tweaks = np.tile(np.arange(_BLOCKS, dtype=np.uint64), 1 << _LOW)[None]
    stream = hashed(lower, tweaks, nonce, "lower", _PER).view(np.uint32)
    across = stream.reshape(rows, 1 << _LOW, 1 << _HIGH).swapaxes(1, 2)  # [n, 32, 4]
    return entries ^ (block ^ across).reshape(rows, ENTRIES)


def looked_up(keys: Words, index: NDArray[np.uint8], sent: Entries, nonce: bytes) -> Entries:
    """Entry `uint32[n]` at each index, by the keys of its bits `uint64[n, 7, 2]`."""
    rows = np.arange(len(keys))
    high, low = (index >> _LOW).astype(np.int64), (index & ((1 << _LOW) - 1)).astype(np.int64)
    upper = np.bitwise_xor.reduce(keys[:, _LOW:], axis=1)[:, None]
    block = hashed(upper, high.astype(np.uint64)[:, None], nonce, "upper", _PER)
    lower = np.bitwise_xor.reduce(keys[:, :_LOW], axis=1)[:, None]
    stream = hashed(lower, (high >> 2).astype(np.uint64)[:, None], nonce, "lower", _PER)
    pad = block.view(np.uint32)[rows, 0, low] ^ stream.view(np.uint32)[rows, 0, high & 3]
    return np.asarray(sent[rows, index] ^ pad)
