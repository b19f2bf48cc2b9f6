"""Secret scalars of the set intersection: multiples of eight, from the operating system.

Every scalar that meets a received point is a multiple of the cofactor 8, as an integer, so that
torsion is killed; what is undone by an inverse lives modulo the prime order.
"""

from __future__ import annotations

from psi.kernels.curve25519 import ORDER
from psi.protocol.role import Random

__all__ = ["blinding", "evaluation", "own_items", "random_scalar", "unblinding"]

COFACTOR = 8


def random_scalar(random: Random) -> int:
    """Uniform in 1..ℓ-1, by rejection."""
    while True:
        value = int.from_bytes(random(32), "little") >> 3
        if 0 < value < ORDER:
            return value


def _bytes(value: int) -> bytes:
    return value.to_bytes(32, "little")


def blinding(r: int) -> bytes:
    """8r: what a receiver with one blind for all multiplies its encoded items by."""
    return _bytes(COFACTOR * r)


def evaluation(k: int) -> bytes:
    """8k: what the sender multiplies received points by."""
    return _bytes(COFACTOR * k)


def unblinding(r: int) -> bytes:
    """8 (r^-1 mod ℓ): takes 8k·8r·E(x) to 512k times the prime-order part of E(x)."""
    return _bytes(COFACTOR * pow(r, -1, ORDER))


def own_items(k: int) -> bytes:
    """8 (64k mod ℓ): takes the sender's own E(x) to the same value."""
    return _bytes(COFACTOR * (COFACTOR**2 * k % ORDER))
