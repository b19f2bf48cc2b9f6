"""Models fitted in one process by a library: what federated training is compared with.

One function a model. The federated side has its own solvers, so this is a second opinion. The
library is imported where it fits: it loads SciPy, which costs a command that fits nothing a second.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from federated.models import CARD, LINEAR, LOGISTIC, POISSON, LinearPart, Model, Part
from federated.regression.alone import alone

__all__ = ["CENTRAL", "central"]

Weights = np.ndarray | None


def central(
    model: Model,
    matrix: np.ndarray,
    label: np.ndarray,
    weights: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> Part:
    """The model fitted on rows that are all here.

    Args:
        model: what to fit, with the penalty that federated training has (1 on half the sum of
            squares; none on the intercept).
        matrix: `float64[n, d]`, encoded columns.
        label: `[n]`, an answer a row.
        weights: `float64[n]`, how much each row counts; None: alike.
        offset: `float64[n]`, added to each row's score. The libraries know none: by Newton steps.
    """
    if offset is None:
        return CENTRAL[model.name](matrix, label, weights)
    design = np.column_stack([np.ones(len(matrix)), matrix])
    penalty = np.append(0.0, np.ones(matrix.shape[1]))
    y = np.asarray(label, np.float64)
    found = alone(model.name, design, y, penalty, weights, offset)
    return LinearPart(found[1:], float(found[0]))


def _logistic(matrix: np.ndarray, label: np.ndarray, weights: Weights = None) -> LinearPart:
    from sklearn.linear_model import LogisticRegression

    if not matrix.shape[1]:  # a party without columns of its own knows how frequent a class is
        return LinearPart(np.zeros(0), float(LOGISTIC.link(np.average(label, weights=weights))))
    fit = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    fit.fit(matrix, label, sample_weight=weights)
    return LinearPart(np.asarray(fit.coef_[0]), float(fit.intercept_[0]))


def _linear(matrix: np.ndarray, label: np.ndarray, weights: Weights = None) -> LinearPart:
    from sklearn.linear_model import Ridge

    if not matrix.shape[1]:
        return LinearPart(np.zeros(0), float(np.average(label, weights=weights)))
    fit = Ridge(alpha=1.0, solver="cholesky").fit(matrix, label, sample_weight=weights)
    return LinearPart(np.asarray(fit.coef_), float(fit.intercept_))


def _poisson(matrix: np.ndarray, label: np.ndarray, weights: Weights = None) -> LinearPart:
    from sklearn.linear_model import PoissonRegressor

    if not matrix.shape[1]:
        return LinearPart(np.zeros(0), float(POISSON.link(np.average(label, weights=weights))))
    # its loss is a mean over rows, so its penalty is too
    whole = float(len(label) if weights is None else weights.sum())
    fit = PoissonRegressor(alpha=1.0 / whole, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    fit.fit(matrix, label, sample_weight=weights)
    return LinearPart(np.asarray(fit.coef_), float(fit.intercept_))


CENTRAL: dict[str, Callable[[np.ndarray, np.ndarray, Weights], Part]] = {
    LOGISTIC.name: _logistic,
    LINEAR.name: _linear,
    POISSON.name: _poisson,
    CARD.name: _logistic,
}
"""By the model's name."""
