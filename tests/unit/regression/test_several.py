"""Regressions with several feature parties: the centre's fit, kills, and what parties see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federated.regression import (
    FeatureParty,
    LabelParty,
    label_party,
    opened_numbers,
    schedule,
)
from federated.regression.chain import chain_of
from federated.regression.links import Grid
from federated.regression.messages import Handed, Learned, Limits, Pad, Products
from federated.regression.rounding import FRACTION_BITS
from federated.sharing import chunks, trees
from psi.protocol import MemoryStore, Pair, PeerError, decode, encode
from psi.protocol.codec import peek
from psi.protocol.envelope import Envelope
from tests.unit.frames import played_with_kills
from tests.unit.regression.test_roles import _Spoiling, changed
from tests.unit.regression.world import World, centre, context, plan

BANK = "bank"


def messages(pair: Pair, kind: type, sender: str = "") -> Iterator[Any]:
    for envelope in pair.sent:
        if peek(envelope.payload) is kind and sender in ("", envelope.sender):
            yield decode(envelope.payload, kind)


def weights(found: dict[str, Any], partners: int) -> np.ndarray:
    parts = [found[f"bureau{at}"].coefficients for at in range(partners)]
    return np.concatenate([[found[BANK].intercept], found[BANK].coefficients, *parts])


@pytest.mark.parametrize("partners", [2, 3])
def test_a_fit_with_several_partners_is_scikit_learn_s(partners: int) -> None:
    world = World.of(600, wide=4)
    terms = plan(600, partners=partners, evaluations=9, folds=3, fold_evaluations=4, score_bits=12)
    found = Pair(*world.several(terms)).run()
    whole = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(world.joined[:, 1:], world.y)
    _, errors = centre(world.joined, world.y)
    wanted = np.concatenate([whole.intercept_, whole.coef_[0]])
    assert np.abs((weights(found, partners) - wanted) / errors).max() < 0.05
    assert found[BANK].gradient_left < 0.5  # before the last step: .01 to .04, once .105
    for fold in range(3):
        out = world.folds == fold
        fit = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000)
        fit.fit(world.joined[~out, 1:], world.y[~out])
        held = fit.predict_proba(world.joined[out, 1:])[:, 1]
        # after four evaluations a tail is left: in ten runs .001 to .015, once .021
        assert np.abs(found[BANK].scores[out] - held).max() < 0.08
    assert found[BANK].opened == opened_numbers(terms, 3)
    for name in (f"bureau{at}" for at in range(partners)):
        assert found[name].told_rows == 600


def test_noise_and_moved_points_cost_a_fit_with_several_partners_little() -> None:
    world = World.of(2000, 24, wide=4)
    found = Pair(*world.several(plan(2000, partners=2, evaluations=8, noise=1e-9))).run()
    central, errors = centre(world.joined, world.y)
    off = (weights(found, 2) - central) / errors
    assert 1e-3 < np.abs(off).max() < 0.8


def test_a_label_party_without_columns_and_rows_without_a_label() -> None:
    world = World.of(400, 2)
    world.a, world.y[::7] = world.a[:, :0], -1
    found = Pair(*world.several(plan(400, partners=2, evaluations=8))).run()
    known = world.y >= 0
    central, errors = centre(world.joined[known], world.y[known])
    assert np.abs((weights(found, 2) - central) / errors).max() < 0.05
    assert found[BANK].scores.shape == (400,)


def test_several_chunks_of_rows_are_one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (schedule, chunks, trees):
        monkeypatch.setattr(module, "CHUNK", 128)
    world = World.of(420, 4)
    found = Pair(*world.several(plan(420, partners=2, evaluations=7, grid_bits=8))).run()
    central, errors = centre(world.joined, world.y)
    assert np.abs((weights(found, 2) - central) / errors).max() < 0.05


# kills


@pytest.mark.parametrize("kept", [False, True], ids=["after", "before its state was saved"])
def test_several_roles_made_again_after_each_message_say_the_same(kept: bool) -> None:
    world = World.of(200, 9)
    terms = plan(200, partners=2, evaluations=2, folds=2, fold_evaluations=1, grid_bits=6)
    world.folds = world.folds % 2
    names = (BANK, "bureau0", "bureau1")
    stores = {name: MemoryStore() for name in names}

    def made(name: str) -> Any:
        return world.several(terms, stores=stores)[names.index(name)]

    results = played_with_kills(names, made, kept=kept)
    assert results[BANK].scores.shape == (200,)


# what parties see


def test_the_label_party_sees_the_sum_of_final_scores_alone() -> None:
    world = World.of(300, 3, wide=2)
    pair = Pair(*world.several(plan(300, partners=3, evaluations=3, score_bits=12)))
    found = pair.run()
    told = [sent.scores for sent in messages(pair, Learned)]
    parts = np.array_split(world.b, 3, axis=1)
    whole = np.zeros(300)
    for at, (scores, x) in enumerate(zip(told, parts, strict=True)):
        own = (x - x.mean(axis=0)) @ found[f"bureau{at}"].coefficients
        whole += own
        # uniform modulo 2^64: of 300 the mean is within six standard deviations of zero
        assert np.abs(scores).max() > 2.0**61
        assert abs(scores.astype(float).mean()) < 6 * 2.0**63 / np.sqrt(3 * 300)
    summed = np.sum(told, axis=0, dtype=np.int64) * 2.0**-FRACTION_BITS
    assert np.abs(summed - whole).max() < 0.01


def test_shares_that_are_handed_on_are_uniform() -> None:
    """To whoever lacks the label party's: of residuals between -1 and 1, and of lookups."""
    world = World.of(300, 4)
    pair = Pair(*world.several(plan(300, partners=2, evaluations=3)))
    pair.run()
    kinds = {name: list(messages(pair, Handed, name)) for name in ("bureau0", "bureau1")}
    assert [len(each) for each in kinds.values()] == [3, 3]
    for sent in (*kinds["bureau0"], *kinds["bureau1"]):
        shares = sent.shares.reshape(320, -1)[:300].view(np.int64).astype(float)
        assert np.abs(shares).max() > 2.0**61
        assert np.abs(shares.mean(axis=0)).max() < 7 * 2.0**63 / np.sqrt(3 * 300)


def test_inner_products_of_all_are_added_up_for_partners() -> None:
    world = World.of(300, 5)
    pair = Pair(*world.several(plan(300, partners=2, evaluations=2)))
    pair.run()
    by = {name: list(messages(pair, Products, name)) for name in (BANK, "bureau0", "bureau1")}
    assert len(by[BANK]) == 4
    for at in range(2):
        one, other = by[BANK][2 * at : 2 * at + 2]
        assert np.array_equal(one.numbers, other.numbers)
        # with the bank's own part in it, which is next to nothing at its own optimum, the first
        partners = by["bureau0"][at].numbers + by["bureau1"][at].numbers
        assert (np.abs(one.numbers - partners) > 1e-3).any() == (at > 0)


def test_a_pad_serves_one_vector_of_final_scores() -> None:
    """A partner from an older copy that is told other inner products has other scores and pads."""
    world, terms = World.of(200, 10), plan(200, partners=2, evaluations=1, grid_bits=6)
    stores = {name: MemoryStore() for name in (BANK, "bureau0", "bureau1")}
    run = Pair(*world.several(terms, stores=stores))
    for name, role in run.roles.items():
        run._take(name, role.start())

    def due() -> bool:
        envelope = decode(run._queue[0], Envelope)
        first = envelope.receiver == "bureau0" and envelope.sender == BANK
        return first and peek(envelope.payload) is Products

    while not due():
        run.deliver()
    saved, heard = run.roles["bureau0"].save(), decode(run._queue[0], Envelope)
    numbers = decode(heard.payload, Products)
    other = encode(Products(numbers.evaluation, numbers.numbers * 1.5))
    seeds = []
    for payload in (heard.payload, heard.payload, other):
        again = world.several(terms, stores=stores)[1]
        again.restore(saved)
        first = (heard.session, heard.step, BANK, "bureau0")
        (limits,) = again.receive(Envelope(*first, heard.sequence, payload)).messages
        back = encode(decode(limits.payload, Limits))
        told = again.receive(Envelope(*first, heard.sequence + 1, back)).messages
        seeds += [decode(each.payload, Pad).seed for each in told if peek(each.payload) is Pad]
    assert seeds[0] == seeds[1] != seeds[2]


def test_the_last_partner_s_older_copy_tells_no_difference_of_its_own_scores() -> None:
    """It has the seed of the one before it, and is told twice how far all go. Were its scores under
    that seed's pad alone, the label party would take the pad away."""
    world, terms = World.of(200, 10), plan(200, partners=2, evaluations=1, grid_bits=6)
    stores = {name: MemoryStore() for name in (BANK, "bureau0", "bureau1")}
    run = Pair(*world.several(terms, stores=stores))
    for name, role in run.roles.items():
        run._take(name, role.start())
    held: dict[str, Envelope] = {}  # what the bank says last; the link keeps no order of senders
    while len(held) < 2:
        envelope = decode(run._queue[0], Envelope)
        if peek(envelope.payload) is Limits and envelope.sender == BANK:
            held[envelope.receiver] = envelope
            run._queue.popleft()
        else:
            run.deliver()
    run._take("bureau0", run.roles["bureau0"].receive(held["bureau0"]))
    while run._queue:  # the pad's seed
        run.deliver()
    saved, limits = run.roles["bureau1"].save(), decode(held["bureau1"].payload, Limits)
    told = []
    for part in (1.0, 0.5):
        again = world.several(terms, stores=stores)[2]
        again.restore(saved)
        payload = encode(Limits(limits.evaluation, limits.limits * part))
        out = again.receive(replace(held["bureau1"], payload=payload)).messages
        told += [
            decode(each.payload, Learned).scores for each in out if peek(each.payload) is Learned
        ]
    assert np.abs(told[0] - told[1]).max() > 2.0**55  # scores are below 2^33


# lies


def ends(said: str, terms: Any, **liars: _Spoiling) -> None:
    world = World.of(200, 11)
    kinds = {name: liar.of(FeatureParty) for name, liar in liars.items() if name != BANK}
    roles = world.several(terms, **kinds)
    if BANK in liars:
        parts = [f"bureau{at}" for at in range(terms.partners)]
        kind = liars[BANK].of(LabelParty)
        roles[0] = kind(context(BANK), parts, world.a, world.y, plan=terms)
    with pytest.raises(PeerError, match=said):
        Pair(*roles).run()


def test_what_partners_say_out_of_turn_ends_a_session() -> None:
    terms = plan(200, partners=2, evaluations=2, grid_bits=6)
    again = _Spoiling(Handed, lambda sent: changed(sent, evaluation=0))
    ends("shares that are not due", terms, bureau0=again)
    ends("shares that are not due", terms, bureau1=again)
    short = _Spoiling(Handed, lambda sent: changed(sent, shares=sent.shares[:-1]))
    ends("shares found", terms, bureau0=short)
    ends("shares found", terms, bureau1=short)
    far = _Spoiling(Limits, lambda sent: changed(sent, limits=sent.limits * 2))
    ends("limits of steps", terms, bureau0=far)
    ends("limits of steps", terms, bank=far)
    fewer = _Spoiling(Products, lambda sent: changed(sent, numbers=sent.numbers[:-1]))
    ends("inner products found", terms, bureau1=fewer)


def test_moves_of_points_do_not_come_off_more_than_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first partner takes off its shares how far points are moved, by weights that the label
    party tells: a thousand times as much, with a lookup as large, left the score itself."""
    world, make = World.of(400, 27, wide=4), chain_of
    terms = plan(400, partners=3, evaluations=1, noise=1.0)

    def large(*given: Any) -> Any:
        chain = make(*given)
        return replace(chain, ones=(1000 * chain.ones[0], *chain.ones[1:]))

    monkeypatch.setattr(label_party, "chain_of", large)
    with pytest.raises(PeerError, match="weights of a table's outcomes beyond any"):
        Pair(*world.several(terms)).run()
    for span in (4, 32):
        chain = chain_of("logistic", [Grid(-2 * span, 2 * span, 8, blurred=True)] * 3, 8)
        sizes = [float(np.abs(ones).sum()) for ones in chain.ones]
        assert max(sizes) < 2 + 1e-9
