"""The label party's link to one feature party: base transfers, and trees of seeds over its columns.

The links of several partners are made side by side and know nothing of each other; what follows
them is asked of one partner at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from federated.sharing.messages import Asked, Challenged, Points, Seeds, Turned
from federated.trees.layout import Layout
from federated.trees.messages import Lanes, Ready
from federated.trees.party import Party, Shares
from federated.trees.plan import TreesPlan
from federated.trees.states import Linking, Seeded, Training
from psi.protocol import Context, Turn
from psi.protocol.store import NamedStore, Store

__all__ = ["Line"]


class Line(Party[Any]):
    """One link; the label party is its role, and calls it with states of its own.

    Args:
        context: the label party's.
        peer: the feature party.
        rows: aligned ones.
        plan: the contract's terms.
        number: of the link, which names what it keeps.
        most: columns of the feature party, by the contract.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, Ready): "on_ready",
        (Linking, Points): "on_points",
        (Linking, Seeds): "on_seeds",
        (Seeded, Asked): "on_asked",
        (Seeded, Challenged): "on_challenged",
        (Seeded, Turned): "on_turned",
    }

    def __init__(
        self, context: Context, peer: str, rows: int, plan: TreesPlan, *, number: int, most: int
    ) -> None:
        own = replace(context, store=NamedStore(context.store, f"line{number}"))
        super().__init__(own, peer, rows, [], Layout(()), plan, most)

    @property
    def peer(self) -> str:
        """The feature party."""
        return self._peer

    @property
    def store(self) -> Store:
        """What is kept of this link alone."""
        return self.context.store

    def opened(self) -> Linking:
        """The first state."""
        return self._linking()

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[Any]:
        """All seeds but one a group."""
        state = self._heard(state, peer)
        own, other = self._linked(state, sent)
        assert state.layout is not None  # noqa: S101  `_linked` has looked
        return Turn(Seeded(transcript=state.transcript, keys=own, peer=other, layout=state.layout))

    def _made(self, state: Seeded) -> Turn[Any]:
        return Turn(state)

    def made(self, state: Seeded) -> bool:
        """Whether all trees of seeds are turned."""
        return state.given == self._places(state.layout)

    def padded(self, state: Training, chunk: int, lanes: Shares, name: str) -> tuple[Lanes, Shares]:
        """See `Party._padded`."""
        return self._padded(state, chunk, lanes, name)

    def shares(self, level: int, first: Shares) -> Shares:
        """See `Party._shares`."""
        return self._shares(level, first)

    def training(self, state: Seeded) -> bytes:
        """32 bytes that name what this partner takes part in."""
        return self._training(state)
