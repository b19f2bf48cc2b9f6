"""Vectors of signed plaintexts with a declared bound.

Held as two's complement in rows of 64-bit words, `uint64[n, L]`. `bound` is the largest
magnitude any row may have; `limit`, where present, the largest that still decodes (packed
slots would otherwise run into each other). Homomorphic operations carry both along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.paillier.keys import PublicKey, Random
from psi.kernels.montgomery_words import (
    Words,
    add,
    add_where,
    from_words,
    is_negative,
    less_than,
    magnitude,
    negate,
    random_below,
    resize,
    to_words,
    word_count,
)
from psi.protocol.errors import CodecError, MisuseError

__all__ = ["Plaintexts"]


@dataclass(frozen=True, repr=False, eq=False)
class Plaintexts:
    """n signed integers: `words` is `uint64[n, L]`, two's complement, least word first.

    Attributes:
        bound: no value is larger, by its amount.
        limit: no value may grow larger; None for `bound`.
    """

    words: Words
    bound: int
    limit: int | None = None

    @classmethod
    def from_ints(cls, values: Sequence[int], *, bound: int | None = None) -> Plaintexts:
        """From Python integers; `bound` defaults to the largest magnitude present."""
        largest = max((abs(int(value)) for value in values), default=0)
        bound = largest if bound is None else int(bound)
        if largest > bound:
            raise MisuseError(
                f"plaintexts exceed their declared bound of {bound.bit_length()} bits"
            )
        width = word_count(bound.bit_length() + 1)
        modulus = 1 << (64 * width)
        return cls(to_words((int(value) % modulus for value in values), width), bound)

    @classmethod
    def from_int64(cls, values: NDArray[np.integer[Any]], *, bound_bits: int = 63) -> Plaintexts:
        """From `int64[n]`, each of magnitude below 2^bound_bits."""
        numbers = np.ascontiguousarray(values, dtype=np.int64)
        if numbers.ndim != 1:
            raise MisuseError(f"plaintexts of {numbers.ndim} dimensions; one is allowed")
        if bound_bits < 63:
            over = int(np.count_nonzero((numbers >> bound_bits) != (numbers >> 63)))
            over += int(np.count_nonzero(numbers == -(1 << bound_bits)))
            if over:
                raise MisuseError(f"{over} plaintexts exceed {bound_bits} bits")
        elif np.any(numbers == np.iinfo(np.int64).min):
            return cls(numbers.view(np.uint64).reshape(-1, 1), 1 << 63)
        return cls(numbers.view(np.uint64).reshape(-1, 1), (1 << bound_bits) - 1)

    @classmethod
    def uniform(cls, public: PublicKey, count: int, random: Random) -> Plaintexts:
        """Uniform mod n, in (-n/2, n/2): masks."""
        return cls.from_residues(random_below(count, public.n, random), public)

    @classmethod
    def from_residues(cls, words: Words, public: PublicKey) -> Plaintexts:
        """From representatives in [0, n), `uint64[n, width]`."""
        high = ~less_than(words, public.half + 1)
        return cls(add_where(words, public.n, high, subtract=True), public.half)

    def residues(self, public: PublicKey) -> Words:
        """Representatives in [0, n), `uint64[n, width of n]`."""
        if self.bound > public.half:
            raise MisuseError(
                f"plaintexts of {self.bound.bit_length()} bits do not fit a {public.bits}-bit key"
            )
        words = resize(self.words, word_count(public.bits), signed=True)
        return add_where(words, public.n, is_negative(self.words))

    def minus(self, other: Plaintexts, public: PublicKey) -> Plaintexts:
        """self - other mod n, centred: takes masks off opened values."""
        width = word_count(public.bits + 2)
        left = resize(self.residues(public), width)
        right = resize(other.residues(public), width)
        difference = add(left, negate(right))
        positive = add_where(difference, public.n, is_negative(difference))
        return Plaintexts.from_residues(resize(positive, word_count(public.bits)), public)

    def magnitudes(self) -> tuple[Words, NDArray[np.bool_]]:
        """|v| as `uint64[n, L]`, cut to the words that `bound` needs, and which are negative."""
        words, negative = magnitude(self.words)
        return resize(words, max(1, word_count(self.bound.bit_length()))), negative

    def within(self, bound: int) -> NDArray[np.bool_]:
        """Which rows have a magnitude of at most `bound`."""
        return less_than(magnitude(self.words)[0], bound + 1)

    def to_ints(self) -> list[int]:
        """As Python integers."""
        width = 64 * self.words.shape[1]
        top, modulus = 1 << (width - 1), 1 << width
        numbers = (int(number) for number in from_words(self.words))
        return [number - modulus if number >= top else number for number in numbers]

    def to_bytes(self) -> bytes:
        """Rows of the fewest words that hold `bound` and a sign, little-endian."""
        width = word_count(self.bound.bit_length() + 1)
        return np.ascontiguousarray(resize(self.words, width, signed=True), dtype="<u8").tobytes()

    @classmethod
    def from_bytes(
        cls, data: bytes, count: int, *, bound: int, limit: int | None = None
    ) -> Plaintexts:
        """Read what `to_bytes` wrote; CodecError on another length or a larger magnitude."""
        width = word_count(bound.bit_length() + 1)
        if len(data) != 8 * width * count:
            raise CodecError(f"{len(data)} bytes of plaintexts; expected {8 * width * count}")
        words = np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(count, width)
        read = cls(words, bound, limit)
        over = int(np.count_nonzero(~read.within(bound)))
        if over:
            raise CodecError(f"{over} of {count} plaintexts exceed {bound.bit_length()} bits")
        return read

    def take(self, rows: NDArray[np.integer[Any]]) -> Plaintexts:
        """The rows at these positions."""
        return Plaintexts(self.words[rows], self.bound, self.limit)

    def __getitem__(self, rows: slice) -> Plaintexts:
        return Plaintexts(self.words[rows], self.bound, self.limit)

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"Plaintexts(count={len(self)}, bound_bits={self.bound.bit_length()})"
