"""Weights, offsets and numbers for labels: the fit that scikit-learn has of the joined rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

from federated.regression.labels import Labels
from federated.regression.messages import Setup
from psi.protocol import InputError, MisuseError, PeerError, decode
from psi.protocol.codec import peek
from tests.unit.regression.world import World, plan, weights

ROWS = 400


def oracle(link: str, x: np.ndarray, y: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Intercept and coefficients by scikit-learn, of penalty 1."""
    model: Any
    if link == "logistic":
        model = LogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=500)
    elif link == "linear":
        model = Ridge(alpha=1.0)
    else:
        whole = len(y) if rows is None else rows.sum()
        model = PoissonRegressor(alpha=1 / whole, solver="newton-cholesky", tol=1e-10)
    model.fit(x, y, sample_weight=rows)
    return np.append(model.intercept_, np.ravel(model.coef_))


@pytest.mark.parametrize(
    ("link", "weighted"),
    [("logistic", True), ("linear", False), ("poisson", False), ("poisson", True)],
)
def test_a_fit_is_scikit_learn_s(link: str, weighted: bool) -> None:
    world = World.of(ROWS, 11, link=link)
    given = np.random.default_rng(2).uniform(0.2, 9.0, ROWS) if weighted else None
    terms = plan(ROWS, link=link, evaluations=14, weighted=weighted)
    bank, bureau, _ = world.run(terms, weights=given)
    expected = oracle(link, world.joined[:, 1:], world.y, given)
    found = weights(bank, bureau)
    assert not bank.spoilt
    assert not bureau.spoilt
    # runs gave 3e-3 at most, of the largest coefficient
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("heavy", [0, 1])
def test_noise_covers_the_heavier_class_whichever_it_is(heavy: int) -> None:
    """A residual of a row of weight 10 and label 0 is 10 times a mean: noise of one unit has to
    hide that it is not -10 times what is left, as it would with the label 1."""
    world = World.of(ROWS, 11)
    given = np.where(world.y == heavy, 10.0, 0.5)
    assert Labels.of("logistic", world.y, world.a, 1.0, given, None).unit == 4
    counts = World.of(ROWS, 11, link="poisson")
    rows = np.where(counts.y == 0, 50.0, 0.1)
    unit = Labels.of("poisson", counts.y, counts.a, 1.0, rows, None).unit
    assert 2.0**unit >= 50.0 * counts.y.mean()


@pytest.mark.parametrize("link", ["logistic", "linear", "poisson"])
def test_an_offset_is_a_part_of_the_score_that_nobody_fits(link: str) -> None:
    world = World.of(ROWS, 12, link=link)
    offset = np.random.default_rng(3).normal(0, 0.7, ROWS)
    bank, bureau, _ = world.run(plan(ROWS, link=link, evaluations=14), offset=offset)
    x, y = world.joined, world.y.astype(float)

    def loss(w: np.ndarray) -> float:
        z = x @ w + offset
        each = {
            "logistic": lambda: np.logaddexp(0, z) - y * z,
            "linear": lambda: 0.5 * (z - y) ** 2,
            "poisson": lambda: np.exp(np.minimum(z, 50)) - y * z,
        }[link]()
        return float(each.sum() + 0.5 * np.square(w[1:]).sum())

    start = np.append(y.mean() if link == "linear" else 0.0, np.zeros(x.shape[1] - 1))
    expected = minimize(loss, start, method="BFGS", options={"gtol": 1e-4}).x
    assert np.abs(weights(bank, bureau) - expected).max() < 0.02 * np.abs(expected).max()
    score = x @ expected + offset
    mean = {"logistic": 1 / (1 + np.exp(-score)), "linear": score, "poisson": np.exp(score)}[link]
    spread = {"logistic": 0.25, "linear": 1.0, "poisson": mean.max()}[link]
    # scores are told with noise of 2^-6 of the partner's part
    assert np.abs(bank.scores - mean).max() < 0.3 * spread * np.std(score)


def test_the_unit_of_a_number_changes_nothing_but_the_unit() -> None:
    """Labels a million times as large, far from zero: the same share of them is explained."""
    world = World.of(ROWS, 13, link="linear")
    terms = plan(ROWS, link="linear", evaluations=9)
    small, _, _ = world.run(terms)
    world.y = 1e9 + 1e6 * world.y
    large, bureau, pair = world.run(terms)
    assert small.evaluations == large.evaluations
    assert large.coefficients == pytest.approx(1e6 * small.coefficients, rel=1e-2)
    expected = oracle("linear", world.joined[:, 1:], world.y, None)
    assert weights(large, bureau)[1:] == pytest.approx(expected[1:], rel=0.01)
    # a label is told in no unit that its distance from zero would need
    setup = next(e.payload for e in pair.sent if peek(e.payload) is Setup)
    told = decode(setup, Setup)
    assert told.scale == 22  # own columns leave 3.3 of 7
    assert told.unit <= 6


def test_rows_of_a_class_count_as_often_as_their_weight_says() -> None:
    world = World.of(ROWS, 14)
    balanced = np.where(world.y == 1, ROWS / (2 * world.y.sum()), ROWS / (2 * (1 - world.y).sum()))
    bank, bureau, _ = world.run(plan(ROWS, evaluations=12, weighted=True), weights=balanced)
    model = LogisticRegression(class_weight="balanced", tol=1e-10, solver="newton-cholesky")
    model.fit(world.joined[:, 1:], world.y)
    expected = np.append(model.intercept_, model.coef_.ravel())
    assert np.abs(weights(bank, bureau) - expected).max() < 0.02


def test_weights_that_no_row_can_have_are_refused() -> None:
    world, terms = World.of(200, 15), plan(200, weighted=True)
    with pytest.raises(InputError, match="3 rows with a weight of 0 or less"):
        world.label_party(terms, weights=np.append(np.zeros(3), np.ones(197)))
    with pytest.raises(InputError, match="2 rows with a label and without a finite weight"):
        world.label_party(terms, weights=np.append(np.full(2, np.nan), np.ones(198)))
    with pytest.raises(MisuseError, match="one weight a row"):
        world.label_party(terms, weights=np.ones(3))
    with pytest.raises(MisuseError, match="weights"):
        world.label_party(terms)
    with pytest.raises(MisuseError, match="linear"):
        plan(200, weighted=True, link="linear")


def test_a_partner_takes_no_unit_that_the_contract_does_not_give() -> None:
    world = World.of(200, 16)
    role = world.feature_party(plan(200))
    state, role.incoming = role.begin().state, bytes(32)
    for strange in ({"unit": 3, "scale": 0}, {"unit": 0, "scale": 2}):
        setup = Setup(
            plan=b"\0" * 32,
            folds=0,
            labelled=np.ones(200, np.uint8),
            fold=np.full(200, -1, np.int8),
            layout=role._columns.layout,
            **strange,
        )
        with pytest.raises(PeerError):
            role.on_setup(state, setup, "bank")
