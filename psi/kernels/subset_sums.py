"""Sums of some of sixteen rows at once, and values added up by bins: passes over whole arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel

__all__ = ["add_to_bins", "subset_sums"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
_BLOCK = 256
"""Words of a row that are summed at a time: sixteen rows of them stay in the first cache."""


@kernel
def _sum_rows(rows, shift, sums, total):  # type: ignore[no-untyped-def]
    width = rows.shape[1]
    for low in range(0, width, _BLOCK):
        high = min(width, low + _BLOCK)
        for w in range(low, high):
            total[w] = rows[0, w]
        for t in range(sums.shape[0]):
            for w in range(low, high):
                sums[t, w] = np.uint64(0)
        for k in range(rows.shape[0]):
            if k:
                for w in range(low, high):
                    total[w] ^= rows[k, w]
            for t in range(sums.shape[0]):
                if (k ^ shift) >> t & 1:
                    for w in range(low, high):
                        sums[t, w] ^= rows[k, w]


def subset_sums(rows: Words, shift: int, sums: Words, total: Words) -> None:
    """`sums[t]` = sum of the rows k with bit t of k + shift set; `total` = sum of all.

    Addition is bit by bit: `uint64[2^bits, w]` to `uint64[bits, w]` and `uint64[w]`.
    """
    if rows.shape != (1 << len(sums), sums.shape[1]) or total.shape != sums.shape[1:]:
        raise ValueError(f"sums of shape {sums.shape} of rows of shape {rows.shape}")
    _sum_rows(rows, shift, sums, total)


@kernel
def _add_rows(values, less, bins, sums):  # type: ignore[no-untyped-def]
    for i in range(values.shape[0]):
        b = np.int64(bins[i])
        for j in range(values.shape[1]):
            sums[b, j] += values[i, j] - less[i, j]


def add_to_bins(values: Any, less: Any, bins: Any, sums: Any) -> None:
    """sums[bins[i]] += values[i] - less[i], modulo the lanes' ring: `uint[n, lanes]` each."""
    if values.shape != less.shape or len(bins) != len(values):
        raise ValueError(f"values of shape {values.shape}, {less.shape} for {len(bins)} bins")
    if len(bins) and int(bins.max()) >= len(sums):
        raise ValueError(f"bins beyond {len(sums)}")
    _add_rows(values, less, bins, sums)
