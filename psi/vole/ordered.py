"""Tags in ascending order, of sets that need not fit into memory: a bucket at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.buckets import bucket_bits
from psi.kernels.grouping import group_rows, sort_tags
from psi.protocol import Store, gathered

__all__ = ["Ordered"]

Tags = np.ndarray[Any, np.dtype[np.uint64]]
Numbers = np.ndarray[Any, np.dtype[np.uint32]]
Index = np.ndarray[Any, np.dtype[np.int64]]
_NO_TAGS, _NO_NUMBERS = np.empty((0, 2), np.uint64), np.empty(0, np.uint32)


class Ordered:
    """Tags in a store, in buckets by their leading bits, one of them in memory and in order.

    `rows` is how many tags there will be, about, and `parts` how many parts they are put in. With
    `numbered` each has a number of 32 bits that stays with it.
    """

    def __init__(self, store: Store, rows: int, parts: int, *, numbered: bool = True) -> None:
        self._store, self._parts, self._numbered = store, parts, numbered
        self.bits = bucket_bits(rows)
        self._loaded, self._tags, self._numbers = -1, _NO_TAGS, _NO_NUMBERS
        self._starts: Index | None = None
        self._given: dict[int, Numbers] = {}

    def __repr__(self) -> str:
        return f"<tags in {1 << self.bits} buckets>"

    def put(self, part: int, tags: Tags, numbers: Numbers) -> None:
        """Keep tags, `uint64[m, 2]`, and their numbers as one part."""
        starts = np.array([0, len(tags)], np.int64)
        if self.bits:
            bucket = (tags[:, 1] >> np.uint64(64 - self.bits)).astype(np.int32)
            tags, order, starts = group_rows(tags, bucket, 1 << self.bits)
            numbers = numbers[order] if self._numbered else numbers
        for number in range(1 << self.bits):
            here = slice(starts[number], starts[number + 1])
            self._store.put(f"tags.{number}", part, tags[here])
            if self._numbered:
                self._store.put(f"numbers.{number}", part, numbers[here])
        self._store.put("tags", part, starts)

    def load(self, bucket: int) -> tuple[Tags, Numbers]:
        """A bucket's tags in order, and their numbers; it is kept until another is loaded."""
        if bucket != self._loaded:
            self._tags, self._numbers = _NO_TAGS, _NO_NUMBERS
            tags = gathered(self._store, f"tags.{bucket}", self._parts, _NO_TAGS)
            self._tags, order = sort_tags(tags, self.bits)
            if self._numbered:
                name = f"numbers.{bucket}"
                self._numbers = gathered(self._store, name, self._parts, _NO_NUMBERS)[order]
            self._loaded = bucket
        return self._tags, self._numbers

    def starts(self) -> Index:
        """Where each bucket begins among all tags, and their number."""
        if self._starts is None:
            parts = [self._store.get("tags", part) for part in range(self._parts)]
            self._starts = np.sum(parts or [np.zeros((1 << self.bits) + 1)], axis=0, dtype=np.int64)
        return self._starts

    def rows(self, low: int, high: int) -> Tags:
        """Tags low..high of all; their numbers are remembered."""
        starts, found = self.starts(), []
        for bucket in range(1 << self.bits):
            first, last = max(low, starts[bucket]), min(high, starts[bucket + 1])
            if first < last:
                tags, self._given[bucket] = self.load(bucket)
                found.append(tags[first - starts[bucket] : last - starts[bucket]])
        return found[0] if len(found) == 1 else np.concatenate(found or [_NO_TAGS])

    def numbers(self) -> Numbers:
        """The numbers of all tags, in the tags' order."""
        found = self._given
        return np.concatenate(
            [found[b] if b in found else self.load(b)[1] for b in range(1 << self.bits)]
        )
