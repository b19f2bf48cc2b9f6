"""What both roles of hidden trees do alike: trees of seeds both ways, sums by bin, sides of splits.

Each side holds columns, so each is the bin holder of trees of seeds over its own, and the value
holder of those over the other's. Weights, g and h of a row, are shared: what a side adds up by its
own bins are the other's weights, which come as lanes, and its own, which it puts there itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.plan import FEWEST_ROWS, TABLE_ROWS, HiddenPlan
from federated.hidden_trees.sides import below, sides_of
from federated.hidden_trees.states import WAITS, Hiding
from federated.sharing.kept import batch_nonce
from federated.sharing.transcript import SEED
from federated.trees.layout import Layout
from federated.trees.messages import Lanes
from federated.trees.party import Bins, Party, Shares
from federated.trees.splitting import Level
from federated.trees.splitting.messages import Extension
from federated.trees.splitting.transfers import Gives, Picks
from federated.trees.states import Linking
from psi.protocol import Context, Refused, Turn

__all__ = ["HiddenParty"]

R = TypeVar("R")
Whole = NDArray[np.int64]


class HiddenParty(Party[R]):
    """One side."""

    _plan: HiddenPlan
    waits = WAITS
    leads: bool
    """Whether this is the label party: its columns come second."""

    def __init__(
        self,
        context: Context,
        peer: str,
        bins: Sequence[Bins],
        layout: Layout,
        plan: HiddenPlan,
        most: int,
    ) -> None:
        super().__init__(context, peer, len(bins[0]) if bins else 0, bins, layout, plan, most)
        self._at_hand: dict[str, tuple[bytes, Picks]] = {}
        if self._rows < FEWEST_ROWS:
            raise Refused(
                f"{self._rows:,} rows found, hidden trees need {FEWEST_ROWS:,}",
                hint='fewer rows do not bear the noise: tells = "sides", or model = "logistic"',
            )

    # trees of seeds, of both parties' columns at a time

    def _hiding(self, state: Linking, sent: Any) -> Turn[R]:
        """All seeds but one a group; ask for the first trees."""
        own, other = self._linked(state, sent)
        assert state.layout is not None  # noqa: S101  `_linked` has looked
        hiding = Hiding(transcript=state.transcript, keys=own, peer=other, layout=state.layout)
        hiding, asked = self._ask(hiding)
        return Turn(hiding, [(self._peer, each) for each in asked], progress=0.0)

    def _made(self, state: Hiding) -> Turn[R]:
        own, theirs = self._places(self._layout), self._places(state.layout)
        if state.turned < own or state.given < theirs:
            return Turn(state)
        # all trees of seeds are turned: no other columns ever meet the noise that stays
        state = replace(state, lasting=state.transcript.draw("lasting noise", SEED))
        return self._first_tree(state)

    def _first_tree(self, state: Hiding) -> Turn[R]:
        raise NotImplementedError

    # sums by bin

    def _lanes(self, state: Hiding) -> list[Lanes]:
        """Own weights of each pair's first node under the trees over the other's columns.

        This side's shares of their sums are kept, under "sums" 0.
        """
        first, messages = self._first(state), []
        sums: Any = 0
        for chunk in range(self._chunks):
            name = f"lanes {state.level} {chunk} {self.leads}"
            told, shares = self._padded(state, chunk, self._chunk(first, chunk), name)
            sums = sums + shares
            messages.append(told)
        self.context.store.put("their-sums", state.level & 1, sums)
        return messages

    def _lanes_taken(self, state: Hiding, sent: Lanes) -> Hiding:
        """Add a chunk up by own bins, the other's weights and the own; a chunk more is heard."""
        first = self._first(state)
        state, _ = self._summed(state, sent, first.shape[1], lambda at: self._chunk(first, at))
        return state

    def _opened(self, state: Hiding) -> tuple[Shares, Shares]:
        """Shares of G_L and H_L of the feature party's candidates, then of the label party's."""
        mine = self.context.store.get("own-sums", self._chunks - 1)
        theirs = self.context.store.get("their-sums", state.level & 1)
        both = np.concatenate([theirs, mine] if self.leads else [mine, theirs])
        cells = self._shares(state.level, both.reshape(len(both), -1, 2))
        return self._candidates(self._joined(state), cells)

    def _first(self, state: Hiding) -> Shares:
        """Own weights of the first node of each pair, `uint32[n, 2 * pairs]`."""
        weights = self._weights(state)
        return np.ascontiguousarray(weights[:, ::2]).reshape(len(weights), -1)

    def _chunk(self, lanes: Shares, chunk: int) -> Shares:
        low, high = self._range(chunk)
        found = np.zeros((self._filled(chunk), lanes.shape[1]), np.uint32)
        found[: high - low] = lanes[low:high]
        return found

    def _weights(self, state: Hiding) -> Shares:
        """`uint32[n, nodes, 2]` of the present level; of leaves their sum alone, n is 1."""
        return self.context.store.get("weights", self._depth(state.level))

    def _go_below(self, state: Hiding, right: Shares) -> Hiding:
        """Keep the next level's weights, by what goes right of each node, `uint32[nodes, n, 2]`."""
        weights, depth = self._weights(state), self._depth(state.level) + 1
        if depth == self._plan.depth:
            weights, right = weights.sum(axis=0, keepdims=True, dtype=np.uint32), _added(right)
        self.context.store.put("weights", depth, below(weights, right))
        return replace(state, level=state.level + 1)

    def _totals(self, state: Hiding) -> Shares:
        """Own shares of each node's G and H, `uint32[nodes, 2]`."""
        return np.asarray(self._weights(state).sum(axis=0, dtype=np.uint32))

    # splits and sides

    def _split(self, state: Hiding, candidates: Whole) -> None:
        """Keep own candidates of a level's nodes, -1 where the other side splits."""
        self.context.store.put("split", self._depth(state.level), candidates)

    def _splits(self, state: Hiding) -> Whole:
        """The present level's."""
        return self.context.store.get("split", self._depth(state.level))

    def _sides(self, state: Hiding, name: str) -> Extension:
        """Choose by the sides of own splits."""
        bits = self._side_bits(state)
        return self._picked(state, "sides", f"{name} {state.level}", bits.reshape(-1))

    def _side_bits(self, state: Hiding) -> NDArray[np.uint8]:
        """Who goes right by the own splits of a level, `[k, n]`."""
        return sides_of(self._bins, self._layout, self._splits(state))

    def _tree_splits(self, tree: int) -> Whole:
        """Own candidates of a whole tree's nodes, level by level, -1: the other side splits."""
        first = tree * self._plan.tree_levels
        levels = range(first, first + self._plan.depth)
        return np.concatenate([self.context.store.get("every-split", level) for level in levels])

    def _picked(self, state: Hiding, kept: str, name: str, bits: Any) -> Extension:
        """Transfers by bits; of their rows, which are large, what makes them again is kept."""
        asked = bits if len(bits) else np.zeros(1, np.uint8)  # no transfers are one that is unused
        picks, sent = Picks.of(state.keys, state.transcript, f"hidden {name}", asked)
        place, store = state.level & 1, self.context.store
        self._at_hand[kept] = sent.nonce, picks
        store.put(f"nonce-{kept}", place, np.frombuffer(sent.nonce, np.uint8))
        store.put(f"count-{kept}", place, np.array([len(asked)]))
        return sent

    def _picks(self, state: Hiding, kept: str) -> Picks:
        place, store = state.level & 1, self.context.store
        nonce = store.get(f"nonce-{kept}", place).tobytes()
        made, found = self._at_hand.get(kept, (b"", None))
        if found is None or made != nonce:  # this role was restored
            (count,) = store.get(f"count-{kept}", place)
            found = Picks.again(state.keys, nonce, np.zeros(count, np.uint8))
            self._at_hand[kept] = nonce, found
        return found

    def _gives(self, state: Hiding, sent: Extension, count: int) -> Gives:
        return Gives.of(state.peer, sent, max(1, count))

    def _nonce(self, state: Hiding, name: str, *values: Any) -> bytes:
        """Of pads that carry these values."""
        return batch_nonce(state.transcript, f"hidden {name}", *values)

    # rows of a piece of tables

    @property
    def _pieces(self) -> int:
        return -(-self._rows // TABLE_ROWS)

    def _piece(self, number: int) -> slice:
        return slice(number * TABLE_ROWS, min((number + 1) * TABLE_ROWS, self._rows))

    # what is at hand

    def _joined(self, state: Hiding) -> Layout:
        """Both parties' columns, the feature party's first."""
        own, theirs = self._layout.columns, state.layout.columns
        return Layout((*theirs, *own) if self.leads else (*own, *theirs))

    def _first_candidates(self, state: Hiding) -> int:
        """The feature party's."""
        return (state.layout if self.leads else self._layout).candidates

    def _shape(self, state: Hiding) -> Level:
        return self._level(self._joined(state), state.level)

    def _tree(self, state: Hiding) -> int:
        """Number of the present one."""
        return state.level // self._plan.tree_levels

    def _at_leaves(self, state: Hiding) -> bool:
        return self._depth(state.level) == self._plan.depth


def _added(right: Shares) -> Shares:
    return np.asarray(right.sum(axis=1, keepdims=True, dtype=np.uint32))
