"""Category names: a public list that the contract states, and one more for all else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["OTHER", "coded", "with_other"]

OTHER = "(other)"
"""Rows without a category, or with one that the list does not name."""


def with_other(categories: Sequence[str]) -> list[str]:
    """The list with `OTHER` at its end, so that every row has a place in it."""
    return [*(name for name in categories if name != OTHER), OTHER]


def coded(values: Sequence[object], categories: Sequence[str]) -> np.ndarray:
    """Each row's place in a list that ends with `OTHER`: `int64[rows]`."""
    place = {name: number for number, name in enumerate(categories)}
    return np.array([place.get(str(value), len(categories) - 1) for value in values], np.int64)
