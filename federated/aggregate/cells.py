"""Cells: the combinations of groups, one of each grouping, that rows lie in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["numbered_cells"]


def numbered_cells(codes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The cells that occur, in rising order, and each row's place among them.

    `codes` are `int64[rows]` of each grouping, -1 for none. A cell names its groups from 1 on, 0
    for none: `int64[cells, groupings]`.
    """
    place, cells = np.zeros(len(codes[0]), np.int64), np.zeros((1, 0), np.int64)
    for groups in codes:
        width = int(groups.max(initial=-1)) + 2
        found, place = np.unique(place * width + groups + 1, return_inverse=True)
        cells = np.column_stack([cells[found // width], found % width])
    return cells, place.reshape(-1)
