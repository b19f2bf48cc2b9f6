"""Items as digests in the order of their bins, and values of a correlation as tags."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.ecdh.items import Items
from psi.kernels.blake2s import Blake2s
from psi.kernels.grouping import group_rows
from psi.kernels.okvs_rows import bins_of
from psi.kernels.okvs_tags import tags_of_items
from psi.vole.parameters import Part, Store, TagForm
from psi.vole.secrets import Session

__all__ = ["Binned", "tags_of"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.int32]]
Index = np.ndarray[Any, np.dtype[np.int64]]

_BLOCK = 1 << 18
"""Items hashed at a time where digests are not kept."""


class Binned:
    """A party's digests by bin. `index: int32[n]` says which item each is.

    At first only each item's bin is found, and kept; digests are made chunk by chunk as parts
    are asked for.
    """

    def __init__(self, items: Items, session: Session, store: Store) -> None:
        self._items, self._store = items, store
        self._hash = Blake2s(session.key("items"), b"voleitem")
        self._chunk, self._digests = -1, np.empty((0, 4), np.uint64)
        self._rooms: list[Words] = []
        if store.chunks == 1:
            digests = self._hash.strings(items.data, items.offsets)
            self._digests, self.index, self.starts = group_rows(
                digests, bins_of(digests, store.bins), store.bins
            )
            self._chunk = 0
            return
        group = np.empty(len(items), np.int32)
        for start in range(0, len(items), _BLOCK):
            part = items.part(start, min(start + _BLOCK, len(items)))
            digests = self._hash.strings(part.data, part.offsets)
            group[start : start + len(part)] = bins_of(digests, store.bins)
        nothing = np.empty((len(items), 0), np.uint64)
        _, self.index, self.starts = group_rows(nothing, group, store.bins)

    def release(self) -> None:
        """Let go of the digests: they are made again if they are asked for."""
        self._chunk, self._digests, self._rooms = -1, np.empty((0, 4), np.uint64), []

    def part(self, part: Part) -> tuple[Words, Index]:
        """Digests `uint64[k, 4]` of the part's bins, and where each of these begins."""
        begin, end = self._store.bins_of_chunk(part.chunk)
        base = self.starts[begin]
        if part.chunk != self._chunk:
            hashed, grouped = self._two_rooms()
            # in the items' own order, which memory likes better than that of the bins
            rows = np.sort(self.index[base : self.starts[end]]).astype(np.int64)
            items, bins = self._items, self._store.bins
            digests = self._hash.strings(items.data, items.offsets, rows, hashed[: len(rows)])
            into = grouped[: len(rows)]
            self._digests = group_rows(digests, bins_of(digests, bins), bins, into)[0]
            self._chunk = part.chunk
        low, high = self.starts[part.first], self.starts[part.last]
        starts = self.starts[part.first : part.last + 1] - low
        return self._digests[low - base : high - base], starts

    def _two_rooms(self) -> list[Words]:
        """Room for the digests of any chunk, twice; the same for each."""
        if not self._rooms:
            store = self._store
            bins = np.array([store.bins_of_chunk(chunk) for chunk in range(store.chunks)])
            most = int(np.diff(self.starts[bins], axis=1).max())
            self._rooms = [np.empty((most, 4), np.uint64) for _ in range(2)]
        return self._rooms


def tags_of(
    digests: Words,
    starts: Index,
    store: Store,
    vector: Words,
    session: Session,
    form: TagForm,
    secret: Words | None = None,
    *,
    halves: bool = False,
) -> tuple[Words, Words]:
    """Tags `uint64[k, 2]` of bins: the receiver's by their part of C.

    The sender's by its part of B plus Δ times what came, and by `secret: uint64[2]`, which is Δ.
    With `halves` also the second halves of the hashes that the tags are the heads of.
    """
    hashed, sizes = Blake2s(session.key("tags"), b"voletags"), (store.bins, store.sparse)
    return tags_of_items(digests, starts, *sizes, vector, hashed, form.bits, secret, halves=halves)
