"""What a job will take: seconds, memory and bytes on the wire, before it starts.

Counts of operations times the seconds of one operation, taken from `RATES` (two cores; see
docs/LIMITATIONS.md for the machine). An estimate, to be trusted within a factor of two.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Estimate"]
__all__ += ["aggregate_estimate", "align_estimate", "join_sum_estimate", "train_estimate"]

RATES = {
    # seconds per operation on two cores, by arithmetic path
    "curve multiplication": {"wide": 2.4e-6, "vector": 7e-6, "portable": 1.5e-5},
    "modular product 6144": {"wide": 0.7e-6, "vector": 1.5e-6, "portable": 5e-6},
}
ENCRYPTION_PRODUCTS = 330
MASK_BITS = 40


@dataclass(frozen=True)
class Estimate:
    """Seconds, peak bytes of memory at one party, bytes on the wire in all."""

    seconds: float
    memory: float
    wire: float

    def __add__(self, other: Estimate) -> Estimate:
        memory = max(self.memory, other.memory)
        return Estimate(self.seconds + other.seconds, memory, self.wire + other.wire)


def _rate(name: str, path: str) -> float:
    return RATES[name][path]


def align_estimate(receiver: int, sender: int, path: str) -> Estimate:
    """One ECDH intersection: three multiplications a receiver's item, one a sender's.

    Encoding an item takes a fifth of a multiplication; distinct keys, tags and their meeting
    0.35 us. Memory is the items and their row numbers; tags lie on disk.
    """
    multiplications = 3.2 * receiver + 1.2 * sender
    seconds = multiplications * _rate("curve multiplication", path) + 0.2
    seconds += 0.35e-6 * (receiver + sender)
    return Estimate(seconds, 40.0 * (receiver + sender), 64.0 * receiver + 16.0 * sender)


def _product(bits: int, path: str) -> float:
    return _rate("modular product 6144", path) * (bits / 3072) ** 2


def aggregate_estimate(rows: int, groups: int, bits: int, path: str) -> Estimate:
    """One packed ciphertext a row, one product a row, a few powers a group."""
    products = rows * (ENCRYPTION_PRODUCTS / 2 + 1) + groups * 8 * bits
    wire = rows * bits / 4
    return Estimate(products * _product(bits, path) + 0.5, 3 * wire, wire)


def join_sum_estimate(places: int, ciphertexts: int, bits: int, path: str) -> Estimate:
    """Packed ciphertexts a place, a product and a half each; memory is chunks and tables."""
    products = places * ciphertexts * (ENCRYPTION_PRODUCTS / 2 + 1.5)
    wire = places * ciphertexts * bits / 4
    return Estimate(products * _product(bits, path) + 0.5, 3e8, wire)


def train_estimate(
    rows: int, own: int, partner: int, passes: int, bits: int, path: str
) -> Estimate:
    """Passes of one encryption a row and two products a row for each column and pair."""
    pairs = partner * (partner + 3) // 2
    cipher = max(1, -(-(own + 2) * 112 // (bits - 8)))
    products = rows * cipher * (ENCRYPTION_PRODUCTS / 2 + 2 * pairs) + pairs * cipher * bits / 2
    wire = rows * cipher * bits / 4
    return Estimate(passes * products * _product(bits, path), 4 * wire, passes * wire)
