"""The receiver's set: its digests by bin, and the key-value store that holds them, by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.ecdh.items import Items
from psi.kernels.expand_convolute import add_first
from psi.kernels.okvs import encode
from psi.protocol import EnvironmentFailed
from psi.vole.items import Binned
from psi.vole.parameters import Store, chunk_of
from psi.vole.secrets import Session

__all__ = ["OwnSet"]

Words = np.ndarray[Any, np.dtype[np.uint64]]


class OwnSet:
    """All of it can be made again from the items and the session's coin."""

    def __init__(self, items: Items, shape: Store) -> None:
        self._items, self._shape = items, shape
        self._binned: Binned | None = None
        self._solved: dict[int, Words] = {}

    def __repr__(self) -> str:
        return f"<set of {len(self._items)} items>"

    def binned(self, session: Session) -> Binned:
        """The digests."""
        if self._binned is None:
            self._binned = Binned(self._items, session, self._shape)
        return self._binned

    def release(self) -> None:
        """Let go of the digests: no more tags are due."""
        self._binned = None

    def solve(self, session: Session, chunk: int) -> Words:
        """The chunk's share of the store, unmasked: `uint64[columns, 2]`."""
        if chunk not in self._solved:
            digests, starts = self.binned(session).part(chunk_of(self._shape, chunk))
            elements = encode(digests, starts, self._shape.bins, self._shape.sparse)
            if elements is None:
                raise EnvironmentFailed(
                    "the key-value store has no solution this time",
                    hint="run again: the chance of this is below 2^-40",
                )
            self._solved[chunk] = elements
        return self._solved[chunk]

    def masked(self, session: Session, chunk: int, both: Words) -> tuple[Words, Words]:
        """The chunk's store plus A, and C, for `both: uint64[size, 4]` side by side."""
        elements = self.solve(session, chunk)
        del self._solved[chunk]
        return elements, add_first(elements, both[: len(elements)])
