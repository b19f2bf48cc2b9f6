"""Logistic regression by damped Newton steps, on one party's own numbers.

The label party fits its own part with it between the protocol's rounds, the bank-only baseline
is one call, and tests compare with scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["fit_logistic", "logistic"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


def logistic(z: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


def _objective(x: Floats, y: Floats, penalty: Floats, w: Floats) -> float:
    z = x @ w
    return float(np.logaddexp(0.0, z).sum() - y @ z + 0.5 * w @ penalty @ w)


def fit_logistic(
    x: Floats,
    y: Floats,
    penalty: Floats,
    start: Floats | None = None,
    *,
    tolerance: float = 1e-10,
    steps: int = 100,
) -> Floats:
    """The minimiser of log-loss plus half w' P w: `float64[d]`.

    `x` is `float64[n, d]`, `y` holds 0 and 1, `penalty` is `float64[d, d]`. Collinear columns
    are allowed: steps are least-squares solutions. Ends when no coefficient moves by more than
    `tolerance`, or when halving a step no longer helps.
    """
    w = np.zeros(x.shape[1]) if start is None else np.array(start, dtype=np.float64)
    value = _objective(x, y, penalty, w)
    for _ in range(steps):
        p = logistic(x @ w)
        gradient = x.T @ (p - y) + penalty @ w
        curvature = (x * (p * (1.0 - p))[:, None]).T @ x + penalty
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        size = 1.0
        while size > 1e-8:
            moved = w - size * step
            now = _objective(x, y, penalty, moved)
            if now <= value - 1e-4 * size * float(gradient @ step):
                break
            size /= 2
        else:
            return w
        w, value = moved, now
        if np.abs(size * step).max(initial=0.0) < tolerance:
            break
    return w
