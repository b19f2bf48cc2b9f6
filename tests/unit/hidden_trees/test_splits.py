"""The best split over both parties' candidates: who is told what, and what lies end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.hidden_trees.splits import HiddenFeatureSplits, HiddenLabelSplits
from psi.protocol import MemoryStore, PeerError
from tests.unit.trees.splits_world import (
    A_GIVES,
    A_KEYS,
    B_GIVES,
    B_KEYS,
    Case,
    case,
    shared,
    transcript,
)

Change = Callable[[Any], Any]


def found(
    of: Case, first: int, *, seed: int = 1, change: Change | None = None, back: Change | None = None
) -> tuple[Any, Any, Any, Any]:
    """Who won each node, both sides' candidates, and the circuit's message.

    change: alters the circuit; back: the labels that the feature party hands back.
    """
    level, rng = of.level, np.random.default_rng(seed)
    (g_a, g_b), (h_a, h_b) = shared(of.left[0], rng), shared(of.left[1], rng)
    label = HiddenLabelSplits(MemoryStore(), A_KEYS, A_GIVES)
    feature = HiddenFeatureSplits(MemoryStore(), B_KEYS, B_GIVES)
    a, b = transcript(b"a%d" % seed), transcript(b"b%d" % seed)
    asked = label.ask(a, level, g_a, h_a, of.totals)
    tables = label.tables(a, level, feature.answer(b, level, g_b, h_b, asked))
    picks = feature.pick(b, level, tables, np.ones(level.candidates, np.bool_))
    circuit = label.garble_both(a, level, picks, first)
    labels, theirs = feature.decide_both(level, change(circuit) if change else circuit, first)
    won, own = label.winners(level, back(labels) if back else labels, first)
    return won, own, theirs, circuit


def world(seed: int = 0, nodes: int = 4) -> Case:
    return case(rows=900, nodes=nodes, columns=3, bins=8, seed=seed)


@pytest.mark.parametrize("first", [1, 7, 13, 20])
def test_the_winner_s_owner_alone_learns_its_number(first: int) -> None:
    of = world()
    won, own, theirs, _ = found(of, first)
    least, most, _ = of.scores()
    assert np.array_equal(won, theirs >= 0)
    assert np.array_equal(won, own < 0)
    best = np.where(won, theirs, own + first)
    nodes = np.arange(of.level.nodes)
    # roundings, and a place that is a step off, move a score: none that is beaten for certain wins
    assert (most[nodes, best] >= least.max(axis=1)).all()


def test_digests_stand_by_colour_and_not_by_what_they_say() -> None:
    """Else the feature party would read the label party's number off the digest that fits."""
    of, turned = world(), set()
    for seed in range(6):
        *_, circuit = found(of, 10, seed=seed)
        label_first = [bytes(end[:32]) < bytes(end[32:]) for end in circuit.ends]
        turned.add(tuple(label_first))
    assert len(turned) == 6


def flipped(name: str) -> Change:
    def change(sent: Any) -> Any:
        inner = name in ("gates", "colours")
        data = getattr(sent.circuit if inner else sent, name).copy()
        data[...] ^= data.dtype.type(1)
        if inner:
            return replace(sent, circuit=replace(sent.circuit, **{name: data}))
        return replace(sent, **{name: data})

    return change


def shorter(name: str) -> Change:
    def change(sent: Any) -> Any:
        if name == "ends":
            return replace(sent, ends=sent.ends[:-1])
        return replace(
            sent, circuit=replace(sent.circuit, **{name: getattr(sent.circuit, name)[:-1]})
        )

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (flipped("gates"), "no label of their wire"),
        (flipped("ends"), "no label of their wire"),
        (shorter("gates"), "another shape"),
        (shorter("ends"), "another shape"),
        (shorter("colours"), "bytes of bits"),
        (lambda m: replace(m, circuit=replace(m.circuit, level=9)), "not due"),
    ],
)
def test_wrong_circuits_end_a_run_before_a_label_is_told(change: Change, words: str) -> None:
    with pytest.raises(PeerError, match=words):
        found(world(), 10, change=change)


@pytest.mark.parametrize(
    "back",
    [
        lambda labels: labels ^ np.uint64(1),
        lambda labels: labels[::-1].copy(),
        lambda labels: labels[:-1],
    ],
)
def test_the_feature_party_cannot_claim_what_the_circuit_did_not_find(back: Change) -> None:
    with pytest.raises(PeerError, match="label"):
        found(world(), 10, back=back)


def test_nodes_without_rows_run_through() -> None:
    """Some candidate wins, of nothing: who does tells nothing either."""
    of = world()
    level, totals = of.level, of.totals
    left = of.left.copy()
    left[:, 1] = 0
    sums = {name: getattr(totals, name).copy() for name in ("gradients", "hessians", "squares")}
    for each in sums.values():
        each[1] = 0
    empty = Case(level, left, replace(totals, **sums), of.gains)
    won, own, theirs, _ = found(empty, 10)
    assert np.array_equal(won, theirs >= 0)
    assert own.max() < level.candidates - 10
