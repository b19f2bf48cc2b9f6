"""Damped Newton against scikit-learn, and where curvature is missing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from federated.vertical import fit_logistic
from federated.vertical.newton import solve_symmetric
from psi.protocol import MisuseError
from tests.unit.vertical.world import distance, make_world


def penalty(columns: int) -> np.ndarray:
    return np.append(0.0, np.ones(columns - 1))


def test_the_fit_is_scikit_learns() -> None:
    world = make_world(400, 4, (5,))
    x = world.joined()
    reference = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(x[:, 1:], world.label)
    fit = fit_logistic(x, world.label, penalty(10))
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
    world = make_world(200, 3, (2,))
    x = world.joined()
    twice = np.column_stack([x, x[:, 1]])
    fit = fit_logistic(twice, world.label, np.zeros(7))
    single = fit_logistic(x, world.label, np.zeros(6))
    assert np.isfinite(fit.coefficients).all()
    assert fit.objective == pytest.approx(single.objective, rel=1e-9)


def test_a_penalty_matrix_is_a_change_of_basis() -> None:
    world = make_world(300, 2, (3,))
    x = world.joined()
    turn = np.random.default_rng(3).normal(size=(6, 6))
    plain = fit_logistic(x, world.label, penalty(6)).coefficients
    turned = fit_logistic(x @ turn, world.label, turn.T @ np.diag(penalty(6)) @ turn)
    assert distance(turn @ turned.coefficients, plain) < 1e-6


def test_a_singular_system_gets_its_least_solution() -> None:
    matrix = np.array([[2.0, 2.0], [2.0, 2.0]])
    assert solve_symmetric(matrix, np.array([4.0, 4.0])) == pytest.approx([1.0, 1.0])


def test_shapes_that_do_not_fit_are_misuse() -> None:
    with pytest.raises(MisuseError, match="labels"):
        fit_logistic(np.ones((3, 2)), np.zeros(4), np.zeros(2))
