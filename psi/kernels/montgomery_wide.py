"""Residues mod N^2 in eight lanes, by AVX-512 IFMA or by doubles.

Residues are `uint64[n, 2 h]` in the pair form of montgomery_lanes, both halves below 9 N. The
methods are documented in montgomery.SquareRing; the loops are in montgomery_rows, _powers and
_forms.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from psi.kernels.montgomery_emit import LANES, LIMB_BITS, LIMB_MASK
from psi.kernels.montgomery_forms import (
    dump_rows,
    expand_rows,
    load_rows,
    plain_rows,
    scale_rows,
)
from psi.kernels.montgomery_lanes import aligned
from psi.kernels.montgomery_portable import window_digits
from psi.kernels.montgomery_powers import fixed_base_rows, power_rows
from psi.kernels.montgomery_rows import (
    add_rows,
    bucket_rows,
    low_product,
    multiply_rows,
    segment_rows,
)
from psi.kernels.montgomery_threads import parallel, threads
from psi.kernels.montgomery_words import Words, from_words, to_words, word_count

__all__ = ["WideFixedBase", "WideRing"]

Rows = NDArray[np.uint64]
Index = NDArray[np.int64]
# R exceeds N by this many bits at least, so that sums of a few residues need no reduction
SLACK_BITS = 12
# multiply-adds that are worth a thread: about 0.1 ms
GRAIN = 300_000
# h multiply-adds that reading one entry of a table of powers is worth
SCAN = 3
# exponents whose digits are held at once
POWER_ROWS = 1 << 15


class WideRing:
    """Integers mod N^2 on eight lanes; N odd, up to 8192 bits."""

    def __init__(self, modulus: int, path: str = "wide") -> None:
        self.path = path
        # multiply-adds of limbs asked for so far: what a benchmark compares with the CPU's rate
        self.work = 0.0
        self.modulus = int(modulus)
        bits = self.modulus.bit_length()
        limbs = max(6, -(-(bits + SLACK_BITS) // LIMB_BITS))
        self.limbs = limbs + limbs % 2
        self.plain_words = word_count(bits)
        self.square_words = word_count(2 * bits)
        self._square = self.modulus**2
        self._radix = 1 << (LIMB_BITS * self.limbs)
        # a multiple of N, written with limbs of at least 2^b - 1
        multiple = self.modulus * -(-self._radix // self.modulus) - (self._radix - 1)
        shift = _limbs(multiple, self.limbs) + np.uint64(LIMB_MASK)
        inverse = np.uint64(pow(-self.modulus, -1, 1 << LIMB_BITS))
        self._constants = (_limbs(self.modulus, self.limbs), shift, inverse, self.limbs)
        self._one = self._pair(self._radix)
        self._load_factors: dict[tuple[int, int], Rows] = {}

    def _pair(self, number: int) -> Rows:
        high, low = divmod(number % self._square, self.modulus)
        return np.concatenate([_limbs(low, self.limbs), _limbs(high, self.limbs)])

    def _empty(self, count: int) -> Rows:
        return np.empty((count, 2 * self.limbs), dtype=np.uint64)

    def _spread(self, work: Callable[[int, int], None], count: int, products: float) -> None:
        """work(start, stop) over row ranges of whole lane blocks; `products` is a row's cost."""
        multiply_adds = products * 10 * self.limbs**2
        self.work += count * multiply_adds
        cost = multiply_adds / LANES
        spread(work, count, max(1, int(GRAIN / cost)))

    # in and out

    def load(self, words: Words, factor: int = 1) -> Rows:
        """Residues of words, times a constant."""
        out = self._empty(len(words))
        chunks = max(1, -(-(64 * words.shape[1]) // (LIMB_BITS * self.limbs)))
        # the last chunk may be nothing but the width's rounding to words
        if chunks > 1 and not _beyond(words, (chunks - 1) * LIMB_BITS * self.limbs):
            chunks -= 1
        key = (chunks, factor)
        if key not in self._load_factors:
            powers = [pow(self._radix, k + 2, self._square) * factor for k in range(chunks)]
            self._load_factors[key] = np.stack([self._pair(power) for power in powers])
        constants, source = self._load_factors[key], np.ascontiguousarray(words)
        self._spread(
            lambda lo, hi: load_rows(out, source, constants, lo, hi, *self._constants),
            len(words),
            chunks,
        )
        return out

    def dump(self, a: Rows) -> Words:
        out = np.empty((len(a), self.square_words), dtype=np.uint64)
        self._spread(lambda lo, hi: dump_rows(out, a, False, lo, hi, *self._constants), len(a), 1.5)
        return out

    def log(self, a: Rows) -> Words:
        out = np.empty((len(a), self.plain_words), dtype=np.uint64)
        self._spread(lambda lo, hi: dump_rows(out, a, True, lo, hi, *self._constants), len(a), 1)
        return out

    def length(self, a: Rows) -> int:
        return len(a)

    def ones(self, count: int) -> Rows:
        return np.repeat(self._one[None], count, axis=0)

    def take(self, a: Rows, rows: Index) -> Rows:
        return a[rows]

    def concatenate(self, parts: list[Rows]) -> Rows:
        return np.concatenate(parts)

    # arithmetic

    def multiply(self, a: Rows, b: Rows) -> Rows:
        count = max(len(a), len(b)) if len(a) and len(b) else 0
        out, every = self._empty(count), np.arange(count)
        left = every if len(a) == count else np.zeros(count, dtype=np.int64)
        right = every if len(b) == count else np.zeros(count, dtype=np.int64)
        self._multiply(out, every, a, left, b, right)
        return out

    def _multiply(self, out: Rows, to: Index, a: Rows, left: Index, b: Rows, right: Index) -> None:
        """out[to] = a[left] b[right]."""
        self._spread(
            lambda lo, hi: multiply_rows(out, to, a, left, b, right, lo, hi, *self._constants),
            len(to),
            1,
        )

    def inverse(self, a: Rows) -> Rows:
        if not len(a):
            return a
        # one inversion for all: a tree of products upwards, inverses downwards
        levels = [a]
        while len(levels[-1]) > 1:
            below = levels[-1]
            half = len(below) // 2
            above = self._empty(half + len(below) % 2)
            even = np.arange(0, 2 * half, 2)
            self._multiply(above, np.arange(half), below, even, below, even + 1)
            if len(below) % 2:
                above[-1] = below[-1]
            levels.append(above)
        root = from_words(self.dump(levels[-1]))[0]
        inverse = self.load(to_words([gmpy2.invert(root, self._square)], self.square_words))
        for below in reversed(levels[:-1]):
            half = len(below) // 2
            out = self._empty(len(below))
            every = np.arange(2 * half)
            self._multiply(out, every, inverse, every // 2, below, every ^ 1)
            if len(below) % 2:
                out[-1] = inverse[-1]
            inverse = out
        return inverse

    def times_plain(self, a: Rows, plain: Words) -> Rows:
        out, source = self._empty(len(a)), np.ascontiguousarray(plain)
        square = _limbs(self._radix**2 % self.modulus, self.limbs)
        self._spread(
            lambda lo, hi: plain_rows(out, a, source, square, self._one, lo, hi, *self._constants),
            len(a),
            1.5,
        )
        return out

    def power_shared(
        self, a: Rows, exponent: int, *, secret: bool = False, constant_time: bool = False
    ) -> Rows:
        # a secret exponent is scanned for always: it costs little here
        bits = int(exponent).bit_length()
        words = to_words([exponent], max(1, word_count(bits)))
        return self._power(a, words, bits, secret or constant_time)

    def power_rows(self, a: Rows, exponents: Words) -> Rows:
        return self._power(a, exponents, _length(exponents), True)

    def _power(self, a: Rows, exponents: Words, bits: int, scan: bool) -> Rows:
        if bits == 0:
            return self.ones(len(a))

        def cost(window: int) -> float:
            # in h^2 multiply-adds: a product, reading the table for it, and making the table
            reads = (SCAN / self.limbs) * (1 << window) if scan else 0
            return -(-bits // window) * (10 + reads) + 8.5 * (1 << window)

        window = min(range(1, 8), key=cost)
        windows = -(-bits // window)
        digits = window_digits(exponents, window, windows)[::-1].T
        ordered = np.ascontiguousarray(digits).view(np.uint64)
        out = self._empty(len(a))
        self._spread(
            lambda lo, hi: power_rows(
                out, a, ordered, window, scan, self._one, lo, hi, *self._constants
            ),
            len(a),
            0.7 * bits + windows + (1 << window),
        )
        return out

    def segment_product(self, a: Rows, order: Index, offsets: Index) -> Rows:
        lengths = np.diff(offsets)
        out = self._empty(len(lengths))
        # long segments in pieces, so that every lane of every thread has work
        most = max(8, -(-len(order) // (4 * LANES * threads())))
        if lengths.max(initial=0) > most:
            pieces = np.maximum(1, -(-lengths // most))
            ends = np.cumsum(pieces)
            within = np.arange(ends[-1]) - np.repeat(ends - pieces, pieces)
            starts = np.repeat(offsets[:-1], pieces) + within * most
            bounds = np.append(starts, offsets[-1])
            parts = self.segment_product(a, order, bounds)
            return self.segment_product(parts, np.arange(len(parts)), np.concatenate([[0], ends]))
        if not len(a):
            return self.ones(len(lengths))
        by_length = np.argsort(-lengths, kind="stable")
        self._spread(
            lambda lo, hi: segment_rows(
                out, a, order, offsets, by_length, self._one, lo, hi, *self._constants
            ),
            len(lengths),
            max(1.0, len(order) / max(1, len(lengths))),
        )
        return out

    def bucket_product(self, a: Rows, chains: int) -> Rows:
        buckets = len(a) // max(1, chains)
        if chains == 0 or buckets == 0:
            return self.ones(chains)
        # chains too few for the lanes are cut: sum over cuts s of total_s and s L product_s
        cuts = 1
        while chains * cuts < LANES and buckets % 2 == 0 and buckets >= 16:
            cuts, buckets = 2 * cuts, buckets // 2
        total, product = self._empty(chains * cuts), self._empty(chains * cuts)
        self._spread(
            lambda lo, hi: bucket_rows(total, product, a, buckets, lo, hi, *self._constants),
            chains * cuts,
            2 * buckets,
        )
        if cuts == 1:
            return total
        offsets = np.arange(0, chains * cuts + 1, cuts)
        totals = self.segment_product(total, np.arange(chains * cuts), offsets)
        later = np.arange(chains * cuts).reshape(chains, cuts)[:, 1:].ravel()
        steps = self.bucket_product(product[later], chains)
        return self.multiply(totals, self.power_shared(steps, buckets))

    # plaintext side

    def scale(self, plain: Words, factor: int) -> Words:
        out = np.empty((len(plain), self.plain_words), dtype=np.uint64)
        by = _limbs(int(factor) * self._radix % self.modulus, self.limbs)
        source = np.ascontiguousarray(plain)
        self._spread(
            lambda lo, hi: scale_rows(out, source, by, lo, hi, *self._constants),
            len(plain),
            1,
        )
        return out

    def expand(self, plain: Words, factor: int) -> Words:
        out = np.empty((len(plain), self.plain_words), dtype=np.uint64)
        limbs = -(-(64 * plain.shape[1]) // LIMB_BITS)
        by = _limbs(int(factor), -(-int(factor).bit_length() // LIMB_BITS))
        source = np.ascontiguousarray(plain)
        self._spread(lambda lo, hi: expand_rows(out, source, by, limbs, lo, hi), len(plain), 1)
        return out

    def coprime(self, a: Rows) -> bool:
        if not len(a):
            return True
        parts: list[Rows] = []

        def work(lo: int, hi: int) -> None:
            product = aligned(self.limbs)
            low_product(product, a, lo, hi, *self._constants)
            parts.append(product)

        self._spread(work, len(a), 0.4)
        product, modulus = mpz(1), mpz(self.modulus)
        for part in parts:
            for number in _numbers(part):
                product = product * number % modulus
        return bool(gmpy2.gcd(product, modulus) == 1)

    def fixed_base(self, base: int, bits: int, window: int, factor: int = 1) -> WideFixedBase:
        return WideFixedBase(self, base, bits, window, factor)

    def join(self, low: WideRing, a: Rows, high: WideRing, b: Rows) -> Rows:
        left = self.load(low.dump(a), high.modulus**2)
        right = self.load(high.dump(b), low.modulus**2)
        out = self._empty(len(a))
        spread(lambda lo, hi: add_rows(out, left, right, lo, hi, self.limbs), len(a), 512)
        return out


class WideFixedBase:
    """factor base^e from tables of base^(d 2^(w k)): one product a window, no squarings."""

    def __init__(self, ring: WideRing, base: int, bits: int, window: int, factor: int) -> None:
        self.window = window
        self._ring = ring
        self._windows = -(-bits // window)
        square = mpz(ring.modulus) ** 2
        # base^(2^i) for every i, the powers of two of every window
        power = mpz(base) % square
        powers = [power]
        for _ in range(self._windows * window - 1):
            power = power * power % square
            powers.append(power)
        doubled = ring.load(to_words(powers, ring.square_words))
        entries = 1 << window
        table = ring._empty(self._windows * entries)
        first = np.arange(self._windows) * entries
        table[first] = ring._one
        for place in range(window):
            at = first + (1 << place)
            table[at] = doubled[place::window]
            if place:
                lower = np.arange(1, 1 << place)
                left = np.repeat(at, len(lower))
                right = (first[:, None] + lower).ravel()
                ring._multiply(
                    table, left + np.tile(lower, self._windows), table, left, table, right
                )
        if factor != 1:
            scale = ring.load(to_words([factor % square], ring.square_words))
            every = np.arange(entries)
            ring._multiply(table, every, table, every, scale, np.zeros(entries, dtype=np.int64))
        self._table = table

    def power(self, exponents: Words, *, constant_time: bool = False) -> Rows:
        ring, entries = self._ring, 1 << self.window
        out = ring._empty(len(exponents))
        for start in range(0, len(out), POWER_ROWS):
            part = out[start : start + POWER_ROWS]
            chosen = exponents[start : start + POWER_ROWS]
            digits = window_digits(chosen, self.window, self._windows)
            work = self._work(part, digits, entries, constant_time)
            ring._spread(work, len(part), self._windows)
        return out

    def _work(
        self, out: Rows, digits: Index, entries: int, scan: bool
    ) -> Callable[[int, int], None]:
        constants = self._ring._constants
        return lambda lo, hi: fixed_base_rows(
            out, self._table, digits, entries, scan, lo, hi, *constants
        )


def spread(work: Callable[[int, int], None], count: int, grain: int) -> None:
    """work(start, stop) over ranges of whole lane blocks, at least `grain` rows a thread."""
    blocks = -(-count // LANES)
    # two ranges a thread even out what others take from the CPU
    ranges = min(2 * threads(), max(1, count // grain), blocks)
    if ranges <= 1:
        if count:
            work(0, count)
        return
    bounds = [min(count, LANES * (blocks * part // ranges)) for part in range(ranges + 1)]
    parallel(
        (lambda lo=lo, hi=hi: work(lo, hi))  # type: ignore[misc]
        for lo, hi in pairwise(bounds)
    )


def _limbs(number: int, count: int) -> Rows:
    return np.array(
        [(number >> (LIMB_BITS * limb)) & LIMB_MASK for limb in range(count)], dtype=np.uint64
    )


def _numbers(lanes: Rows) -> list[int]:
    """The eight numbers of `uint64[h, 8]`."""
    return [
        sum(int(limb) << (LIMB_BITS * place) for place, limb in enumerate(lanes[:, lane]))
        for lane in range(lanes.shape[1])
    ]


def _length(words: Words) -> int:
    """Bit length of the largest row."""
    for word in range(words.shape[1] - 1, -1, -1):
        largest = int(words[:, word].max(initial=0))
        if largest:
            return 64 * word + largest.bit_length()
    return 0


def _beyond(words: Words, bits: int) -> bool:
    """Has any row a bit at `bits` or above?"""
    return _length(words) > bits
