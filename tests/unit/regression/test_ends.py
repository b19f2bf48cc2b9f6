"""Whether a run ends tells nothing of a sum: an error would compare it with a liar's number."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from federated.regression import FeatureParty, LabelParty, RegressionPlan
from federated.regression.messages import Handed, Lanes, Products, Sums
from federated.regression.noise import noise_of
from federated.regression.party import _SLACK, folded
from federated.regression.schedule import farthest_bits, scale_bits
from psi.protocol import Pair, Refused
from tests.unit.regression.test_roles import _Spoiling, changed
from tests.unit.regression.world import World, context, plan


class Comparing(FeatureParty):
    """Adds the label party's bound less a guess to its share of fold 0's sum of residuals, and
    leaves its noise out: a run ended where the exact sum was above the guess."""

    guess = 0.0
    wrapped = False

    def _told(self, state: Any, own: Any = None) -> Sums:
        theirs = state.theirs.copy()
        vectors = self._evaluation(state).vectors
        at = len(theirs) // len(vectors) if len(vectors) > 1 else 0
        bound = self._reach() * _SLACK + 12 * self._plan.noise
        bound = 2.0 ** (8 * self._bytes - 1 - self._scale) if self.wrapped else bound
        more = round((bound - self.guess) * 2.0**self._scale) % (1 << 64)
        theirs[at] += np.uint64(more)
        return Sums(state.number, theirs)


def run(kind: type[FeatureParty], terms: RegressionPlan, seed: int = 3) -> dict[str, Any]:
    world = World.of(300, seed)
    return Pair(world.label_party(terms), world.feature_party(terms, kind=kind)).run()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_partner_compares_no_sum_by_whether_a_run_ends(wrapped: bool) -> None:
    """Guesses far below and far above the sum: all runs end alike, and only the victim knows."""
    terms = plan(300, evaluations=1, folds=3, noise=1.0)
    for guess in (-60.0, 60.0):
        kind = type("_", (Comparing,), {"guess": guess, "wrapped": wrapped})
        found = run(kind, terms)
        assert found["bank"].spoilt == (wrapped or guess < 0)
        assert not found["bureau"].spoilt


def test_no_number_changes_at_once_where_a_sum_passes_a_bound() -> None:
    """A label changes a sum by 1: whatever is added to it, what is made of it changes by 1 at most,
    on the bound, at the end of the ring and everywhere else."""
    half, reach = 2.0**20, np.array([300.0])
    for at in (0.0, 300.0, 9000.0, half - 0.5, -300.5, -9000.0, -half):
        ring = [(at + more + half) % (2 * half) - half for more in np.linspace(-1, 1, 9)]
        found = [float(folded(np.array([each]), reach, half)[0]) for each in ring]
        assert max(abs(a - b) for a, b in itertools.pairwise(found)) <= 0.25
        assert np.abs(found).max() <= 300.0


@pytest.mark.parametrize("sender", ["bank", "bureau"])
def test_a_wrong_lane_is_known_to_who_opens_it_and_ends_nothing(sender: str) -> None:
    def spoil(sent: Lanes) -> Any:
        lanes = sent.lanes.copy()
        lanes[6::7] ^= np.uint8(64)
        return changed(sent, lanes=lanes)

    world, terms = World.of(200, 12), plan(200, evaluations=1)
    liar = _Spoiling(Lanes, spoil)
    kinds = {"bank": LabelParty, "bureau": FeatureParty}
    kinds[sender] = liar.of(kinds[sender])
    bank = world.label_party(terms, kind=kinds["bank"])
    found = Pair(bank, world.feature_party(terms, kind=kinds["bureau"])).run()
    assert {name for name, fit in found.items() if fit.spoilt} == {"bank", "bureau"} - {sender}


def test_shares_that_a_partner_spoils_are_known_and_end_nothing() -> None:
    world, terms = World.of(200, 11), plan(200, partners=2, evaluations=1, grid_bits=6)
    spoil = _Spoiling(Handed, lambda sent: changed(sent, shares=sent.shares * np.uint64(3)))
    found = Pair(*world.several(terms, bureau0=spoil.of(FeatureParty))).run()
    assert found["bank"].spoilt
    assert found["bureau1"].spoilt


def test_steps_that_a_partner_makes_wild_end_no_run() -> None:
    """An inner product far too large leads both parties' scores out of all bounds: an error would
    compare the label party's farthest score with a number of the partner's."""

    def wild(sent: Products) -> Any:
        numbers = sent.numbers.copy()
        numbers[0] *= 2.0 ** (56 * (sent.evaluation == 1))
        return changed(sent, numbers=numbers)

    world, terms = World.of(200, 13, link="linear"), plan(200, link="linear", evaluations=3)
    bureau = world.feature_party(terms, kind=_Spoiling(Products, wild).of(FeatureParty))
    assert Pair(world.label_party(terms), bureau).run()["bank"].spoilt


def test_what_no_descent_has_ends_a_run_by_numbers_that_all_have() -> None:
    def wild(sent: Products) -> Any:
        return changed(sent, numbers=sent.numbers * (1.0 if sent.evaluation < 2 else 1e300))

    world, terms = World.of(200, 13), plan(200, evaluations=4)
    bureau = world.feature_party(terms, kind=_Spoiling(Products, wild).of(FeatureParty))
    with pytest.raises(Refused, match="no descent has"):
        Pair(world.label_party(terms), bureau).run()


def test_noise_as_large_as_the_farthest_score_is_noise_still() -> None:
    """A number beyond 64 bits would be the same each time: no noise at all."""
    for bits, noise in itertools.product((7, 14, 16), (1.0, 1000.0)):
        terms = plan(1 << 16, link="linear", noise=noise, column_bits=bits)
        widest = 2.0 ** (11 if bits <= 8 else bits) * noise * 2.0 ** farthest_bits(terms)
        random = context("bank").random
        drawn = noise_of((1, 4000), np.full(4000, widest), scale_bits(terms), random)
        assert len(set((drawn & np.uint64((1 << 56) - 1)).ravel().tolist())) > 3990
        assert np.abs(drawn.view(np.int64).astype(float)).max() < 2.0**62
