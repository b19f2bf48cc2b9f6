"""Base transfers of both directions between two sides: each offers, and chooses in the other's.

Each side is then the bin holder of its own columns' trees of seeds, by `IndexKeys`, and the value
holder of the other's, by `ValueKeys`. A role's state has of its own offer `secret` and `point`, of
its choice in the other's `bits`, `keys` and `said`, and `own` once the other side has chosen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from federated.sharing.chunks import coin_of
from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.messages import Points, Seeds
from federated.sharing.seeds import BASE, choosing_seeds, delta_seeds
from federated.sharing.transcript import Transcript
from psi.protocol import Context, PeerError
from psi.vole_malicious import base_ot

__all__ = ["chosen", "given", "linked", "offered"]


def offered(context: Context) -> dict[str, Any]:
    """An offer, by the names of the state's fields; of the choice there is nothing yet."""
    about = context.session + context.step.encode()
    transcript = Transcript.begin(context.random, about)
    secret, point = base_ot.offer(transcript.random("offer"))
    return {
        "transcript": transcript,
        "secret": secret,
        "point": point,
        "bits": np.zeros(0, np.uint8),
        "keys": np.zeros((0, 16), np.uint8),
    }


def chosen(state: Any, point: bytes, name: bytes, *, odd: bool = False) -> tuple[Any, Points]:
    """Choose in the other side's base transfers by the bits of a secret Δ.

    Args:
        state: so far.
        point: of the other side's offer.
        name: of the transfers in which the other side chooses.
        odd: whether Δ's lowest bit is one, as the colour of labels in a circuit is.
    """
    drawn = np.frombuffer(state.transcript.draw("delta", BASE // 8), np.uint8)
    bits = np.unpackbits(drawn, bitorder="little")
    if odd:
        bits[0] = 1
    random = state.transcript.random("points")
    points, keys = base_ot.choose(point, (1 - bits).astype(np.uint8), name, random)
    said = point + points.tobytes()
    return replace(state, bits=bits, keys=keys, said=said), Points(points, 1)


def given(state: Any, sent: Points, name: bytes) -> tuple[Any, Seeds]:
    """The keys of the base transfers, and trees of seeds. Raises `PeerError` where none is due."""
    if not state.said or state.own is not None or len(sent.points) != 2 * BASE:
        raise PeerError("points of base transfers that are not due")
    both = base_ot.give(state.secret, state.point, sent.points, name)
    seeds, told = choosing_seeds(both, state.transcript.random("seeds"), name)
    coin = coin_of(name, state.point, sent.points.tobytes(), told)
    return replace(state, own=IndexKeys(seeds.tobytes(), coin)), Seeds(told)


def linked(state: Any, sent: Seeds, name: bytes) -> tuple[IndexKeys, ValueKeys]:
    """The keys of both directions, once there is an `own` one."""
    seeds = delta_seeds(state.keys, state.bits, sent.sent, name)
    coin = coin_of(name, state.said[:32], state.said[32:], sent.sent)
    return state.own, ValueKeys(seeds.tobytes(), state.bits, coin)
