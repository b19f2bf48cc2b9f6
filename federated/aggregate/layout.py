"""Slots of different widths in the ciphertexts of one row.

A plaintext is the sum over its slots of v 2^offset, every v a signed integer that stays below
2^bits in magnitude whatever is added to it; one more bit holds the sign. Because `bits` is of the
final sum (all rows, and whatever noise or blank is put on top), slots never run into each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from federated.paillier import Plaintexts
from psi.kernels.montgomery_words import Words, add, negate, resize, to_words, word_count
from psi.protocol import MisuseError, PeerError

__all__ = ["Layout", "Place", "flags"]


@dataclass(frozen=True)
class Place:
    """A slot: ciphertext of the row, offset in it, and bits of magnitude."""

    cipher: int
    offset: int
    bits: int

    @property
    def top(self) -> int:
        """Weight of the slot's sign bit: added to every slot to make it non-negative."""
        return 1 << (self.offset + self.bits)


@dataclass(frozen=True)
class Layout:
    """Slots in order, each within one ciphertext."""

    places: tuple[Place, ...]

    @classmethod
    def fit(cls, key_bits: int, sizes: Sequence[int]) -> Layout:
        """Slots of these bits, in as few ciphertexts as their order allows.

        Raises `MisuseError` if one slot alone does not fit.
        """
        places: list[Place] = []
        cipher, offset, room = 0, 0, key_bits - 2
        for bits in sizes:
            if offset and offset + bits + 1 > room:
                cipher, offset = cipher + 1, 0
            if bits + 1 > room:
                raise MisuseError(f"a sum of {bits} bits does not fit a {key_bits}-bit key")
            places.append(Place(cipher, offset, bits))
            offset += bits + 1
        return cls(tuple(places))

    @cached_property
    def ciphers(self) -> int:
        """Ciphertexts a row."""
        return self.places[-1].cipher + 1

    def of(self, cipher: int) -> list[Place]:
        """The slots of one ciphertext."""
        return [place for place in self.places if place.cipher == cipher]

    def bits(self, cipher: int) -> int:
        """Bits of the slots of one ciphertext: its sums stay below 2^bits."""
        last = self.of(cipher)[-1]
        return last.offset + last.bits + 1

    def shift(self, cipher: int) -> int:
        """Every slot's sign bit."""
        return sum(place.top for place in self.of(cipher))

    def pack(self, columns: Sequence[np.ndarray], cipher: int, headroom: int) -> Plaintexts:
        """One ciphertext's plaintexts from its slots' values of n rows.

        A column is `int64[n]`, or `uint64[n, k]` of two's complement. `headroom` bits of every
        slot are left for sums, so that the bound of one row is so much smaller than the slots.
        """
        width = word_count(self.bits(cipher) + 1)
        words = np.zeros((len(columns[0]), width), np.uint64)
        for place, column in zip(self.of(cipher), columns, strict=True):
            _put(words, place.offset, _lifted(column, place.bits))
        signed = add(words, negate(to_words([self.shift(cipher)], width)))
        return Plaintexts(signed, 1 << (self.bits(cipher) - headroom))

    def unpack(
        self, numbers: Sequence[int], cipher: int, *, masked_above: bool = False
    ) -> list[np.ndarray]:
        """Every slot of one ciphertext as `object[n]` of integers.

        `PeerError` where one exceeds its bits, unless all above them is masked.
        """
        whole = np.array([int(number) + self.shift(cipher) for number in numbers], object)
        beyond = len(whole) and (min(whole) < 0 or max(whole) >> self.bits(cipher))
        if beyond and not masked_above:
            raise PeerError("opened sums exceed their slots")
        return [
            ((whole >> place.offset) & ((2 << place.bits) - 1)) - (1 << place.bits)
            if len(whole)
            else whole
            for place in self.of(cipher)
        ]


def flags(columns: Iterable[np.ndarray], width: int, bits: int) -> Words:
    """Columns of 0 and 1 side by side, each with `width` bits to be counted in: `uint64[n, k]`.

    The result has room for `bits` bits and a sign.
    """
    given = list(columns)
    words = np.zeros((len(given[0]), word_count(bits + 1)), np.uint64)
    for number, column in enumerate(given):
        word, shift = divmod(number * width, 64)
        words[:, word] |= column.astype(np.uint64) << np.uint64(shift)
    return words


def _lifted(column: np.ndarray, bits: int) -> Words:
    """column + 2^bits, non-negative, in the words of bits + 1 bits."""
    words = column if column.ndim == 2 else column.astype(np.int64).view(np.uint64)[:, None]
    words = resize(words, word_count(bits + 1), signed=True).copy()
    word, top = divmod(bits, 64)
    # flipping the sign bit of two's complement adds 2^bits; what is above it is cut
    words[:, word] = (words[:, word] ^ np.uint64(1 << top)) & np.uint64((2 << top) - 1)
    return words


def _put(words: Words, offset: int, values: Words) -> None:
    """OR `values` into `words`, `offset` bits up."""
    first, shift = divmod(offset, 64)
    for part in range(values.shape[1]):
        at = first + part
        words[:, at] |= values[:, part] << np.uint64(shift)
        if shift and at + 1 < words.shape[1]:
            words[:, at + 1] |= values[:, part] >> np.uint64(64 - shift)
