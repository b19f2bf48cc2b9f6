"""What one party of a job tells another so that both can talk without the hub.

    any party -> any other   Offer   in the job's sealed channel, outside of the count of frames

The hub carries it and cannot read or make one: it comes from the very party whose key is pinned.
It tells the other where this party hears, if it does (`advertise` of its policy), and nothing else:
certificate and knock are random and made for this job. A party whose policy has no `[direct]`
sends none, and reads none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from federated.approval.direct import read_address
from psi.protocol import InputError, Length, PeerError, Text, decode, encode, message

__all__ = ["KNOCK", "Offer", "read_offer"]

KNOCK = 32
"""Bytes of a knock."""


@message(0xDA)
@dataclass(frozen=True)
class Offer:
    """`certificate` (DER) is what its sender shows in this job, and nothing else counts as it.

    `address` (host:port, "" for none) is where it hears, `knock` what opens that door once.
    """

    certificate: Annotated[bytes, Length(1 << 10)]
    address: Annotated[str, Text(261)]
    knock: Annotated[bytes, Length(KNOCK)]

    def __repr__(self) -> str:
        return f"<offer, {'hears' if self.address else 'calls'}>"

    def to_bytes(self) -> bytes:
        """The offer on the wire."""
        return encode(self)


def read_offer(data: bytes) -> Offer:
    """The offer in `data`. Raises `PeerError` if it is malformed."""
    offer = decode(data, Offer)
    try:
        if offer.address:
            read_address(offer.address)
    except InputError:
        raise PeerError("an offer of a direct way has no address") from None
    if not offer.certificate or len(offer.knock) != (KNOCK if offer.address else 0):
        raise PeerError("an offer of a direct way is malformed")
    return offer
