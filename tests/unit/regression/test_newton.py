"""Damped Newton against scikit-learn, and where curvature is missing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federated.regression.newton import fit_logistic, solve_symmetric
from psi.protocol import MisuseError
from tests.unit.regression.world import World


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    world = World.of(rows, wide=4)
    return world.joined, world.y


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference over the largest coefficient."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def penalty(columns: int) -> np.ndarray:
    return np.append(0.0, np.ones(columns - 1))


def test_the_fit_is_scikit_learns() -> None:
    x, y = data(400)
    reference = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(x[:, 1:], y)
    fit = fit_logistic(x, y, penalty(9))
    assert fit.converged
    assert distance(fit.coefficients[1:], reference.coef_[0]) < 1e-6
    assert abs(fit.coefficients[0] - reference.intercept_[0]) < 1e-6


def test_separable_classes_and_a_far_start_converge() -> None:
    x = np.column_stack([np.ones(60), np.repeat([-40.0, 40.0], 30)])
    y = np.repeat([0, 1], 30)
    fit = fit_logistic(x, y, np.array([0.0, 1e-6]))
    assert fit.converged
    far = fit_logistic(x, y, np.array([0.0, 1.0]), start=np.array([50.0, -9.0]))
    near = fit_logistic(x, y, np.array([0.0, 1.0]))
    assert far.converged
    assert far.objective == pytest.approx(near.objective, rel=1e-8)


def test_equal_columns_without_penalty_get_a_finite_answer() -> None:
    x, y = data(200)
    twice = np.column_stack([x, x[:, 1]])
    fit = fit_logistic(twice, y, np.zeros(10))
    single = fit_logistic(x, y, np.zeros(9))
    assert np.isfinite(fit.coefficients).all()
    assert fit.objective == pytest.approx(single.objective, rel=1e-9)


def test_a_penalty_matrix_is_a_change_of_basis() -> None:
    x, y = data(300)
    turn = np.random.default_rng(3).normal(size=(9, 9))
    plain = fit_logistic(x, y, penalty(9)).coefficients
    turned = fit_logistic(x @ turn, y, turn.T @ np.diag(penalty(9)) @ turn)
    assert distance(turn @ turned.coefficients, plain) < 1e-6


def test_a_singular_system_gets_its_least_solution() -> None:
    matrix = np.array([[2.0, 2.0], [2.0, 2.0]])
    assert solve_symmetric(matrix, np.array([4.0, 4.0])) == pytest.approx([1.0, 1.0])


def test_shapes_that_do_not_fit_are_misuse() -> None:
    with pytest.raises(MisuseError, match="labels"):
        fit_logistic(np.ones((3, 2)), np.zeros(4), np.zeros(2))
