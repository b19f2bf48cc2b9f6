"""Rows are scored by trees that were kept: one bit a row for each level on which a partner splits.

    receiver                                                  partner
      Asking: training, rows, base transfers' point       ──►
                                                          ◄──  Points
      Seeds; then for each depth of the trees
      Choices of every level with splits of the partner's ──►
                                                          ◄──  RowBits

It is what training tells of a row, by the same transfers (`federated.trees.row_bits`): the side of
the split that the row's own node has, at the receiver's choice, which the partner does not see. A
depth's levels go together, as no tree waits for another: six one-way trips at most, and two. With
several partners all are asked at once, each for its own levels: none sees another's messages.

Of each row the receiver gets one bit a level, whatever it chooses, and levels are as many as the
partner's part has at most (`row_bits` of the contract): it says itself how many splits stand on
each, but of all together as many as the partner has kept. A path needs the two parties' splits in
turns, so a rounded score would take both a circuit a row; and sums of leaves under noise would not
hold against a receiver that puts numbers of its own in their place.

The partner learns how many of its splits stand on each level, which training has told it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.scoring.messages import Asking, Choosing, Offered, Opening
from federated.scoring.path_partner import PathPartner, chunks_of, name_of_transfers, range_of
from federated.sharing.base_transfers import base_offer, index_keys, transcript_of
from federated.sharing.messages import Points
from federated.trees import row_bits
from federated.trees.forest import OWN, PARTNER, Forest
from federated.trees.messages import Choices, RowBits
from federated.trees.saved import LabelModel
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn
from psi.protocol.store import NamedStore, Store

__all__ = ["PathPartner", "PathReceiver", "most_levels", "partner_levels"]

Bins = NDArray[np.uint16]
Ends = NDArray[np.uint8]
Sides = NDArray[np.bool_]
_Entry = tuple[int, NDArray[np.uint8], int]


def partner_levels(forest: Forest, partner: int = 0) -> list[tuple[int, int, int]]:
    """Tree, depth and how many splits of a partner's, of each level that has any; in order."""
    found = []
    for number, tree in enumerate(forest.trees):
        here = _depths(np.flatnonzero(tree.kind == PARTNER + partner))
        counts = np.bincount(here, minlength=1)
        found += [(number, depth, int(count)) for depth, count in enumerate(counts) if count]
    return found


def most_levels(forest: Forest) -> int:
    """Levels that tell a bit of a row, of the partner that has most."""
    return max(len(partner_levels(forest, partner)) for partner in range(forest.partners))


class PathReceiver(Role[Ends]):
    """Learns where rows end: `uint8[trees, rows]`, a place in each tree.

    Args:
        context: of the session.
        partners: whose splits the trees have, in the model's order.
        model: the kept part.
        bins: of each own column `uint16[rows]`.
        rows: that are shared.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Opening, Points): "on_points",
        (Choosing, RowBits): "on_row_bits",
    }

    def __init__(
        self,
        context: Context,
        partners: Sequence[str],
        model: LabelModel,
        bins: Sequence[Bins],
        rows: int,
    ) -> None:
        super().__init__(context)
        if any(len(own) != rows for own in bins) or rows < 1:
            raise MisuseError(f"{len(bins)} columns that do not have {rows} rows")
        names = {context.party, *partners}
        if len(names) <= len(partners) or len(partners) != model.forest.partners:
            raise MisuseError(
                f"{len(partners)} partners found, {model.forest.partners} others in the trees"
            )
        self._peers, self._model, self._bins, self._rows = [*partners], model, list(bins), rows
        self._levels = [partner_levels(model.forest, at) for at in range(len(partners))]
        self._held: dict[int, list[list[_Entry]]] = {}

    def begin(self) -> Turn[Ends]:
        offers, messages = [], []
        for at, peer in enumerate(self._peers):
            # a seed of its own: no two partners have one offer
            secret, point = base_offer(transcript_of(self.context))
            counts = tuple(count for _, _, count in self._levels[at])
            messages.append((peer, Asking(self._model.trainings[at], self._rows, point, counts)))
            offers.append(Offered(secret, point))
        opening = Opening(transcript_of(self.context), tuple(offers))
        return Turn(opening, messages, progress=0.0)

    def on_points(self, state: Opening, sent: Points, peer: str) -> Turn[Ends]:
        """The keys of the base transfers; with those of all partners ask for the first depth."""
        at, transcript = self._at_peer(peer), state.transcript.hear(self.incoming)
        offer = state.offers[at]
        if offer.keys is not None:
            raise PeerError("points of base transfers that are not due")
        name = name_of_transfers(self.context, self._rows)
        keys, seeds = index_keys(offer, transcript, sent.points, name)
        offers = list(state.offers)
        offers[at] = replace(offer, keys=keys)
        every = tuple(each.keys for each in offers if each.keys is not None)
        if len(every) < len(offers):
            return Turn(Opening(transcript, tuple(offers)), [(peer, seeds)])
        none = (0,) * len(every)
        turn = self._ask(Choosing(transcript=transcript, keys=every, depth=0, heard=none))
        return replace(turn, messages=[(peer, seeds), *turn.messages])

    def _at_peer(self, peer: str) -> int:
        if peer not in self._peers:
            raise PeerError("a message that only a partner of the model may send")
        return self._peers.index(peer)

    def _ask(self, state: Choosing) -> Turn[Ends]:
        """Choose on all levels of a depth; the next depth where no partner has one there."""
        depth = state.depth
        while depth < self._deepest and not any(self._due(depth)):
            depth += 1
        none = (0,) * len(self._peers)
        state = replace(state, depth=min(depth, self._deepest), heard=none)
        if depth >= self._deepest:
            return Turn(Done(), result=self._ends(), progress=1.0)
        messages = []
        for at, entries in enumerate(self._entries(depth)):
            told = [each for entry in entries for each in self._choices(state, at, entry)]
            messages += [(self._peers[at], each) for each in told]
        return Turn(state, messages, progress=depth / max(1, self._deepest))

    def _choices(self, state: Choosing, at: int, entry: _Entry) -> Iterator[Choices]:
        """Of one level of a partner's, a message a chunk."""
        place, entries, width = entry
        for chunk in range(chunks_of(self._rows)):
            low, high = range_of(chunk, self._rows)
            name = f"{at} {place} {chunk}"
            choice, asked = row_bits.choose(
                state.keys[at], state.transcript, name, entries[low:high], width
            )
            number = place * chunks_of(self._rows) + chunk
            self._stores[at].put("choice-made", number, choice.made)
            self._stores[at].put("choice-rows", number, choice.rows)
            yield Choices(
                level=place,
                chunk=chunk,
                nonce=asked.nonce,
                rows=asked.transfers.rows.reshape(-1),
                sums=asked.transfers.sums,
                digest=asked.transfers.digest,
                turns=asked.turns,
            )

    def on_row_bits(self, state: Choosing, sent: RowBits, peer: str) -> Turn[Ends]:
        """A chunk's sides on one level; after all of a depth go on to the next."""
        at = self._at_peer(peer)
        state = replace(state, transcript=state.transcript.hear(self.incoming))
        places, chunks, heard = self._at(state.depth, at), chunks_of(self._rows), state.heard[at]
        if heard >= len(places) * chunks or (sent.level, sent.chunk) != (
            places[heard // chunks],
            heard % chunks,
        ):
            raise PeerError("rows' bits of a level or a chunk that is not due")
        store, number = self._stores[at], sent.level * chunks + sent.chunk
        made, rows = store.get("choice-made", number), store.get("choice-rows", number)
        _, entries, width = self._entries(state.depth)[at][heard // chunks]
        low, high = range_of(sent.chunk, self._rows)
        choice = row_bits.Choice(made, rows)
        right = row_bits.opened(choice, made ^ entries[low:high], width, sent.nonce, sent.words)
        store.put("sides", number, right)
        every = list(state.heard)
        every[at] += 1
        state = replace(state, heard=tuple(every))
        if every != self._due(state.depth):
            return Turn(state)
        return self._ask(replace(state, depth=state.depth + 1))

    # what is at hand

    @cached_property
    def _stores(self) -> list[Store]:
        return [NamedStore(self.context.store, f"line{at}") for at in range(len(self._peers))]

    @cached_property
    def _deepest(self) -> int:
        """One more than the depth of partners' deepest split."""
        every = (depth + 1 for levels in self._levels for _, depth, _ in levels)
        return max(every, default=0)

    def _at(self, depth: int, partner: int) -> list[int]:
        """The places, among a partner's levels, of those of one depth."""
        levels = self._levels[partner]
        return [place for place, (_, at, _) in enumerate(levels) if at == depth]

    def _due(self, depth: int) -> list[int]:
        """Chunks of sides of each partner's levels at a depth."""
        chunks = chunks_of(self._rows)
        return [len(self._at(depth, at)) * chunks for at in range(len(self._peers))]

    def _entries(self, depth: int) -> list[list[_Entry]]:
        """Of each partner's levels at a depth the place, the rows' entries, their width."""
        if depth not in self._held:
            before, peers = self._walked(depth), range(len(self._peers))
            found = [
                [self._entry(at, place, before) for place in self._at(depth, at)] for at in peers
            ]
            self._held = {depth: found}
        return self._held[depth]

    def restore(self, data: bytes) -> None:
        super().restore(data)
        self._held = {}

    def _entry(self, partner: int, place: int, before: Ends) -> _Entry:
        number, depth, count = self._levels[partner][place]
        tree = self._model.forest.trees[number]
        entry = np.zeros(len(tree.kind), np.uint8)
        here = np.flatnonzero(tree.kind == PARTNER + partner)
        here = here[_depths(here) == depth]
        first = int(tree.split[here].min())
        entry[here] = tree.split[here] - first + 1
        return place, entry[before[number]], row_bits.packed_width(count)

    def _walked(self, depth: int) -> Ends:
        """Where rows are after so many levels: `uint8[trees, rows]`."""
        forest = self._model.forest
        at = np.zeros((len(forest.trees), self._rows), np.uint8)
        told = {
            (tree, level, partner): place
            for partner, levels in enumerate(self._levels)
            for place, (tree, level, _) in enumerate(levels)
        }
        for number, tree in enumerate(forest.trees):
            for level in range(depth):
                sides = {
                    partner: self._sides(partner, told[number, level, partner])
                    for partner in range(forest.partners)
                    if (number, level, partner) in told
                }
                self._step(tree, at[number], level, sides)
        return at

    def _step(self, tree: Any, at: Any, level: int, sides: Mapping[int, Sides]) -> None:
        """Move rows of one tree down by one level, by `sides` of the partners that split there."""
        for node in np.flatnonzero(tree.kind):
            if _depths(node) != level:
                continue
            rows = np.flatnonzero(at == node)
            if tree.kind[node] == OWN:
                column, left = self._model.forest.layout.split(int(tree.split[node]))
                right = ~left[self._bins[column][rows]]
            else:
                right = sides[int(tree.kind[node]) - PARTNER][rows]
            at[rows] = 2 * node + 1 + right

    def _sides(self, partner: int, place: int) -> Sides:
        chunks, store = chunks_of(self._rows), self._stores[partner]
        return np.concatenate([store.get("sides", place * chunks + n) for n in range(chunks)])

    def _ends(self) -> Ends:
        """Own splits may go on below partners'."""
        deepest = max((int(_depths(len(t.kind) - 1)) for t in self._model.forest.trees), default=0)
        return self._walked(deepest)


def _depths(places: Any) -> Any:
    """The level on which places of a tree stand."""
    return np.log2(np.asarray(places) + 1).astype(np.int64)
