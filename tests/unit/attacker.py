"""Somebody who has been told sums, and looks for a combination that speaks of few records."""

from __future__ import annotations

from itertools import combinations

import numpy as np

__all__ = ["few_spoken_of"]


def few_spoken_of(sums: np.ndarray, before: np.ndarray, present: np.ndarray, least: int) -> bool:
    """Whether a combination of `sums` that `before` did not give speaks of fewer than `least`.

    By trying all sets of cells. `sums` and `before` are 0/1, `[sums, records]`; records that are
    not `present` have no value.
    """
    columns, place = np.unique(np.vstack([sums, before]), axis=1, return_inverse=True)
    values = np.bincount(place.reshape(-1), present, columns.shape[1])
    some, none = np.flatnonzero((values > 0) & (values < least)), np.flatnonzero(values == 0)
    now, earlier = columns[: len(sums)], columns[len(sums) :]
    for size in range(least):  # each cell of `some` has a value or more
        for chosen in combinations(some.tolist(), size):
            if values[list(chosen)].sum() < least:
                hidden = [*chosen, *none]
                if _alone(now, hidden, none) > _alone(earlier, hidden, none):
                    return True
    return False


def _alone(sums: np.ndarray, hidden: list[int], none: np.ndarray) -> int:
    """The dimension of the combinations that speak of some values, all of them `hidden`."""
    parts = [np.delete(sums, list(cells), axis=1) for cells in (none, hidden)]
    every, others = (np.linalg.matrix_rank(part) if part.size else 0 for part in parts)
    return int(every - others)
