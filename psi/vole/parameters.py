"""Every size of the protocol, from the number of items and two security levels.

docs/PARAMETERS.md derives each one; `tools/vole_parameters.py` recomputes that page's figures
and estimates what the known attacks on the noise would cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from psi.kernels.expand_convolute import SIZES
from psi.kernels.okvs import DENSE

__all__ = [
    "COMPUTATIONAL",
    "DISTANCE",
    "NOISE",
    "PART_BINS",
    "STATISTICAL",
    "Part",
    "Store",
    "TagForm",
    "Vector",
    "chunk_of",
    "leading_bits",
    "noise_weight",
    "parts_of",
    "store_for",
    "tag_form",
    "vector_for",
    "vector_of_chunk",
]

COMPUTATIONAL = 128
"""Bits of work."""
STATISTICAL = 40
"""A run fails, or finds a wrong match, with probability at most 2^-40 for each of the reasons."""
DISTANCE = 0.065
"""Relative minimum distance taken for the code's dual: pessimistic."""
BIN = 1 << 15
"""Items of a bin on average: its store fits into a core's second cache."""
CHUNK_BINS = 32
"""Bins whose columns one correlation covers at most: about 2^20 items."""
PART_BINS = 4
"""Bins of a part of the store, which is a message."""


def noise_weight(bits: int, distance: float) -> int:
    """The least t with (1 - distance)^t at most 2^-bits.

    For noise values uniform in a large field, where a linear test of weight w sees nothing of a
    vector with t noisy places with probability about (1 - w / n)^t.
    """
    return math.ceil(bits / -math.log2(1 - distance))


NOISE = noise_weight(COMPUTATIONAL, DISTANCE)
"""Noisy places of a correlation at least; one a tree."""


@dataclass(frozen=True)
class Store:
    """The receiver's key-value store: bins, sparse columns of each, items that a bin may hold."""

    bins: int
    sparse: int
    load: int

    @property
    def bin_columns(self) -> int:
        """Columns of a bin."""
        return self.sparse + DENSE

    @property
    def chunks(self) -> int:
        """Correlations that the store takes."""
        return -(-self.bins // CHUNK_BINS)

    def bins_of_chunk(self, chunk: int) -> tuple[int, int]:
        """First bin and end of a chunk; chunks differ by one bin at most."""
        return self.bins * chunk // self.chunks, self.bins * (chunk + 1) // self.chunks


@dataclass(frozen=True)
class Part:
    """Some bins of one chunk, with the place of their columns in it."""

    chunk: int
    first: int
    last: int
    low: int
    high: int


@dataclass(frozen=True)
class Vector:
    """A correlation: outputs, trees, and the depth of a tree."""

    size: int
    trees: int
    depth: int


@dataclass(frozen=True)
class TagForm:
    """The bits of a tag: `leading` ones, which travel as steps from tag to tag, and bytes."""

    leading: int
    width: int

    @property
    def bits(self) -> int:
        """All of them."""
        return self.leading + 8 * self.width


def _most_in_a_bin(items: int, bins: int, bits: float) -> int:
    """The least L such that some of `bins` bins holds more with probability below 2^-bits."""
    if bins == 1 or items == 0:
        return items
    p = 1 / bins

    def tail(most: int) -> float:
        """log2 of a bound on P[a bin holds more]: first term of the tail over a geometric ratio."""
        k = most + 1
        log = math.lgamma(items + 1) - math.lgamma(k + 1) - math.lgamma(items - k + 1)
        log += k * math.log(p) + (items - k) * math.log1p(-p)
        ratio = (items - k) / (k + 1) * p / (1 - p)
        return (log - math.log1p(-ratio)) / math.log(2)

    low, high = math.ceil(items * p), min(items, math.ceil(items * p + 60 * math.sqrt(items * p)))
    while low < high:
        middle = (low + high) // 2
        if middle >= items or tail(middle) + math.log2(bins) < -bits:
            high = middle
        else:
            low = middle + 1
    return low


def _expansion(items: int, bits: float) -> float:
    """Sparse columns an item so that all but a few rows peel, except with probability 2^-bits.

    The fitted formula of Raghuraman and Rindal 2022 (section 4, weight 3).
    """
    weight = math.log2(3)
    slope = 2 ** (
        0.555 * math.log2(items) + 0.093 * weight**3 - 1.01 * weight**2 + 2.925 * weight - 0.133
    )
    return 1.223 + (bits + 9.2) / slope


@cache
def store_for(items: int) -> Store:
    """The store of so many items. Either reason to fail has half of the statistical error."""
    bins = max(1, round(items / BIN))
    load = _most_in_a_bin(items, bins, STATISTICAL + 1)
    full = max(1, load)
    sparse = math.ceil(full * _expansion(full, STATISTICAL + 1 + math.log2(bins)))
    return Store(bins, sparse, load)


@cache
def parts_of(store: Store) -> tuple[Part, ...]:
    """All parts of a store, chunk by chunk; a part's number is its place here."""
    found = []
    for chunk in range(store.chunks):
        begin, end = store.bins_of_chunk(chunk)
        for first in range(begin, end, PART_BINS):
            last = min(first + PART_BINS, end)
            low, high = (store.bin_columns * (b - begin) for b in (first, last))
            found.append(Part(chunk, first, last, low, high))
    return tuple(found)


def chunk_of(store: Store, chunk: int) -> Part:
    """A whole chunk as one part."""
    begin, end = store.bins_of_chunk(chunk)
    return Part(chunk, begin, end, 0, store.bin_columns * (end - begin))


def vector_of_chunk(store: Store, chunk: int, noise: int = NOISE) -> Vector:
    """The correlation of one chunk of a store, with at least so many noisy places."""
    first, last = store.bins_of_chunk(chunk)
    return vector_for((last - first) * store.bin_columns, noise)


@cache
def vector_for(columns: int, noise: int = NOISE) -> Vector:
    """The correlation for so many columns: twice as many leaves as outputs, enough trees.

    The deepest trees that do not raise the number of leaves by more than an eighth.
    """
    depth = 1
    while noise << (depth + 1) <= 2.25 * columns:
        depth += 1
    trees = max(noise, -(-2 * columns >> depth))
    size = -(-(trees << depth) // (2 * SIZES)) * SIZES
    return Vector(size, trees, depth)


def leading_bits(sender: int) -> int:
    """Bits that ascending tags of so many items share with their neighbours, nearly."""
    return max(0, sender.bit_length() - 1)


def tag_form(receiver: int, sender: int) -> TagForm:
    """Bits so that a chance match among all pairs has probability below 2^-40; at least 64."""
    pairs = math.log2(max(1, receiver)) + math.log2(max(1, sender))
    leading = leading_bits(sender)
    return TagForm(leading, math.ceil((max(64, STATISTICAL + pairs) - leading) / 8))
