"""Small messages of one turn in one frame: each frame costs a round of the hub, a seal and a point.

Only kinds of messages that are declared so (`bundled` of `psi.protocol.message`), for a party that
is killed hears a frame again from before all that it brought. What is bundled is decided by the
sender's turn and by sizes alone, so that a turn made again after a kill makes the same frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

from psi.protocol import Envelope, Length, PeerError, decode, encode, message
from psi.protocol.codec import may_bundle, peek

__all__ = ["LARGEST", "Bundle", "bundled", "kinds_of", "parted"]

LARGEST = 1 << 20
"""Bytes of messages in one bundle: what is larger goes alone, and both sides work at a time."""
_MOST = 1 << 12


@message(0xB8)
@dataclass(frozen=True)
class Bundle:
    """Messages of one turn to one peer, in their order; the envelope has the first one's number."""

    payloads: Annotated[tuple[Annotated[bytes, Length(LARGEST)], ...], Length(_MOST)]


def bundled(envelopes: Iterable[Envelope]) -> list[Envelope]:
    """A turn's envelopes, those together that may go together."""
    found: list[list[Envelope]] = []
    last: dict[str, list[Envelope]] = {}
    for envelope in envelopes:
        before = last.get(envelope.receiver, [])
        if before and _fits(before, envelope):
            before.append(envelope)
        else:
            last[envelope.receiver] = [envelope]
            found.append(last[envelope.receiver])
    return [_joined(one) if len(one) > 1 else one[0] for one in found]


def _fits(before: list[Envelope], envelope: Envelope) -> bool:
    size = len(envelope.payload) + sum(len(each.payload) for each in before)
    kinds_fit = may_bundle(before[0].payload) and may_bundle(envelope.payload)
    return kinds_fit and size <= LARGEST and len(before) < _MOST


def _joined(envelopes: list[Envelope]) -> Envelope:
    bundle = Bundle(tuple(each.payload for each in envelopes))
    return replace(envelopes[0], payload=encode(bundle))


def parted(envelope: Envelope) -> list[Envelope]:
    """The envelopes that `bundled` put together.

    Raises `PeerError` for a kind that never goes with others.
    """
    if peek(envelope.payload) is not Bundle:
        return [envelope]
    payloads = decode(envelope.payload, Bundle).payloads
    if len(payloads) < 2 or not all(may_bundle(each) for each in payloads):
        raise PeerError("a bundle of messages that go alone", step=envelope.step)
    return [
        replace(envelope, sequence=envelope.sequence + at, payload=payload)
        for at, payload in enumerate(payloads)
    ]


def kinds_of(payload: bytes) -> dict[str, list[int]]:
    """Of a bundle its kinds of messages, each with their number and bytes; empty for any other."""
    found: dict[str, list[int]] = {}
    for each in decode(payload, Bundle).payloads if peek(payload) is Bundle else ():
        kind = peek(each)
        told = found.setdefault(kind.__qualname__ if kind else "unknown", [0, 0])
        told[0] += 1
        told[1] += len(each)
    return found
