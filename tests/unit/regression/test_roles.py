"""Whole regressions of two roles: near the centre, through kills, and against copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.regression import FeatureParty, LabelParty, opened_numbers, schedule
from federated.regression.messages import (
    Answers,
    Grids,
    Lanes,
    Learned,
    Products,
    Start,
    Sums,
    Tables,
)
from federated.regression.schedule import EVERY
from federated.regression.states import Entry
from federated.regression.steps import near_enough
from federated.sharing import chunks, trees
from federated.sharing.messages import Corrected, Turned
from psi.protocol import MemoryStore, MisuseError, Pair, PeerError, decode, encode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills
from tests.unit.regression.world import World, centre, plan, weights


@pytest.mark.parametrize("link", ["logistic", "linear", "poisson"])
def test_a_fit_is_the_centre_s(link: str) -> None:
    world = World.of(400, link=link)
    bank, bureau, _ = world.run(plan(400, link=link, evaluations=9))
    central, errors = centre(world.joined, world.y, link)
    assert np.abs((weights(bank, bureau) - central) / errors).max() < 0.05
    assert bank.gradient_left == bureau.gradient_left < 0.05
    assert not bank.spoilt
    assert not bureau.spoilt
    assert bank.evaluations == bureau.evaluations


def test_scores_are_out_of_fold_and_told_at_the_planned_bits() -> None:
    world = World.of(600, 1)
    terms = plan(600, evaluations=8, folds=3, fold_evaluations=2, score_bits=6)
    bank, bureau, _ = world.run(terms)
    assert (bureau.told_rows, bureau.score_bits) == (600, 6)
    assert np.array_equal(bank.scores, bank.fold_scores)
    for fold in range(3):
        out = world.folds == fold
        central, _ = centre(world.joined[~out], world.y[~out])
        wanted = world.joined[out] @ central
        found = np.log(bank.scores[out] / (1 - bank.scores[out]))
        noise = world.b.std() * 2.0**-6
        assert np.sqrt(np.mean((found - wanted) ** 2)) < 2 * noise
    # the noise is there: exact scores would be much nearer
    assert np.std(found - wanted) > 0.2 * noise


def test_rows_without_a_label_are_scored_by_the_full_model() -> None:
    world = World.of(500, 2)
    known = np.arange(500) < 400
    world.y[~known] = -1
    world.folds[~known] = -1
    bank, bureau, _ = world.run(plan(500, evaluations=8, folds=3, fold_evaluations=1))
    central, errors = centre(world.joined[known], world.y[known])
    assert np.abs((weights(bank, bureau) - central) / errors).max() < 0.05
    assert np.isnan(bank.fold_scores[~known]).all()
    found = np.log(bank.scores[~known] / (1 - bank.scores[~known]))
    assert np.abs(found - world.joined[~known] @ central).max() < 0.2


def test_a_partner_may_have_one_column() -> None:
    world = World.of(300, 3)
    world.b = world.b[:, :1]
    bank, bureau, _ = world.run(plan(300, evaluations=7))
    central, errors = centre(world.joined, world.y)
    assert np.abs((weights(bank, bureau) - central) / errors).max() < 0.05


def test_a_label_party_may_have_no_column() -> None:
    world = World.of(300, 3)
    world.a = world.a[:, :0]
    bank, bureau, _ = world.run(plan(300, evaluations=7, folds=3, fold_evaluations=1))
    central, errors = centre(world.joined, world.y)
    assert np.abs((weights(bank, bureau) - central) / errors).max() < 0.05
    assert bank.coefficients.shape == (0,)


def test_several_chunks_of_rows_are_one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (schedule, chunks, trees):
        monkeypatch.setattr(module, "CHUNK", 128)
    world = World.of(420, 4)
    bank, bureau, pair = world.run(plan(420, evaluations=7, folds=3))
    central, errors = centre(world.joined, world.y)
    assert np.abs((weights(bank, bureau) - central) / errors).max() < 0.05
    told = [e for e in pair.sent if peek(e.payload) is Lanes and e.sender == "bank"]
    assert len(told) == 4 * 7


def test_noise_moves_a_fit_by_as_much_as_it_says() -> None:
    """Of many rows a fit with noise is some standard errors' part off, of few much more."""
    world = World.of(2000, 5)
    bank, bureau, _ = world.run(plan(2000, evaluations=6, noise=1.0, column_bits=8))
    central, errors = centre(world.joined, world.y)
    off = (weights(bank, bureau) - central) / errors
    assert 1e-3 < np.sqrt(np.mean(off**2)) < 1.5


def test_a_fit_ends_when_its_gradient_is_nothing_or_noise() -> None:
    world = World.of(400, 5, link="linear")
    bank, bureau, _ = world.run(plan(400, link="linear", evaluations=30, folds=3))
    assert bank.evaluations == bureau.evaluations < 20
    assert bank.opened == opened_numbers(
        plan(400, link="linear", evaluations=bank.evaluations, folds=3), 3
    )
    # the one before was near enough, the last one told the folds
    assert [entry["gradient_left"] < 1e-3 for entry in bank.log if entry["fold"] < 0][-2:] == [
        True
    ] * 2
    assert sum(entry["fold"] >= 0 for entry in bank.log) == 3
    # with noise: when it is what noise makes there, which is √2 of one evaluation's
    for lefts, enough in (([9, 3.3], False), ([9, 4, 3.1], True), ([2.1], False)):
        log = [Entry(n, EVERY, left, 2.0 * bool(n), 1.0) for n, left in enumerate(lefts)]
        assert near_enough(log) is enough


def test_opened_numbers_are_counted() -> None:
    world = World.of(300, 6)
    terms = plan(300, evaluations=4, folds=3, fold_evaluations=2)
    bank, bureau, pair = world.run(terms)
    assert bank.opened == opened_numbers(terms, 3)
    assert bureau.opened == opened_numbers(terms, 2)
    products = [decode(e.payload, Products) for e in pair.sent if peek(e.payload) is Products]
    by_bank = products[1::2]  # the bureau's come first
    assert sum(len(each.numbers) for each in by_bank) <= bureau.opened.products
    sums = [e for e in pair.sent if peek(e.payload) is Sums and e.sender == "bank"]
    told = sum(len(decode(e.payload, Sums).sums) for e in sums)
    assert told == bureau.opened.gradients


def test_only_the_last_message_tells_a_number_a_row() -> None:
    """Two worlds of other values send messages of the same kinds and, but for tables, sizes."""
    seen = []
    for seed in (7, 8):
        world = World.of(300, seed)
        _, _, pair = world.run(plan(300, evaluations=2))
        open_ones = (Answers, Tables)  # as many lanes as the table has columns: the range of scores
        seen.append(
            [
                (e.sender, peek(e.payload), len(e.payload))
                for e in pair.sent
                if peek(e.payload) not in open_ones and e.sender == "bank"
            ]
        )
        assert peek(pair.sent[-1].payload) is Learned
    assert seen[0] == seen[1]


# kills and copies


@pytest.mark.parametrize(
    ("kept", "link"),
    [(False, "logistic"), (True, "logistic"), (True, "linear"), (True, "poisson")],
    ids=["after", "before its state was saved", "of a number", "of weighted counts"],
)
def test_roles_made_again_after_each_message_say_the_same(kept: bool, link: str) -> None:
    """A kill anywhere; `kept`: a role's arrays were kept, its state was not, and it takes the
    message once more: what it says then is what it would have said."""
    world = World.of(200, 9, link=link)
    terms = plan(200, evaluations=3, folds=3, fold_evaluations=1, grid_bits=6, noise=0.25)
    terms = replace(terms, link=link, weighted=link == "poisson")
    weighed = {"weights": 1.0 + np.arange(200) % 3, "offset": np.linspace(-1, 1, 200)}
    stores = {name: MemoryStore() for name in ("bank", "bureau")}

    def made(name: str) -> Any:
        if name == "bank":
            more = weighed if terms.weighted else {}
            return world.label_party(terms, store=stores[name], **more)
        return world.feature_party(terms, store=stores[name])

    results = played_with_kills(("bank", "bureau"), made, kept=kept)
    assert results["bank"].scores.shape == (200,)


def test_a_party_from_an_older_copy_reuses_no_pad_and_turns_no_tree_twice() -> None:
    """The partner goes on twice from one copy, and the label party tells it other inner products
    the second time: its score is another, and so are the trees, the numbers they are made for and
    the turns, of which no two speak of each other."""
    world = World.of(200, 10)
    terms = plan(200, evaluations=2, grid_bits=6)
    store = MemoryStore()
    run = Pair(world.label_party(terms), world.feature_party(terms, store=store))
    for name, role in run.roles.items():
        run._take(name, role.start())

    def due(kind: type, sender: str) -> bool:
        envelope = decode(run._queue[0], Envelope)
        return peek(envelope.payload) is kind and envelope.sender == sender

    while not due(Products, "bank"):
        run.deliver()
    saved, first = run.roles["bureau"].save(), decode(run._queue[0], Envelope)
    numbers = decode(first.payload, Products)
    other = Products(numbers.evaluation, numbers.numbers + 1.0)
    changed = Envelope(
        first.session, first.step, first.sender, first.receiver, first.sequence, encode(other)
    )
    asked = []
    for envelope in (first, first, changed):
        again = world.feature_party(terms, store=store)
        again.restore(saved)
        asked.append([e.payload for e in again.receive(envelope).messages][-1])
    assert asked[0] == asked[1] != asked[2]


def test_a_party_from_an_older_copy_gives_equal_noise_to_equal_messages_only() -> None:
    """Nothing to average in the first case, and in the other a difference has both noises in it."""
    world, terms = World.of(200, 17), plan(200, evaluations=1, grid_bits=6, noise=1.0)
    store = MemoryStore()
    run = Pair(world.label_party(terms), world.feature_party(terms, store=store))
    for name, role in run.roles.items():
        run._take(name, role.start())

    def due() -> bool:
        envelope = decode(run._queue[0], Envelope)
        return peek(envelope.payload) is Sums and envelope.sender == "bank"

    while not due():
        run.deliver()
    saved, first = run.roles["bureau"].save(), decode(run._queue[0], Envelope)
    sums = decode(first.payload, Sums)
    other = replace(first, payload=encode(Sums(sums.evaluation, sums.sums + np.uint64(1))))
    told = []
    for envelope in (first, first, other):
        again = world.feature_party(terms, store=store)
        again.restore(saved)
        out = again.receive(envelope).messages
        told += [decode(e.payload, Sums).sums for e in out if peek(e.payload) is Sums]
    assert np.array_equal(told[0], told[1])
    assert (told[0] != told[2]).all()  # the same sums under two draws


def test_what_a_restored_label_party_adds_to_all_evaluations_stays_the_same() -> None:
    """From the start on: whoever has it go on k times, with other messages, has one such noise."""
    world, terms = World.of(200, 18), plan(200, evaluations=1, grid_bits=6, noise=1.0)
    store = MemoryStore()
    run = Pair(world.label_party(terms, store=store), world.feature_party(terms))
    for name, role in run.roles.items():
        run._take(name, role.start())
    while peek(decode(run._queue[0], Envelope).payload) is not Start:
        run.deliver()
    saved = run.roles["bank"].save()
    while peek(decode(run._queue[0], Envelope).payload) is not Grids:
        run.deliver()
    first = decode(run._queue[0], Envelope)
    grids = decode(first.payload, Grids)
    wide = replace(grids, ranges=grids.ranges + np.array([[-1, 1]]))
    wider = replace(first, payload=encode(wide))
    seeds = []
    for envelope in (first, wider):
        again = world.label_party(terms, store=store)
        again.restore(saved)
        again.receive(envelope)
        (fit,) = again.state.fitting
        seeds.append((fit.lasting, fit.transcript.draw("noise 0", 8), fit.veil))
    assert seeds[0][0] == seeds[1][0] != b""
    assert seeds[0][1] != seeds[1][1]
    assert seeds[0][2] == seeds[1][2] != b""


# lies


class _Spoiling:
    """Changes what a role says."""

    def __init__(self, kind: type, change: Any) -> None:
        self.kind, self.change = kind, change

    def of(self, base: type) -> type:
        kind, change = self.kind, self.change

        class Liar(base):  # type: ignore[misc]
            def _take_turn(self, turn: Any) -> Any:
                told = [
                    (peer, change(m) if isinstance(m, kind) else m) for peer, m in turn.messages
                ]
                return super()._take_turn(type(turn)(turn.state, told, turn.result, turn.progress))

        return Liar


def ends(world: World, terms: Any, said: str, **liars: _Spoiling) -> Pair:
    """A run in which `liars` change what they say ends by an error that matches `said`."""
    kinds = {"bank": LabelParty, "bureau": FeatureParty}
    made = {name: liars[name].of(kind) if name in liars else kind for name, kind in kinds.items()}
    bank = world.label_party(terms, kind=made["bank"])
    pair = Pair(bank, world.feature_party(terms, kind=made["bureau"]))
    with pytest.raises(PeerError, match=said):
        pair.run()
    return pair


def changed(message: Any, **fields: Any) -> Any:
    return replace(message, **fields)


def test_a_label_party_that_spoils_a_lookup_s_trees_is_stopped_before_turns() -> None:
    world, terms = World.of(200, 11), plan(200, evaluations=1)

    def spoil(sent: Corrected) -> Any:
        if sent.place < 3:  # the partner's kept trees
            return sent
        told = sent.told.copy()
        told[5] ^= np.uint64(1)
        return changed(sent, told=told)

    pair = ends(world, terms, "do not fit their check", bank=_Spoiling(Corrected, spoil))
    turned = [e for e in pair.sent if peek(e.payload) is Turned and e.sender == "bureau"]
    assert len(turned) == 3  # of its kept trees alone


def test_wrong_sums_are_known_and_end_nothing() -> None:
    world, terms = World.of(200, 13), plan(200, evaluations=1)
    spoil = _Spoiling(Sums, lambda sent: changed(sent, sums=sent.sums + np.uint64(1 << 54)))
    bureau = world.feature_party(terms, kind=spoil.of(FeatureParty))
    assert Pair(world.label_party(terms), bureau).run()["bank"].spoilt


def test_tables_and_ranges_that_no_score_has_end_a_session() -> None:
    world, terms = World.of(200, 14), plan(200, evaluations=2)
    beyond = _Spoiling(Tables, lambda sent: changed(sent, tables=sent.tables + np.int16(9000)))
    ends(world, terms, "entries beyond 1", bank=beyond)
    odd = _Spoiling(Tables, lambda sent: changed(sent, shapes=(sent.shapes[0] - 1, 1)))
    ends(world, terms, "tables of another shape", bank=odd)
    wide = _Spoiling(Tables, lambda sent: changed(sent, shapes=(sent.shapes[0] // 2, 2)))
    ends(world, terms, "tables of another shape", bank=wide)
    far = _Spoiling(Grids, lambda sent: changed(sent, ranges=sent.ranges + 400))
    ends(world, terms, "no model here has", bureau=far)


def test_numbers_told_again_or_of_another_evaluation_end_a_session() -> None:
    world, terms = World.of(200, 15), plan(200, evaluations=2)
    again = _Spoiling(Sums, lambda sent: changed(sent, evaluation=0))
    ends(world, terms, "sums that are not due", bank=again)
    short = _Spoiling(Products, lambda sent: changed(sent, numbers=sent.numbers[:-1]))
    ends(world, terms, "inner products found", bureau=short)


def test_other_terms_than_the_contract_s_end_a_session() -> None:
    world = World.of(200, 16)
    bank = world.label_party(plan(200, evaluations=3))
    with pytest.raises(PeerError, match="not the contract's"):
        Pair(bank, world.feature_party(plan(200, evaluations=2))).run()
    pair = Pair(world.label_party(plan(200)), world.feature_party(plan(200), most=2))
    with pytest.raises(PeerError, match="3 columns found, 2 stated"):
        pair.run()
    with pytest.raises(MisuseError, match="at most 100 planned"):
        world.label_party(plan(100))
