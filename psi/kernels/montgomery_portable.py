"""Residues mod N^2 by gmpy2: the path for CPUs without AVX-512 IFMA.

Residues are lists of gmpy2 integers in [0, N^2). gmpy2 releases the interpreter's lock around
its arithmetic when asked to, so rows are spread over threads: where an operation is long enough
to be worth the lock's change of hands, which single products are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from psi.kernels.montgomery_threads import parallel, threads
from psi.kernels.montgomery_words import Words, from_words, to_words, word_count

__all__ = ["PortableFixedBase", "PortableRing"]

Numbers = list[Any]
Index = NDArray[np.int64]
# fewer operations than this are not worth a thread
GRAIN = 64
# products mod fewer bits take no longer than the lock's change of hands (two threads: 0.9 of one)
SPREAD_BITS = 4096


def _spread(work: Callable[[int, int], Numbers], count: int, cost: int = 1) -> Numbers:
    """work(start, stop) over slices of range(count), concatenated; `cost` in products a row."""
    parts = min(threads(), count * cost // GRAIN, count)
    if parts <= 1:
        return work(0, count)

    def task(part: int) -> Callable[[], Numbers]:
        def run() -> Numbers:
            with gmpy2.context(gmpy2.get_context(), allow_release_gil=True):
                return work(count * part // parts, count * (part + 1) // parts)

        return run

    done = parallel(task(part) for part in range(parts))
    return [number for part in done for number in part]


class PortableRing:
    """Integers mod N^2 on gmpy2; the methods are documented in montgomery.SquareRing."""

    path = "portable"

    def __init__(self, modulus: int) -> None:
        self.modulus = int(modulus)
        self._modulus = mpz(modulus)
        self._square = self._modulus * self._modulus
        self.plain_words = word_count(self.modulus.bit_length())
        self.square_words = word_count(2 * self.modulus.bit_length())

    def load(self, words: Words) -> Numbers:
        square = self._square
        return [number % square for number in from_words(words)]

    def dump(self, a: Numbers) -> Words:
        return to_words(a, self.square_words)

    def length(self, a: Numbers) -> int:
        return len(a)

    def ones(self, count: int) -> Numbers:
        return [mpz(1)] * count

    def take(self, a: Numbers, rows: Index) -> Numbers:
        return [a[row] for row in rows.tolist()]

    def concatenate(self, parts: list[Numbers]) -> Numbers:
        return [number for part in parts for number in part]

    def multiply(self, a: Numbers, b: Numbers) -> Numbers:
        square = self._square
        if len(a) == 1 != len(b):
            a, b = b, a
        if len(b) == 1:
            other = b[0]
            return [x * other % square for x in a]
        return [x * y % square for x, y in zip(a, b, strict=True)]

    def inverse(self, a: Numbers) -> Numbers:
        if not a:
            return []
        # one inversion for all: prefix products down, then back up
        square = self._square
        prefix = [mpz(1)]
        for number in a:
            prefix.append(prefix[-1] * number % square)
        rest = gmpy2.invert(prefix[-1], square)
        inverses: Numbers = []
        for number, before in zip(reversed(a), reversed(prefix[:-1]), strict=True):
            inverses.append(rest * before % square)
            rest = rest * number % square
        inverses.reverse()
        return inverses

    def times_plain(self, a: Numbers, plain: Words) -> Numbers:
        modulus, square = self._modulus, self._square
        factors = from_words(plain)
        return [x * (1 + m * modulus) % square for x, m in zip(a, factors, strict=True)]

    def power_shared(
        self, a: Numbers, exponent: int, *, secret: bool = False, constant_time: bool = False
    ) -> Numbers:
        power, square = mpz(exponent), self._square
        cost = power.bit_length()
        if constant_time and power > 0:
            sec = gmpy2.powmod_sec
            return _spread(lambda lo, hi: [sec(x, power, square) for x in a[lo:hi]], len(a), cost)
        return _spread(
            lambda lo, hi: list(gmpy2.powmod_base_list(a[lo:hi], power, square)), len(a), cost
        )

    def power_rows(self, a: Numbers, exponents: Words) -> Numbers:
        square, powers = self._square, from_words(exponents)
        cost = 1 + 48 * exponents.shape[1]
        return _spread(
            lambda lo, hi: [
                gmpy2.powmod(x, e, square) for x, e in zip(a[lo:hi], powers[lo:hi], strict=True)
            ],
            len(a),
            cost,
        )

    def segment_product(self, a: Numbers, order: Index, offsets: Index) -> Numbers:
        square, rows, bounds = self._square, order.tolist(), offsets.tolist()
        groups = len(bounds) - 1

        def work(lo: int, hi: int) -> Numbers:
            products = []
            for group in range(lo, hi):
                members = rows[bounds[group] : bounds[group + 1]]
                product = a[members[0]] if members else mpz(1)
                for row in members[1:]:
                    product = product * a[row] % square
                products.append(product)
            return products

        return _spread(work, groups, max(1, len(rows) // max(1, groups)))

    def bucket_product(self, a: Numbers, chains: int) -> Numbers:
        square, buckets = self._square, len(a) // max(1, chains)

        def work(lo: int, hi: int) -> Numbers:
            products = []
            for chain in range(lo, hi):
                running = total = mpz(1)
                for number in reversed(a[chain * buckets : (chain + 1) * buckets]):
                    if number != 1:
                        running = running * number % square
                    total = total * running % square
                products.append(total)
            return products

        return _spread(work, chains, 2 * buckets)

    def log(self, a: Numbers) -> Words:
        modulus = self._modulus
        return to_words((number // modulus for number in a), self.plain_words)

    def scale(self, plain: Words, factor: int) -> Words:
        modulus, by = self._modulus, mpz(factor)
        return to_words((number * by % modulus for number in from_words(plain)), self.plain_words)

    def expand(self, plain: Words, factor: int) -> Words:
        by = mpz(factor)
        return to_words((number * by for number in from_words(plain)), self.plain_words)

    def coprime(self, a: Numbers) -> bool:
        product, modulus = mpz(1), self._modulus
        for number in a:
            product = product * number % modulus
        return bool(gmpy2.gcd(product, modulus) == 1)

    def fixed_base(self, base: int, bits: int, window: int, factor: int = 1) -> PortableFixedBase:
        return PortableFixedBase(self._square, mpz(base), bits, window, mpz(factor))

    def join(self, low: PortableRing, a: Numbers, high: PortableRing, b: Numbers) -> Numbers:
        left, right, square = high._square, low._square, self._square
        return [(x * left + y * right) % square for x, y in zip(a, b, strict=True)]


class PortableFixedBase:
    """factor base^e from tables of base^(d 2^(w k)): one product a window, no squarings."""

    def __init__(self, square: Any, base: Any, bits: int, window: int, factor: Any) -> None:
        self.window = window
        self._square, self._base, self._factor = square, base, factor
        self._tables: list[Numbers] = []
        for _ in range(-(-bits // window)):
            row = [mpz(1)]
            for _ in range((1 << window) - 1):
                row.append(row[-1] * base % square)
            base = row[-1] * base % square
            self._tables.append(row)

    def power(self, exponents: Words, *, constant_time: bool = False) -> Numbers:
        square, tables, factor = self._square, self._tables, self._factor
        if constant_time:
            # no scanning at this level: gmpy2's own constant-time power instead
            base = self._base
            powers = from_words(exponents)
            return _spread(
                lambda lo, hi: [
                    factor * (gmpy2.powmod_sec(base, e, square) if e else mpz(1)) % square
                    for e in powers[lo:hi]
                ],
                len(powers),
                GRAIN,
            )

        def work(lo: int, hi: int) -> Numbers:
            products = [factor] * (hi - lo)
            every = window_digits(exponents[lo:hi], self.window, len(tables))
            for table, digits in zip(tables, every, strict=True):
                products = [
                    product * table[digit] % square if digit else product
                    for product, digit in zip(products, digits.tolist(), strict=True)
                ]
            return products

        if square.bit_length() < SPREAD_BITS - 1:  # N of 2048 bits may have a square of 4095
            return work(0, len(exponents))
        return _spread(work, len(exponents), len(tables))


def window_digits(exponents: Words, window: int, windows: int) -> NDArray[np.int64]:
    """Base-2^window digits, least significant first, of `uint64[n, E]`: `int64[windows, n]`."""
    words = np.ascontiguousarray(exponents.T)  # a word of all rows in one piece
    digits = np.zeros((windows, len(exponents)), dtype=np.int64)
    mask = np.uint64((1 << window) - 1)
    for place in range(min(windows, -(-64 * len(words) // window))):
        word, shift = divmod(place * window, 64)
        value = words[word] >> np.uint64(shift)
        if shift + window > 64 and word + 1 < len(words):
            value |= words[word + 1] << np.uint64(64 - shift)
        np.bitwise_and(value, mask, out=digits[place].view(np.uint64))
    return digits
