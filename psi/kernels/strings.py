"""Chosen strings of an Arrow buffer, gathered into one of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["take_strings"]

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Index = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]


@kernel
def _copy_rows(low, high, data, starts, ends, out):  # type: ignore[no-untyped-def]
    for row in range(low, high):
        source, at = starts[row], ends[row]
        for i in range(ends[row + 1] - at):
            out[at + i] = data[source + i]


def take_strings(data: Bytes, offsets: Index, rows: Index) -> tuple[Bytes, Index]:
    """`(data, offsets)` of strings `rows`, in that order; offsets begin at 0."""
    starts = np.ascontiguousarray(offsets)[rows]
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(offsets[rows + 1] - starts, out=ends[1:])
    out = np.empty(int(ends[-1]), np.uint8)
    if len(rows):
        parallel_rows(_copy_rows, len(rows), readonly(data), readonly(starts), readonly(ends), out)
    return out, ends
