"""Cells: the combinations of groups, one of each grouping, that rows lie in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["ABSENT", "MOST_CELLS", "NONE", "Grouping", "numbered_cells"]

NONE = -1
"""The code of a row that is in no group of a grouping."""

ABSENT = -2
"""The code of a row that a grouping does not have."""

MOST_CELLS = 1 << 13
"""Cells that are counted apart; each takes an rⁿ of the receiver and a decryption."""


def numbered_cells(
    codes: Sequence[np.ndarray], most: int = MOST_CELLS
) -> tuple[np.ndarray, np.ndarray]:
    """The cells that occur, and each row's place among them.

    `codes` are `int64[rows]` of each grouping, the newest first. A cell names its groups from 2
    on, 1 for none, 0 where it is absent: `int64[cells, groupings]`. Of more than `most` cells the
    smallest are counted by the newest grouping alone: -1 in all others.
    """
    place, cells = np.zeros(len(codes[0]), np.int64), np.zeros((1, 0), np.int64)
    for groups in codes:
        width = int(groups.max(initial=NONE)) + 3
        found, place = np.unique(place * width + groups + 2, return_inverse=True)
        cells = np.column_stack([cells[found // width], found % width])
    place = place.reshape(-1)
    room = most - len(np.unique(cells[:, 0]))
    if len(cells) <= most or cells.shape[1] == 1:
        return cells, place
    sizes = np.bincount(place, minlength=len(cells))
    cells[np.argsort(-sizes, kind="stable")[max(0, room) :], 1:] = -1
    cells, joined = np.unique(cells, axis=0, return_inverse=True)
    return cells, joined.reshape(-1)[place]


@dataclass(frozen=True)
class Grouping:
    """A section's groups at the receiver, and each record's: `codes` is `int64[records]`.

    `NONE` is the code of a record in none, `ABSENT` of one that is not aligned any more.
    `earlier` has the same codes for each section that may have told of the same columns: of this
    contract first, in whatever group, then of earlier ones, in the groups that these told. At
    `most` so many cells are told apart.
    """

    groups: list[str]
    codes: np.ndarray
    earlier: tuple[np.ndarray, ...] = ()
    most: int = MOST_CELLS

    @cached_property
    def _numbered(self) -> tuple[np.ndarray, np.ndarray]:
        return numbered_cells([self.codes, *self.earlier], self.most)

    @property
    def cells(self) -> np.ndarray:
        """Each cell's groups: `int64[cells, 1 + earlier]`."""
        return self._numbered[0]

    @property
    def place(self) -> np.ndarray:
        """Each record's cell."""
        return self._numbered[1]

    def told(self, told: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The cells that are left to tell apart, and which of them each cell goes into.

        `told[i]`, `bool[groups]`, says which groups the i-th earlier section has told. Records
        of the others are in none there.
        """
        cells = self.cells.copy()
        for column, kept in zip(cells.T[1:], told, strict=False):
            known = np.append(kept, [True, True, True])[column - 2]  # absent, none and not counted
            column[~known] = NONE + 2
        found, into = np.unique(cells, axis=0, return_inverse=True)
        return found, into.reshape(-1)
