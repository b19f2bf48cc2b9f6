"""Linear programmes of the audits: the same answers as SciPy's, and matrices as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from federated.aggregate import linear
from federated.aggregate.linear import Matrix

STATUS = {0: linear.SOLVED, 2: linear.INFEASIBLE, 3: linear.UNBOUNDED}


def dense(matrix: Matrix) -> np.ndarray:
    found = np.zeros(matrix.shape)
    found[matrix.rows, matrix.columns] = matrix.values
    return found


def test_the_answers_are_scipys() -> None:
    rng, seen = np.random.default_rng(5), set()
    for _ in range(120):
        n, m = int(rng.integers(1, 9)), int(rng.integers(0, 7))
        above = rng.integers(-1, 2, (m, n)).astype(float)
        same = rng.integers(0, 2, (int(rng.integers(0, 4)), n)).astype(float)
        most, cost = rng.normal(size=m), rng.normal(size=n)
        told = same @ rng.random(n) if rng.random() < 0.8 else rng.normal(size=len(same))
        low = np.where(rng.random(n) < 0.3, -np.inf, 0.0)
        high = np.where(rng.random(n) < 0.5, np.inf, 1.0)
        expected = linprog(
            cost, A_ub=above, b_ub=most, A_eq=same, b_eq=told,
            bounds=list(zip(low, high, strict=True)), method="highs",
        )  # fmt: skip
        found = linear.least(
            cost,
            at_most=(Matrix.of(above), most),
            equal=(Matrix.of(same), told),
            low=low,
            high=high,
        )
        if expected.status in STATUS:
            assert found.status == STATUS[expected.status]
            seen.add(found.status)
        if found.status == linear.SOLVED:
            assert found.cost == pytest.approx(expected.fun, abs=1e-7)
            assert found.cost == pytest.approx(float(cost @ found.x), abs=1e-7)
    assert seen == set(STATUS.values())


def test_nothing_is_written_to_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    """A command that prints JSON would not be read."""
    assert linear.least(np.ones(1), equal=(Matrix.of(np.ones((1, 1))), np.ones(1))).cost == 1.0
    assert capfd.readouterr() == ("", "")


def test_matrices_are_put_together_as_arrays_are() -> None:
    one = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
    matrix, none = Matrix.of(one), np.zeros_like(one)
    assert (dense(matrix.beside(-matrix)) == np.hstack([one, -one])).all()
    assert (dense(matrix.above(matrix)) == np.vstack([one, one])).all()
    assert (dense(matrix.twice()) == np.block([[one, none], [none, one]])).all()
    assert (dense(matrix.widened(2)) == np.pad(one, ((0, 0), (0, 2)))).all()
    assert (dense(matrix.taken([1, 0, 1])) == one[[1, 0, 1]]).all()
    assert (dense(Matrix.diagonal(2, -1.0)) == -np.eye(2)).all()
