"""What a party gets that sends something else while hidden trees grow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.hidden_trees import HiddenLabelParty
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
from federated.hidden_trees.sides import leaves_of
from federated.sharing.messages import Corrected
from federated.trees.messages import Lanes
from psi.protocol import Pair, PeerError
from tests.unit.hidden_trees.world import feature_party, few_rows, label_party, plan
from tests.unit.trees.test_roles import Liar
from tests.unit.trees.world import World

ROW, HEAVY = 7, 1 << 16
"""A record, and what a label party adds to its slope, in units of 2^-8: 256 rows' worth."""
LONG = np.ones(1, np.uint32)


def told(kind: type, change: Callable[[Any], Any]) -> None:
    world, terms = World.of(128), plan(128, trees=1, depth=2)
    pair = Pair(label_party(world, terms), feature_party(world, terms), wire=Liar(kind, change))
    pair.run()


def test_a_label_party_that_makes_a_row_heavy_reads_its_side_and_no_more_bits_than_sums_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its share of a row's slope is its own: B cannot see that, but every sum has 16 bits."""
    few_rows(monkeypatch)
    seen: list[Any] = []

    class Heavy(HiddenLabelParty):
        def on_row_choices(self, state: Any, sent: Any, peer: str) -> Any:
            turn = super().on_row_choices(state, sent, peer)
            if not self._at_leaves(state):
                weights = self.context.store.get("weights", 0).copy()
                weights[ROW, 0, 0] += np.uint32(HEAVY)
                self.context.store.put("weights", 0, weights)
            return turn

        def on_node_sums(self, state: Any, sent: NodeSums, peer: str) -> Any:
            turn = super().on_node_sums(state, sent, peer)
            seen.append((sent.sums, self.context.store.get("node-sums", self._depth(sent.number))))
            return turn

    world, terms = World.of(400, 2), plan(400, trees=1, depth=2)
    mine = label_party(world, terms, kind=Heavy)
    theirs = feature_party(world, terms)
    Pair(mine, theirs).run()
    inside = [
        leaves_of(bins, layout, [role.context.store.get("split", depth) for depth in range(2)])
        for role, bins, layout in (
            (mine, world.a, world.layout_a),
            (theirs, world.b, world.layout_b),
        )
    ]
    leaf = int((inside[0] & inside[1])[:, ROW].argmax())
    found = seen[-1][1][:, 0]
    # 256 rows' slope in one leaf, under noise of 4 rows' and of steps of 8
    assert found.argmax() == leaf
    bits = terms.sum_range - terms.sum_dropped
    assert all(sums.max() < 1 << bits for sums, _ in seen)
    assert sum(len(sums) for sums, _ in seen) * bits == terms.sums_told


@pytest.mark.parametrize("kind", [RowChoices, HiddenWon])
def test_transfers_that_hide_different_choices_end_a_run(
    kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows(monkeypatch)

    def spoilt(sent: Any) -> Any:
        rows = sent.transfers.rows.copy()
        rows[0] ^= np.uint64(1)
        return replace(sent, transfers=replace(sent.transfers, rows=rows))

    with pytest.raises(PeerError, match="different choices"):
        told(kind, spoilt)


def choices_by_sides(sent: RowChoices) -> RowChoices:
    rows = sent.transfers.rows.copy()
    rows[0] ^= np.uint64(1)
    return replace(sent, transfers=replace(sent.transfers, rows=rows))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (choices_by_sides, "different choices"),
        (lambda m: replace(m, number=m.number + 1), "not due"),
    ],
)
def test_a_label_party_s_sides_are_held_to_their_level_and_to_one_choice(
    change: Callable[[Any], Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows(monkeypatch)

    class Lying(HiddenLabelParty):
        def on_won(self, state: Any, sent: Any, peer: str) -> Any:
            turn = super().on_won(state, sent, peer)
            (_, sides), *rest = turn.messages
            return replace(turn, messages=[(peer, change(sides)), *rest])

    world, terms = World.of(128), plan(128, trees=1, depth=2)
    with pytest.raises(PeerError, match=words):
        Pair(label_party(world, terms, kind=Lying), feature_party(world, terms)).run()


def test_trees_of_seeds_that_are_spoilt_end_a_run_before_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_rows(monkeypatch)

    def spoil(sent: Corrected) -> Corrected:
        words = sent.told.copy()
        words[0::2] ^= np.uint64(1)
        return replace(sent, told=words)

    with pytest.raises(PeerError, match="do not fit their check"):
        told(Corrected, spoil)


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (HiddenBegin, lambda m: replace(m, plan=bytes(32)), "not the contract's"),
        (HiddenBegin, lambda m: replace(m, rows=127), "127 rows at the label party"),
        (RowChoices, lambda m: replace(m, number=1), "not due"),
        (RowTables, lambda m: replace(m, tree=1), "not due"),
        (RowTables, lambda m: replace(m, piece=1), "not due"),
        (RowTables, lambda m: replace(m, entries=m.entries[:-1]), "another shape"),
        (Lanes, lambda m: replace(m, level=1), "not due"),
        (Lanes, lambda m: replace(m, lanes=m.lanes[:-1]), "another shape"),
        (NodeSums, lambda m: replace(m, number=1), "not due"),
        (NodeSums, lambda m: replace(m, sums=m.sums[:-1]), "another shape"),
        (HiddenWon, lambda m: replace(m, level=1), "not due"),
        (HiddenWon, lambda m: replace(m, labels=m.labels[:-1]), "labels found"),
        (Moved, lambda m: replace(m, level=1), "not due"),
        (Moved, lambda m: replace(m, products=np.append(m.products, LONG)), "another shape"),
        (MovedBack, lambda m: replace(m, level=1), "not due"),
        (LeafValues, lambda m: replace(m, number=1), "not due"),
        (LeafValues, lambda m: replace(m, products=np.append(m.products, LONG)), "another shape"),
        (ScoreCircuit, lambda m: replace(m, chunk=1), "not due"),
        (ScoreCircuit, lambda m: replace(m, gates=m.gates[:-1]), "fewer gates"),
        (ScoreCircuit, lambda m: replace(m, gates=np.vstack([m.gates, m.gates])), "more gates"),
        (ScoreCircuit, lambda m: replace(m, nonce=b"n"), "a nonce of 1 bytes"),
        (ScoresTold, lambda m: replace(m, chunk=1), "not due"),
        (ScoresTold, lambda m: replace(m, colours=m.colours[:-1]), "bytes of bits found"),
    ],
)
def test_messages_of_another_place_or_shape_end_a_training(
    kind: type, change: Callable[[Any], Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows(monkeypatch)
    with pytest.raises(PeerError, match=words):
        told(kind, change)


def test_more_columns_than_the_contract_has_end_a_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_rows(monkeypatch)
    world, terms = World.of(128), plan(128, trees=1, depth=1)
    with pytest.raises(PeerError, match="3 columns of the other party, 2 in the contract"):
        Pair(label_party(world, terms, most=2), feature_party(world, terms)).run()
    with pytest.raises(PeerError, match="2 columns of the other party, 1 in the contract"):
        Pair(label_party(world, terms), feature_party(world, terms, most=1)).run()
