"""The label party of hidden trees: its own splits, sums of nodes under noise, scores in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.groups import groups_of, inside_of, offered_values
from federated.hidden_trees.messages import (
    HiddenBegin,
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
from federated.hidden_trees.plan import VALUE_BITS, HiddenPlan
from federated.hidden_trees.reach import begun, held
from federated.hidden_trees.results import HiddenLabel
from federated.hidden_trees.rounding import (
    circuit,
    margins,
    numbers,
    offsets,
    opened,
    rows_of,
    units_of_leaf,
)
from federated.hidden_trees.sides import given_groups, given_weights, taken_weights
from federated.hidden_trees.slopes import HALF_STEP, INDEX, UNIT_BITS, units_of, written
from federated.hidden_trees.splits import HiddenLabelSplits
from federated.hidden_trees.states import Hiding
from federated.hidden_trees.sums import adjusted, leaf_values, sums_opened
from federated.sharing.messages import (
    Asked,
    Challenged,
    Corrected,
    Points,
    Seeds,
    Turned,
    Zeroed,
)
from federated.trees.labels import Labels
from federated.trees.layout import MOST_COLUMNS, Layout
from federated.trees.messages import Lanes, Ready
from federated.trees.party import Bins
from federated.trees.plan import CURVATURE_BITS, SLOPE_BITS
from federated.trees.splitting import SplitAnswer, SplitPicks, Totals
from federated.trees.states import Linking
from psi.protocol import Context, Done, MisuseError, PeerError, Turn

__all__ = ["HiddenLabelParty"]

U32 = np.uint32


class HiddenLabelParty(HiddenParty[HiddenLabel]):
    """Holds the labels and columns; learns scores in steps, and what its chapter says.

    Args:
        context: of the session; its store keeps trees of seeds of both parties' columns.
        partner: the feature party.
        bins: of each own column `uint16[n]`; there is one at least.
        layout: of these columns.
        label: `int8[n]`, 1 and 0, -1 where there is none: these rows are only scored.
        plan: the contract's terms.
        most: columns of the partner, by the contract.

    Raises:
        InputError: labels that are none.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows, or of a class.
    """

    leads = True
    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, Ready): "on_ready",
        (Linking, Points): "on_points",
        (Linking, Seeds): "on_seeds",
        (Hiding, Asked): "on_asked",
        (Hiding, Corrected): "on_corrected",
        (Hiding, Challenged): "on_challenged",
        (Hiding, Zeroed): "on_zeroed",
        (Hiding, Turned): "on_turned",
        (Hiding, RowChoices): "on_row_choices",
        (Hiding, Lanes): "on_lanes",
        (Hiding, NodeSums): "on_node_sums",
        (Hiding, SplitAnswer): "on_split_answer",
        (Hiding, SplitPicks): "on_split_picks",
        (Hiding, HiddenWon): "on_won",
        (Hiding, MovedBack): "on_moved_back",
        (Hiding, ScoresTold): "on_scores",
    }

    def __init__(
        self,
        context: Context,
        partner: str,
        bins: Sequence[Bins],
        layout: Layout,
        label: NDArray[np.int8],
        *,
        plan: HiddenPlan,
        most: int = MOST_COLUMNS,
    ) -> None:
        if bins and len(bins[0]) != len(label):
            raise MisuseError("labels of other rows than the columns'")
        super().__init__(context, partner, bins, layout, plan, most)
        self._labels = Labels(label, plan)

    def begin(self) -> Turn[HiddenLabel]:
        """Send the terms, and how many cells the own columns have."""
        state = self._linking()
        begin = HiddenBegin(self._plan.digest(), self._rows, state.point, self._layout)
        return Turn(state, [(self._peer, begin)], progress=0.0)

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[HiddenLabel]:
        """All seeds but one a group."""
        return self._hiding(self._heard(state, peer), sent)

    # a tree begins and ends

    def _first_tree(self, state: Hiding) -> Turn[HiddenLabel]:
        own = units_of(self._labels.base(state) - HALF_STEP * 2.0**-UNIT_BITS)
        self.context.store.put("score", 0, np.full(self._rows, own, U32))
        labelled = int(np.count_nonzero(self._labels.used))
        self.context.store.put("bounds", 0, begun(self._labels.base(state), labelled))
        return Turn(self._now_waits(state, "places"))

    def on_row_choices(self, state: Hiding, sent: RowChoices, peer: str) -> Turn[HiddenLabel]:
        """Tables of slopes by the partner's shares of scores, or values of its leaves."""
        state = self._heard(state, peer)
        if sent.number != self._tree(state):
            raise PeerError("choices of a tree that is not due")
        if sent.number == self._plan.trees:
            return self._circuits(state, sent)
        if self._at_leaves(state):
            self._due(state, "leaves")
            return self._leaf_values(state, sent)
        self._due(state, "places")
        return self._tables(state, sent)

    def _tables(self, state: Hiding, sent: RowChoices) -> Turn[HiddenLabel]:
        """Of a piece of the rows; after the last one the own weights are whole, and go out."""
        store, tree, piece = self.context.store, sent.number, state.heard
        at = self._piece(piece)
        score = store.get("score", tree & 1)[at]
        used = self._labels.grown_on(state, tree)[at]
        drawn = state.transcript.draw(f"rest {tree} {piece}", 8 * len(score))
        rest = np.frombuffer(drawn, "<u4").astype(U32).reshape(-1, 2)
        gives = self._gives(state, sent.transfers, INDEX * len(score))
        nonce = self._nonce(state, f"tables {tree} {piece}", score, used)
        keys = gives.pads(0, INDEX * len(score), nonce, "grid").reshape(-1, INDEX, 2, 2)
        entries = written(score, used, rest, keys, nonce)
        told: list[tuple[str, Any]] = [
            (self._peer, RowTables(tree, piece, nonce, entries.reshape(-1)))
        ]
        store.put("rest", piece, rest)
        state = replace(state, heard=piece + 1)
        if state.heard < self._pieces:
            return Turn(state, told)
        weights = np.concatenate([store.get("rest", each) for each in range(self._pieces)])
        ones = self._labels.grown_on(state, tree) & (self._labels.y == 1)
        weights[:, 0] -= ones.astype(U32) << U32(SLOPE_BITS)
        store.put("weights", 0, weights[:, None])
        state = replace(self._now_waits(state, "lanes"), heard=0)
        return Turn(state, [*told, *self._lanes_now(state)])

    def _leaf_values(self, state: Hiding, sent: RowChoices) -> Turn[HiddenLabel]:
        """Each row's value goes into both shares of its score."""
        store, tree = self.context.store, sent.number
        splits = self._tree_splits(tree)
        groups = groups_of(splits[None] < 0)[0]
        inside = inside_of(self._bins, self._layout, splits)
        # nobody trains on what rows without a label come to
        sums, used = store.get("node-sums", self._plan.depth), self._labels.used
        values = units_of_leaf(leaf_values(self._plan, sums))
        values, bounds = held(values, inside[:, used], store.get("bounds", tree & 1))
        store.put("bounds", (tree + 1) & 1, bounds)
        store.put("values", tree, values)
        offered, alone = offered_values(values << (UNIT_BITS - VALUE_BITS), inside, groups)
        nonce = self._nonce(state, f"leaves {tree}", offered)
        gives = self._gives(state, sent.transfers, offered.size)
        told, share = given_groups(offered, gives.pads(0, offered.size, nonce, "leaves"))
        store.put("score", (tree + 1) & 1, store.get("score", tree & 1) + share + alone)
        last = tree + 1 == self._plan.trees
        state = replace(state, level=state.level + 1, heard=0)
        state = self._now_waits(state, "roundings" if last else "places")
        message = LeafValues(tree, nonce, told.reshape(-1))
        return Turn(state, [(self._peer, message)], progress=self._done(state))

    # one level

    def on_lanes(self, state: Hiding, sent: Lanes, peer: str) -> Turn[HiddenLabel]:
        """Add a chunk of the partner's weights up by own bins."""
        state = self._lanes_taken(self._heard(state, peer), sent)
        if state.heard == self._chunks:
            state = replace(self._now_waits(state, "sums"), heard=0)
        return Turn(state)

    def on_node_sums(self, state: Hiding, sent: NodeSums, peer: str) -> Turn[HiddenLabel]:
        """Nodes' sums under both parties' noise: look for splits, or what leaves are worth."""
        state = self._heard(state, peer)
        self._due(state, "sums")
        if sent.number != state.level:
            raise PeerError("sums of a level that is not due")
        sums = sums_opened(self._plan, self._totals(state), sent.sums)
        depth = self._depth(sent.number)
        slopes, curvatures = self._labels.blurred(state, (sums[:, 0], sums[:, 1]), "nodes")
        sums = np.stack([slopes, np.maximum(curvatures, 1)], axis=1)
        if depth:
            sums = adjusted(sums, self.context.store.get("node-sums", depth - 1), depth)
        self.context.store.put("node-sums", depth, sums)
        if self._at_leaves(state):
            return Turn(self._now_waits(state, "leaves"))
        g, h = self._opened(state)
        # the own ones too: the partner says which of them may win, and can bar all others
        g, h = self._labels.candidates(state, g, h)
        totals = self._of_nodes(state, sums)
        ask = self._finder(state).ask(state.transcript, self._shape(state), g, h, totals)
        return Turn(self._now_waits(state, "answer"), [(peer, ask)], progress=self._done(state))

    def _of_nodes(self, state: Hiding, sums: NDArray[np.int64]) -> Totals:
        """What the search needs of each node, by its noisy sums; H lets guess its rows."""
        p = 1.0 / (1.0 + np.exp(-self._labels.base(state)))
        rows = sums[:, 1] * 2.0**-CURVATURE_BITS / (p * (1.0 - p))
        return self._labels.totals((sums[:, 0], sums[:, 1]), rows, np.zeros(len(sums)))

    def on_split_answer(self, state: Hiding, sent: SplitAnswer, peer: str) -> Turn[HiddenLabel]:
        """Tables of the nodes' constants."""
        state = self._heard(state, peer)
        self._due(state, "answer")
        told = self._finder(state).tables(state.transcript, self._shape(state), sent)
        return Turn(self._now_waits(state, "picks"), [(peer, told)])

    def on_split_picks(self, state: Hiding, sent: SplitPicks, peer: str) -> Turn[HiddenLabel]:
        """The circuit that compares scores."""
        state = self._heard(state, peer)
        self._due(state, "picks")
        first = self._first_candidates(state)
        told = self._finder(state).garble_both(state.transcript, self._shape(state), sent, first)
        return Turn(self._now_waits(state, "won"), [(peer, told)])

    def on_won(self, state: Hiding, sent: HiddenWon, peer: str) -> Turn[HiddenLabel]:
        """Own splits; what goes to the right in the partner's nodes, and choose in the own."""
        state = self._heard(state, peer)
        self._due(state, "won")
        if sent.level != state.level:
            raise PeerError("a message of a level that is not due")
        first = self._first_candidates(state)
        won, own = self._finder(state).winners(self._shape(state), sent.labels, first)
        self._split(state, own)
        self.context.store.put("every-split", state.level, own)
        weights, nodes = self._weights(state), np.flatnonzero(won)
        gives = self._gives(state, sent.transfers, len(nodes) * self._rows)
        nonce = self._nonce(state, f"moved {state.level}", weights, nodes)
        pads = gives.pads(0, len(nodes) * self._rows, nonce, "moved")
        told, right = given_weights(weights, nodes, pads)
        self.context.store.put("right", state.level & 1, right)
        # by themselves, before what takes long to send: the other's answer hangs on them alone
        sides = RowChoices(state.level, self._sides(state, "moved back"))
        moved = Moved(state.level, nonce, told.reshape(-1))
        return Turn(self._now_waits(state, "moved back"), [(peer, sides), (peer, moved)])

    def on_moved_back(self, state: Hiding, sent: MovedBack, peer: str) -> Turn[HiddenLabel]:
        """The next level's weights."""
        state = self._heard(state, peer)
        self._due(state, "moved back")
        if sent.level != state.level:
            raise PeerError("a message of a level that is not due")
        own, weights = self._splits(state), self._weights(state)
        nodes = np.flatnonzero(own >= 0)
        pads = self._picks(state, "sides").pads(0, len(nodes) * self._rows, sent.nonce, "moved")
        right = np.empty((len(own), self._rows, 2), U32)
        bits = self._side_bits(state)
        right[nodes] = taken_weights(weights, nodes, bits, pads, sent.products)
        right[own < 0] = self.context.store.get("right", state.level & 1)
        state = self._go_below(state, right)
        if self._at_leaves(state):
            return Turn(self._now_waits(state, "sums"))
        return Turn(self._now_waits(state, "lanes"), self._lanes_now(state))

    def _lanes_now(self, state: Hiding) -> list[tuple[str, Any]]:
        """Own lanes of a level, before the other's come: both sides add up at a time."""
        return [(self._peer, each) for each in self._lanes(state)]

    # the end

    def _circuits(self, state: Hiding, sent: RowChoices) -> Turn[HiddenLabel]:
        """Circuits that round each row's score."""
        self._due(state, "roundings")
        store, bits = self.context.store, self._plan.score_bits
        whole = store.get("score", self._plan.trees & 1) - U32(units_of(self._labels.base(state)))
        share = numbers(whole, leads=True) + self._begins(state)
        gives = self._gives(state, sent.transfers, self._plan.ring_bits * self._rows)
        messages = []
        for chunk in range(self._chunks):
            at = slice(*self._range(chunk))
            nonce = self._nonce(state, f"circuit {chunk}", share[at])
            gates, none = circuit(rows_of(gives, at, self._rows), share[at], bits, nonce)
            store.put("none", chunk, none)
            messages.append((self._peer, ScoreCircuit(chunk, nonce, gates)))
        return Turn(replace(self._now_waits(state, "scores"), heard=0), messages)

    def _begins(self, state: Hiding) -> NDArray[np.uint32]:
        """Where each row's steps begin."""
        return offsets(self._training(state), self._bins, self._plan.score_bits)

    def on_scores(self, state: Hiding, sent: ScoresTold, peer: str) -> Turn[HiddenLabel]:
        """The steps of a chunk's scores; after the last one the training is done."""
        state, store = self._heard(state, peer), self.context.store
        self._due(state, "scores")
        if sent.chunk != state.heard:
            raise PeerError("scores of a chunk that is not due")
        begins = self._begins(state)[slice(*self._range(sent.chunk))]
        found = opened(store.get("none", sent.chunk), sent.colours, begins)
        store.put("told", sent.chunk, found)
        state = replace(state, heard=sent.chunk + 1)
        if state.heard < self._chunks:
            return Turn(state)
        told = np.concatenate([store.get("told", chunk) for chunk in range(self._chunks)])
        base, trees = self._labels.base(state), range(self._plan.trees)
        fit = HiddenLabel(
            margin=margins(base, told),
            base=base,
            splits=np.array([self._tree_splits(tree) for tree in trees]),
            values=np.array([store.get("values", tree) for tree in trees]),
            training=self._training(state),
        )
        return Turn(Done(), result=fit)

    def _finder(self, state: Hiding) -> HiddenLabelSplits:
        return HiddenLabelSplits(self.context.store, state.keys, state.peer)
