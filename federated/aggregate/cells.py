"""Cells: the combinations of groups, one of each grouping, that rows lie in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["ABSENT", "MOST_CELLS", "NONE", "numbered_cells"]

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
