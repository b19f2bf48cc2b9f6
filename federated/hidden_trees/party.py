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

from federated.hidden_trees.plan import FEWEST_ROWS, HiddenPlan
from federated.hidden_trees.sides import leaves_of, sides_of
from federated.hidden_trees.states import WAITS, Hiding
from federated.sharing.chunks import window_of
from federated.sharing.kept import Index, Values, batch_nonce
from federated.sharing.messages import Asked, Challenged, Corrected, Turned, Zeroed
from federated.sharing.transcript import SEED
from federated.trees.layout import Layout
from federated.trees.messages import Lanes
from federated.trees.party import WINDOW, Party, Shares
from federated.trees.splitting import Level
from federated.trees.splitting.messages import Extension
from federated.trees.splitting.transfers import Gives, Picks
from federated.trees.states import Linking
from psi.protocol import Context, InputError, MisuseError, PeerError, Refused, Share, Turn

__all__ = ["HiddenParty"]

R = TypeVar("R")
Bins = NDArray[np.uint16]
Whole = NDArray[np.int64]


class HiddenParty(Party[R]):
    """One side."""

    _plan: HiddenPlan
    leads: bool
    """Whether this is the label party: its columns come second."""

    def __init__(
        self, context: Context, peer: str, bins: Sequence[Bins], layout: Layout, plan: HiddenPlan
    ) -> None:
        if not bins or len(bins) != len(layout.columns) or len({len(own) for own in bins}) != 1:
            raise MisuseError(f"{len(bins)} columns of bins for {len(layout.columns)} of a layout")
        super().__init__(context, peer, len(bins[0]), plan)
        if any(int(own.max()) >= c.cells for own, c in zip(bins, layout.columns, strict=True)):
            raise InputError("rows with a bin that their column does not have")
        if self._rows < FEWEST_ROWS:
            raise Refused(
                f"{self._rows:,} rows found, hidden trees need {FEWEST_ROWS:,}",
                hint='fewer rows do not bear the noise: tells = "splits", or model = "logistic"',
            )
        self._bins, self._layout = list(bins), layout

    def _due(self, state: Any, waits: str) -> None:
        if WAITS[state.waits] != waits:
            raise PeerError(f"a message about {waits} that is not due")

    def _now_waits(self, state: Hiding, waits: str) -> Hiding:
        return replace(state, waits=WAITS.index(waits))

    # trees of seeds, of both parties' columns at a time

    def _hiding(self, state: Linking, sent: Any) -> Turn[R]:
        """All seeds but one a group; ask for the first trees."""
        own, other = self._linked(state, sent)
        assert state.layout is not None  # noqa: S101  `_linked` has looked
        hiding = Hiding(transcript=state.transcript, keys=own, peer=other, layout=state.layout)
        hiding, asked = self._ask(hiding)
        return Turn(hiding, [(self._peer, each) for each in asked], progress=0.0)

    def _ask(self, state: Hiding) -> tuple[Hiding, list[Asked]]:
        last = min(self._places(self._layout), state.turned + window_of(self._rows, WINDOW))
        index = self._index(state)
        asked = []
        for place in range(state.asked, last):
            depth = self._layout.depths[place % len(self._bins)]
            asked.append(index.ask(state.transcript, place, self._own(place), depth))
        return replace(state, asked=max(last, state.asked)), asked

    def on_asked(self, state: Hiding, sent: Asked, peer: str) -> Turn[R]:
        """Make trees over the other's columns, and send what corrects them."""
        state = self._heard(state, sent, peer)
        if sent.place != state.answered or sent.place >= self._places(state.layout):
            raise PeerError("transfers that are not due")
        rows = self._filled(sent.place // len(state.layout.columns))
        depth = self._their_depth(state, sent.place)
        told = self._values(state).answered(state.transcript, sent, rows, depth)
        return Turn(replace(state, answered=state.answered + 1), [(peer, told)])

    def on_corrected(self, state: Hiding, sent: Corrected, peer: str) -> Turn[R]:
        """Keep own trees; ask for zeros."""
        state = self._heard(state, sent, peer)
        if sent.place != state.corrected or sent.place >= state.asked:
            raise PeerError("corrections that are not due")
        asked = self._index(state).corrected(state.transcript, sent)
        return Turn(replace(state, corrected=state.corrected + 1), [(peer, asked)])

    def on_challenged(self, state: Hiding, sent: Challenged, peer: str) -> Turn[R]:
        """Zeros under the other's nonce."""
        state = self._heard(state, sent, peer)
        if sent.place != state.proved or sent.place >= state.answered:
            raise PeerError("a challenge that is not due")
        zeros = self._values(state).zeroed(sent, self._their_depth(state, sent.place))
        return Turn(replace(state, proved=state.proved + 1), [(peer, zeros)])

    def on_zeroed(self, state: Hiding, sent: Zeroed, peer: str) -> Turn[R]:
        """Check own trees, turn them to the bins, and ask for the next ones."""
        state = self._heard(state, sent, peer)
        if sent.place != state.turned or sent.place >= state.corrected:
            raise PeerError("zeros that are not due")
        told: Turned = self._index(state).turned(sent, self._own(sent.place))
        state, asked = self._ask(replace(state, turned=state.turned + 1))
        turn = self._grow_if_ready(state)
        return replace(turn, messages=[(peer, each) for each in (told, *asked)] + [*turn.messages])

    def on_turned(self, state: Hiding, sent: Turned, peer: str) -> Turn[R]:
        """Keep the other's turns."""
        state = self._heard(state, sent, peer)
        if sent.place != state.given or sent.place >= state.proved:
            raise PeerError("turns that are not due")
        self._values(state).turn(sent, self._their_depth(state, sent.place))
        return self._grow_if_ready(replace(state, given=state.given + 1))

    def _grow_if_ready(self, state: Hiding) -> Turn[R]:
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
        first = self._first(state)
        values, messages = self._values(state), []
        columns = len(state.layout.columns)
        sums: Any = 0
        for chunk in range(self._chunks):
            lanes = self._chunk(first, chunk)
            name = f"lanes {state.level} {chunk} {self.leads}"
            nonce = batch_nonce(state.transcript, name, lanes)
            padded, shares = [], []
            for column, depth in enumerate(state.layout.depths):
                sent, share = values.summed(chunk * columns + column, depth, nonce, lanes)
                padded.append(sent.reshape(-1))
                shares.append(share)
            sums = sums + np.concatenate(shares)
            messages.append(Lanes(state.level, chunk, nonce, np.concatenate(padded)))
        self.context.store.put("their-sums", state.level & 1, sums)
        return messages

    def _lanes_taken(self, state: Hiding, sent: Lanes) -> Hiding:
        """Add a chunk up by own bins, the other's weights and the own; a chunk more is heard."""
        self._due(state, "lanes")
        if sent.level != state.level or sent.chunk != state.heard:
            raise PeerError("lanes of a level or a chunk that is not due")
        own = self._chunk(self._first(state), sent.chunk)
        columns = len(self._bins)
        if len(sent.lanes) != columns * own.size:
            raise PeerError("lanes of another shape")
        lanes = sent.lanes.reshape(columns, *own.shape)
        index, found = self._index(state), []
        for column in range(columns):
            place = sent.chunk * columns + column
            both = np.ascontiguousarray(lanes[column] + own)
            found.append(index.summed(place, self._own(place), sent.nonce, both))
        sums: Shares = np.concatenate(found)
        if sent.chunk:
            sums = sums + self.context.store.get("own-sums", sent.chunk - 1)
        self.context.store.put("own-sums", sent.chunk, sums)
        return replace(state, heard=state.heard + 1)

    def _summed(self, state: Hiding) -> tuple[Shares, Shares]:
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
        """`uint32[n, nodes, 2]` of the present level."""
        return self.context.store.get("weights", self._depth(state.level))

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

    def _leaves(self, state: Hiding) -> NDArray[np.bool_]:
        """Which leaves rows may be in by own splits, once a tree is whole."""
        splits = [self.context.store.get("split", depth) for depth in range(self._plan.depth)]
        return leaves_of(self._bins, self._layout, splits)

    def _picked(self, state: Hiding, kept: str, name: str, bits: Any) -> Extension:
        """Transfers by bits, whose rows are kept."""
        asked = bits if len(bits) else np.zeros(1, np.uint8)  # no transfers are one that is unused
        picks, sent = Picks.of(state.keys, state.transcript, f"hidden {name}", asked)
        self.context.store.put(f"picks-{kept}", state.level & 1, picks.rows)
        return sent

    def _picks(self, state: Hiding, kept: str) -> Picks:
        rows = self.context.store.get(f"picks-{kept}", state.level & 1)
        return Picks(np.zeros(0, np.uint8), rows)

    def _gives(self, state: Hiding, sent: Extension, count: int) -> Gives:
        return Gives.of(state.peer, sent, max(1, count))

    def _nonce(self, state: Hiding, name: str, *values: Any) -> bytes:
        """Of pads that carry these values."""
        return batch_nonce(state.transcript, f"hidden {name}", *values)

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

    def _depth(self, level: int) -> int:
        """Of a level; a tree's leaves are one more."""
        return level % (self._plan.depth + 1)

    def _tree(self, state: Hiding) -> int:
        """Number of the present one."""
        return state.level // (self._plan.depth + 1)

    def _at_leaves(self, state: Hiding) -> bool:
        return self._depth(state.level) == self._plan.depth

    def _places(self, layout: Layout) -> int:
        return self._chunks * len(layout.columns)

    def _their_depth(self, state: Hiding, place: int) -> int:
        return state.layout.depths[place % len(state.layout.columns)]

    def _own(self, place: int) -> Bins:
        """A column's bins in a chunk of rows, filled up."""
        chunk, column = divmod(place, len(self._bins))
        low, high = self._range(chunk)
        found = np.zeros(self._filled(chunk), np.uint16)
        found[: high - low] = self._bins[column][low:high]
        return found

    def _index(self, state: Hiding) -> Index:
        return Index(self.context.store, state.keys)

    def _values(self, state: Hiding) -> Values:
        return Values(self.context.store, state.peer)

    def _done(self, state: Hiding) -> Share:
        return Share(state.level / self._plan.levels, self._plan.levels * self._rows)
