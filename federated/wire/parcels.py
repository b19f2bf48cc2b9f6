"""Parcels: what travels between hub and nodes. A frame is cut into parts, each in one parcel.

The outside of a parcel (job, sender, receiver, step, numbers, sizes) is what a coordinator
reads; the inside is a part of a sealed frame. Parts of one way are numbered, and every parcel
says how many parts of the other way its sender has taken, so that what a dead hub or a cut
connection has lost is sent again, and nothing is taken twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated

from psi.protocol import Length, PeerError, Range, Text, decode, encode, message
from psi.protocol.envelope import LARGEST_PAYLOAD

__all__ = ["LARGEST_FRAME", "PART", "Kind", "Parcel", "Refusal", "notice", "read_parcel"]

PART = 16 << 20
"""Bytes of a frame in one parcel, at most."""

LARGEST_FRAME = LARGEST_PAYLOAD + (1 << 16)


class Kind(IntEnum):
    """What a parcel is."""

    PART = 0
    """A part of a frame."""
    TAKEN = 1
    """No part: only how many of the other way were taken."""
    BYE = 2
    """The sender has closed; numbered like a part."""
    CALL = 3
    """A call for a session, to a node's desk; not numbered."""
    AWAY = 4
    """From the coordinator: the receiver of an earlier parcel is not connected."""
    REFUSED = 5
    """No session, or its end, in the clear: `step` is a `Refusal`."""


class Refusal(StrEnum):
    """What is said where there is no sealed channel: a code, for the hub reads it, and the caller
    may be a stranger. The reason stands in the log of whoever refuses."""

    CLOSED = "closed"
    ENDED = "ended"
    GONE = "gone"
    HEAVY = "heavy"

    @property
    def words(self) -> str:
        """For whoever is refused."""
        return _WORDS[self]

    @classmethod
    def read(cls, code: str) -> Refusal:
        """The refusal that a parcel brings; what is no code says no more than that it is one."""
        return cls(code) if code in tuple(cls) else cls.CLOSED


_WORDS = {
    Refusal.CLOSED: "it opens no session; its officer can tell why",
    Refusal.ENDED: "the job has ended there",
    Refusal.GONE: "its process has ended",
    Refusal.HEAVY: "the hub carries no more bytes of this step",
}


@message(0xD0)
@dataclass(frozen=True, kw_only=True)
class Parcel:
    """`stream` names the sender's endpoint, made afresh by each process; `number` counts its
    parts to this receiver from 0; `taken` of `taken_stream` is the count for the other way.
    `size` is the bytes of the whole frame, `offset` where `data` lies in it."""

    kind: Annotated[int, Range(0, 5)]
    job: Annotated[bytes, Length(32)]
    sender: Annotated[str, Text(64)]
    receiver: Annotated[str, Text(64)]
    step: Annotated[str, Text(128)]
    stream: Annotated[bytes, Length(8)]
    number: Annotated[int, Range(0, 2**50)]
    taken_stream: Annotated[bytes, Length(8)]
    taken: Annotated[int, Range(0, 2**50)]
    size: Annotated[int, Range(0, LARGEST_FRAME)]
    offset: Annotated[int, Range(0, LARGEST_FRAME)]
    data: Annotated[bytes, Length(PART)]

    def __repr__(self) -> str:
        way = f"{self.sender}->{self.receiver}"
        return f"<{Kind(self.kind).name.lower()} {self.step} {way} #{self.number}>"

    def to_bytes(self) -> bytes:
        """The parcel on the wire."""
        return encode(self)


def notice(
    kind: Kind, job: bytes, sender: str, receiver: str, text: str = "", data: bytes = b""
) -> Parcel:
    """A parcel that is no part of a frame."""
    none = bytes(8)
    return Parcel(
        kind=kind,
        job=job,
        sender=sender,
        receiver=receiver,
        step=text[:120],
        stream=none,
        number=0,
        taken_stream=none,
        taken=0,
        size=len(data),
        offset=0,
        data=data,
    )


def read_parcel(data: bytes) -> Parcel:
    """The parcel in `data`; raises `PeerError` if it is malformed."""
    parcel = decode(data, Parcel)
    if len(parcel.job) != 32 or parcel.offset + len(parcel.data) > parcel.size:
        raise PeerError("a parcel's sizes do not agree", step=parcel.step)
    return parcel
