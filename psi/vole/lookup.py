"""The sender's tags looked up among the receiver's as they come in order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from psi.kernels.tag_lists import look_up
from psi.protocol import PeerError, Store, gathered
from psi.vole.ordered import Ordered

__all__ = ["Lookup"]

Tags = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.uint32]]
_NO_PAIRS = np.empty((0, 2), np.uint32)


class Lookup:
    """Own tags, and what matched of the sender's.

    The sender's ascend, so that they go through the buckets in order, and what they match is all
    that is kept of them. `parts` is how many parts own tags are put in.
    """

    def __init__(self, store: Store, items: int, parts: int) -> None:
        self._store, self._items = store, items
        self._own = Ordered(store, items, parts)

    def put(self, part: int, tags: Tags, items: Rows) -> None:
        """Keep the tags of these items, `uint64[m, 2]` and numbers, as one part."""
        self._own.put(part, tags, items)

    def load(self, bucket: int) -> None:
        """Have a bucket's tags in order."""
        self._own.load(bucket)

    def take(self, part: int, tags: Tags, start: int) -> None:
        """Look up the sender's tags from number `start` on: `uint64[k, 2]`.

        Raises `PeerError` if they do not ascend.
        """
        leading = (tags[:, 1] >> np.uint64(48)).astype(np.int32)
        bucket = leading >> (16 - self._own.bits)
        steps = np.diff(bucket)
        if (steps < 0).any():
            raise PeerError("tags out of order")
        edges = [0, *(np.flatnonzero(steps) + 1), len(tags)]
        found = [
            self._pairs(int(bucket[low]), tags[low:high], start + int(low))
            for low, high in pairwise(edges)
            if high > low
        ]
        self._store.put("found", part, np.concatenate(found or [_NO_PAIRS]))

    def _pairs(self, bucket: int, tags: Tags, start: int) -> Rows:
        own, items = self._own.load(bucket)
        found = look_up(own, tags)
        if found is None:
            raise PeerError("tags out of order")
        places, peers = found
        return np.stack([items[places], peers.astype(np.uint32) + np.uint32(start)], axis=1)

    def matches(self, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Own items that matched, ascending, and each one's number among the sender's tags."""
        found = gathered(self._store, "found", parts, _NO_PAIRS)
        partner = np.full(self._items, -1, np.int32)
        partner[found[:, 0]] = found[:, 1]
        own = np.flatnonzero(partner >= 0)
        return own, partner[own].astype(np.int64)
