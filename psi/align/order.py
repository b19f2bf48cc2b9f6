"""The last exchange: both sides into the receiver's row order, and onto the rows all share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from psi.align.levels import Index
from psi.ecdh import LARGEST
from psi.protocol import Array, Context, Done, PeerError, Range, Role, Turn, message

__all__ = ["OrderReceiver", "OrderSender", "SelectReceiver", "SelectSender"]

Rows = Annotated[np.ndarray, Array("int32", most=LARGEST)]


@message(0x28)
@dataclass(frozen=True)
class Order:
    """For each aligned row of the receiver, in its order, the number of its match."""

    matches: Rows


@message(0x29)
@dataclass(frozen=True)
class Multiplicities:
    """How many rows the sender holds for each match, in the order of the matches."""

    counts: Rows


@message(0x2A)
@dataclass(frozen=True)
class Ordering:
    """Waiting for the other side's part of the order."""

    size: Annotated[int, Range(0, LARGEST)]


class OrderReceiver(Role[Index]):
    """Sends the order; the result are the sender's multiplicities (ones without `join`)."""

    transitions = {(Ordering, Multiplicities): "on_multiplicities"}  # noqa: RUF012

    def __init__(self, context: Context, peer: str, matches: Index, size: int, join: bool) -> None:
        super().__init__(context)
        self._peer, self._matches, self._size, self._join = peer, matches, size, join

    def begin(self) -> Turn[Index]:
        out = [(self._peer, Order(self._matches.astype(np.int32)))]
        if not self._join:
            return Turn(Done(), out, np.ones(self._size, np.int64))
        return Turn(Ordering(self._size), out)

    def on_multiplicities(self, state: Ordering, found: Multiplicities, peer: str) -> Turn[Index]:
        del peer
        good = len(found.counts) == state.size and (found.counts > 0).all()
        if not good or found.counts.sum(dtype=np.int64) > LARGEST:
            raise PeerError("malformed multiplicities")
        return Turn(Done(), result=found.counts.astype(np.int64))


class OrderSender(Role[Index]):
    """Receives the order; sends its multiplicities with `join`."""

    transitions = {(Ordering, Order): "on_order"}  # noqa: RUF012

    def __init__(self, context: Context, peer: str, counts: Index, join: bool) -> None:
        super().__init__(context)
        self._peer, self._counts, self._join = peer, counts, join

    def begin(self) -> Turn[Index]:
        return Turn(Ordering(len(self._counts)))

    def on_order(self, state: Ordering, order: Order, peer: str) -> Turn[Index]:
        matches = order.matches.astype(np.int64)
        there = (matches >= 0) & (matches < state.size)  # before anything is counted by them
        seen = np.bincount(matches[there], minlength=state.size)
        good = there.all() and (seen > 0).all()
        if not good or (not self._join and (seen > 1).any()):
            raise PeerError("an order that does not fit the matches")
        reply = [(peer, Multiplicities(self._counts.astype(np.int32)))] if self._join else []
        return Turn(Done(), reply, matches)


@message(0x2B)
@dataclass(frozen=True)
class Selection:
    """Which aligned pairs stay, by position: those that all partners share."""

    positions: Rows


@message(0x2C)
@dataclass(frozen=True)
class Selecting:
    """Waiting for the selection."""


class SelectReceiver(Role[bool]):
    """Tells each partner which of its aligned pairs stay.

    Args:
        context: session, step, this party's name, its randomness and its store.
        keep: for each partner `int64[k]`: the aligned pairs that stay, in the order of the
            join.
    """

    def __init__(self, context: Context, keep: Mapping[str, Index]) -> None:
        super().__init__(context)
        self._keep = keep

    def begin(self) -> Turn[bool]:
        out = [(peer, Selection(rows.astype(np.int32))) for peer, rows in self._keep.items()]
        return Turn(Done(), out, True)


class SelectSender(Role[Index]):
    """Learns which of its aligned pairs stay, in the receiver's order.

    Args:
        context: session, step, this party's name, its randomness and its store.
        size: how many aligned pairs there are before.
    """

    transitions = {(Selecting, Selection): "on_selection"}  # noqa: RUF012

    def __init__(self, context: Context, size: int) -> None:
        super().__init__(context)
        self._size = size

    def begin(self) -> Turn[Index]:
        return Turn(Selecting())

    def on_selection(self, state: Selecting, found: Selection, peer: str) -> Turn[Index]:
        del state, peer
        keep = found.positions.astype(np.int64)
        ascending = (np.diff(keep) > 0).all()
        if not ascending or (len(keep) and not 0 <= keep[0] <= keep[-1] < self._size):
            raise PeerError("a selection of pairs that do not exist")
        return Turn(Done(), result=keep)
