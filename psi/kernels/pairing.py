"""Pairs taken first come, first served: each member once on either side."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.simd import readonly

__all__ = ["first_come"]

Index = np.ndarray[Any, np.dtype[np.int64]]


@kernel
def _first_come(left, right, left_taken, right_taken, out):  # type: ignore[no-untyped-def]
    for i in range(len(left)):
        if not left_taken[left[i]] and not right_taken[right[i]]:
            left_taken[left[i]] = True
            right_taken[right[i]] = True
            out[i] = True


def first_come(left: Index, right: Index) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which of these pairs are taken, in this order: those with both sides free till then.

    `left` and `right` are `int64[n]` numbers from 0 on; returns `bool[n]`.
    """
    out = np.zeros(len(left), np.bool_)
    if len(out):
        taken = (np.zeros(int(side.max()) + 1, np.bool_) for side in (left, right))
        inputs = readonly(left.astype(np.int64)), readonly(right.astype(np.int64))
        _first_come(*inputs, *taken, out)
    return out
