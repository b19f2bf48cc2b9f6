"""The columns' owner hides its records in what it says of columns, by noise of its own.

The receiver chooses which records are shared and which of them are positive, and may know all of
them but one. What it is told would then tell that one's bin: by the value, by how many bins the
column comes to, by drift, whose logarithms make much of a bin that nobody was in. So all of it
follows from counts with discrete Laplace noise, drawn by the owner for this alone. Where a record
moves to another bin, four counts of the value move by one, and two of each period's of drift: a
record's bin of a column is hidden by `EPSILON` a job.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federated.aggregate.noise import Noise, discrete_laplace

__all__ = ["DRIFT_SCALE", "EPSILON", "VALUE_SCALE", "blurred", "drift_of"]

VALUE_SCALE, DRIFT_SCALE = 4, 4
EPSILON = 4 / VALUE_SCALE + 2 / DRIFT_SCALE
_FLOOR = 3 * DRIFT_SCALE
"""A bin with fewer rows counts as so many in drift: noise alone makes no drift of empty bins."""

Counts = NDArray[np.int64]


def blurred(opened: Sequence[Counts], noise: Noise = discrete_laplace) -> list[Counts]:
    """The counts for what is said of columns' worth. Raises `EnvironmentFailed` without OpenDP.

    Args:
        opened: of each column `int64[bins, 2]`.
        noise: draws it.
    """
    return [_with_noise(counts, VALUE_SCALE, noise) for counts in opened]


def drift_of(before: Counts, now: Counts, noise: Noise = discrete_laplace) -> float:
    """The population stability index of two periods.

    Args:
        before: rows by bin, `int64[bins]`.
        now: the same of this job's rows.
        noise: draws it.
    """
    noised = [_with_noise(rows, DRIFT_SCALE, noise) for rows in (before, now)]
    old, new = (np.maximum(rows, _FLOOR) / np.maximum(rows, _FLOOR).sum() for rows in noised)
    return float(((new - old) * np.log(new / old)).sum())


def _with_noise(counts: Counts, scale: int, noise: Noise) -> Counts:
    drawn = np.array(noise([scale] * counts.size), np.int64)
    return np.asarray(counts + drawn.reshape(counts.shape))
