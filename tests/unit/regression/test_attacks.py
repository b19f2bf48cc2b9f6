"""What a party reads that chooses its columns: each row's part is below the noise.

Both attackers run the software as it is, but for the guards that refuse their own columns; the
victim's guards see nothing of these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.regression import (
    FeatureParty,
    chain,
    feature_party,
    label_bits,
    label_party,
    label_rows,
    labels,
    noise,
    party,
    steps,
)
from federated.regression.columns import Columns
from federated.regression.messages import Ready, Start
from federated.regression.schedule import Vector
from psi.protocol import Pair, PeerError
from tests.unit.regression.world import World, centre, plan, weights

ROWS, AIMED = 400, 90


def opened_by(attacker: str, world: World, noise: float, monkeypatch: Any) -> np.ndarray:
    """What a party opens for AIMED columns of one row each, at the first evaluation."""
    ones = np.zeros((ROWS, AIMED))
    ones[np.arange(AIMED), np.arange(AIMED)] = 1.0
    # one category of many values: a single tree, and what it costs the attacker is nothing
    if attacker == "bank":
        world.a = np.hstack([world.a, ones])
    else:
        world.b = np.hstack([world.b, ones])
    found: dict[str, Any] = {}
    original = party.Party._sums

    def opening(self: Any, state: Any, told: Any) -> Any:
        found[self.context.party] = self, state, original(self, state, told)
        return found[self.context.party][2]

    monkeypatch.setattr(party.Party, "_sums", opening)
    monkeypatch.setattr(feature_party, "check_columns", lambda _: None)
    monkeypatch.setattr(feature_party, "check_rows", lambda *_: None)
    monkeypatch.setattr(labels, "check_answers", lambda _, y, __: (y >= 0, y * 1.0))
    bank, _, pair = world.run(plan(ROWS, evaluations=1, noise=noise))
    del bank
    _, _, opened = found[attacker]
    role: Any = pair.roles[attacker]
    return np.asarray((opened @ role._back)[0, -AIMED:])


def test_a_label_party_reads_no_score_of_a_row_through_the_noise(monkeypatch: Any) -> None:
    """A's residual of a row is m(z_A + z_B) - y, of which it knows z_A and y: the first one, where
    z_B is 0 yet, must not come nearer than the noise."""
    exact = opened_by("bank", World.of(ROWS, 20), 0.0, monkeypatch)
    monkeypatch.undo()
    noisy = opened_by("bank", World.of(ROWS, 20), 1.0, monkeypatch)
    off = noisy - exact
    # what is read is off by the noise: sd 1, of which 90 draws have .55 to 1.45 within six sigma
    assert 0.55 < off.std() < 1.45
    # while a residual is between -1 and 1
    assert np.abs(exact).max() < 1.0


def test_a_feature_party_reads_no_label_through_the_noise(monkeypatch: Any) -> None:
    world = World.of(ROWS, 21)
    label = world.y[:AIMED] == 1
    exact = opened_by("bureau", world, 0.0, monkeypatch)
    monkeypatch.undo()
    # without noise the sign of a residual is the label
    assert np.mean((exact < exact.mean()) == label) > 0.9
    noisy = opened_by("bureau", World.of(ROWS, 21), 1.0, monkeypatch)
    off = noisy - exact
    # fresh and lasting together: 1.41, of which 90 draws have .78 to 2.05 within six sigma
    assert 0.78 < off.std() < 2.05
    # the distance of both classes is less than 1: one evaluation tells a label's odds, not it
    gap = exact[~label].mean() - exact[label].mean()
    assert gap < 1.1


def test_more_columns_than_stated_end_a_run() -> None:
    """Like columns have noise of their own each, which a party could average: they are counted."""
    world = World.of(ROWS, 22)
    terms = plan(ROWS, evaluations=1)
    pair = Pair(world.label_party(terms), world.feature_party(terms, most=2))
    with pytest.raises(PeerError, match="3 columns found, 2 stated"):
        pair.run()
    pair = Pair(world.label_party(terms, most={"bureau": 1}), world.feature_party(terms))
    with pytest.raises(PeerError, match="2 columns found, 1 stated"):
        pair.run()


def test_all_sums_of_a_training_tell_a_feature_party_little_of_a_label(monkeypatch: Any) -> None:
    """A mean over evaluations takes the fresh noise away, not the one that stays.

    200 labels of equal classes: twelve fresh draws alone told 96% of them, both together are to
    tell 69%, of which 200 have a deviation of 3.3.
    """
    rows, aimed, world = 800, 200, World.of(800, 25)
    ones = np.zeros((rows, aimed))
    label = np.concatenate([np.flatnonzero(world.y == value)[: aimed // 2] for value in (0, 1)])
    ones[label, np.arange(aimed)] = 1.0
    world.b = np.hstack([world.b, ones])
    told: list[np.ndarray] = []
    original = party.Party._sums

    def opening(self: Any, state: Any, sums: Any) -> Any:
        found = original(self, state, sums)
        if self.context.party == "bureau":
            told.append((found @ self._back)[0, -aimed:])
        return found

    monkeypatch.setattr(party.Party, "_sums", opening)
    monkeypatch.setattr(feature_party, "check_columns", lambda _: None)
    monkeypatch.setattr(feature_party, "check_rows", lambda *_: None)
    monkeypatch.setattr(labels, "check_answers", lambda _, y, __: (y >= 0, y * 1.0))
    # to the last evaluation, under a penalty so large that its columns move nothing
    monkeypatch.setattr(steps, "near_enough", lambda _: False)
    world.run(plan(rows, evaluations=12, penalty=1000.0, noise=1.0))
    order = np.argsort(np.argsort(np.sum(told, axis=0)))  # the lowest residuals are ones
    right = float(((order < aimed // 2) == (np.arange(aimed) >= aimed // 2)).mean())
    assert right < 0.69 + 6 * 0.033
    assert label_bits(1.0, 0, 0) == pytest.approx(0.161, abs=1e-3)


def test_more_sums_than_columns_end_a_run() -> None:
    """Columns are counted by the contract, sums by the trees: one each."""
    world = World.of(ROWS, 26)
    world.b[:, 0] = np.arange(ROWS) % 60
    whole = Columns.of(world.b, 14).layout

    class Liar(FeatureParty):
        def _take_turn(self, turn: Any) -> Any:
            told = [
                (peer, replace(m, layout=replace(whole, columns=1)) if isinstance(m, Ready) else m)
                for peer, m in turn.messages
            ]
            return super()._take_turn(replace(turn, messages=told))

    terms = plan(ROWS, evaluations=1)
    pair = Pair(world.label_party(terms, most={"bureau": 1}), world.feature_party(terms, kind=Liar))
    with pytest.raises(PeerError, match="2 sums asked of 1 columns"):
        pair.run()


def test_the_noise_that_stays_is_one_for_each_set_of_rows() -> None:
    every, fold, rest = Vector(0, -1, False), Vector(0, 2, False), Vector(3, 2, True)
    deviations = np.array([1.0, 100.0])
    found = noise.lasting_noise(b"k" * 32, (every, fold, rest), deviations, 20).view(np.int64)
    again = noise.lasting_noise(b"k" * 32, (rest, every), deviations, 20).view(np.int64)
    assert np.array_equal(found[[2, 0]], again)
    assert len(np.unique(found[:, 0])) == 3
    other = noise.lasting_noise(b"l" * 32, (every,), deviations, 20).view(np.int64)
    assert (other != found[:1]).all()
    many = [noise.lasting_noise(bytes([n]) * 32, (every,), deviations, 20) for n in range(200)]
    spread = np.concatenate(many).view(np.int64).std(axis=0) / 2**20
    assert (np.abs(spread / deviations - 1) < 6 / np.sqrt(2 * 200)).all()


def test_a_label_party_that_scales_a_lookup_reads_a_moved_score(monkeypatch: Any) -> None:
    """What noise does not stop: lanes are masked, so nobody sees that one row's are a thousand
    times too large and all others zero. What is read is the row's point, not its score: the bureau
    moves it at random in each evaluation."""
    aimed, scale = 7, 1000.0
    world = World.of(ROWS, 23)
    found: dict[str, Any] = {}
    original, honest = party.Party._sums, chain.Chain.lanes

    def opening(self: Any, state: Any, told: Any) -> Any:
        found[self.context.party] = self, state, original(self, state, told)
        return found[self.context.party][2]

    def lies(self: Any, scores: Any) -> Any:
        f = honest(self, scores) * scale
        f[np.arange(len(f)) != aimed] = 0.0
        found["f"] = f[aimed] / scale
        return f

    monkeypatch.setattr(party.Party, "_sums", opening)
    monkeypatch.setattr(chain.Chain, "lanes", lies)
    world.run(plan(ROWS, evaluations=2, noise=1.0))
    read = (found["bank"][2][0, 0] + world.y.sum()) / scale
    bureau, state, _ = found["bureau"]
    grid, scores = bureau._grid(state, 0), bureau._scores(state, 0)
    found["table"] = chain.chain_of("logistic", [grid], 12).tables[0][:, :, 0]
    moved = bureau._moved(1, 0)
    at_point = found["table"] @ found["f"] / 4096
    assert abs(read - at_point[grid.numbers(scores, moved)[aimed]]) < 0.05
    # evenly over the reach on both sides, which is more than a third of the scores' spread
    assert (np.abs(moved).max(), grid.reach) == (25, 25)
    assert abs(moved.std() / (25 / np.sqrt(3)) - 1) < 0.2
    assert moved.std() * grid.step > scores.std() / 3


def test_a_unit_that_is_not_the_labels_reads_no_score_of_a_linear_model(monkeypatch: Any) -> None:
    """Noise has the size of the unit that the label party tells: of 2^-18 it would hide nothing of
    a score of the bureau's, which is an exact share of the residual. So it is as large as these."""
    world = World.of(ROWS, 31, link="linear")
    world.a = np.hstack([world.a, np.eye(ROWS, AIMED)])
    found: dict[str, Any] = {}
    original, made = party.Party._sums, vars(labels.Labels)["of"].__func__

    def opening(self: Any, state: Any, told: Any) -> Any:
        found[self.context.party] = state, original(self, state, told)
        return found[self.context.party][1]

    def of(*given: Any) -> Any:
        found["labels"] = made(labels.Labels, *given)
        return found["labels"]

    monkeypatch.setattr(party.Party, "_sums", opening)
    monkeypatch.setattr(feature_party, "check_rows", lambda *_: None)
    monkeypatch.setattr(labels.Labels, "of", of)
    monkeypatch.setattr(labels.Labels, "unit", property(lambda _: -18))
    _, _, pair = world.run(plan(ROWS, evaluations=3, noise=1.0, link="linear"))
    bank: Any = pair.roles["bank"]
    bureau: Any = pair.roles["bureau"]
    state, opened = found["bank"]
    residuals = (opened @ bank._back)[0, -AIMED:] * 2.0**-18
    read = residuals - bank._scores(state, 0)[:AIMED] + found["labels"].y[:AIMED]
    scores = bureau._scores(found["bureau"][0], 0)
    off = read - scores[:AIMED]
    # it was 5e-6; 40 draws have .48 to 1.7 of the deviation within six sigma
    assert off.std() > 0.48 * np.abs(scores).max()


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_range_that_a_partner_makes_up_reads_no_score_of_counts(monkeypatch: Any) -> None:
    """A mean of counts grows with the partner's part of the score: it says that rows it aims at are
    at +12, and the label party's scores stood 10^4 above the noise."""
    world, aimed = World.of(ROWS, 50, link="poisson"), 10
    world.b = np.hstack([world.b, np.eye(ROWS, AIMED)])
    found: dict[str, Any] = {}
    original = party.Party._sums

    class Liar(FeatureParty):
        def _scores(self, state: Any, at: int) -> Any:
            scores = super()._scores(state, at).copy()
            scores[:aimed] = 12.0
            return scores

        def _moved(self, number: int, at: int) -> Any:
            return super()._moved(number, at) * 0

    def opening(self: Any, state: Any, told: Any) -> Any:
        found[self.context.party] = state, original(self, state, told)
        return found[self.context.party][1]

    monkeypatch.setattr(party.Party, "_sums", opening)
    monkeypatch.setattr(feature_party, "check_columns", lambda _: None)
    monkeypatch.setattr(feature_party, "check_rows", lambda *_: None)
    terms = plan(ROWS, evaluations=1, noise=1.0, link="poisson")
    pair = Pair(world.label_party(terms), world.feature_party(terms, kind=Liar))
    pair.run()
    bank: Any = pair.roles["bank"]
    bureau: Any = pair.roles["bureau"]
    state, opened = found["bureau"]
    residuals = (opened @ bureau._back)[0, -AIMED:][:aimed] * 2.0**state.unit
    off = residuals * np.exp(-12.0) - np.exp(bank._scores_alone[:aimed])
    # 10 draws have .15 of the deviation or more, a quarter of the largest mean, with 5 sigma
    assert off.std() > 0.15 * np.exp(bank._scores_alone).max() / 4


def test_what_takes_the_moves_of_points_away_is_refused_or_small(monkeypatch: Any) -> None:
    """The bureau takes off how far a point is moved, times a slope: were that a thousand times too
    large, with a lookup as large, what is left would be its score itself (7 bits of a row)."""
    world, make, start = World.of(ROWS, 32), chain.chain_of, Start
    with monkeypatch.context() as lies:
        ones = (np.full(1, 1000.0),)
        lies.setattr(label_party, "chain_of", lambda *a: replace(make(*a), ones=ones))
        with pytest.raises(PeerError, match="weights of a mean that are not 1"):
            world.run(plan(ROWS, evaluations=2, noise=1.0))
    found: list[float] = []
    original = FeatureParty._slack

    def slack(self: Any, state: Any, at: int) -> Any:
        words, grid = original(self, state, at), self._grid(state, at)
        reach = (grid.reach + 1) * grid.step
        found.append(np.abs(words.view(np.int64)).max() * 2.0**-self._scale / reach)
        return words

    monkeypatch.setattr(FeatureParty, "_slack", slack)
    monkeypatch.setattr(label_rows, "Start", lambda _, score: start(1000.0, score))
    world.run(plan(ROWS, evaluations=2, noise=1.0))
    assert 0.2 < max(found) < 0.251


def test_a_score_moved_at_random_costs_a_fit_little() -> None:
    """The lookup's mean over all moves is the true mean."""
    world = World.of(2000, 24)
    bank, bureau, _ = world.run(plan(2000, evaluations=8, noise=1e-9))
    central, errors = centre(world.joined, world.y)
    off = (weights(bank, bureau) - central) / errors
    assert 1e-3 < np.abs(off).max() < 0.8
