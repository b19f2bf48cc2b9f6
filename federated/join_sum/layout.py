"""How a place's values, flags and its one lie in ciphertexts, at both parties alike."""

from __future__ import annotations

from dataclasses import dataclass

from federated.paillier import EncryptedVector, Packing, Plaintexts, PublicKey
from psi.protocol import PeerError

__all__ = ["FRACTION_BITS", "MASK_BITS", "VALUE_BITS", "Layout"]

FRACTION_BITS = 20
"""Values are multiples of 2^-20."""

VALUE_BITS = 61
"""Of a value in fixed point, without its sign: below 2^41 (2.2·10^12) in magnitude."""

MASK_BITS = 64
"""Bits of a mask beyond those of any sum: what opens is 2^-64 a column from telling nothing."""

CHUNK = 1 << 13
"""Ciphertexts a message."""


@dataclass(frozen=True)
class Layout:
    """For `columns` columns over `places` places under a key of `key_bits` bits.

    A place has 2 · columns + 1 slots: values, flags, the one. They fill `ciphertexts`
    plaintexts of equal packing, the slots of a plaintext being different columns of one place.
    """

    columns: int
    places: int
    key_bits: int

    @property
    def slots(self) -> int:
        """Slots of a place."""
        return 2 * self.columns + 1

    @property
    def packing(self) -> Packing:
        """Of each plaintext: with headroom for the sum of all places and its mask."""
        most = self._fit().slots
        return self._fit(min(most, self.slots))

    @property
    def ciphertexts(self) -> int:
        """Plaintexts of a place."""
        return -(-self.slots // self.packing.slots)

    @property
    def rows(self) -> int:
        """Places a message."""
        return max(1, CHUNK // self.ciphertexts)

    @property
    def chunks(self) -> int:
        """Messages that all places take."""
        return -(-self.places // self.rows)

    @property
    def sum_bits(self) -> int:
        """Bits of the magnitude of any sum."""
        return VALUE_BITS + (max(1, self.places) - 1).bit_length()

    def summed(self) -> Packing:
        """The packing with the bound of a sum."""
        packing = self.packing
        return Packing(packing.slots, packing.slot_bits, self.sum_bits)

    def used_bits(self) -> list[int]:
        """Of each plaintext: bits of the slots that a place has in it."""
        slots, bits = self.packing.slots, self.packing.slot_bits
        return [min(slots, self.slots - at) * bits for at in range(0, self.slots, slots)]

    def opened(self, plaintexts: Plaintexts) -> list[int]:
        """A place's slots, whatever lies above them: the receiver's mask does."""
        packing, half = self.packing, 1 << (self.packing.slot_bits - 1)
        shifted = [number + half * packing.ones for number in plaintexts.to_ints()]
        slots = [
            ((number >> (slot * packing.slot_bits)) & (2 * half - 1)) - half
            for number in shifted
            for slot in range(packing.slots)
        ]
        return slots[: self.slots]

    def read(
        self, public: PublicKey, data: bytes, packing: Packing | None = None
    ) -> EncryptedVector:
        """One ciphertext for each plaintext of a place; raises `PeerError`."""
        return EncryptedVector.from_bytes(public, data, self.ciphertexts, packing=packing)

    def part(self, number: int) -> tuple[int, int]:
        """Places `start` to `stop` of a message; raises `PeerError` if there is none."""
        if not 0 <= number < self.chunks:
            raise PeerError("a chunk that does not exist")
        return number * self.rows, min((number + 1) * self.rows, self.places)

    def _fit(self, slots: int | None = None) -> Packing:
        additions = max(1, self.places)
        return Packing.fit(self.key_bits, VALUE_BITS, additions, MASK_BITS, slots=slots)
