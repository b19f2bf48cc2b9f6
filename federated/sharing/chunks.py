"""What both sides of a run derive alike: its chunks in their order, its names, its shares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.sharing.trees import CHUNK, padded

__all__ = ["Chunk", "checked", "chunks_of", "coin_of", "name_of", "shares_of", "window_of"]

Lanes = NDArray[np.uint64]

WINDOW = 4
"""Whole chunks that are under way at a time."""


@dataclass(frozen=True)
class Chunk:
    """Rows `low` to `high` of a column; trees are made for a multiple of 64 of them."""

    place: int
    column: int
    low: int
    high: int
    depth: int

    @property
    def rows(self) -> int:
        """Rows of the chunk's arrays, those that fill up included."""
        return padded(self.high - self.low)


def chunks_of(rows: int, depths: tuple[int, ...]) -> list[Chunk]:
    """Every chunk of every column."""
    ranges = [(low, min(low + CHUNK, rows)) for low in range(0, rows, CHUNK)]
    every = [(column, *ends, depth) for column, depth in enumerate(depths) for ends in ranges]
    return [Chunk(place, *each) for place, each in enumerate(every)]


def window_of(rows: int, whole: int = WINDOW) -> int:
    """Chunks under way at a time: more where few rows make them small, so that many go together."""
    return whole * max(1, CHUNK // rows)


def checked(depths: Sequence[int]) -> bool:
    """Whether trees are checked: those of one level have no correction that could be spoilt."""
    return max(depths) > 1


def shares_of(flat: Lanes, depths: Sequence[int], lanes: int) -> list[Lanes]:
    """Each column's share `uint64[2^depth, lanes]`, from all of them one after the other."""
    ends = np.cumsum([lanes << depth for depth in depths])[:-1]
    parts = np.split(flat, ends)
    return [part.reshape(-1, lanes) for part in parts]


def name_of(session: bytes, step: str, rows: int, depths: Sequence[int]) -> bytes:
    """32 bytes that name one run."""
    text = f"{len(session)} {rows} {list(depths)} {step} ".encode() + session
    return hashlib.blake2s(text, person=b"sharerun").digest()


def coin_of(name: bytes, *parts: bytes) -> bytes:
    """What the streams of one run hang on: everything that was said before them."""
    drawn = hashlib.blake2s(name, person=b"sharecoi")
    for part in parts:
        drawn.update(len(part).to_bytes(8, "little") + part)
    return drawn.digest()
