"""What kinds of steps say alike that are added up by encryption or by private sums."""

from __future__ import annotations

from typing import Protocol

from federated.sharing import MOST_LANES
from federated.sharing.messages import MOST_DEPTH
from psi.protocol import PeerError

__all__ = ["AGGREGATE_PROTOCOLS", "A_ROW", "SEGMENTS", "TRUSTING", "Summed", "check_protocol"]

AGGREGATE_PROTOCOLS = ("paillier", "sums")
"""What adds up."""
TRUSTING = ("paillier",)
"""By these a party that lies reads rows of the other: docs/protocols/aggregate.md."""
SEGMENTS = 50
"""Segments that an estimate takes a column to have."""
A_ROW = 8 * MOST_LANES + 20 * MOST_DEPTH + 64
"""Bytes of a row by private sums: its numbers, trees and transfers, check and turns."""


class Summed(Protocol):
    """Terms of such a step."""

    @property
    def protocol(self) -> str:
        """One of `AGGREGATE_PROTOCOLS`."""

    @property
    def key_bits(self) -> int:
        """Of the key that encrypts; 0 for private sums."""

    @property
    def shared(self) -> bool:
        """Whether private sums add up."""


def check_protocol(terms: Summed) -> None:
    """Raise `PeerError` for a way to add up that there is not, or with a key where none is."""
    if terms.protocol not in AGGREGATE_PROTOCOLS:
        raise PeerError("the contract names a way to add up that this version has not")
    if terms.shared != (terms.key_bits == 0):
        raise PeerError("private sums have no key, and encryption has one")
