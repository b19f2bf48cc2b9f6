"""Rows are scored by trees that were kept: one bit a row for each level on which a partner splits.

    receiver                                                  partner
      Asking: training, rows, base transfers' point       ──►
                                                          ◄──  Points
      Seeds; then for each depth of the trees
      Choices of every level with splits of the partner's ──►
                                                          ◄──  RowBits

It is what training tells of a row, by the same transfers (`federated.trees.row_bits`): the side of
the split that the row's own node has, at the receiver's choice, which the partner does not see. A
depth's levels go together, as no tree waits for another: six one-way trips at most, and two.

Of each row the receiver gets one bit a level, whatever it chooses, and levels are as many as the
partner's part has at most (`row_bits` of the contract): it says itself how many splits stand on
each, but of all together as many as the partner has kept. A path needs the two parties' splits in
turns, so a rounded score would take both a circuit a row; and sums of leaves under noise would not
hold against a receiver that puts numbers of its own in their place.

The partner learns how many of its splits stand on each level, which training has told it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.scoring.messages import Asking, Choosing, Linking, Offering, Opening, Waiting
from federated.sharing.base_transfers import (
    base_choice,
    base_offer,
    index_keys,
    transcript_of,
    value_keys,
)
from federated.sharing.chunks import name_of
from federated.sharing.kept import batch_nonce
from federated.sharing.messages import Points, Seeds
from federated.sharing.seeds import GROUPS
from federated.sharing.transfers import CHECKED, Transfers
from federated.sharing.trees import CHUNK
from federated.trees import row_bits
from federated.trees.forest import OWN, PARTNER, Forest
from federated.trees.messages import Choices, RowBits
from federated.trees.saved import FeatureModel, LabelModel
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn

__all__ = ["PathPartner", "PathReceiver", "partner_levels"]

Bins = NDArray[np.uint16]
Ends = NDArray[np.uint8]
Sides = NDArray[np.bool_]


def partner_levels(forest: Forest) -> list[tuple[int, int, int]]:
    """Tree, depth and how many splits of the partner's, of each level that has any; in order."""
    found = []
    for number, tree in enumerate(forest.trees):
        counts = np.bincount(_depths(np.flatnonzero(tree.kind == PARTNER)), minlength=1)
        found += [(number, depth, int(count)) for depth, count in enumerate(counts) if count]
    return found


class PathReceiver(Role[Ends]):
    """Learns where rows end: `uint8[trees, rows]`, a place in each tree.

    Args:
        context: of the session.
        partner: whose splits the trees have.
        model: the kept part.
        bins: of each own column `uint16[rows]`.
        rows: that are shared.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Opening, Points): "on_points",
        (Choosing, RowBits): "on_row_bits",
    }

    def __init__(
        self, context: Context, partner: str, model: LabelModel, bins: Sequence[Bins], rows: int
    ) -> None:
        super().__init__(context)
        if partner == context.party or any(len(own) != rows for own in bins) or rows < 1:
            raise MisuseError(f"{len(bins)} columns that do not have {rows} rows")
        self._peer, self._model, self._bins, self._rows = partner, model, list(bins), rows
        self._levels = partner_levels(model.forest)
        self._held: dict[int, list[tuple[int, NDArray[np.uint8], int]]] = {}

    def begin(self) -> Turn[Ends]:
        transcript = transcript_of(self.context)
        secret, point = base_offer(transcript)
        counts = tuple(count for _, _, count in self._levels)
        asking = Asking(self._model.training, self._rows, point, counts)
        return Turn(Opening(transcript, secret, point), [(self._peer, asking)], progress=0.0)

    def on_points(self, state: Opening, sent: Points, peer: str) -> Turn[Ends]:
        """The keys of the base transfers; ask for the first depth."""
        transcript = state.transcript.hear(self.incoming)
        name = _name(self.context, self._rows)
        keys, seeds = index_keys(state, transcript, sent.points, name)
        turn = self._ask(Choosing(transcript=transcript, keys=keys, depth=0))
        return replace(turn, messages=[(peer, seeds), *turn.messages])

    def _ask(self, state: Choosing) -> Turn[Ends]:
        """Choose on all levels of a depth; the next depth where the partner has none there."""
        depth = state.depth
        while depth < self._deepest and not self._at(depth):
            depth += 1
        state = replace(state, depth=min(depth, self._deepest), heard=0)
        if depth >= self._deepest:
            return Turn(Done(), result=self._ends(), progress=1.0)
        store, messages = self.context.store, []
        for place, entries, width in self._entries(depth):
            for chunk in range(_chunks(self._rows)):
                low, high = _range(chunk, self._rows)
                choice, asked = row_bits.choose(
                    state.keys, state.transcript, f"{place} {chunk}", entries[low:high], width
                )
                number = place * _chunks(self._rows) + chunk
                store.put("choice-made", number, choice.made)
                store.put("choice-rows", number, choice.rows)
                told = Choices(
                    level=place,
                    chunk=chunk,
                    nonce=asked.nonce,
                    rows=asked.transfers.rows.reshape(-1),
                    sums=asked.transfers.sums,
                    digest=asked.transfers.digest,
                    turns=asked.turns,
                )
                messages.append((self._peer, told))
        return Turn(state, messages, progress=depth / max(1, self._deepest))

    def on_row_bits(self, state: Choosing, sent: RowBits, peer: str) -> Turn[Ends]:
        """A chunk's sides on one level; after all of a depth go on to the next."""
        del peer
        state = replace(state, transcript=state.transcript.hear(self.incoming))
        places, chunks = self._at(state.depth), _chunks(self._rows)
        due = (places[state.heard // chunks], state.heard % chunks)
        if (sent.level, sent.chunk) != due:
            raise PeerError("rows' bits of a level or a chunk that is not due")
        store, number = self.context.store, sent.level * chunks + sent.chunk
        made, rows = store.get("choice-made", number), store.get("choice-rows", number)
        _, entries, width = self._entries(state.depth)[state.heard // chunks]
        low, high = _range(sent.chunk, self._rows)
        choice = row_bits.Choice(made, rows)
        right = row_bits.opened(choice, made ^ entries[low:high], width, sent.nonce, sent.words)
        store.put("sides", number, right)
        state = replace(state, heard=state.heard + 1)
        if state.heard < len(places) * chunks:
            return Turn(state)
        return self._ask(replace(state, depth=state.depth + 1))

    # what is at hand

    @cached_property
    def _deepest(self) -> int:
        """One more than the depth of the partner's deepest split."""
        return max((depth + 1 for _, depth, _ in self._levels), default=0)

    def _at(self, depth: int) -> list[int]:
        """The places, among the partner's levels, of those of one depth."""
        return [place for place, (_, at, _) in enumerate(self._levels) if at == depth]

    def _entries(self, depth: int) -> list[tuple[int, NDArray[np.uint8], int]]:
        """Of each of the partner's levels at a depth its place, the rows' entries, their width."""
        if depth not in self._held:
            before = self._walked(depth)
            self._held = {depth: [self._entry(place, before) for place in self._at(depth)]}
        return self._held[depth]

    def restore(self, data: bytes) -> None:
        super().restore(data)
        self._held = {}

    def _entry(self, place: int, before: Ends) -> tuple[int, NDArray[np.uint8], int]:
        number, depth, count = self._levels[place]
        tree = self._model.forest.trees[number]
        entry = np.zeros(len(tree.kind), np.uint8)
        here = np.flatnonzero(tree.kind == PARTNER)
        here = here[_depths(here) == depth]
        first = int(tree.split[here].min())
        entry[here] = tree.split[here] - first + 1
        return place, entry[before[number]], row_bits.packed_width(count)

    def _walked(self, depth: int) -> Ends:
        """Where rows are after so many levels: `uint8[trees, rows]`."""
        forest = self._model.forest
        at = np.zeros((len(forest.trees), self._rows), np.uint8)
        told = {(tree, level): place for place, (tree, level, _) in enumerate(self._levels)}
        for number, tree in enumerate(forest.trees):
            for level in range(depth):
                self._step(tree, at[number], level, told.get((number, level)))
        return at

    def _step(self, tree: Any, at: Any, level: int, place: int | None) -> None:
        """Move rows of one tree down by one level."""
        sides = None if place is None else self._sides(place)
        for node in np.flatnonzero(tree.kind):
            if _depths(node) != level:
                continue
            rows = np.flatnonzero(at == node)
            if tree.kind[node] == OWN:
                column, left = self._model.forest.layout.split(int(tree.split[node]))
                right = ~left[self._bins[column][rows]]
            else:
                assert sides is not None  # noqa: S101  it is one of the partner's levels
                right = sides[rows]
            at[rows] = 2 * node + 1 + right

    def _sides(self, place: int) -> Sides:
        chunks = _chunks(self._rows)
        parts = [self.context.store.get("sides", place * chunks + n) for n in range(chunks)]
        return np.concatenate(parts)

    def _ends(self) -> Ends:
        """Own splits may go on below the partner's."""
        deepest = max((int(_depths(len(t.kind) - 1)) for t in self._model.forest.trees), default=0)
        return self._walked(deepest)


class PathPartner(Role[int]):
    """Offers the sides of its splits, one a row and level; its result is how many levels it told.

    Args:
        context: of the session.
        receiver: its name.
        model: the kept part.
        sides: `bool[splits, rows]`, whether each row goes right.
        most: levels that may tell a bit of a row, by the contract.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Waiting, Asking): "on_asking",
        (Linking, Seeds): "on_seeds",
        (Offering, Choices): "on_choices",
    }

    def __init__(
        self, context: Context, receiver: str, model: FeatureModel, sides: Sides, most: int
    ) -> None:
        super().__init__(context)
        if len(sides) != len(model.splits):
            raise MisuseError(f"sides of {len(sides)} splits, {len(model.splits)} there are")
        self._peer, self._model, self._sides, self._most = receiver, model, sides, most

    def begin(self) -> Turn[int]:
        return Turn(Waiting(transcript_of(self.context)))

    def on_asking(self, state: Waiting, sent: Asking, peer: str) -> Turn[int]:
        """Look whether it is about these trees and rows; choose in the base transfers."""
        transcript = state.transcript.hear(self.incoming)
        if sent.training != self._model.training:
            raise PeerError("trees of another training")
        if sent.rows != self._sides.shape[1]:
            raise PeerError(f"{sent.rows} rows at the receiver, {self._sides.shape[1]} here")
        if len(sent.levels) > self._most or sum(sent.levels) != len(self._sides):
            raise PeerError(
                f"{len(sent.levels)} levels with {sum(sent.levels)} splits asked, "
                f"{self._most} with {len(self._sides)} by the contract"
            )
        points, choice = base_choice(transcript, sent.point, _name(self.context, sent.rows))
        linking = Linking(transcript=transcript, **choice, levels=sent.levels)
        return Turn(linking, [(peer, Points(points, 1))], progress=0.0)

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[int]:
        """All seeds but one a group."""
        del peer
        name = _name(self.context, self._sides.shape[1])
        offering = Offering(
            transcript=state.transcript.hear(self.incoming),
            peer=value_keys(state, sent, name),
            levels=state.levels,
            answered=(0,) * len(state.levels),
        )
        if not state.levels:
            return Turn(Done(), result=0, progress=1.0)
        return Turn(offering)

    def on_choices(self, state: Offering, sent: Choices, peer: str) -> Turn[int]:
        """The sides of a chunk's rows on one level, one of them a row; no chunk twice."""
        state = replace(state, transcript=state.transcript.hear(self.incoming))
        chunks = _chunks(self._sides.shape[1])
        if sent.level >= len(state.levels) or sent.chunk != state.answered[sent.level]:
            raise PeerError("choices of a level or a chunk that is not due")
        if sent.chunk >= chunks or len(sent.rows) % GROUPS or len(sent.sums) != CHECKED:
            raise PeerError("transfers of another shape")
        first, count = sum(state.levels[: sent.level]), state.levels[sent.level]
        low, high = _range(sent.chunk, self._sides.shape[1])
        table, width = np.zeros(high - low, np.uint64), row_bits.packed_width(count)
        for entry in range(count):
            right = self._sides[first + entry, low:high]
            table |= right.astype(np.uint64) << np.uint64(entry + 1)
        nonce = batch_nonce(state.transcript, f"sides {sent.level} {sent.chunk}", table)
        transfers = Transfers(sent.rows.reshape(GROUPS, -1), sent.sums, sent.digest)
        asked = row_bits.Asked(sent.nonce, transfers, sent.turns)
        words = row_bits.offered(state.peer, asked, width, nonce, table)
        answered = list(state.answered)
        answered[sent.level] += 1
        state = replace(state, answered=tuple(answered))
        told = [(peer, RowBits(sent.level, sent.chunk, nonce, words))]
        if min(answered) < chunks:
            return Turn(state, told, progress=sum(answered) / (chunks * len(answered)))
        return Turn(Done(), told, len(answered), 1.0)


def _name(context: Context, rows: int) -> bytes:
    return name_of(context.session, f"{context.step}/transfers", rows, ())


def _chunks(rows: int) -> int:
    return -(-rows // CHUNK)


def _range(chunk: int, rows: int) -> tuple[int, int]:
    return chunk * CHUNK, min((chunk + 1) * CHUNK, rows)


def _depths(places: Any) -> Any:
    """The level on which places of a tree stand."""
    return np.log2(np.asarray(places) + 1).astype(np.int64)
