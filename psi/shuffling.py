"""Secret permutations from a seed: of the sender's tags, and of replies that must not be linked.

A seed of 32 bytes from the operating system's generator is all that a checkpoint has to keep;
ChaCha20 stretches it to one 64-bit sort key a row, and a second stream breaks ties, so that
the permutation is as uniform as the stream (keys of 128 bits would tie with probability below
count² · 2^-129).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

__all__ = ["SEED", "in_groups", "permutation", "stream"]

Index = np.ndarray[Any, np.dtype[np.int64]]

SEED = 32
"""Bytes of a seed."""


def permutation(count: int, seed: bytes, number: int = 0) -> Index:
    """A secret order of `count` rows, the same for the same seed: `int64[count]`.

    Another `number` gives an order that has nothing to do with the first.
    """
    keys = stream(count, seed, 2 * number)
    order = np.argsort(keys)
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((stream(count, seed, 2 * number + 1), keys))
    return order.astype(np.int64, copy=False)


def in_groups(order: Index, size: int) -> Index:
    """The same order with groups kept together: rows 0 to `size` - 1 are one, and so on.

    Groups come in the order of their first rows. If `order` is uniform, so is the order of the
    groups, and that of the rows within each.
    """
    if size == 1:
        return order
    group = order // size
    _, first = np.unique(group, return_index=True)
    return order[np.argsort(first[group], kind="stable")]


def stream(count: int, seed: bytes, number: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The first `count` words of a seed's stream of this number: `uint64[count]`."""
    nonce = bytes(4) + number.to_bytes(12, "little")
    cipher = Cipher(ChaCha20(seed, nonce), mode=None).encryptor()
    return np.frombuffer(cipher.update(bytes(8 * count)), np.uint64)
