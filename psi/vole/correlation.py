"""One long vector oblivious linear evaluation from short messages: C = B + A·Δ.

The helper (the PSI sender) has Δ and gets B; the owner (the PSI receiver) gets A, pseudorandom,
and C. The owner draws a sparse vector e: one noisy place a tree, with a uniform value. The
helper makes all trees of seeds; by one transfer a level the owner gets all leaves but the one
at its noisy place, and there b + e·Δ by way of a product. Both sides then compress their leaves
by the same public code. That A = compress(e) looks uniform to the helper is dual LPN with
regular noise (see docs/PARAMETERS.md), and is what hides the receiver's set.

Sources: Boyle, Couteau, Gilboa and Ishai 2018; Boyle et al. 2019 (eprint 2019/1159);
Raghuraman, Rindal and Tanguy 2023 (eprint 2023/882).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from psi.kernels.expand_convolute import SLACK, compress
from psi.kernels.ggm import expand_trees, punctured_trees
from psi.vole.parameters import Vector
from psi.vole.secrets import Session, derive, words

__all__ = [
    "Noise",
    "Rooms",
    "helper_leaves",
    "helper_vector",
    "owner_leaves",
    "owner_noise",
    "owner_vectors",
]

Words = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True, repr=False)
class Noise:
    """The owner's secret sparse vector: place and value in each tree, and the transfers' bits."""

    places: np.ndarray
    values: Words
    bits: np.ndarray


def owner_noise(seed: bytes, chunk: int, vector: Vector) -> Noise:
    """Drawn from the owner's seed: `places: int64[t]`, `values: uint64[t, 2]`, `bits: uint8[t·d]`.

    A transfer's bit is the side beside the path: what the owner may know.
    """
    drawn = words(derive(seed, "places"), chunk, vector.trees + vector.trees % 2)[: vector.trees]
    places = (drawn & np.uint64((1 << vector.depth) - 1)).astype(np.int64)
    values = words(derive(seed, "values"), chunk, 2 * vector.trees).reshape(-1, 2)
    path = places[:, None] >> np.arange(vector.depth) & 1
    return Noise(places, values, (1 - path).astype(np.uint8).reshape(-1))


def _tree_keys(session: Session, chunk: int, vector: Vector) -> np.ndarray:
    """Public keys of each tree of this session: `uint8[t, 2, 16]`."""
    drawn = words(session.key("trees"), chunk, 4 * vector.trees)
    return drawn.astype("<u8").view(np.uint8).reshape(-1, 2, 16)


def _code_key(session: Session, chunk: int) -> bytes:
    return derive(session.key("code"), str(chunk))


class Rooms:
    """Room for the leaves of one or two vectors, two an output, and the slack of the code.

    What a chunk leaves is given to the next: memory from the system is paid by the page.
    """

    def __init__(self, vectors: int) -> None:
        self._words, self._free = 2 * vectors, list[Words]()

    def __repr__(self) -> str:
        return f"<{len(self._free)} free rooms>"

    def take(self, vector: Vector) -> Words:
        """Rows for a vector's leaves, with anything in them, and zeros behind these."""
        rows = 2 * vector.size + SLACK
        room = self._free.pop() if self._free else np.empty((0, self._words), np.uint64)
        if len(room) < rows:
            room = np.empty((rows, self._words), np.uint64)
        room[vector.trees << vector.depth :] = 0
        return room

    def give(self, room: Words) -> None:
        """Let another chunk have it."""
        self._free.append(room)

    def clear(self) -> None:
        """No more chunks to come."""
        self._free = []


def helper_leaves(seed: bytes, session: Session, chunk: int, vector: Vector, room: Words) -> Words:
    """The trees' leaves into their room; their level sums `uint64[t, d, 2, 2]`."""
    seeds = words(derive(seed, "seeds"), chunk, 2 * vector.trees).reshape(-1, 2)
    into = room[: vector.trees << vector.depth]
    return expand_trees(seeds, _tree_keys(session, chunk, vector), vector.depth, into)[1]


def helper_vector(room: Words, session: Session, chunk: int, vector: Vector) -> Words:
    """B, `uint64[size, 2]`, in place of the leaves: the first rows of their room."""
    compress(room, vector.size, _code_key(session, chunk))
    return room[: vector.size]


def owner_leaves(
    noise: Noise,
    siblings: Words,
    totals: Words,
    session: Session,
    chunk: int,
    vector: Vector,
    room: Words,
) -> None:
    """The sparse vector e and the trees' leaves plus e·Δ, side by side, into their room.

    `siblings: uint64[t, d, 2]`: sums beside the path. `totals: uint64[t, 2]`: what all leaves
    of a tree add up to, plus b_i, plus the owner's own c_i.
    """
    keys = _tree_keys(session, chunk, vector)
    punctured_trees(noise.places, siblings, totals, keys, vector.depth, room)
    room[(np.arange(vector.trees) << vector.depth) + noise.places, :2] = noise.values


def owner_vectors(room: Words, session: Session, chunk: int, vector: Vector) -> Words:
    """A and C side by side, `uint64[size, 4]`, in place of what `owner_leaves` made."""
    compress(room, vector.size, _code_key(session, chunk))
    return room[: vector.size]
