"""The receiver's tags by bucket, and the sender's looked up in them as they come in order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from psi.buckets import bucket_bits
from psi.kernels.grouping import group_rows, sort_tags
from psi.kernels.tag_lists import look_up
from psi.protocol import PeerError, Store, gathered

__all__ = ["Lookup"]

Tags = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.uint32]]
_NO_TAGS, _NO_ITEMS = np.empty((0, 2), np.uint64), np.empty(0, np.uint32)
_NO_PAIRS = np.empty((0, 2), np.uint32)


class Lookup:
    """Own tags in a store, in buckets by their leading bits, one bucket in memory at a time.

    The sender's tags ascend, so that they go through the buckets in order, and what they match is
    all that is kept of them. `parts` is how many parts own tags are put in.
    """

    def __init__(self, store: Store, items: int, parts: int) -> None:
        self._store, self._items, self._parts = store, items, parts
        self._bits = bucket_bits(items)
        self._bucket, self._tags, self._item = -1, _NO_TAGS, _NO_ITEMS

    def put(self, part: int, tags: Tags, items: np.ndarray) -> None:
        """Keep the tags of these items, `uint64[m, 2]` and numbers, as one part."""
        numbers = items.astype(np.uint32)
        if self._bits == 0:
            self._keep(0, part, tags, numbers)
            return
        bucket = (tags[:, 1] >> np.uint64(64 - self._bits)).astype(np.int32)
        grouped, order, starts = group_rows(tags, bucket, 1 << self._bits)
        for number in range(1 << self._bits):
            here = slice(starts[number], starts[number + 1])
            self._keep(number, part, grouped[here], numbers[order[here]])

    def _keep(self, bucket: int, part: int, tags: Tags, items: Rows) -> None:
        self._store.put(f"tags.{bucket}", part, tags)
        self._store.put(f"items.{bucket}", part, items)

    def load(self, bucket: int) -> None:
        """Have a bucket's tags in order."""
        if bucket == self._bucket:
            return
        tags = gathered(self._store, f"tags.{bucket}", self._parts, _NO_TAGS)
        self._tags, order = sort_tags(tags, self._bits)
        self._item = gathered(self._store, f"items.{bucket}", self._parts, _NO_ITEMS)[order]
        self._bucket = bucket

    def take(self, part: int, tags: Tags, start: int) -> None:
        """Look up the sender's tags from number `start` on: `uint64[k, 2]`.

        Raises `PeerError` if they do not ascend.
        """
        leading = (tags[:, 1] >> np.uint64(48)).astype(np.int32)
        bucket = leading >> (16 - self._bits)
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
        self.load(bucket)
        found = look_up(self._tags, tags)
        if found is None:
            raise PeerError("tags out of order")
        places, peers = found
        return np.stack([self._item[places], peers.astype(np.uint32) + np.uint32(start)], axis=1)

    def matches(self, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Own items that matched, ascending, and each one's number among the sender's tags."""
        found = gathered(self._store, "found", parts, _NO_PAIRS)
        partner = np.full(self._items, -1, np.int32)
        partner[found[:, 0]] = found[:, 1]
        own = np.flatnonzero(partner >= 0)
        return own, partner[own].astype(np.int64)
