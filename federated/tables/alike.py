"""Features of one party that say the same: one is the other, or a multiple of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from federated.tables.inferred import NUMBER, taken_for
from federated.tables.matrix import numeric_matrix
from psi.protocol.errors import InputError

__all__ = ["copies"]

_NEAR = 1e-9
_LEAST = 3
"""Fewer rows are on a line by chance."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


def copies(table: pa.Table, features: Sequence[str]) -> dict[str, str]:
    """By column of numbers: an earlier one that it is a straight line of, gaps in the same rows.

    Each column is brought to one scale and multiplied by one random vector, so that a wide table
    takes one pass; only those whose products meet are laid side by side.
    """
    if table.num_rows < _LEAST:
        return {}
    direction = np.random.default_rng(7).normal(size=table.num_rows)
    marks = list[tuple[float, int]]()
    for place, name in enumerate(features):
        values = _scaled(table, name)
        if values is not None:
            marks.append((abs(float(values @ direction)), place))
    marks.sort()
    found = dict[str, str]()
    for (low, one), (high, other) in pairwise(marks):
        if high - low <= _NEAR * max(1.0, high):
            first, second = (features[at] for at in sorted((one, other)))
            if _same(table, first, second):
                found.setdefault(second, first)
    return found


def _scaled(table: pa.Table, name: str) -> Floats | None:
    """The column with mean 0 and length 1, gaps 0; None where it is no number, or always one."""
    try:
        if taken_for(table, name).kind != NUMBER:
            return None
        values = numeric_matrix(table, [name])[:, 0]
    except InputError:
        return None  # said by its role
    there = np.isfinite(values)
    if there.sum() < _LEAST:
        return None
    centred = np.where(there, values - values[there].mean(), 0.0)
    length = float(np.linalg.norm(centred))
    return centred / length if length > 0 else None


def _same(table: pa.Table, first: str, second: str) -> bool:
    gaps = np.isnan(numeric_matrix(table, [first, second]))
    one, other = _scaled(table, first), _scaled(table, second)
    if one is None or other is None or not np.array_equal(gaps[:, 0], gaps[:, 1]):
        return False
    return bool(abs(float(one @ other)) > 1 - _NEAR)
