"""Which splits a party's columns allow: public, and the same at both parties.

A column has cells, one for each bin. One in order splits between two neighbouring cells; its
missing values, where they have a cell, go left or right. A category splits one cell from the rest.
A candidate is therefore a set of cells that go left: what is summed over it is linear in the
column's histogram, so each party sums its own share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from federated.sharing.trees import depth_of
from psi.protocol import Length, MisuseError, PeerError, Range

__all__ = ["MOST_CELLS", "MOST_COLUMNS", "Column", "Layout", "heard_of"]

MOST_CELLS, MOST_COLUMNS = 32, 1024

Sides = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    """A column as the other party knows it.

    A category's missing values are a cell like any other.

    Attributes:
        cells: how many.
        ordered: numbers, whose splits are thresholds; otherwise a category.
        missing: whether the last cell is for missing values.
    """

    cells: Annotated[int, Range(2, MOST_CELLS)]
    ordered: bool
    missing: bool

    @property
    def depth(self) -> int:
        """Levels of the trees that hide its cells."""
        return depth_of(self.cells)

    @property
    def left(self) -> Sides:
        """`bool[candidates, cells]`: the cells that each candidate sends left."""
        if not self.ordered:
            return np.eye(self.cells if self.cells > 2 else 1, self.cells, dtype=np.bool_)
        values = self.cells - self.missing
        below = np.tri(values - 1, values, dtype=np.bool_)
        if not self.missing:
            return below
        aside = np.zeros((len(below), 1), np.bool_)
        alone = np.append(np.ones(values, np.bool_), False)[None]
        return np.vstack([np.hstack([below, aside]), np.hstack([below, ~aside]), alone])


@dataclass(frozen=True)
class Layout:
    """A party's `columns` in order; candidates are numbered through all of them."""

    columns: Annotated[tuple[Column, ...], Length(MOST_COLUMNS)]

    @property
    def depths(self) -> tuple[int, ...]:
        """Levels of each column's trees."""
        return tuple(column.depth for column in self.columns)

    @cached_property
    def lefts(self) -> tuple[Sides, ...]:
        """`Column.left` of each."""
        return tuple(column.left for column in self.columns)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """How many candidates there are up to each column's last."""
        return tuple(int(end) for end in np.cumsum([len(left) for left in self.lefts]))

    @property
    def candidates(self) -> int:
        """Of all columns."""
        return self.ends[-1] if self.ends else 0

    def split(self, candidate: int) -> tuple[int, Sides]:
        """A candidate's column, and which of its cells go left."""
        column = int(np.searchsorted(self.ends, candidate, side="right"))
        first = self.ends[column - 1] if column else 0
        return column, self.lefts[column][candidate - first]

    def sums(self, cells: list[NDArray[Any]]) -> NDArray[Any]:
        """Sums over what each candidate sends left: `[candidates, k]`.

        Args:
            cells: of each column its histogram, or a share of it: `[cells or more, k]` of one type,
                whose ring the sums are in.
        """
        found = []
        for column, left, own in zip(self.columns, self.lefts, cells, strict=True):
            weights = left.astype(own.dtype)
            found.append(np.einsum("ic,ck->ik", weights, own[: column.cells]))
        return np.concatenate(found) if found else np.zeros((0, 0))

    def ways(self, columns: Sequence[int]) -> NDArray[np.int8] | None:
        """Of each candidate the way that scores may go from left to right: 1, -1, or 0 for any.

        Where missing values alone go right there is no way. None where no column has one.

        Args:
            columns: of each 1, -1 or 0; empty: all 0. A category has none.

        Raises:
            MisuseError: of another number of columns, other numbers, or for a category.
        """
        if not any(columns):
            return None
        pairs = list(zip(self.columns, columns, strict=False))
        wrong = any(way not in (-1, 0, 1) or (way and not c.ordered) for c, way in pairs)
        if wrong or len(columns) != len(self.columns):
            raise MisuseError(f"ways of {len(columns)} columns that {len(self.columns)} cannot go")
        found = []
        for column, way in pairs:
            one = np.full(len(column.left), way, np.int8)
            if column.missing:
                one[-1] = 0
            found.append(one)
        return np.concatenate(found)

    def check(self) -> None:
        """Raise `PeerError` unless a received layout has splits in every column."""
        for column in self.columns:
            if column.missing and (not column.ordered or column.cells < 2):
                raise PeerError("a column without bins of its own")
        if not self.columns:
            raise PeerError("a layout without columns")


def heard_of(bins: Sequence[NDArray[np.uint16]], layout: Layout, least: int) -> Sides:
    """Which candidates have so many rows on either side, of all: `bool[candidates]`."""
    found = []
    for own, column in zip(bins, layout.columns, strict=True):
        counts = np.bincount(own, minlength=column.cells)
        left = column.left @ counts
        found.append(np.minimum(left, len(own) - left) >= least)
    return np.concatenate(found)
