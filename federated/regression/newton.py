"""Logistic regression with a quadratic penalty by damped Newton steps, in plain numpy.

The label party fits its own columns with it, where a regression starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.models.logistic import LOGISTIC
from psi.protocol import MisuseError

__all__ = ["Floats", "LogisticFit", "fit_logistic", "solve_symmetric"]

Floats = NDArray[np.float64]

# halvings of a step before it counts as no step
HALVINGS = 12
# the share of the predicted decrease that a step must reach
SUFFICIENT = 1e-4


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients `float64[p]`, the objective there, and how Newton ended.

    Attributes:
        coefficients: of the columns, the intercept among them.
        iterations: Newton steps that were taken.
        converged: whether the last one was small enough.
    """

    coefficients: Floats
    objective: float
    iterations: int
    converged: bool


def solve_symmetric(matrix: Floats, right: Floats) -> Floats:
    """matrix⁻¹ right for a symmetric matrix that should be positive definite.

    Scaled to a unit diagonal first; directions without curvature (relative to rounding) are
    left out, as by a pseudo-inverse.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), np.finfo(np.float64).tiny))
    scaled = matrix * scale[:, None] * scale
    try:
        factor = np.linalg.cholesky(scaled)
        if np.diag(factor).min() > 1e-7:
            half = np.linalg.solve(factor, right * scale)
            return np.asarray(np.linalg.solve(factor.T, half) * scale)
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(scaled)
    kept = values > 1e-13 * len(matrix) * max(1.0, float(values[-1]))
    part = vectors[:, kept]
    return np.asarray(part @ ((part.T @ (right * scale)) / values[kept]) * scale)


def fit_logistic(
    x: Floats,
    y: NDArray[Any],
    penalty: Floats,
    *,
    start: Floats | None = None,
    tolerance: float = 1e-12,
    iterations: int = 100,
) -> LogisticFit:
    """Minimise sum of log losses + ½ wᵀ P w.

    Args:
        x: `float64[n, p]`; an intercept is a column of ones.
        y: `[n]` of 0 and 1.
        penalty: P, `float64[p, p]` positive semi-definite, or its diagonal `float64[p]`; zero
            for an intercept, 1/C for scikit-learn's C elsewhere.
        start: where to begin, default 0.
        tolerance: ends when half the squared Newton decrement is below this share of the
            objective.
        iterations: the most Newton steps.

    Raises:
        MisuseError: shapes that do not fit together.
    """
    n, p = x.shape
    matrix = np.diag(penalty) if penalty.ndim == 1 else penalty
    if matrix.shape != (p, p) or np.shape(y) != (n,) or (start is not None and len(start) != p):
        raise MisuseError(f"{n} x {p} columns, {matrix.shape} penalty, {np.shape(y)} labels")
    label = np.asarray(y, dtype=np.float64)
    w = np.zeros(p) if start is None else np.array(start, dtype=np.float64)
    scores = x @ w
    value = LOGISTIC.loss(scores, label) + 0.5 * float(w @ matrix @ w)
    for iteration in range(iterations):
        gradient = x.T @ LOGISTIC.slope(scores, label) + matrix @ w
        curvature = LOGISTIC.curvature(scores)
        step = solve_symmetric((x * curvature[:, None]).T @ x + matrix, gradient)
        decrease = float(gradient @ step)
        if 0 <= 0.5 * decrease <= tolerance * max(1.0, value):
            # one more full step is free and squares the error, where it does not rise
            last = w - step
            final = LOGISTIC.loss(x @ last, label) + 0.5 * float(last @ matrix @ last)
            better = final <= value
            return LogisticFit(
                last if better else w, final if better else value, iteration + 1, True
            )
        found = _descend(x, label, matrix, w, step, value, decrease)
        if found is None:
            # saturated scores have no curvature left to trust; 1/4 bounds it from above, and
            # with it every step descends (Böhning and Lindsay 1988)
            step = solve_symmetric(0.25 * x.T @ x + matrix, gradient)
            found = _descend(x, label, matrix, w, step, value, float(gradient @ step))
        if found is None:
            return LogisticFit(w, value, iteration + 1, False)
        w, scores, value = found
    return LogisticFit(w, value, iterations, False)


def _descend(
    x: Floats,
    label: Floats,
    matrix: Floats,
    w: Floats,
    step: Floats,
    value: float,
    decrease: float,
) -> tuple[Floats, Floats, float] | None:
    """The longest halving of the step that descends enough: coefficients, scores, objective."""
    size = 1.0
    for _ in range(HALVINGS):
        trial = w - size * step
        scores = x @ trial
        reached = LOGISTIC.loss(scores, label) + 0.5 * float(trial @ matrix @ trial)
        if reached <= value - SUFFICIENT * size * decrease:
            return trial, scores, reached
        size /= 2
    return None
