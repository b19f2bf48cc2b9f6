"""An envelope: one encoded message with its way, its step and its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from psi.protocol.codec import Length, Range, Text, message

__all__ = ["LARGEST_PAYLOAD", "Envelope"]

LARGEST_PAYLOAD = 1 << 30
"""Bytes; roles cut what is larger into chunks of their own."""


@message(1)
@dataclass(frozen=True)
class Envelope:
    """What a role sends and receives.

    `step` names the protocol run within the job ("align/bureau/0"); `sequence` counts the
    envelopes of one direction within one step, from 0. The payload is never shown.

    Attributes:
        session: the job's 32 bytes.
        sender: a party's name.
        receiver: a party's name.
    """

    session: Annotated[bytes, Length(32)]
    step: Annotated[str, Text(128)]
    sender: Annotated[str, Text(64)]
    receiver: Annotated[str, Text(64)]
    sequence: Annotated[int, Range(0, 2**40)]
    payload: Annotated[bytes, Length(LARGEST_PAYLOAD)]

    def __repr__(self) -> str:
        way = f"{self.sender}->{self.receiver}"
        return f"<envelope {self.step} {way} #{self.sequence}, {len(self.payload)} bytes>"
