"""Columns of rows as a list of chunks, in the order in which both sides take them."""

from __future__ import annotations

from dataclasses import dataclass

from federated.sharing.trees import CHUNK, padded

__all__ = ["WINDOW", "Chunk", "chunks_of"]

WINDOW = 4
"""Chunks that are under way at a time."""


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
