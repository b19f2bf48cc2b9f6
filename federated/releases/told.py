"""What sections by the receiver's segment told, kept for the audit of later ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from federated.aggregate.binned import NO_PART
from federated.aggregate.grid import grid_of
from federated.aggregate.history import asked_of
from psi.protocol import Array, Length, Range, Text, message

__all__ = ["ToldParts", "ToldSection"]

LARGEST = 1 << 30
GROUPS = 1 << 16


@message(0xD4)
@dataclass(frozen=True)
class ToldSection:
    """A section by the receiver's segment: which values its rows had, and what it told.

    `there` is `uint8[rows, columns]`, `kept` `uint8[groups, columns]`; until it is `done` all may
    have been told.
    """

    columns: Annotated[tuple[Annotated[str, Text(256)], ...], Length(1 << 10)]
    minimum: Annotated[int, Range(0, 1 << 40)]
    there: Annotated[np.ndarray, Array("uint8", width=-1, most=LARGEST)]
    kept: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]
    done: bool

    def flags(self, columns: Sequence[str]) -> np.ndarray:
        """What was told of other columns' list: `bool[groups, columns]`, false where not asked."""
        kept = self.kept if self.done else np.ones((GROUPS, len(self.columns)), np.uint8)
        found = np.zeros((len(kept), len(columns)), bool)
        for place, column in enumerate(self.columns):
            if column in columns:
                found[:, columns.index(column)] = kept[:, place]
        return found

    def with_kept(self, kept: np.ndarray) -> ToldSection:
        """The same at its end."""
        return replace(self, kept=kept.astype(np.uint8), done=True)


@message(0xD7)
@dataclass(frozen=True)
class ToldParts:
    """The shares and histograms of a section: in which part each row was, and what was told.

    `asked` are "COLUMN:STATISTIC", column by column. For the edges of each column `parts` is
    `uint16[rows, columns]`, and `open` above which of them it told, `uint8[groups, edges]`, one
    column after the other; until it is `done` all may have been told.
    """

    asked: Annotated[tuple[Annotated[str, Text(2048)], ...], Length(1 << 10)]
    parts: Annotated[np.ndarray, Array("uint16", width=-1, most=LARGEST)]
    open: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]
    done: bool

    @property
    def edges(self) -> dict[str, tuple[float, ...]]:
        """Of each column."""
        every = [asked_of(text) for text in self.asked]
        return {
            column: grid_of(s.edges for c, s in every if c == column)
            for column in dict.fromkeys(column for column, _ in every)
        }

    def of(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """The part of each row, and `bool[groups, edges]`: above which edges a column was told."""
        at = 0
        for place, (name, edges) in enumerate(self.edges.items()):
            if name == column:
                told = self.open[:, at : at + len(edges)].astype(bool)
                every = np.ones((GROUPS, len(edges)), bool)
                return self.parts[:, place], told if self.done else every
            at += len(edges)
        return np.full(len(self.parts), NO_PART, np.uint16), np.zeros((len(self.open), 0), bool)

    def with_open(self, told: np.ndarray) -> ToldParts:
        """The same at its end."""
        return replace(self, open=told.astype(np.uint8), done=True)
