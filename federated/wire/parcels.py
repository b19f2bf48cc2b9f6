"""Parcels: what travels between hub and nodes. A frame is cut into parts, each in one parcel.

The outside of a parcel (job, sender, receiver, step, numbers, sizes) is what a coordinator
reads; the inside is a part of a sealed frame. Parts of one way are numbered, and every parcel
says how many parts of the other way its sender has taken, so that what a dead hub or a cut
connection has lost is sent again, and nothing is taken twice.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Annotated

from federated.session.reasons import ENDED_THERE
from psi.protocol import Length, PeerError, Range, Text, decode, encode, message
from psi.protocol.envelope import LARGEST_PAYLOAD

__all__ = ["LARGEST_FRAME", "PART", "Kind", "Parcel", "Refusal", "notice", "read_parcel"]

PART = 16 << 20
"""Bytes of a frame in one parcel, at most."""

LARGEST_FRAME = LARGEST_PAYLOAD + (1 << 16)

MOST = 2**50
"""Parts of one way, at most."""


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
    Refusal.ENDED: ENDED_THERE,
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
    number: Annotated[int, Range(0, MOST)]
    taken_stream: Annotated[bytes, Length(8)]
    taken: Annotated[int, Range(0, MOST)]
    size: Annotated[int, Range(0, LARGEST_FRAME)]
    offset: Annotated[int, Range(0, LARGEST_FRAME)]
    data: Annotated[bytes, Length(PART)]

    def __repr__(self) -> str:
        way = f"{self.sender}->{self.receiver}"
        return f"<{Kind(self.kind).name.lower()} {self.step} {way} #{self.number}>"

    def to_bytes(self) -> bytes:
        """The parcel on the wire."""
        return encode(self)

    def head(self) -> bytes:
        """The parcel on the wire up to its data, which follows: what `to_bytes` begins with."""
        names = [text.encode() for text in (self.sender, self.receiver, self.step)]
        sizes = [len(name) for name in names]
        return _layout(*sizes).pack(
            *_BEGINS, self.kind, _JOB, self.job, sizes[0], names[0], sizes[1], names[1],
            sizes[2], names[2], _STREAM, self.stream, self.number, _STREAM, self.taken_stream,
            self.taken, self.size, self.offset, len(self.data),
        )  # fmt: skip


_NOTHING = Parcel(
    kind=0, job=b"", sender="", receiver="", step="", stream=b"", number=0, taken_stream=b"",
    taken=0, size=0, offset=0, data=b"",
)  # fmt: skip
_BEGINS = tuple(encode(_NOTHING)[:2])
_JOB, _STREAM, _COUNT = 32, 8, struct.Struct("<Q")
_NAMES_AT = 2 + 8 + 8 + _JOB


@lru_cache(256)
def _layout(sender: int, receiver: int, step: int) -> struct.Struct:
    """A parcel up to its data in one piece, for names of so many bytes: as the codec has it."""
    names = f"Q{sender}sQ{receiver}sQ{step}s"
    return struct.Struct(f"<BBqQ{_JOB}s{names}Q{_STREAM}sqQ{_STREAM}sqqqQ")


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


def read_parcel(data: bytes | memoryview) -> Parcel:
    """The parcel in `data`; raises `PeerError` if it is malformed."""
    parcel = _well_formed(data) or decode(data, Parcel)
    if len(parcel.job) != 32 or parcel.offset + len(parcel.data) > parcel.size:
        raise PeerError("a parcel's sizes do not agree", step=parcel.step)
    return parcel


def _well_formed(data: bytes | memoryview) -> Parcel | None:
    """The parcel in `data`, read in one piece: what the codec makes of it, in a third of the time.

    None for whatever is not quite as it should be: the codec says what is wrong.
    """
    at, sizes = _NAMES_AT, []
    for most in (64, 64, 128):
        if len(data) < at + _COUNT.size:
            return None
        (size,) = _COUNT.unpack_from(data, at)
        if size > most:
            return None
        sizes.append(size)
        at += _COUNT.size + size
    layout = _layout(*sizes)
    if len(data) < layout.size:
        return None
    version, number, *fields = layout.unpack_from(data)
    kind, job_size, job, _, sender, _, receiver, _, step, *counts = fields
    first, stream, count, second, taken_stream, taken, whole, offset, left = counts
    sizes_hold = (job_size, first, second) == (_JOB, _STREAM, _STREAM)
    numbers_hold = 0 <= kind <= 5 and 0 <= count <= MOST and 0 <= taken <= MOST
    frame_holds = 0 <= whole <= LARGEST_FRAME and 0 <= offset <= LARGEST_FRAME and left <= PART
    begins = (version, number) == _BEGINS and left == len(data) - layout.size
    if not (begins and sizes_hold and numbers_hold and frame_holds):
        return None
    try:
        names = [text.decode() for text in (sender, receiver, step)]
    except UnicodeDecodeError:
        return None
    return Parcel(
        kind=kind, job=job, sender=names[0], receiver=names[1], step=names[2], stream=stream,
        number=count, taken_stream=taken_stream, taken=taken, size=whole, offset=offset,
        data=bytes(data[layout.size :]),
    )  # fmt: skip
