"""That a receiver holds what it reports: the sum of what only who holds an item can hash.

A tag is the first half of the hash of an item's value and digest; nobody sees the second half. The
receiver adds up the second halves of its matches, the sender those of the tags that are reported.
Whoever reports a tag without having hashed what it is of lacks a summand of 128 uniform bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.protocol import Store

__all__ = ["held", "reported"]

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Index = np.ndarray[Any, np.dtype[Any]]


def _flags(places: Index, count: int) -> Flags:
    out = np.zeros(count, bool)
    out[places] = True
    return out


def _added(halves: Index) -> Index:
    return np.asarray(np.bitwise_xor.reduce(halves, axis=0), np.uint64)


def held(store: Store, parts: int, own: Index, items: int) -> bytes:
    """The receiver's sum, over these of its items."""
    matched, total = _flags(own, items), np.zeros(2, np.uint64)
    for part in range(parts):
        total ^= _added(store.get("halves", part)[matched[store.get("owners", part)]])
    return total.astype("<u8").tobytes()


def reported(store: Store, parts: int, places: Index, items: int) -> bytes:
    """The sender's sum, over these places among the tags of all its parts."""
    matched, total, first = _flags(places, items), np.zeros(2, np.uint64), 0
    for part in range(parts):
        halves = store.get("halves", part)
        total ^= _added(halves[matched[first : first + len(halves)]])
        first += len(halves)
    return total.astype("<u8").tobytes()
