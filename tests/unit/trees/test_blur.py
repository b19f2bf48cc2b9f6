"""What a partner reads off winners that has bins of one row: labels without noise, little with."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest

from federated.sharing.transcript import Transcript
from federated.trees import FeatureParty, LabelParty, TreesPlan
from federated.trees.blur import blurred, widened
from federated.trees.labels import Labels
from federated.trees.layout import Column, Layout
from federated.trees.plan import MANY_ROWS, NOISE
from federated.trees.splitting import GRADIENT_BITS, HESSIAN_BITS
from psi.protocol import Pair
from tests.unit.trees.world import World, plan

ROWS, ALONE, TREES = 1000, 31, 20


def read(seed: int) -> list[bool]:
    """The labels of the rows that win, each alone in a bin: a partner that lies.

    It adds the same to its shares of each candidate's sums, as if many rows stood there, so that
    the largest wins, which is a row's whose label is 1; its own guard on bins of few rows is gone;
    who has won stands back.
    """
    world = World.of(ROWS, seed)
    bins = [np.full(ROWS, ALONE, np.uint16) for _ in range(2)]
    for number, own in enumerate(bins):
        own[ALONE * number : ALONE * (number + 1)] = np.arange(ALONE)
    world.b, world.layout_b = bins, Layout((Column(ALONE + 1, False, False),) * 2)
    won: list[int] = []

    class Liar(FeatureParty):
        @property
        def _kept(self) -> Any:
            kept = np.ones(2 * (ALONE + 1), np.bool_)
            kept[[ALONE, 2 * ALONE + 1, *won]] = False
            return kept

        @staticmethod
        def _candidates(layout: Any, cells: Any) -> Any:
            g, h = FeatureParty._candidates(layout, cells)
            return g - np.uint32(60 << GRADIENT_BITS), h + np.uint32(60 << HESSIAN_BITS)

        def on_split_circuit(self, state: Any, sent: Any, peer: str) -> Any:
            numbers = self._finder(state).decide(self._now(state), sent)[1]
            won.extend(int(number) for number in numbers if number >= 0)
            return super().on_split_circuit(state, sent, peer)

    terms = plan(ROWS, trees=TREES, depth=1)
    bank = world.label_party(terms, kind=LabelParty)
    Pair(bank, world.feature_party(terms, kind=Liar)).run()
    rows = [number - (number > ALONE) for number in won]
    return [bool(world.y[row] == 1) for row in rows]


def test_bins_of_one_row_read_labels_below_the_rows_that_bear_noise() -> None:
    """What contracts of few rows say: a label a node."""
    found = read(3)
    assert plan(ROWS).noise == 0
    assert len(found) == TREES
    assert np.mean(found) > 0.9


def test_bins_of_one_row_read_little_under_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """By 62 candidates: of the rows that won .69 had a label of 1, of all .44, and without noise of
    those that won all; the deviation of six trainings is .042."""
    monkeypatch.setattr(TreesPlan, "noise", NOISE)
    found = [each for seed in range(6) for each in read(seed)]
    assert len(found) > 5 * TREES  # the label party wins some nodes by its own noise
    assert np.mean(found) < 0.69 + 6 * 0.042


def test_noise_is_there_from_so_many_rows_on() -> None:
    assert (plan(MANY_ROWS).noise, plan(MANY_ROWS - 1).noise) == (NOISE, 0.0)


def test_one_noise_is_fresh_in_each_tree_and_one_stays() -> None:
    none, seed = np.zeros((4, 500), np.uint32), secrets.token_bytes(32)

    def drawn(seed: bytes = seed, place: str = "nodes 2") -> Any:
        added = blurred(none, 3.0, place, seed, secrets.token_bytes)
        return added.view(np.int32) / 2.0**GRADIENT_BITS

    trees = np.stack([drawn() for _ in range(16)])
    # 2,000 candidates: a deviation is known to 1.6%
    assert trees[0].std() == pytest.approx(3 * np.sqrt(2), rel=0.1)
    assert trees.mean(axis=0).std() == pytest.approx(3 * np.sqrt(1 + 1 / 16), rel=0.1)
    assert (trees[0] - trees[1]).std() == pytest.approx(3 * np.sqrt(2), rel=0.1)
    for other in (drawn(place="nodes 1"), drawn(seed=bytes(32))):
        assert (trees[0] - other).std() == pytest.approx(6, rel=0.1)
    assert blurred(none, 0.0, "nodes 2", seed, secrets.token_bytes) is none


def test_a_count_says_as_little_of_a_row_as_a_sum_of_slopes() -> None:
    """A partner that lies has bins of one row, and sets its shares so that a candidate is kept just
    if the row is counted: has a label, is in the node. Of 20,000 such .638 are told right."""
    labels = Labels(np.arange(MANY_ROWS).astype(np.int8) & 1, plan(MANY_ROWS, least_rows=9))

    class State:
        lasting, level = secrets.token_bytes(32), 2
        transcript = Transcript.begin(secrets.token_bytes, b"noise")

    rows = np.repeat(np.arange(2, dtype=np.uint32), 10_000).reshape(1, -1)
    fewest = plan(MANY_ROWS, least_rows=9).rows_heard
    found = labels.counts(State, rows + np.uint32(fewest))
    assert found is not None
    told = found.view(np.int32) >= 1
    # binomial: a deviation of .0034
    assert abs((told == rows).mean() - 0.638) < 6 * 0.0034
    assert labels.counts(State, None) is None


def test_candidates_bear_two_noises_and_their_curvatures_a_quarter() -> None:
    """An exact curvature would say which rows have a label, and what the model says of a row."""

    class State:
        lasting, level = secrets.token_bytes(32), 1
        transcript = Transcript.begin(secrets.token_bytes, b"noise")

    labels = Labels(np.arange(MANY_ROWS).astype(np.int8) & 1, plan(MANY_ROWS))
    none = np.zeros((200, 50), np.uint32)
    slopes, curvatures = (each.view(np.int32) for each in labels.candidates(State, none, none))
    for found, bits, one in ((slopes, GRADIENT_BITS, 1.0), (curvatures, HESSIAN_BITS, 0.25)):
        wide = found.std() * 2.0**-bits / (one * np.sqrt(2))
        assert abs(wide - 1) < 6 / np.sqrt(2 * found.size)


def test_the_more_candidates_a_win_is_among_the_less_the_noise_hides() -> None:
    """A winner is a maximum: of nodes whose candidates are a row each, half of a label of 1, .85 of
    the winners have it by 62 candidates and .92 by 1,240. Whether a row is counted is told right
    .79 by 60 copies of its bin."""

    class State:
        lasting, level = secrets.token_bytes(32), 0
        transcript = Transcript.begin(secrets.token_bytes, b"noise")

    rng, nodes = np.random.default_rng(0), 1000
    labels = Labels(np.arange(MANY_ROWS).astype(np.int8) & 1, plan(MANY_ROWS, least_rows=9))
    shares = []  # means of 30 draws of the noise that stays: .85 and .92, with a spread of .01
    for candidates in (62, 1240):
        ones = rng.random((nodes, candidates)) < 0.5
        slopes = np.where(ones, 1, -1).astype(np.int32) << (GRADIENT_BITS - 1)
        sums = labels.candidates(State, slopes.view(np.uint32), np.zeros_like(slopes, np.uint32))
        best = sums[0].view(np.int32).argmax(axis=1)
        shares.append(ones[np.arange(nodes), best].mean())
    assert 0.75 < shares[0] < 0.92
    assert shares[1] > 0.85
    assert shares[1] > shares[0]
    rows = np.repeat(np.arange(2, dtype=np.uint32), nodes)
    fewest = np.uint32(plan(MANY_ROWS, least_rows=9).rows_heard)
    found = labels.counts(State, np.repeat(rows[:, None] + fewest, 60, axis=1))
    assert found is not None
    highest = found.view(np.int32).max(axis=1)
    told = max(((highest >= bar) == rows).mean() for bar in range(-2, 12))
    assert abs(told - 0.79) < 0.06


@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
def test_sums_with_noise_stay_within_a_score_s_bits(penalty: float) -> None:
    """The bound on D that scores are scaled by, six deviations of both noises out."""
    rng = np.random.default_rng(5)
    for rows in (3, 40, 3000):
        g = rng.choice([-0.9, 0.1], rows)
        h = np.full(rows, 0.09)
        sums = np.array([[g.sum() * 2**GRADIENT_BITS], [h.sum() * 2**HESSIAN_BITS]], np.int64)
        whole = widened(np.array([(g * g / h).sum()]), list(sums), penalty, 2.0)
        total_g, total_h = sums[0] / 2**GRADIENT_BITS, sums[1] / 2**HESSIAN_BITS
        t = total_h + 2 * penalty
        spread = whole - total_g**2 / t
        order = np.argsort(g)
        for left in range(rows + 1):
            own = order[:left]
            place = (h[own].sum() + penalty) / t
            d = g[own].sum() - total_g / t * (h[own].sum() + penalty)
            bound = np.sqrt(spread * t * place * (1 - place))
            assert abs(d) + 6 * 2.0 * np.sqrt(2) <= bound * 1.001
