"""Pairs of members of two sides: taken first come, first served; and how they hang together."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.simd import readonly

__all__ = ["first_come", "linked"]

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


@kernel
def _linked(left, right, above):  # type: ignore[no-untyped-def]
    joined = 0
    for i in range(len(left)):
        a, b = left[i], right[i]
        while above[a] != a:
            above[a] = above[above[a]]
            a = above[a]
        while above[b] != b:
            above[b] = above[above[b]]
            b = above[b]
        if a != b:
            above[a] = b
            joined += 1
    return joined


def linked(left: Index, right: Index) -> int:
    """In how many connected parts these pairs fall, pairs being linked that share a member.

    However pairs are taken until none is left whose sides are both free, at least one of each
    part is.
    """
    lefts, a = np.unique(left, return_inverse=True)
    rights, b = np.unique(right, return_inverse=True)
    above = np.arange(len(lefts) + len(rights))
    inputs = readonly(a.astype(np.int64)), readonly((b + len(lefts)).astype(np.int64))
    return len(above) - int(_linked(*inputs, above)) if len(left) else 0
