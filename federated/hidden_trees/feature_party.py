"""The feature party of hidden trees: its own splits, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.groups import first_leaves, groups_of, inside_of
from federated.hidden_trees.messages import (
    HiddenBegin,
    HiddenCircuit,
    HiddenWon,
    LeafValues,
    Moved,
    MovedBack,
    NodeSums,
    RowChoices,
    RowTables,
    ScoreCircuit,
    ScoresTold,
)
from federated.hidden_trees.party import HiddenParty
from federated.hidden_trees.plan import HiddenPlan
from federated.hidden_trees.results import HiddenFeature
from federated.hidden_trees.rounding import coloured_by, labels_of_rows, numbers, share_bits
from federated.hidden_trees.sides import given_weights, taken_leaves, taken_weights
from federated.hidden_trees.slopes import HALF_STEP, INDEX, indices, opened
from federated.hidden_trees.splits import HiddenFeatureSplits
from federated.hidden_trees.states import Hiding
from federated.hidden_trees.sums import sums_told
from federated.sharing.messages import (
    Asked,
    Challenged,
    Corrected,
    Points,
    Seeds,
    Turned,
    Zeroed,
)
from federated.tables.encoding import DEFAULT_SUPPORT
from federated.trees.blur import blurred
from federated.trees.layout import MOST_COLUMNS, Layout, heard_of
from federated.trees.messages import Lanes
from federated.trees.party import Bins
from federated.trees.splitting import SplitAsk, SplitTables
from federated.trees.states import Linking
from psi.protocol import Context, Done, PeerError, Turn

__all__ = ["HiddenFeatureParty"]

U32 = np.uint32


class HiddenFeatureParty(HiddenParty[HiddenFeature]):
    """Holds columns; learns which of its splits have won, in which node of which tree.

    Args:
        context: of the session; its store keeps trees of seeds of both parties' columns.
        label_party: its name.
        bins: of each column `uint16[n]`.
        layout: of these columns.
        plan: the contract's terms, from which the label party may not depart.
        least: the fewest rows, of all aligned ones, on either side of a split.
        most: columns of the label party, by the contract.

    Raises:
        InputError: a bin that there is not.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows.
    """

    leads = False
    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, HiddenBegin): "on_begin",
        (Linking, Points): "on_points",
        (Linking, Seeds): "on_seeds",
        (Hiding, Asked): "on_asked",
        (Hiding, Corrected): "on_corrected",
        (Hiding, Challenged): "on_challenged",
        (Hiding, Zeroed): "on_zeroed",
        (Hiding, Turned): "on_turned",
        (Hiding, RowTables): "on_tables",
        (Hiding, Lanes): "on_lanes",
        (Hiding, SplitAsk): "on_split_ask",
        (Hiding, SplitTables): "on_split_tables",
        (Hiding, HiddenCircuit): "on_circuit",
        (Hiding, RowChoices): "on_sides",
        (Hiding, Moved): "on_moved",
        (Hiding, LeafValues): "on_leaf_values",
        (Hiding, ScoreCircuit): "on_score_circuit",
    }

    def __init__(
        self,
        context: Context,
        label_party: str,
        bins: Sequence[Bins],
        layout: Layout,
        *,
        plan: HiddenPlan,
        least: int = DEFAULT_SUPPORT,
        most: int = MOST_COLUMNS,
    ) -> None:
        super().__init__(context, label_party, bins, layout, plan, most)
        self._least = least

    def begin(self) -> Turn[HiddenFeature]:
        """Wait for the terms."""
        return Turn(self._linking())

    def on_begin(self, state: Linking, sent: HiddenBegin, peer: str) -> Turn[HiddenFeature]:
        """Check terms, rows and columns; tell the own columns' cells."""
        return self._agreed(self._heard(state, peer), sent, self._theirs(sent.layout))

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[HiddenFeature]:
        """All seeds but one a group."""
        return self._hiding(self._heard(state, peer), sent)

    # a tree begins and ends

    def _first_tree(self, state: Hiding) -> Turn[HiddenFeature]:
        # of each score before the first tree: the middle of the own step
        self.context.store.put("score", 0, np.full(self._rows, HALF_STEP, U32))
        return self._begin_tree(state)

    def _begin_tree(self, state: Hiding) -> Turn[HiddenFeature]:
        """Choose by the own shares of scores."""
        tree = self._tree(state)
        score = self.context.store.get("score", tree & 1)
        chosen = []
        for piece in range(self._pieces):
            bits, name = indices(score[self._piece(piece)]), f"grid {tree} {piece}"
            sent = RowChoices(tree, self._picked(state, f"grid-{piece}", name, bits))
            chosen.append((self._peer, sent))
        state = replace(self._now_waits(state, "tables"), heard=0)
        return Turn(state, chosen, progress=self._done(state))

    def on_tables(self, state: Hiding, sent: RowTables, peer: str) -> Turn[HiddenFeature]:
        """Own shares of a piece's slopes and curvatures; after the last one the first level."""
        state = self._heard(state, peer)
        self._due(state, "tables")
        tree, store = self._tree(state), self.context.store
        if sent.tree != tree or sent.piece != state.heard:
            raise PeerError("tables of a tree or of rows that are not due")
        score = store.get("score", tree & 1)[self._piece(sent.piece)]
        picks = self._picks(state, f"grid-{sent.piece}")
        keys = picks.pads(0, INDEX * len(score), sent.nonce, "grid").reshape(-1, INDEX, 2)
        store.put("looked-up", sent.piece, opened(score, sent.entries, keys, sent.nonce))
        state = replace(state, heard=state.heard + 1)
        if state.heard < self._pieces:
            return Turn(state)
        parts = [store.get("looked-up", piece) for piece in range(self._pieces)]
        store.put("weights", 0, np.concatenate(parts)[:, None])
        return self._begin_level(state)

    def on_leaf_values(self, state: Hiding, sent: LeafValues, peer: str) -> Turn[HiddenFeature]:
        """Own shares of the scores after a tree; after the last one they are told in steps."""
        state = self._heard(state, peer)
        self._due(state, "values")
        tree, store = self._tree(state), self.context.store
        if sent.number != tree:
            raise PeerError("values of a tree that is not due")
        inside = self._groups(state)
        pads = self._picks(state, "leaves").pads(0, inside.size, sent.nonce, "leaves")
        score = store.get("score", tree & 1) + taken_leaves(inside, pads, sent.products)
        store.put("score", (tree + 1) & 1, score)
        state = replace(state, level=state.level + 1)
        if tree + 1 < self._plan.trees:
            return self._begin_tree(state)
        bits = share_bits(numbers(score, leads=False), self._plan.ring_bits)
        chosen = RowChoices(tree + 1, self._picked(state, "rounding", "rounding", bits))
        return Turn(replace(self._now_waits(state, "circuits"), heard=0), [(peer, chosen)])

    def on_score_circuit(self, state: Hiding, sent: ScoreCircuit, peer: str) -> Turn[HiddenFeature]:
        """Tell the steps of a chunk's scores, in colours; after the last chunk there is no more."""
        state = self._heard(state, peer)
        self._due(state, "circuits")
        if sent.chunk != state.heard:
            raise PeerError("a circuit of a chunk that is not due")
        at = slice(*self._range(sent.chunk))
        rows = labels_of_rows(self._picks(state, "rounding").rows, at, self._rows)
        bits, ring = self._plan.score_bits, self._plan.ring_bits
        colours = coloured_by(rows, sent.gates, bits, sent.nonce, ring)
        told = [(peer, ScoresTold(sent.chunk, colours))]
        state = replace(state, heard=sent.chunk + 1)
        if state.heard < self._chunks:
            return Turn(state, told)
        return Turn(Done(), told, self._result(state), 1.0)

    def _result(self, state: Hiding) -> HiddenFeature:
        splits = [self._tree_splits(tree) for tree in range(self._plan.trees)]
        return HiddenFeature(splits=np.array(splits), training=self._training(state))

    def _groups(self, state: Hiding) -> NDArray[np.bool_]:
        """Of each group of leaves whether rows may be there, once a tree is whole."""
        splits = self._tree_splits(self._tree(state))
        (first,) = first_leaves(groups_of(splits[None] >= 0))
        return inside_of(self._bins, self._layout, splits)[first]

    # one level

    def _begin_level(self, state: Hiding) -> Turn[HiddenFeature]:
        """Own weights for the label party's columns; nodes' sums under noise."""
        totals = self._totals(state)
        text = totals.tobytes().hex()
        random = state.transcript.random(f"sums {state.level} {text}")
        sums = NodeSums(state.level, sums_told(self._plan, totals, random))
        if self._at_leaves(state):
            tree, inside = self._tree(state), self._groups(state)
            bits = inside.reshape(-1).astype(np.uint8)
            chosen = RowChoices(tree, self._picked(state, "leaves", f"leaves {tree}", bits))
            return Turn(
                self._now_waits(state, "values"), [(self._peer, sums), (self._peer, chosen)]
            )
        messages: list[Any] = [*self._lanes(state), sums]
        state = replace(self._now_waits(state, "lanes"), heard=0)
        return Turn(state, [(self._peer, each) for each in messages], progress=self._done(state))

    def on_lanes(self, state: Hiding, sent: Lanes, peer: str) -> Turn[HiddenFeature]:
        """Add a chunk of the label party's weights up by own bins."""
        state = self._lanes_taken(self._heard(state, peer), sent)
        if state.heard == self._chunks:
            state = replace(self._now_waits(state, "asked"), heard=0)
        return Turn(state)

    def on_split_ask(self, state: Hiding, sent: SplitAsk, peer: str) -> Turn[HiddenFeature]:
        """Begin to look for the best split of each node; noise on the label party's candidates."""
        state = self._heard(state, peer)
        self._due(state, "asked")
        g, h = self._opened(state)
        first, level = self._first_candidates(state), self._shape(state)
        random = state.transcript.random(f"noise {state.level}")
        theirs = np.ascontiguousarray(g[:, first:])
        g[:, first:] = blurred(
            theirs, self._plan.noise, f"candidates {level.depth}", state.lasting, random
        )
        answer = self._finder(state).answer(state.transcript, level, g, h, sent)
        return Turn(self._now_waits(state, "split tables"), [(peer, answer)])

    def on_split_tables(self, state: Hiding, sent: SplitTables, peer: str) -> Turn[HiddenFeature]:
        """Look scores up."""
        state = self._heard(state, peer)
        self._due(state, "split tables")
        own = heard_of(self._bins, self._layout, self._least)
        kept = np.concatenate([own, np.ones(state.layout.candidates, np.bool_)])
        picks = self._finder(state).pick(state.transcript, self._shape(state), sent, kept)
        return Turn(self._now_waits(state, "circuit"), [(peer, picks)])

    def on_circuit(self, state: Hiding, sent: HiddenCircuit, peer: str) -> Turn[HiddenFeature]:
        """Own splits that have won; hand labels back, and choose by their sides."""
        state = self._heard(state, peer)
        self._due(state, "circuit")
        first = self._first_candidates(state)
        labels, own = self._finder(state).decide_both(self._shape(state), sent, first)
        self._split(state, own)
        self.context.store.put("every-split", state.level, own)
        won = HiddenWon(state.level, labels, self._sides(state, "moved"))
        return Turn(self._now_waits(state, "sides"), [(peer, won)])

    def on_sides(self, state: Hiding, sent: RowChoices, peer: str) -> Turn[HiddenFeature]:
        """What goes right in the label party's nodes: with it that can go on, beside this side."""
        state = self._heard(state, peer)
        self._due(state, "sides")
        if sent.number != state.level:
            raise PeerError("a message of a level that is not due")
        weights, theirs = self._weights(state), np.flatnonzero(self._splits(state) < 0)
        gives = self._gives(state, sent.transfers, len(theirs) * self._rows)
        nonce = self._nonce(state, f"moved back {state.level}", weights, theirs)
        pads = gives.pads(0, len(theirs) * self._rows, nonce, "moved")
        told, right = given_weights(weights, theirs, pads)
        self.context.store.put("right", state.level & 1, right)
        back = MovedBack(state.level, nonce, told.reshape(-1))
        return Turn(self._now_waits(state, "moved"), [(peer, back)])

    def on_moved(self, state: Hiding, sent: Moved, peer: str) -> Turn[HiddenFeature]:
        """The next level's weights."""
        state = self._heard(state, peer)
        self._due(state, "moved")
        if sent.level != state.level:
            raise PeerError("a message of a level that is not due")
        own, weights = self._splits(state), self._weights(state)
        nodes = np.flatnonzero(own >= 0)
        pads = self._picks(state, "sides").pads(0, len(nodes) * self._rows, sent.nonce, "moved")
        right = np.empty((len(own), self._rows, 2), U32)
        bits = self._side_bits(state)
        right[nodes] = taken_weights(weights, nodes, bits, pads, sent.products)
        right[own < 0] = self.context.store.get("right", state.level & 1)
        return self._begin_level(self._go_below(state, right))

    def _finder(self, state: Hiding) -> HiddenFeatureSplits:
        return HiddenFeatureSplits(self.context.store, state.keys, state.peer)
