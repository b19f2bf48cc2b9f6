"""Items as digests in the order of their bins, and values of a correlation as tags."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.ecdh.items import Items
from psi.kernels.blake2s import Blake2s
from psi.kernels.gf128 import add_products
from psi.kernels.grouping import group_rows
from psi.kernels.okvs import decode
from psi.kernels.okvs_rows import bins_of
from psi.vole.parameters import Part, Store
from psi.vole.secrets import Session

__all__ = ["Binned", "owner_tags", "sender_tags"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.int32]]
Index = np.ndarray[Any, np.dtype[np.int64]]

_BLOCK = 1 << 18
"""Items hashed at a time where digests are not kept."""
_TAGGED = 1 << 16
"""Values hashed at a time, while they are in a core's cache."""


class Binned:
    """A party's digests by bin. `index: int32[n]` says which item each is.

    At first only each item's bin is found, and kept; digests are made chunk by chunk as parts
    are asked for.
    """

    def __init__(self, items: Items, session: Session, store: Store) -> None:
        self._items, self._store = items, store
        self._hash = Blake2s(session.key("items"), b"voleitem")
        self._chunk, self._digests = -1, np.empty((0, 4), np.uint64)
        if store.chunks == 1:
            digests = self._hash.strings(items.data, items.offsets)
            self._digests, self.index, self.starts = self._grouped(digests)
            self._chunk = 0
            return
        group = np.empty(len(items), np.int32)
        for start in range(0, len(items), _BLOCK):
            part = items.part(start, min(start + _BLOCK, len(items)))
            digests = self._hash.strings(part.data, part.offsets)
            group[start : start + len(part)] = bins_of(digests, store.bins)
        nothing = np.empty((len(items), 0), np.uint64)
        _, self.index, self.starts = group_rows(nothing, group, store.bins)

    def _grouped(self, digests: Words) -> tuple[Words, Rows, Index]:
        return group_rows(digests, bins_of(digests, self._store.bins), self._store.bins)

    def part(self, part: Part) -> tuple[Words, Index]:
        """Digests `uint64[k, 4]` of the part's bins, and where each of these begins."""
        begin, end = self._store.bins_of_chunk(part.chunk)
        base = self.starts[begin]
        if part.chunk != self._chunk:
            # in the items' own order, which memory likes better than that of the bins
            rows = np.sort(self.index[base : self.starts[end]]).astype(np.int64)
            digests = self._hash.strings(self._items.data, self._items.offsets, rows)
            self._digests, self._chunk = self._grouped(digests)[0], part.chunk
        low, high = self.starts[part.first], self.starts[part.last]
        starts = self.starts[part.first : part.last + 1] - low
        return self._digests[low - base : high - base], starts


def owner_tags(
    digests: Words, starts: Index, store: Store, vector: Words, session: Session, width: int
) -> Words:
    """The receiver's tags `uint64[k, 2]` of bins whose part of C is `vector`."""
    values = decode(digests, starts, store.bins, store.sparse, vector)
    return _tags(values, digests, session, width)


def sender_tags(
    digests: Words,
    starts: Index,
    store: Store,
    vector: Words,
    secret: Words,
    session: Session,
    width: int,
) -> Words:
    """The sender's, whose `vector` is B plus Δ times what came; `secret: uint64[2]` is Δ."""
    values = decode(digests, starts, store.bins, store.sparse, vector)
    add_products(values, digests[:, :2], secret)
    return _tags(values, digests, session, width)


def _tags(values: Words, digests: Words, session: Session, width: int) -> Words:
    """The first `width` bytes of H(value, digest): word 1 whole, the rest in word 0."""
    hashed = Blake2s(session.key("tags"), b"voletags")
    tags = np.empty((len(values), 2), np.uint64)
    table = np.empty((min(len(values), _TAGGED), 6), np.uint64)
    for start in range(0, len(values), _TAGGED):
        part = table[: len(values) - start]
        part[:, :2] = values[start : start + _TAGGED]
        part[:, 2:] = digests[start : start + _TAGGED]
        tags[start : start + _TAGGED] = hashed.rows(part)[:, :2]
    tags[:, 0] &= np.uint64((1 << 8 * (width - 8)) - 1)
    return tags
