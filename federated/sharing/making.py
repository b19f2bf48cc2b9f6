"""Trees of seeds in the making, place by place: what is due, and what a role's state counts of it.

A state counts `asked`, `corrected` and `turned` trees over its role's own columns, `answered`,
`proved` and `given` ones over the other side's. Each step takes a state and gives one that counts
a place more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import Index, Values
from federated.sharing.messages import Asked, Challenged, Corrected, Turned, Zeroed
from psi.protocol import PeerError
from psi.protocol.store import Store

__all__ = ["OwnTrees", "TheirTrees"]

Bins = NDArray[np.uint16]


class OwnTrees:
    """The bin holder's, over its own columns.

    Args:
        store: the role's.
        state: of the role; its `keys` are those of this direction.
        bins: of a place `uint16[rows]`, filled up to a multiple of 64.
        depth: levels of a place's trees.
    """

    def __init__(
        self,
        store: Store,
        state: Any,
        *,
        bins: Callable[[int], Bins],
        depth: Callable[[int], int],
    ) -> None:
        self._state, self._bins, self._depth = state, bins, depth
        self._index = Index(store, state.keys)

    def ask(self, last: int) -> tuple[Any, list[Asked]]:
        """Transfers for the trees of all places below `last` that were not asked for."""
        state = self._state
        asked = [
            self._index.ask(state.transcript, place, self._bins(place), self._depth(place))
            for place in range(state.asked, last)
        ]
        return replace(state, asked=max(last, state.asked)), asked

    def corrected(self, sent: Corrected) -> tuple[Any, Challenged]:
        """Keep trees; ask for zeros."""
        state = self._state
        if sent.place != state.corrected or sent.place >= state.asked:
            raise PeerError("corrections that are not due")
        told = self._index.corrected(state.transcript, sent)
        return replace(state, corrected=state.corrected + 1), told

    def turned(self, sent: Zeroed) -> tuple[Any, Turned]:
        """Check trees, and turn them to the bins."""
        state = self._state
        if sent.place != state.turned or sent.place >= state.corrected:
            raise PeerError("zeros that are not due")
        told = self._index.turned(sent, self._bins(sent.place))
        return replace(state, turned=state.turned + 1), told


class TheirTrees:
    """The value holder's, over the other side's columns.

    Args:
        store: the role's.
        state: of the role; its `peer` are the keys of this direction.
        rows: of a place, filled up to a multiple of 64.
        depth: levels of a place's trees.
    """

    def __init__(
        self,
        store: Store,
        state: Any,
        *,
        rows: Callable[[int], int],
        depth: Callable[[int], int],
    ) -> None:
        self._state, self._rows, self._depth = state, rows, depth
        self._values = Values(store, state.peer)

    def answered(self, sent: Asked, due: int) -> tuple[Any, Corrected]:
        """Make trees, and send what corrects the other side's; `due`: places until now."""
        state = self._state
        if sent.place != state.answered or sent.place >= due:
            raise PeerError("transfers that are not due")
        rows, depth = self._rows(sent.place), self._depth(sent.place)
        told = self._values.answered(state.transcript, sent, rows, depth)
        return replace(state, answered=state.answered + 1), told

    def proved(self, sent: Challenged) -> tuple[Any, Zeroed]:
        """Zeros under the other side's nonce."""
        state = self._state
        if sent.place != state.proved or sent.place >= state.answered:
            raise PeerError("a challenge that is not due")
        told = self._values.zeroed(sent, self._depth(sent.place))
        return replace(state, proved=state.proved + 1), told

    def given(self, sent: Turned) -> Any:
        """Keep the other side's turns."""
        state = self._state
        if sent.place != state.given or sent.place >= state.proved:
            raise PeerError("turns that are not due")
        self._values.turn(sent, self._depth(sent.place))
        return replace(state, given=state.given + 1)
