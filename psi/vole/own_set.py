"""The receiver's set: its digests by bin, and the key-value store that holds them, by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.ecdh.items import Items
from psi.kernels.expand_convolute import add_first
from psi.kernels.okvs import encode
from psi.protocol import EnvironmentFailed
from psi.vole.items import Binned
from psi.vole.parameters import Part, Store, parts_of
from psi.vole.secrets import Session

__all__ = ["OwnSet"]

Words = np.ndarray[Any, np.dtype[np.uint64]]


class OwnSet:
    """All of it can be made again from the items and the session's coin."""

    def __init__(self, items: Items, shape: Store) -> None:
        self._items, self._shape = items, shape
        self._binned: Binned | None = None
        self._solved: dict[int, list[Words]] = {}

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

    def parts(self, chunk: int) -> list[tuple[int, Part]]:
        """A chunk's parts with their numbers."""
        return [(n, part) for n, part in enumerate(parts_of(self._shape)) if part.chunk == chunk]

    def solve(self, session: Session, chunk: int) -> list[Words]:
        """The chunk's part of the store, unmasked, in parts: `uint64[columns, 2]` each."""
        if chunk not in self._solved:
            binned, shape = self.binned(session), self._shape
            solved = [
                encode(*binned.part(part), shape.bins, shape.sparse)
                for _, part in self.parts(chunk)
            ]
            found = [elements for elements in solved if elements is not None]
            if len(found) < len(solved):
                raise EnvironmentFailed(
                    "the key-value store has no solution this time",
                    hint="run again: the chance of this is below 2^-40",
                )
            self._solved[chunk] = found
        return self._solved[chunk]

    def masked(self, session: Session, chunk: int, both: Words) -> tuple[list[Words], list[Words]]:
        """The chunk's store plus A, in parts, and C, for `both: uint64[size, 4]` side by side."""
        solved = self.solve(session, chunk)
        del self._solved[chunk]
        values = [
            add_first(elements, both[part.low : part.high])
            for elements, (_, part) in zip(solved, self.parts(chunk), strict=True)
        ]
        return solved, values
