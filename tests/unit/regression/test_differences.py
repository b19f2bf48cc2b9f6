"""What two trainings tell whose rows differ by one: nothing that is exactly a number of their rows.

Each attacker here knows all that a partner can know but the row it aims at. The victim's numbers
are made by its role, of rows and gradients that the attacker chooses.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from hashlib import sha256
from typing import Any
from unittest import mock

import numpy as np
import pytest

from federated.regression import LabelParty, party
from federated.regression.columns import Columns
from federated.regression.messages import Ready, Setup, Sums
from federated.regression.noise import told_start
from federated.regression.steps import own_products, rough
from psi.protocol import Pair, decode
from psi.protocol.codec import peek
from tests.unit.regression.world import World, context, plan

ROWS = 300


def start_without(world: World, row: int, noise: float, own: int) -> tuple[float, float]:
    """Curvature and score that a bank with `own` columns tells of all rows but one."""
    rows = np.arange(len(world.y)) != row
    terms = plan(len(world.y), noise=noise)
    bank = LabelParty(context("bank"), ["bureau"], world.a[rows, :own], world.y[rows], plan=terms)
    start = bank._start(secrets.token_bytes(32))
    return start.curvature, start.score


@pytest.mark.parametrize("own", [0, 3])
def test_one_record_fewer_tells_no_label_by_the_start(own: int) -> None:
    """The mean score falls where the label was 1. Under noise 90 signs are right by chance: of 90
    coins less than half and six deviations, .5 + 6 × .053, are heads."""
    world, aimed, right = World.of(ROWS, 60), range(90), {}
    for noise in (0.0, 1.0):
        hits = []
        for row in aimed:
            fewer, all_rows = (start_without(world, r, noise, own)[1] for r in (row, ROWS))
            sign = np.sign(all_rows - fewer)  # two rounded numbers may be equal
            hits.append(0.5 if not sign else float((sign > 0) == (world.y[row] == 1)))
        right[noise] = np.mean(hits)
    assert right[0.0] > 0.95
    assert right[1.0] < 0.5 + 6 * 0.053


def starts(column: np.ndarray, y: np.ndarray, link: str) -> np.ndarray:
    """The logarithm of the curvature, and the score, that a bank of one column tells; 60 draws."""
    terms = plan(len(y), noise=1.0, link=link)
    bank = LabelParty(context("bank"), ["bureau"], column[:, None], y, plan=terms)
    every = [bank._start(secrets.token_bytes(32)) for _ in range(60)]
    return np.array([(np.log(each.curvature), each.score) for each in every])


@pytest.mark.parametrize("link", ["logistic", "poisson"])
def test_how_wide_the_noise_of_a_start_is_tells_no_label(link: str) -> None:
    """Of a row that outweighs its column it was 38 for .4 (classes), so one number told the label.
    By noise of one width 60 draws each have deviations within six of 1/sqrt(120), .55, each."""
    world = World.of(ROWS, 60, link=link)
    column, y = np.random.default_rng(1).normal(size=ROWS), world.y.astype(float)
    column[7] = 300.0
    spread = []
    for label in (0.0, 1.0):
        y[7] = label
        spread.append(starts(column, y, link).std(axis=0))
    assert (np.abs(np.log(spread[1] / spread[0])) < 2 * 0.55).all()
    assert max(map(np.max, spread)) < 1.0


def test_a_start_told_again_has_the_same_noise() -> None:
    seed, given = secrets.token_bytes(32), ("logistic", 400, 100.0, None, 0)
    first = told_start(seed, *given)
    assert first == told_start(seed, *given)
    every = [told_start(secrets.token_bytes(32), *given) for _ in range(300)]
    scores = np.array(every)[:, 1] - np.log(1 / 3)
    # eight labels among 75 = 400 p (1 - p), and a quarter besides; 300 draws: 6 / sqrt(600)
    wide = np.hypot(8 / 75, 0.25)
    assert abs(scores.std() / wide - 1) < 6 / np.sqrt(600)
    assert abs(scores.mean()) < 6 * wide / np.sqrt(300)
    assert (np.array(every)[:, 1] * 8 % 1 == 0).all()


def test_a_start_is_about_the_labels_mean_whatever_weights() -> None:
    """Weights of 2 as if rows were there twice; of few labels a number still."""
    for weights, unit in ((None, 0), (20_000.0, 1)):
        twice = 1.0 if weights is None else 2.0
        found = [
            told_start(bytes([at]) * 32, "logistic", 10_000, 1_000 * twice, weights, unit)
            for at in range(40)
        ]
        slope, score = np.log([each[0] for each in found]), [each[1] for each in found]
        # 40 draws of a quarter, and a little: six deviations of their mean are .25
        assert abs(np.mean(slope) - np.log(0.09 * twice)) < 0.25
        assert abs(np.mean(score) - np.log(1 / 9)) < 0.25
    for at in range(40):
        for link in ("logistic", "poisson"):
            told = told_start(bytes([at]) * 32, link, 40, 1.0, None, 3)
            assert 0 < told[0] < np.inf
            assert np.isfinite(told[1])


class Caught:
    """A party in the midst of a training: its inner products of any gradient."""

    def __init__(self, name: str, monkeypatch: Any, *, noise: float, evaluations: int = 1) -> None:
        caught: dict[str, Any] = {}
        original = party.Party._sums

        def opening(self: Any, state: Any, told: Any) -> Any:
            caught[self.context.party] = state
            return original(self, state, told)

        with monkeypatch.context() as patch:
            patch.setattr(party.Party, "_sums", opening)
            self.world = World.of(ROWS, 61)
            terms = plan(ROWS, evaluations=evaluations, noise=noise)
            _, _, pair = self.world.run(terms)
        roles: dict[str, Any] = pair.roles
        self.role = roles[name]
        self.line: Any = self.role._lines[-1] if name == "bank" else self.role
        self.state: Any = caught[name]
        self.metric = self.role._metric(self.state)

    def told(self, gradient: np.ndarray, hears: bytes = b"") -> float:
        """g·H g of a first evaluation, after other messages."""
        state = replace(self.state, transcript=self.state.transcript.hear(sha256(hears).digest()))
        evaluation, free = self.role._evaluation(state), 0.0 * self.role._penalty
        gradient, _ = rough(evaluation, state, free, self.metric, gradient[None])
        noise = self.line._own_noise(state, self.role._back, None)
        state = replace(state, gradients=gradient.ravel(), noise=noise.ravel())
        (found,) = own_products(evaluation, state, free, self.metric)
        return float(found[0])

    def known_noise(self, seed: int, times: float = 1.0) -> np.ndarray:
        """A gradient of nothing but the other party's noise."""
        deviations = self.line._deviations(self.line._columns.layout)
        drawn = np.random.default_rng(seed).normal(size=len(deviations))
        return np.asarray((drawn * deviations) @ self.role._back) * times


def test_a_partner_s_own_noise_moves_how_wide_its_part_lies_more_than_a_row_does() -> None:
    """Counted scores tell that to a factor of 1.4, so a bank that knows the boundary compares it.
    All noise that the bank knows is left out here: what the bureau adds, and its own."""
    true = party.Party._own_term

    def bare(self: Any, state: Any, own: Any = None) -> Sums:
        return Sums(state.number, state.theirs)

    def bureaus(self: Any, state: Any, back: Any) -> Any:
        return true(self, state, back) * (self.context.party == "bureau")

    wide = []
    with (
        mock.patch.object(party.Party, "_told", bare),
        mock.patch.object(party.Party, "_own_term", bureaus),
    ):
        for _ in range(12):
            terms = plan(2 * ROWS, noise=1.0, evaluations=10)
            _, fit, _ = World.of(2 * ROWS, 60).run(terms)
            wide.append(float(np.std(fit.own)))
    far = 4.0  # deviations of the part; such a row moves the deviation by 4² / 2n of itself
    moved = far**2 / (2 * 2 * ROWS)
    # .04 for .013; of twelve draws six deviations less is a fifth of that
    assert np.std(wide, ddof=1) / np.mean(wide) > 0.6 * moved


def test_a_label_party_reads_no_row_s_length_from_inner_products(monkeypatch: Any) -> None:
    """It takes all rows but one out of the residuals and adds no noise: the partner's gradient is
    that row's columns, and g·H g their length."""
    near = {}
    for noise in (0.0, 1.0):
        bureau = Caught("bureau", monkeypatch, noise=noise)
        rows = bureau.role._x
        exact = np.einsum("ij,jk,ik->i", rows, bureau.metric.inverse, rows)
        told = np.array([bureau.told(row, str(at).encode()) for at, row in enumerate(rows)])
        near[noise] = float(np.corrcoef(told, exact)[0, 1])
    assert near[0.0] > 0.999
    # two columns' noise: .26 to .47, and of more columns less
    assert near[1.0] < 0.8


def test_a_partner_reads_no_metric_through_its_own_noise(monkeypatch: Any) -> None:
    """The label party's gradient of a first evaluation is the partner's noise n, which it knows:
    n·H n was an exact number of rows and labels."""
    for noise, times in ((0.0, 1.0), (1.0, 1.0), (1.0, 1000.0)):
        bank = Caught("bank", monkeypatch, noise=noise)
        exact_metric = np.linalg.inv(bank.role._square)
        off = []
        for seed in range(40):
            known = (
                bank.known_noise(seed, times)
                if noise
                else np.random.default_rng(seed).normal(size=len(exact_metric))
            )
            off.append(bank.told(known, bytes([seed])) / (known @ exact_metric @ known) - 1)
        if not noise:
            assert np.abs(off).max() < 1e-4
        elif times == 1.0:
            assert np.std(off) > 0.15  # .6 to 4, of this number alone: what stays is the bend
        else:  # noise a thousand times too large: the gradient is off by a share of it, each time
            assert np.std(off) > 0.06  # .12 to .2, where a row is worth .003
            again = [bank.told(known, b"again %d" % at) for at in range(40)]
            assert np.std(again) > 0.06 * np.mean(again)  # .0003 where it is not off


def test_metrics_of_two_trainings_differ_by_more_than_a_row(monkeypatch: Any) -> None:
    """Whatever a partner reads of a label party's metric, another training draws another one."""
    first, second = (Caught("bank", monkeypatch, noise=1.0) for _ in range(2))
    square = first.role._square
    row = np.append(1.0, first.world.a[7])
    slope = 0.2
    values, vectors = np.linalg.eigh(square)
    root = vectors / np.sqrt(values)

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        difference = np.linalg.inv(root) @ (one - other) @ np.linalg.inv(root).T
        return float(np.linalg.norm(difference))

    by_row = apart(np.linalg.inv(square), np.linalg.inv(square - slope * np.outer(row, row)))
    drawn = apart(first.metric.inverse, second.metric.inverse)
    assert drawn > 5 * by_row
    assert first.metric.spread != second.metric.spread
    exact = float((first.metric.inverse * first.metric.noise).sum())
    assert first.metric.spread != pytest.approx(exact, rel=1e-6)


def layouts(value: float, scaled: bool) -> list[str]:
    """What two honest roles tell of their columns; one record of each has this value."""
    world = World.of(600, 70)
    rng = np.random.default_rng(70)
    for x in (world.a, world.b):
        column = np.append(rng.integers(0, 3, len(x) - 1).astype(float), value)
        x[:, -1] = (column - column.mean()) / column.std() if scaled else column
    terms = plan(len(world.y), evaluations=1, column_bits=8)
    pair = Pair(world.label_party(terms), world.feature_party(terms))
    for name, role in pair.roles.items():
        pair._take(name, role.start())
    told: dict[Any, Any] = {}
    while len(told) < 2:
        pair.deliver()
        told = {
            kind: decode(e.payload, kind)
            for e in pair.sent
            for kind in (Setup, Ready)
            if peek(e.payload) is kind
        }
    return [str(told[kind].layout) for kind in (Setup, Ready)]


@pytest.mark.parametrize("scaled", [False, True])
def test_one_record_s_value_moves_no_layout(scaled: bool) -> None:
    """As of the others, between two of these, far out, or beyond all grids: the same `Ready` and
    `Setup`. A grid that reached the farthest value told it, whole."""
    found = [layouts(value, scaled) for value in (1, 1.5, 9, 41, 150, 1e7, -3)]
    assert all(each == found[0] for each in found)


def test_twenty_records_are_what_an_even_grid_follows() -> None:
    """Nineteen far out leave it as it was; with one more it reaches that one, to a rounded size."""
    sizes = []
    for value in (1, 40, 41, 60):
        column = np.append(np.arange(980) % 3, np.append(np.full(19, 100), value)).astype(float)
        made = Columns.of(column[:, None], 8)
        sizes.append(made.layout.trees[0].sizes)
        assert made.far.sum() == 19
    assert sizes == [(3,), (48,), (48,), (64,)]
