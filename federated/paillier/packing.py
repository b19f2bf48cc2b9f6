"""Many signed integers in one plaintext: sum over s of v_s 2^(slot_bits s).

Slots add independently as long as every one stays below 2^(slot_bits - 1) in magnitude. The
bound of a packed vector and its limit have the same shape (one per-slot magnitude in all
slots), so the check that operations make on whole plaintexts is exactly the check on slots.
Slots of one plaintext are different columns of a row wherever rows will be gathered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.paillier.plaintexts import Plaintexts
from psi.kernels.montgomery_words import Words, add, less_than, negate, resize, to_words, word_count
from psi.protocol.errors import MisuseError, PeerError

__all__ = ["Packing"]


@dataclass(frozen=True)
class Packing:
    """`slots` slots of `slot_bits` bits; `value_bits` bounds what `pack` takes (default all)."""

    slots: int
    slot_bits: int
    value_bits: int | None = None

    def __post_init__(self) -> None:
        if self.slots < 1 or self.slot_bits < 2:
            raise MisuseError(f"packing of {self.slots} slots of {self.slot_bits} bits")
        if self.value_bits is not None and not 1 <= self.value_bits < self.slot_bits:
            raise MisuseError(f"values of {self.value_bits} bits in slots of {self.slot_bits}")

    @classmethod
    def fit(
        cls,
        key_bits: int,
        value_bits: int,
        additions: int,
        mask_bits: int = 0,
        *,
        slots: int | None = None,
    ) -> Packing:
        """As many slots as a key holds, each with room for a sum of `additions` values.

        Values are below 2^value_bits in magnitude. With `mask_bits`, a statistical mask of
        mask_bits more bits than the sum can be added to every slot. `slots` asks for fewer.
        """
        if value_bits < 1 or additions < 1 or mask_bits < 0:
            raise MisuseError(f"packing for {value_bits}-bit values and {additions} additions")
        sum_bits = value_bits + (additions - 1).bit_length()
        slot_bits = sum_bits + 1 + (mask_bits + 1 if mask_bits else 0)
        most = (key_bits - 2) // slot_bits
        if most < 1 or (slots is not None and slots > most):
            raise MisuseError(
                f"{slots or 1} slots of {slot_bits} bits do not fit a {key_bits}-bit key",
                hint="fewer columns a ciphertext, or smaller bounds",
            )
        return cls(slots or most, slot_bits, value_bits)

    @property
    def bits(self) -> int:
        """Bits of a packed plaintext."""
        return self.slots * self.slot_bits

    @property
    def words(self) -> int:
        """Words of a packed plaintext with its sign."""
        return word_count(self.bits + 1)

    @property
    def ones(self) -> int:
        """A one in every slot."""
        return sum(1 << (self.slot_bits * slot) for slot in range(self.slots))

    @property
    def limit(self) -> int:
        """The plaintext with the largest magnitude in every slot: more does not decode."""
        return ((1 << (self.slot_bits - 1)) - 1) * self.ones

    def bound(self, magnitude: int) -> int:
        """The bound of plaintexts whose slots are at most `magnitude`."""
        return magnitude * self.ones

    def pack(self, values: NDArray[Any], *, value_bits: int | None = None) -> Plaintexts:
        """Pack `int64[n, k]`, k at most `slots` (missing ones are zero), into n plaintexts.

        Every value must be below 2^value_bits in magnitude: MisuseError with a count otherwise.
        """
        numbers = np.asarray(values)
        if numbers.ndim != 2 or numbers.shape[1] > self.slots or numbers.dtype.kind not in "iub":
            raise MisuseError(
                f"cannot pack {numbers.dtype} of shape {numbers.shape} into {self.slots} slots"
            )
        bits = value_bits or self.value_bits or self.slot_bits - 1
        if bits >= self.slot_bits:
            raise MisuseError(f"values of {bits} bits in slots of {self.slot_bits}")
        numbers = numbers.astype(np.int64, copy=False)
        magnitude = min((1 << bits) - 1, 1 << 63)
        if bits < 63:
            over = np.count_nonzero((numbers > magnitude) | (numbers < -magnitude))
            if over:
                raise MisuseError(f"{over} of {numbers.size} values exceed {bits} bits")
        elif bits == 63:
            over = np.count_nonzero(numbers == np.iinfo(np.int64).min)
            if over:
                raise MisuseError(f"{over} of {numbers.size} values exceed {bits} bits")
        # with 2^(slot_bits-1) added every slot is non-negative and none reaches into the next
        words = np.zeros((len(numbers), self.words), dtype=np.uint64)
        for slot in range(self.slots):
            missing = slot >= numbers.shape[1]
            column = np.zeros(len(numbers), dtype=np.int64) if missing else numbers[:, slot]
            for part, value in enumerate(self._offset(column)):
                _put(words, slot * self.slot_bits + 64 * part, value)
        shift = to_words([(1 << (self.slot_bits - 1)) * self.ones], self.words)
        return Plaintexts(add(words, negate(shift)), self.bound(magnitude), self.limit)

    def unpack_int64(self, plaintexts: Plaintexts) -> NDArray[np.int64]:
        """`int64[n, slots]`; PeerError if a slot exceeds 64 bits or a plaintext the packing."""
        words = self._shifted(plaintexts)
        out = np.empty((len(words), self.slots), dtype=np.int64)
        for slot in range(self.slots):
            parts = self._slot(words, slot)
            out[:, slot] = parts[0].view(np.int64)
            sign = (out[:, slot] >> 63).view(np.uint64)
            over = sum(int(np.count_nonzero(part != sign)) for part in parts[1:])
            if over:
                raise PeerError(f"{over} packed values of a slot exceed 64 bits")
        return out

    def unpack_objects(self, plaintexts: Plaintexts) -> NDArray[np.object_]:
        """Python integers, `object[n, slots]`; PeerError if a plaintext exceeds the packing."""
        words = self._shifted(plaintexts)
        out = np.empty((len(words), self.slots), dtype=object)
        for slot in range(self.slots):
            parts = self._slot(words, slot)
            total = parts[-1].view(np.int64).astype(object)
            for part in reversed(parts[:-1]):
                total = (total << 64) + part.astype(object)
            out[:, slot] = total
        return out

    def _offset(self, column: NDArray[np.int64]) -> list[Words]:
        """column + 2^(slot_bits-1) as words of slot_bits bits."""
        count, top = divmod(self.slot_bits - 1, 64)
        low = column.view(np.uint64)
        sign = (column >> 63).view(np.uint64)
        parts = [low] + [sign] * count
        # flipping the top bit of two's complement adds the offset; the rest is cut
        parts[count] = (parts[count] ^ np.uint64(1 << top)) & np.uint64((2 << top) - 1)
        return parts[: count + 1]

    def _slot(self, words: Words, slot: int) -> list[Words]:
        """The slot's signed value as two's complement words, least first."""
        count, top = divmod(self.slot_bits - 1, 64)
        parts = [_get(words, slot * self.slot_bits + 64 * part) for part in range(count + 1)]
        # cut to the slot, flip the top bit back, extend the sign
        flipped = (parts[count] << np.uint64(63 - top)) ^ np.uint64(1 << 63)
        parts[count] = (flipped.view(np.int64) >> np.int64(63 - top)).view(np.uint64)
        return parts

    def _shifted(self, plaintexts: Plaintexts) -> Words:
        """Plaintexts with 2^(slot_bits-1) added to every slot: non-negative, slots disjoint."""
        width = max(self.words, plaintexts.words.shape[1])
        words = resize(plaintexts.words, width, signed=True)
        shift = to_words([(1 << (self.slot_bits - 1)) * self.ones], width)
        shifted = add(words, shift)
        over = int(np.count_nonzero(~less_than(shifted, 1 << self.bits)))
        if over:
            raise PeerError(f"{over} of {len(words)} plaintexts exceed their packing")
        return shifted


def _put(words: Words, offset: int, value: Words) -> None:
    """OR a 64-bit column into `words` at a bit offset."""
    word, shift = divmod(offset, 64)
    words[:, word] |= value << np.uint64(shift)
    if shift and word + 1 < words.shape[1]:
        words[:, word + 1] |= value >> np.uint64(64 - shift)


def _get(words: Words, offset: int) -> Words:
    """64 bits of every row from a bit offset; zeros past the end."""
    word, shift = divmod(offset, 64)
    if word >= words.shape[1]:
        return np.zeros(len(words), dtype=np.uint64)
    value: Words = words[:, word] >> np.uint64(shift)
    if shift and word + 1 < words.shape[1]:
        value |= words[:, word + 1] << np.uint64(64 - shift)
    return value
