"""The expand-convolute code: a public random map that compresses sparse noise to pseudorandomness.

A vector e of 2 n elements of the field of 2^128 becomes n elements: the second half runs twice
through a convolution (each element is added to the next and to random ones of the 23 after it),
then each element of the first half gets 21 elements of the result added, at a random place of
each twenty-first part of it. All places and taps come from a public key by AES in counter mode.
Dual LPN with this code and regular noise is the assumption; see docs/PARAMETERS.md.

Source: Raghuraman, Rindal and Tanguy 2023 (eprint 2023/882), with two convolutions as in the
authors' libOTe, which takes half of the places from regions and half from anywhere. With all
of them in regions no row is lighter than 21 and every row has a place near the beginning, from
where the convolution reaches all of the vector; and some regions fit into a processor's cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import aes
from psi.kernels.cache import kernel
from psi.kernels.convolution import SLACK, TABLES, add_three, convolve_four
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["SIZES", "SLACK", "WEIGHT", "add_first", "compress"]

WEIGHT = 21
"""Elements added to each output."""
SIZES = 16 * WEIGHT
"""Sizes are multiples of this."""
_TAPS = 1 << 17
"""Steps of a convolution whose taps are made at once."""
_GATHERED = 3
"""Regions of which an output gets its elements at once: more, and the cache does not hold them."""

Elements = np.ndarray[Any, np.dtype[np.uint64]]

_convolve_one, _convolve_two = convolve_four[2], convolve_four[4]
_add_one, _add_two = add_three[2], add_three[4]


@kernel
def _convolve(room, start, count, taps, table):  # type: ignore[no-untyped-def]
    """`count` steps, a multiple of four, from row `start` on."""
    if room.shape[1] == 2:
        for i in range(0, count, 4):
            _convolve_one(room, start, taps, i, table)
    else:
        for i in range(0, count, 4):
            _convolve_two(room, start, taps, i, table)


@kernel
def _gather_rows(low, high, words, region, size, room):  # type: ignore[no-untyped-def]
    """Add to outputs low..high their elements of three regions, `region` being the first.

    `words: uint32[3, high - low or more]`. Unsigned numbers spare the test for negative indices.
    """
    wide, shift, begin = np.uint64(size // WEIGHT), np.uint64(32), np.uint64(low)
    first = np.uint64(size) + np.uint64(region) * wide
    second, third = first + wide, first + wide + wide
    w0, w1, w2 = words[0], words[1], words[2]
    if room.shape[1] == 2:
        for i in range(np.uint64(high - low)):
            x = first + ((np.uint64(w0[i]) * wide) >> shift)
            y = second + ((np.uint64(w1[i]) * wide) >> shift)
            z = third + ((np.uint64(w2[i]) * wide) >> shift)
            _add_one(room, begin + i, x, y, z)
    else:
        for i in range(np.uint64(high - low)):
            x = first + ((np.uint64(w0[i]) * wide) >> shift)
            y = second + ((np.uint64(w1[i]) * wide) >> shift)
            z = third + ((np.uint64(w2[i]) * wide) >> shift)
            _add_two(room, begin + i, x, y, z)


def _add_regions(low: int, high: int, region: int, size: int, key: bytes, room: Elements) -> None:
    """Three regions' part of outputs low..high; `low` is a multiple of 4."""
    words = np.empty((_GATHERED, (high - low + 3) // 4 * 2), np.uint64)
    for i, drawn in enumerate(words):
        aes.stream(key, ((region + i) * size + low) // 4, drawn)
    _gather_rows(low, high, readonly(words.view(np.uint32)), region, size, room)


def compress(room: Elements, size: int, key: bytes) -> None:
    """Compress one or two vectors in place; the first `size` rows are the result.

    `room: uint64[m, w]` with m at least 2 · size + SLACK and w 2, the vector's elements, or 4, both
    vectors' side by side; what is behind `size` is overwritten. `size` is a multiple of `SIZES`;
    `key` has 32 bytes, and is public.
    """
    shape = room.shape
    if len(shape) != 2 or shape[1] not in TABLES or shape[0] < 2 * size + SLACK or size % SIZES:
        raise ValueError(f"a room {shape} for {size} outputs, {2 * size + SLACK} rows needed")
    if not room.flags.c_contiguous:
        raise ValueError("a room that is not contiguous")
    taps, table = np.empty(_TAPS // 2, np.uint64), TABLES[shape[1]]
    done = 0
    for _ in range(2):
        for start in range(0, size, _TAPS):
            count = min(_TAPS, size - start)
            aes.stream(key[:16], done, taps[: count // 2])
            done += count // 4
            _convolve(room, size + start, count, taps.view(np.uint32), table)
    for region in range(0, WEIGHT, _GATHERED):
        inputs = region, size, key[16:], room
        parallel_rows(_add_regions, size, *inputs, block=4, least=1 << 14)


@kernel
def _first_rows(low, high, pairs, out, second):  # type: ignore[no-untyped-def]
    for i in range(low, high):
        out[i, 0] ^= pairs[i, 0]
        out[i, 1] ^= pairs[i, 1]
        second[i, 0], second[i, 1] = pairs[i, 2], pairs[i, 3]


def add_first(out: Elements, pairs: Elements) -> Elements:
    """out[i] += the first of each pair, in place; the second ones.

    `uint64[n, 2]`, `uint64[n, 4]` to `uint64[n, 2]`.
    """
    second = np.empty_like(out)
    parallel_rows(_first_rows, len(out), readonly(pairs), out, second, least=1 << 14)
    return second
