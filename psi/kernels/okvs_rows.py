"""Where an item's equation has its ones: bin, sparse places and dense mask of a digest."""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel, part
from psi.kernels.simd import parallel_rows, readonly
from psi.kernels.words import high_product

__all__ = ["DENSE", "bin_of", "bins_of", "row_of"]

DENSE = 48
"""Dense columns of a bin. A gap of g rows has no solution with probability 2^(g - DENSE)."""

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bins = np.ndarray[Any, np.dtype[np.int32]]


@part
def bin_of(word, bins):  # type: ignore[no-untyped-def]
    """The bin of a digest, from its word 2."""
    return high_product(word, np.uint64(bins))


@part
def row_of(w2, w3, bins, sparse):  # type: ignore[no-untyped-def]
    """Three different places below `sparse`, uniform over all triples, and the mask."""
    rest = w2 * np.uint64(bins)
    first = high_product(rest, np.uint64(sparse))
    rest *= np.uint64(sparse)
    second = high_product(rest, np.uint64(sparse - 1))
    third = high_product(w3, np.uint64(sparse - 2))
    mask = (w3 * np.uint64(sparse - 2)) >> np.uint64(64 - DENSE)
    second += np.uint64(second >= first)
    small, large = min(first, second), max(first, second)
    third += np.uint64(third >= small)
    third += np.uint64(third >= large)
    return first, second, third, mask


@kernel
def _bin_rows(low, high, digests, bins, out):  # type: ignore[no-untyped-def]
    for i in range(low, high):
        out[i] = bin_of(digests[i, 2], bins)


def bins_of(digests: Words, bins: int) -> Bins:
    """The bin of every digest: `uint64[n, 4]` to `int32[n]`."""
    out = np.empty(len(digests), np.int32)
    parallel_rows(_bin_rows, len(out), readonly(digests), bins, out, least=1 << 14)
    return out
