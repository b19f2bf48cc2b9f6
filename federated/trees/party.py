"""What both roles of a training do alike: trees of seeds over columns, and sums by bin of them.

A side that has columns is the bin holder of trees of seeds over them, the other one the value
holder: what it pads under them the bin holder adds up, and both have a share of the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.sharing.chunks import window_of
from federated.sharing.kept import Index, Values, batch_nonce
from federated.sharing.making import OwnTrees, TheirTrees
from federated.sharing.messages import Asked, Challenged, Corrected, Turned, Zeroed
from federated.sharing.trees import CHUNK, padded
from federated.trees.layout import MOST_COLUMNS, Layout
from federated.trees.linking import Linked
from federated.trees.messages import Lanes
from federated.trees.plan import TreesPlan
from federated.trees.splitting import Level
from psi.protocol import Context, InputError, MisuseError, PeerError, Share, Turn

__all__ = ["Bins", "Party", "Shares"]

R = TypeVar("R")
Bins = NDArray[np.uint16]
Shares = NDArray[np.uint32]

WINDOW = 8
"""Whole chunks of trees of seeds under way at a time."""


class Party(Linked[R]):
    """One side.

    Args:
        context: of the session; its store keeps trees of seeds.
        peer: the other party.
        rows: aligned ones.
        bins: of each own column `uint16[rows]`.
        layout: of these columns.
        plan: the contract's terms.
        most: columns of the other party, by the contract.

    Raises:
        InputError: a bin that its column does not have.
        MisuseError: arguments that do not fit together or to the plan.
    """

    def __init__(
        self,
        context: Context,
        peer: str,
        rows: int,
        bins: Sequence[Bins],
        layout: Layout,
        plan: TreesPlan,
        most: int = MOST_COLUMNS,
    ) -> None:
        if len(bins) != len(layout.columns) or any(len(own) != rows for own in bins):
            raise MisuseError(f"{len(bins)} columns of bins for {len(layout.columns)} of a layout")
        super().__init__(context, peer, rows, layout, plan, most)
        if any(int(own.max()) >= c.cells for own, c in zip(bins, layout.columns, strict=True)):
            raise InputError("rows with a bin that their column does not have")
        self._bins = list(bins)

    # trees of seeds: a place is a chunk of rows of a column

    def _ask(self, state: Any) -> tuple[Any, list[Asked]]:
        """For trees over own columns that may be under way."""
        last = state.turned + window_of(self._rows, WINDOW)
        return self._own_trees(state).ask(min(self._places(self._layout), last))

    def on_asked(self, state: Any, sent: Asked, peer: str) -> Turn[R]:
        """Make trees over the other's columns, and send what corrects them."""
        trees = self._their_trees(self._heard(state, peer))
        state, told = trees.answered(sent, self._places(state.layout))
        return Turn(state, [(peer, told)])

    def on_corrected(self, state: Any, sent: Corrected, peer: str) -> Turn[R]:
        """Keep own trees; ask for zeros."""
        state, told = self._own_trees(self._heard(state, peer)).corrected(sent)
        return Turn(state, [(peer, told)])

    def on_challenged(self, state: Any, sent: Challenged, peer: str) -> Turn[R]:
        """Zeros under the other's nonce."""
        state, told = self._their_trees(self._heard(state, peer)).proved(sent)
        return Turn(state, [(peer, told)])

    def on_zeroed(self, state: Any, sent: Zeroed, peer: str) -> Turn[R]:
        """Check own trees, turn them to the bins, and ask for the next ones."""
        state, told = self._own_trees(self._heard(state, peer)).turned(sent)
        state, asked = self._ask(state)
        turn = self._made(state)
        return replace(turn, messages=[(peer, each) for each in (told, *asked)] + [*turn.messages])

    def on_turned(self, state: Any, sent: Turned, peer: str) -> Turn[R]:
        """Keep the other's turns."""
        return self._made(self._their_trees(self._heard(state, peer)).given(sent))

    def _made(self, state: Any) -> Turn[R]:
        """One more is made: what follows, if that was the last."""
        raise NotImplementedError

    def _own_trees(self, state: Any) -> OwnTrees:
        depths = self._layout.depths
        return OwnTrees(
            self.context.store,
            state,
            bins=self._own,
            depth=lambda place: depths[place % len(depths)],
        )

    def _their_trees(self, state: Any) -> TheirTrees:
        depths = state.layout.depths
        return TheirTrees(
            self.context.store,
            state,
            rows=lambda place: self._filled(place // len(depths)),
            depth=lambda place: depths[place % len(depths)],
        )

    def _places(self, layout: Layout) -> int:
        return self._chunks * len(layout.columns)

    def _own(self, place: int) -> Bins:
        """A column's bins in a chunk of rows, filled up."""
        chunk, column = divmod(place, len(self._bins))
        low, high = self._range(chunk)
        found = np.zeros(self._filled(chunk), np.uint16)
        found[: high - low] = self._bins[column][low:high]
        return found

    @property
    def _chunks(self) -> int:
        return -(-self._rows // CHUNK)

    def _range(self, chunk: int) -> tuple[int, int]:
        return chunk * CHUNK, min((chunk + 1) * CHUNK, self._rows)

    def _filled(self, chunk: int) -> int:
        low, high = self._range(chunk)
        return padded(high - low)

    # sums by bin

    def _padded(self, state: Any, chunk: int, lanes: Shares, name: str) -> tuple[Lanes, Shares]:
        """A chunk's lanes `uint32[rows, k]` under the trees over the other's columns.

        And this side's share of their sums `uint32[cells, k]`.
        """
        values, columns = Values(self.context.store, state.peer), len(state.layout.columns)
        nonce = batch_nonce(state.transcript, name, lanes)
        depths = dict(enumerate(state.layout.depths, chunk * columns))
        told, shares = values.each_summed(depths, nonce, lanes)
        return Lanes(state.level, chunk, nonce, told.reshape(-1)), np.concatenate(shares)

    def _summed(
        self, state: Any, sent: Lanes, width: int, beside: Callable[[int], Shares] | None = None
    ) -> tuple[Any, Shares]:
        """Add a chunk of lanes up by own bins; a chunk more is heard.

        Args:
            state: now.
            sent: the other side's lanes.
            width: lanes of a row.
            beside: of a chunk own ones that go with them, `uint32[rows, width]`.

        Returns:
            The state, and this side's share of the sums of all chunks so far, `uint32[cells, k]`.

        Raises:
            PeerError: lanes that are not due, or of another shape.
        """
        self._due(state, "lanes")
        if sent.level != state.level or sent.chunk != state.heard:
            raise PeerError("lanes of a level or a chunk that is not due")
        rows, columns, store = self._filled(sent.chunk), len(self._bins), self.context.store
        if len(sent.lanes) != columns * rows * width:
            raise PeerError("lanes of another shape")
        first = sent.chunk * columns
        bins = {place: self._own(place) for place in range(first, first + columns)}
        lanes = sent.lanes.reshape(columns, rows, width)
        own = beside(sent.chunk) if beside else None
        index = Index(store, state.keys)
        sums: Shares = np.concatenate(index.each_summed(bins, sent.nonce, lanes, own))
        if sent.chunk:
            sums = sums + store.get("own-sums", sent.chunk - 1)
        store.put("own-sums", sent.chunk, sums)
        return replace(state, heard=state.heard + 1), sums

    # levels

    def _depth(self, level: int) -> int:
        return level % self._plan.tree_levels

    def _level(self, layout: Layout, level: int) -> Level:
        depth = self._depth(level)
        return Level(
            number=level,
            depth=depth,
            nodes=1 << depth,
            candidates=layout.candidates,
            rows=self._rows,
            ways=self._plan.partner_ways,
            counted=self._plan.least_rows > 0,
        )

    def _done(self, state: Any) -> Share:
        levels = self._plan.levels
        return Share(state.level / levels, levels * self._rows)

    def _shares(self, level: int, first: Shares) -> Shares:
        """This side's share of all nodes' cells, `uint32[cells, nodes, k]`, kept for the next one.

        first: of the nodes that were summed (`TreesPlan.summed_nodes`), `[cells, n, k]`. Where that
        is the first one of each pair, the other one's is what its parent has more.
        """
        depth, store = self._depth(level), self.context.store
        found = first
        if first.shape[1] < 1 << depth:
            parents = store.get("shares", depth - 1).reshape(first.shape)
            both = np.stack([first, parents - first], axis=2)
            found = both.reshape(len(first), -1, first.shape[-1])
        store.put("shares", depth, found.reshape(-1))
        return np.asarray(found)

    @staticmethod
    def _candidates(layout: Layout, cells: Shares) -> tuple[Shares, Shares]:
        """Shares of G_L and H_L, `uint32[nodes, candidates]` each."""
        g, h = _left(layout, cells[..., :2])
        return g, h

    @staticmethod
    def _rows_left(layout: Layout, cells: Shares) -> Shares | None:
        """Shares of how many rows go left, alike, where they are counted."""
        return next(_left(layout, cells[..., 2:]), None)


def _left(layout: Layout, cells: Shares) -> Iterator[Shares]:
    """Of each lane the sums of what each candidate sends left, `uint32[nodes, candidates]`."""
    ends = np.cumsum([1 << depth for depth in layout.depths])[:-1]
    nodes, lanes = cells.shape[1:]
    if lanes:
        flat = cells.reshape(len(cells), -1)
        sums = layout.sums(np.split(flat, ends)).reshape(layout.candidates, nodes, lanes)
        yield from np.ascontiguousarray(sums.transpose(2, 1, 0))
