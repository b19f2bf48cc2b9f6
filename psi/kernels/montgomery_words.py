"""Whole numbers as rows of 64-bit words, least significant first.

The form in which vectors of large numbers cross between the arithmetic paths, the packing of
plaintexts and the wire: `uint64[n, width]`, C-contiguous.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Words",
    "add",
    "add_where",
    "from_words",
    "is_negative",
    "less_than",
    "magnitude",
    "negate",
    "random_below",
    "resize",
    "to_words",
    "word_count",
]

Words = NDArray[np.uint64]


def word_count(bits: int) -> int:
    """Number of 64-bit words that hold `bits` bits."""
    return (bits + 63) // 64


def to_words(values: Iterable[Any], width: int) -> Words:
    """Write non-negative integers (int or mpz, each below 2^(64 width)) as `uint64[n, width]`."""
    size = 8 * width
    data = b"".join(gmpy2.mpz(value).to_bytes(size, "little") for value in values)
    return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(-1, width)


def from_words(words: Words) -> list[Any]:
    """Read `uint64[n, width]` as a list of n gmpy2 integers."""
    size = 8 * words.shape[1]
    data = np.ascontiguousarray(words, dtype="<u8").tobytes()
    read = gmpy2.mpz.from_bytes
    return [read(data[at : at + size], "little") for at in range(0, len(data), size)]


def less_than(words: Words, bound: int) -> NDArray[np.bool_]:
    """For every row of `uint64[n, width]`: is it below `bound`?"""
    width = words.shape[1]
    if int(bound) >> (64 * width):
        return np.ones(len(words), dtype=np.bool_)
    limit = to_words([bound], width)[0]
    less = np.zeros(len(words), dtype=np.bool_)
    for word in range(width):  # a more significant word overrules what the lower ones said
        column = words[:, word]
        less = (column < limit[word]) | ((column == limit[word]) & less)
    return less


def random_below(count: int, bound: int, random: Any) -> Words:
    """Draw `count` integers uniform in [0, bound) by rejection: `uint64[count, width]`.

    `random(k)` returns k secret bytes. Fewer than two draws an integer are expected.
    """
    bits = (int(bound) - 1).bit_length()
    width = word_count(bits)
    top = np.uint64((1 << (bits - 64 * (width - 1))) - 1)
    kept: list[Words] = []
    missing = count
    while missing > 0:
        data = random(8 * width * missing)
        draw = np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(missing, width)
        draw[:, -1] &= top
        draw = draw[less_than(draw, bound)]
        kept.append(draw)
        missing -= len(draw)
    return np.concatenate(kept) if kept else np.zeros((0, width), dtype=np.uint64)


def resize(words: Words, width: int, *, signed: bool = False) -> Words:
    """The same numbers in `width` words: cut, or extended by zeros (by the sign if `signed`)."""
    count, now = words.shape
    if width <= now:
        return words[:, :width]
    wide = np.zeros((count, width), dtype=np.uint64)
    wide[:, :now] = words
    if signed:
        wide[:, now:] = np.where(is_negative(words), ~np.uint64(0), np.uint64(0))[:, None]
    return wide


def is_negative(words: Words) -> NDArray[np.bool_]:
    """Sign of every row of two's complement."""
    negative: NDArray[np.bool_] = words[:, -1] > np.uint64((1 << 63) - 1)
    return negative


def add_where(
    words: Words, constant: int, rows: NDArray[np.bool_], *, subtract: bool = False
) -> Words:
    """words + constant (or minus) where `rows`, modulo 2^(64 width); others unchanged."""
    width = words.shape[1]
    signed = -int(constant) if subtract else int(constant)
    number = to_words([signed % (1 << (64 * width))], width)[0]
    return add(words, np.where(rows[:, None], number, np.uint64(0)))


def add(a: Words, b: Words) -> Words:
    """Row sums modulo 2^(64 width)."""
    count, width = max(len(a), len(b)), a.shape[1]
    if 0 in (len(a), len(b)):
        count = 0
    out = np.empty((count, width), dtype=np.uint64)
    carry = np.zeros(count, dtype=np.uint64)
    for word in range(width):
        left = a[:, word] + carry
        total = left + b[:, word]
        carry = ((left < carry) | (total < left)).astype(np.uint64)
        out[:, word] = total
    return out


def negate(words: Words) -> Words:
    """Row negatives modulo 2^(64 width)."""
    one = np.zeros((1, words.shape[1]), dtype=np.uint64)
    one[0, 0] = 1
    return add(~words, one)


def magnitude(words: Words) -> tuple[Words, NDArray[np.bool_]]:
    """|v| and sign of every row of two's complement."""
    negative = is_negative(words)
    return np.where(negative[:, None], negate(words), words), negative
