"""The expand-convolute code: a public random map that compresses sparse noise to pseudorandomness.

A vector e of 2 n elements of the field of 2^128 becomes n elements: the second half runs twice
through a convolution (each element is added to the next and to random ones of the 23 after it),
then each element of the first half gets 21 elements of the result added, at a random place of
each twenty-first part of it. All places and taps come from a public key by AES in counter mode.
Dual LPN with this code and regular noise is the assumption; see docs/PARAMETERS.md.

Source: Raghuraman, Rindal and Tanguy 2023 (eprint 2023/882), with two convolutions as in the
authors' libOTe, which takes half of the places from regions and half from anywhere. With all
of them in regions no row is lighter than 21 and every row has a place near the beginning, from
where the convolution reaches all of the vector; and a region fits into a core's cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import aes
from psi.kernels.cache import kernel, part
from psi.kernels.convolution import SLACK, TABLE, convolve_four
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["SIZES", "SLACK", "WEIGHT", "compress"]

WEIGHT = 21
"""Elements added to each output."""
SIZES = 16 * WEIGHT
"""Sizes are multiples of this."""
_TAPS = 1 << 17
"""Steps of a convolution whose taps are made at once."""

Elements = np.ndarray[Any, np.dtype[np.uint64]]


@kernel
def _convolve(low, high, vectors, start, count, taps, table):  # type: ignore[no-untyped-def]
    """Steps `start` to `start + count`, a multiple of four, of the vectors low..high."""
    for k in range(low, high):
        for i in range(0, count, 4):
            convolve_four(vectors, k, start + i, taps, i, table)


@kernel
def _split_rows(low, high, vectors, start, halves):  # type: ignore[no-untyped-def]
    """Low and high words of each vector from `start` on, each side by side."""
    for k in range(len(vectors)):
        for i in range(low, high):
            halves[2 * k, i] = vectors[k, start + i, 0]
            halves[2 * k + 1, i] = vectors[k, start + i, 1]


@part
def _half(vectors, h, size, low, high):  # type: ignore[no-untyped-def]
    """Where half h's sums of outputs low..high are kept: in the vector's second part."""
    start = (2 + (h & 1)) * size
    return vectors[h >> 1].reshape(-1)[start + low : start + high]


@kernel
def _gather_rows(low, high, words, first, halves, vectors):  # type: ignore[no-untyped-def]
    """Add to each sum the element at a random place of the region that begins at `first`."""
    size = halves.shape[1]
    wide, shift = np.uint64(size // WEIGHT), np.uint64(32)
    for h in range(len(halves)):
        region = halves[h, first : first + size // WEIGHT]
        total = _half(vectors, h, size, low, high)
        # unsigned numbers spare the test for negative indices
        if first == 0:
            for row in range(np.uint64(high - low)):
                total[row] = region[(np.uint64(words[row]) * wide) >> shift]
        else:
            for row in range(np.uint64(high - low)):
                total[row] ^= region[(np.uint64(words[row]) * wide) >> shift]


def _add_region(
    low: int, high: int, region: int, key: bytes, halves: Elements, vectors: Elements
) -> None:
    """One region's part of outputs low..high; `low` is a multiple of 4."""
    size = halves.shape[1]
    words = np.empty((high - low + 3) // 4 * 2, np.uint64)
    aes.stream(key, (region * size + low) // 4, words)
    first = region * (size // WEIGHT)
    _gather_rows(low, high, readonly(words.view(np.uint32)), first, halves, vectors)


@kernel
def _join_rows(low, high, size, vectors):  # type: ignore[no-untyped-def]
    for h in range(2 * len(vectors)):
        total = _half(vectors, h, size, low, high)
        for i in range(high - low):
            vectors[h >> 1, low + i, h & 1] ^= total[i]


def compress(vectors: Elements, size: int, key: bytes) -> None:
    """Compress k vectors in place; the first `size` elements of each are the result.

    `vectors: uint64[k, m, 2]` with m at least 2 · size + SLACK; what is behind 2 · size is
    overwritten. `size` is a multiple of `SIZES`; `key` has 32 bytes, and is public.
    """
    least = 2 * size + SLACK
    if vectors.ndim != 3 or vectors.shape[1] < least or size % SIZES:
        raise ValueError(f"vectors {vectors.shape} of {size} outputs, {least} elements needed")
    taps = np.empty(_TAPS // 2, np.uint64)
    done = 0
    for _ in range(2):
        for start in range(0, size, _TAPS):
            count = min(_TAPS, size - start)
            aes.stream(key[:16], done, taps[: count // 2])
            done += count // 4
            args = vectors, size + start, count, taps.view(np.uint32), TABLE
            parallel_rows(_convolve, len(vectors), *args, block=1, least=1)
    halves = np.empty((2 * len(vectors), size), np.uint64)
    parallel_rows(_split_rows, size, readonly(vectors), size, halves, least=1 << 14)
    for region in range(WEIGHT):
        inputs = region, key[16:], readonly(halves), vectors
        parallel_rows(_add_region, size, *inputs, block=4, least=1 << 14)
    parallel_rows(_join_rows, size, size, vectors, least=1 << 14)
