"""What both roles of a training do before the first tree: terms, columns, base transfers both ways.

The feature party is the bin holder of trees of seeds over its columns, and chooses in the transfers
behind them; the label party chooses in the transfers of the other direction.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from federated.sharing.chunks import name_of
from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.linking import chosen, given, linked, offered
from federated.sharing.messages import Points, Seeds
from federated.trees.layout import Layout
from federated.trees.messages import Ready
from federated.trees.plan import TreesPlan
from federated.trees.states import WAITS, Linking
from psi.protocol import Context, MisuseError, PeerError, Role, Turn

__all__ = ["Linked"]

R = TypeVar("R")


class Linked(Role[R]):
    """One side.

    Args:
        context: of the session.
        peer: the other party.
        rows: aligned ones.
        layout: of the own columns.
        plan: the contract's terms.
        most: columns of the other party, by the contract.

    Raises:
        MisuseError: rows that are not planned, or no other party.
    """

    waits: ClassVar[tuple[str, ...]] = WAITS
    """What messages may be about once both are linked."""

    def __init__(
        self, context: Context, peer: str, rows: int, layout: Layout, plan: TreesPlan, most: int
    ) -> None:
        super().__init__(context)
        if peer == context.party:
            raise MisuseError("a training with no other party")
        if not 1 <= rows <= plan.rows:
            raise MisuseError(f"{rows} rows found, 1 to {plan.rows} planned")
        self._peer, self._rows, self._layout = peer, rows, layout
        self._plan, self._most = plan, most

    def _heard(self, state: Any, peer: str) -> Any:
        if peer != self._peer:
            raise PeerError("a message that only the other party of the training may send")
        return replace(state, transcript=state.transcript.hear(self.incoming))

    def _due(self, state: Any, waits: str) -> None:
        if self.waits[state.waits] != waits:
            raise PeerError(f"a message about {waits} that is not due")

    def _now_waits(self, state: Any, waits: str) -> Any:
        return replace(state, waits=self.waits.index(waits))

    # terms and columns

    def _agreed(self, state: Linking, sent: Any, layout: Layout) -> Turn[R]:
        """Feature party: check terms and rows; tell the own columns' cells.

        layout: of the columns that there will be trees of seeds over beside the own ones; the own
        where there are no others.
        """
        if state.said:
            raise PeerError("terms that were told before")
        if sent.plan != self._plan.digest():
            raise PeerError("terms of the training that are not the contract's")
        if sent.rows != self._rows:
            raise PeerError(f"{sent.rows} rows at the label party, {self._rows} here")
        state, points = self._chosen(replace(state, layout=layout), sent.point)
        ready = Ready(self._layout, state.point)
        return Turn(state, [(self._peer, ready), (self._peer, points)], progress=0.0)

    def on_ready(self, state: Linking, sent: Ready, peer: str) -> Turn[R]:
        """Label party: the partner's columns; choose in its base transfers."""
        state = self._heard(state, peer)
        if state.layout is not None:
            raise PeerError("a layout that was told before")
        layout = self._theirs(sent.layout)
        state, points = self._chosen(replace(state, layout=layout), sent.point)
        return Turn(state, [(peer, points)])

    def _theirs(self, layout: Layout) -> Layout:
        """The other party's, checked."""
        layout.check()
        if len(layout.columns) > self._most:
            raise PeerError(
                f"{len(layout.columns)} columns of the other party, {self._most} in the contract"
            )
        return layout

    # base transfers

    def _linking(self) -> Linking:
        return Linking(**offered(self.context))

    def _chosen(self, state: Linking, point: bytes) -> tuple[Linking, Points]:
        """Choose in the other side's base transfers."""
        return chosen(state, point, self._name(self._peer), odd=True)

    def on_points(self, state: Linking, sent: Points, peer: str) -> Turn[R]:
        """The keys of the base transfers, and trees of seeds."""
        name = self._name(self.context.party)
        state, seeds = given(self._heard(state, peer), sent, name)
        return Turn(state, [(peer, seeds)])

    def _linked(self, state: Linking, sent: Seeds) -> tuple[IndexKeys, ValueKeys]:
        """The keys of both directions."""
        if state.own is None or state.layout is None:
            raise PeerError("seeds that are not due")
        return linked(state, sent, self._name(self._peer))

    def _name(self, chooser: str) -> bytes:
        return name_of(
            self.context.session, f"{self.context.step}/transfers of {chooser}", self._rows, ()
        )

    def _training(self, state: Any) -> bytes:
        """32 bytes that name this training at both parties."""
        coins = b"".join(sorted((state.keys.coin, state.peer.coin)))
        return hashlib.blake2s(self._plan.digest() + coins, person=b"treename").digest()
