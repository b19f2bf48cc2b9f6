"""Base transfers of both directions between two sides: each offers, and chooses in the other's.

Each side is then the bin holder of its own columns' trees of seeds, by `IndexKeys`, and the value
holder of the other's, by `ValueKeys`. A role's state has of its own offer `secret` and `point`, of
its choice in the other's `bits`, `keys` and `said`, and `own` once the other side has chosen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from federated.sharing.base_transfers import (
    base_choice,
    base_offer,
    index_keys,
    transcript_of,
    value_keys,
)
from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.messages import Points, Seeds
from psi.protocol import Context, PeerError

__all__ = ["chosen", "given", "linked", "offered"]


def offered(context: Context) -> dict[str, Any]:
    """An offer, by the names of the state's fields; of the choice there is nothing yet."""
    transcript = transcript_of(context)
    secret, point = base_offer(transcript)
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
        odd: whether Δ's lowest bit is one.
    """
    points, choice = base_choice(state.transcript, point, name, odd=odd)
    return replace(state, **choice), Points(points, 1)


def given(state: Any, sent: Points, name: bytes) -> tuple[Any, Seeds]:
    """The keys of the base transfers, and trees of seeds. Raises `PeerError` where none is due."""
    if not state.said or state.own is not None:
        raise PeerError("points of base transfers that are not due")
    own, seeds = index_keys(state, state.transcript, sent.points, name)
    return replace(state, own=own), seeds


def linked(state: Any, sent: Seeds, name: bytes) -> tuple[IndexKeys, ValueKeys]:
    """The keys of both directions, once there is an `own` one."""
    return state.own, value_keys(state, sent, name)
