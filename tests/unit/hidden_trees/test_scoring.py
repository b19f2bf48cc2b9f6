"""Rows scored by kept hidden trees: the scores of one process, through kills, and what lies get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.hidden_trees import (
    HiddenFeatureModel,
    HiddenLabelModel,
    score_rows,
)
from federated.hidden_trees.messages import (
    LeafValues,
    RowChoices,
    ScoreCircuit,
    ScoresTold,
    ScoringBegin,
)
from federated.hidden_trees.plan import TOLD_BITS
from federated.hidden_trees.rounding import offsets
from federated.sharing.messages import Points, Seeds
from federated.trees import Binning
from psi.protocol import MemoryStore, MisuseError, Pair, PeerError, decode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills
from tests.unit.hidden_trees.models import Kept
from tests.unit.hidden_trees.world import feature_party, few_rows, label_party, plan
from tests.unit.trees.test_roles import Liar
from tests.unit.trees.world import World


def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_rows, "_FEWEST", 64)
    monkeypatch.setattr(score_rows, "_TRANSFERS", 64)


@pytest.mark.parametrize("theirs", [0.4, 0.0, 1.0], ids=["both split", "one splits", "the other"])
def test_rows_get_the_step_of_their_score(theirs: float, monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch)
    kept = Kept.of(500, theirs=theirs)
    pair = Pair(kept.receiver(), kept.partner())
    found = pair.run()
    assert found["bureau"] == 500
    assert np.array_equal(found["bank"], kept.told())
    told = [each for each in pair.sent if peek(each.payload) is ScoresTold]
    assert len(told) == 8
    sizes = [len(decode(each.payload, ScoresTold).colours) for each in told]
    assert sum(sizes) == 6 * 500 / 8


def test_rows_of_the_training_get_its_scores_again(monkeypatch: pytest.MonkeyPatch) -> None:
    few_rows(monkeypatch)
    world, terms = World.of(400, 3), plan(400, trees=3, depth=2, score_bits=9)
    grown = Pair(label_party(world, terms), feature_party(world, terms)).run()
    bank, bureau = grown["bank"], grown["bureau"]
    assert bank.training == bureau.training
    kept = Kept.of(400)
    kept.a, kept.b = world.a, world.b
    kept.label = HiddenLabelModel.of(bank, like(kept.label.binning, world.layout_a), 9)
    kept.feature = HiddenFeatureModel.of(bureau, like(kept.feature.binning, world.layout_b))
    found = Pair(kept.receiver(9), kept.partner(9)).run()["bank"]
    assert np.array_equal(bank.base + found * 2.0**-16, bank.margin)
    assert np.array_equal(found, kept.told(9))
    assert np.abs(found - kept.units).max() <= (1 << (TOLD_BITS - 9)) / 2
    assert len(np.unique(found)) > 3


def like(binning: Binning, layout: Any) -> Any:
    """A binning of as many columns, whose bins are given."""

    class Given(Binning):
        @property
        def layout(self) -> Any:
            return layout

    return Given(tuple(binning.columns[:1]) * len(layout.columns))


@pytest.mark.parametrize("kept", [False, True], ids=["after", "before its state was saved"])
def test_roles_made_again_after_each_message_say_the_same(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch)
    model = Kept.of(200, 2)
    stores = {name: MemoryStore() for name in ("bank", "bureau")}
    make = {"bank": model.receiver, "bureau": model.partner}

    def made(name: str) -> Any:
        return make[name](store=stores[name])

    results = played_with_kills(("bank", "bureau"), made, kept=kept)
    assert np.array_equal(results["bank"], model.told())


def test_the_same_row_asked_again_gets_the_same_step() -> None:
    """Nothing is drawn for a score, so there is nothing to average."""
    kept = Kept.of(300, 5)
    first = Pair(kept.receiver(), kept.partner()).run()["bank"]
    assert np.array_equal(Pair(kept.receiver(), kept.partner()).run()["bank"], first)


def test_a_receiver_with_other_values_gets_its_bits_and_no_more() -> None:
    """It puts a number of its choosing in each leaf's place: of a row's sides so many bits."""
    kept = Kept.of(256, 6, trees=6, depth=3, theirs=1.0)
    rng = np.random.default_rng(1)
    kept.label = replace(kept.label, values=rng.integers(-(1 << 19), 1 << 19, (6, 8)))
    pair = Pair(kept.receiver(3), kept.partner(3))
    found = pair.run()["bank"]
    width = 1 << (TOLD_BITS - 3)
    begins = offsets(kept.label.training, kept.a, 3)
    assert set(np.unique((found + begins - width // 2) / width)) <= set(range(-4, 4))
    from_partner = [e for e in pair.sent if e.sender == "bureau"]
    told = [e for e in from_partner if peek(e.payload) is ScoresTold]
    assert sum(8 * len(decode(e.payload, ScoresTold).colours) for e in told) == 3 * 256
    # all else that it sends are base transfers and choices that a transfer hides
    assert {peek(e.payload) for e in from_partner} == {ScoringBegin, Seeds, RowChoices, ScoresTold}


def told(kind: type, change: Callable[[Any], Any]) -> None:
    """A scoring in which the message of a kind that came first is changed."""
    kept = Kept.of(128, 7)
    Pair(kept.receiver(), kept.partner(), wire=Liar(kind, change)).run()


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        (ScoringBegin, lambda m: replace(m, training=bytes(32)), "another training"),
        (ScoringBegin, lambda m: replace(m, rows=127), "127 rows at the partner, 128 here"),
        (Points, lambda m: replace(m, points=m.points[:-1]), "256 expected"),
        (RowChoices, lambda m: replace(m, number=1), "not due"),
        (LeafValues, lambda m: replace(m, number=1), "not due"),
        (LeafValues, lambda m: replace(m, products=m.products[:-1]), "another shape"),
        (ScoreCircuit, lambda m: replace(m, chunk=1), "not due"),
        (ScoreCircuit, lambda m: replace(m, gates=m.gates[:-1]), "fewer gates"),
        (ScoresTold, lambda m: replace(m, chunk=1), "not due"),
        (ScoresTold, lambda m: replace(m, colours=m.colours[:-1]), "bytes of bits found"),
    ],
)
def test_messages_of_another_place_or_shape_end_a_scoring(
    kind: type, change: Callable[[Any], Any], words: str
) -> None:
    with pytest.raises(PeerError, match=words):
        told(kind, change)


def test_choices_that_differ_between_groups_end_a_scoring() -> None:
    def spoilt(sent: RowChoices) -> RowChoices:
        rows = sent.transfers.rows.copy()
        rows[0] ^= np.uint64(1)
        return replace(sent, transfers=replace(sent.transfers, rows=rows))

    with pytest.raises(PeerError, match="different choices"):
        told(RowChoices, spoilt)


@pytest.mark.parametrize("kind", [LeafValues, ScoreCircuit])
def test_a_receiver_from_an_older_copy_reuses_no_pad(kind: type) -> None:
    """From one saved state: the same values give the same bytes, others other pads."""
    kept, store = Kept.of(128, 9), MemoryStore()
    pair = Pair(kept.receiver(store=store), kept.partner())
    for name, role in pair.roles.items():
        pair._take(name, role.start())
    due = {LeafValues: 0, ScoreCircuit: 1}[kind]
    while True:
        choices = decode(pair._queue[0], Envelope)
        if peek(choices.payload) is RowChoices:
            if not due:
                break
            due -= 1
        pair.deliver()
    saved, sent = pair.roles["bank"].save(), list[Any]()
    share = store.get("share", 0) if kind is ScoreCircuit else None
    for other in (0, 0, 1):
        label = replace(kept.label, values=kept.label.values + other)
        role = Kept(label, kept.feature, kept.a, kept.b).receiver(store=store)
        role.restore(saved)
        if share is not None:
            store.put("share", 0, share + np.uint32(other))
        sent.append(decode(role.receive(choices).messages[0].payload, kind))
    one, two, three = sent
    assert one.nonce == two.nonce != three.nonce
    name = "products" if kind is LeafValues else "gates"
    assert np.array_equal(getattr(one, name), getattr(two, name))
    assert np.count_nonzero(getattr(one, name) == getattr(three, name)) < 5


def test_a_message_of_another_party_ends_a_scoring() -> None:
    kept = Kept.of(128, 9)
    role = kept.receiver()
    role.start()
    begin = kept.partner().start().messages[0]
    with pytest.raises(PeerError):
        role.receive(replace(begin, sender="telecom"))


def test_arguments_that_do_not_fit_are_refused() -> None:
    kept = Kept.of(100)
    for bits in (0, 13):
        for made in (kept.receiver, kept.partner):
            with pytest.raises(MisuseError, match="1 to 12"):
                made(bits)
    kept.a, kept.b = kept.a[:1], []
    with pytest.raises(MisuseError, match="1 columns of bins for 2 of a model"):
        kept.receiver()
    with pytest.raises(MisuseError, match="0 columns of bins for 2 of a model"):
        kept.partner()


def test_parts_are_read_as_they_were_written_and_nothing_else_is() -> None:
    kept = Kept.of(100)
    for part in (kept.label, kept.feature):
        again = type(part).from_bytes(part.to_bytes())
        assert np.array_equal(again.splits, part.splits)
        assert again.to_bytes() == part.to_bytes()
        assert len(part.words()) == part.own_splits
        other = HiddenFeatureModel if part is kept.label else HiddenLabelModel
        with pytest.raises(MisuseError, match="that is not the hidden"):
            other.from_bytes(part.to_bytes())
    wrongs: tuple[tuple[str, Any], ...] = (
        ("splits", kept.label.splits + 10_000),
        ("splits", kept.label.splits[:, :-1]),
        ("values", kept.label.values[:, :-1]),
        ("values", kept.label.values + (1 << 20)),
        ("base", float("inf")),
        ("base", 1e9),
        ("score_bits", 13),
    )
    for name, wrong in wrongs:
        with pytest.raises((MisuseError, ValueError)):
            HiddenLabelModel.from_bytes(replace(kept.label, **{name: wrong}).to_bytes())
