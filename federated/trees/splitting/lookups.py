"""A table of 2^bits entries at one side, looked up at the other's index: one of 2^bits transfers.

A transfer of each bit gives keys k(b, c), of which the choosing side has those of its index.
An entry is padded twice: by its number's upper bits, whose keys' sum makes a block of four entries'
pads, and by its lower two, whose keys' sum makes a stream over these blocks. A sum with
a key that the choosing side lacks is uniform to it, and each is hashed under a place of its own.

Source: M. Naor, B. Pinkas, "Computationally secure oblivious transfer", 2005.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.sharing.keys import public_keys
from federated.trees.splitting.level import INDEX_BITS
from federated.trees.splitting.transfers import PER_KEY
from psi.kernels.block_pads import LOW_BITS, hashed_blocks, padded_tables
from psi.kernels.simd import block_path

__all__ = ["ENTRIES", "looked_up", "tables"]

Words = NDArray[np.uint64]
Entries = NDArray[np.uint32]
Keys = NDArray[np.uint8]

ENTRIES = 1 << INDEX_BITS


def _names(nonce: bytes, rows: int, per: int) -> tuple[Keys, Keys]:
    """Public keys of the pads by upper and by lower bits."""
    groups = -(-rows // per)
    upper, lower = (public_keys(nonce, f"splits {name}", groups) for name in ("upper", "lower"))
    return upper, lower


def _sums(keys: Words) -> Words:
    """Of keys `uint64[n, bits, 2, 2]` the sum for every number: `uint64[n, 2^bits, 2]`."""
    found = np.zeros((len(keys), 1, 2), np.uint64)
    for bit in range(keys.shape[1]):
        found = np.concatenate([found ^ keys[:, bit, :1], found ^ keys[:, bit, 1:]], axis=1)
    return found


def tables(keys: Words, entries: Entries, nonce: bytes) -> Entries:
    """Padded entries `uint32[n, 2^bits]`, by both keys of each bit `uint64[n, bits, 2, 2]`."""
    rows, bits = keys.shape[:2]
    high = 1 << (bits - LOW_BITS)
    per = PER_KEY // high
    upper, lower = _names(nonce, rows, per)
    if block_path() != "portable":
        return padded_tables(keys, entries, upper, lower, per)
    tweaks = np.arange(high, dtype=np.uint64)[None]
    block = hashed_blocks(_sums(keys[:, LOW_BITS:]), tweaks, upper, per).view(np.uint32)
    sums = np.repeat(_sums(keys[:, :LOW_BITS]), high // 4, axis=1)
    tweaks = np.tile(np.arange(high // 4, dtype=np.uint64), 1 << LOW_BITS)[None]
    stream = hashed_blocks(sums, tweaks, lower, per).view(np.uint32)
    across = stream.reshape(rows, 1 << LOW_BITS, high).swapaxes(1, 2)  # [n, high, 4]
    return np.asarray(entries ^ (block ^ across).reshape(rows, -1))


def looked_up(
    keys: Words, index: NDArray[np.unsignedinteger], sent: Entries, nonce: bytes
) -> Entries:
    """Entry `uint32[n]` at each index, by the keys of its bits `uint64[n, bits, 2]`."""
    rows, per = np.arange(len(keys)), PER_KEY >> (keys.shape[1] - LOW_BITS)
    up, down = _names(nonce, len(keys), per)
    high, low = (
        (index >> LOW_BITS).astype(np.int64),
        (index & ((1 << LOW_BITS) - 1)).astype(np.int64),
    )
    upper = np.bitwise_xor.reduce(keys[:, LOW_BITS:], axis=1)[:, None]
    block = hashed_blocks(upper, high.astype(np.uint64)[:, None], up, per)
    lower = np.bitwise_xor.reduce(keys[:, :LOW_BITS], axis=1)[:, None]
    stream = hashed_blocks(lower, (high >> 2).astype(np.uint64)[:, None], down, per)
    pad = block.view(np.uint32)[rows, 0, low] ^ stream.view(np.uint32)[rows, 0, high & 3]
    return np.asarray(sent[rows, index] ^ pad)
