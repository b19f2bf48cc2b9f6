"""Base transfers of one direction: one side offers, the other chooses by the bits of a secret Δ.

The side that offers is the bin holder then, by `IndexKeys`, the other the value holder, by
`ValueKeys`. Between its messages a role's state keeps `secret` and `point` of an offer, or `bits`,
`keys` and `said` of a choice.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from federated.sharing.chunks import coin_of
from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.messages import Seeds
from federated.sharing.seeds import BASE, choosing_seeds, delta_seeds
from federated.sharing.transcript import Transcript
from psi.protocol import Context, PeerError
from psi.vole_malicious import base_ot

__all__ = ["base_choice", "base_offer", "index_keys", "transcript_of", "value_keys"]

Bytes = NDArray[np.uint8]


class Offered(Protocol):
    """What of a state belongs to an offer."""

    @property
    def secret(self) -> bytes: ...
    @property
    def point(self) -> bytes: ...


class Chosen(Protocol):
    """What of a state belongs to a choice."""

    @property
    def bits(self) -> Bytes: ...
    @property
    def keys(self) -> Bytes: ...
    @property
    def said(self) -> bytes: ...


def transcript_of(context: Context) -> Transcript:
    """What a role draws from: of its session and step."""
    return Transcript.begin(context.random, context.session + context.step.encode())


def base_offer(transcript: Transcript) -> tuple[bytes, bytes]:
    """Secret and point of an offer."""
    return base_ot.offer(transcript.random("offer"))


def base_choice(
    transcript: Transcript, point: bytes, name: bytes, *, odd: bool = False
) -> tuple[Bytes, dict[str, Any]]:
    """Choose by the bits of Δ.

    Args:
        transcript: so far.
        point: of the other side's offer.
        name: of the transfers.
        odd: whether Δ's lowest bit is one, as the colour of labels in a circuit is.

    Returns:
        The points to send, and a choice by the names of the state's fields.

    Raises:
        PeerError: a point that is none.
    """
    drawn = np.frombuffer(transcript.draw("delta", BASE // 8), np.uint8)
    bits = np.unpackbits(drawn, bitorder="little")
    if odd:
        bits[0] = 1
    random = transcript.random("points")
    points, keys = base_ot.choose(point, (1 - bits).astype(np.uint8), name, random)
    return points, {"bits": bits, "keys": keys, "said": point + points.tobytes()}


def index_keys(
    offered: Offered, transcript: Transcript, points: Bytes, name: bytes
) -> tuple[IndexKeys, Seeds]:
    """The keys of an offer that was chosen in, and trees of seeds to send.

    Raises `PeerError` for points that are none, or another number of them.
    """
    if len(points) != 2 * BASE:
        raise PeerError(f"{len(points)} points of base transfers, {2 * BASE} expected")
    both = base_ot.give(offered.secret, offered.point, points, name)
    seeds, told = choosing_seeds(both, transcript.random("seeds"), name)
    coin = coin_of(name, offered.point, points.tobytes(), told)
    return IndexKeys(seeds.tobytes(), coin), Seeds(told)


def value_keys(chosen: Chosen, sent: Seeds, name: bytes) -> ValueKeys:
    """All seeds but one a group. Raises `PeerError` where they do not fit their check."""
    seeds = delta_seeds(chosen.keys, chosen.bits, sent.sent, name)
    coin = coin_of(name, chosen.said[:32], chosen.said[32:], sent.sent)
    return ValueKeys(seeds.tobytes(), chosen.bits, coin)
