"""The label party's fit of its own columns alone: where the regression starts."""

from __future__ import annotations

import numpy as np

from federated.regression.links import mean_of, slope_of
from federated.regression.newton import fit_logistic, solve_symmetric
from federated.regression.results import Floats
from psi.protocol import Refused

__all__ = ["alone"]

_STEPS, _HALVINGS = 60, 20
_DONE = 1e-10


def alone(link: str, x: Floats, y: Floats, penalty: Floats) -> Floats:
    """Coefficients `float64[a]` of the least penalised loss; the first column is all ones.

    Args:
        link: one of `LINKS`.
        x: `float64[n, a]`; y: `float64[n]`; penalty: its diagonal `float64[a]`.

    Raises:
        Refused: labels that no such fit comes to an end for.
    """
    if link == "logistic":
        return fit_logistic(x, y, penalty).coefficients
    weights = np.zeros(x.shape[1])
    if link == "linear":
        return solve_symmetric(x.T @ x + np.diag(penalty), x.T @ y)
    weights[0] = np.log(max(float(y.mean()), 1e-9))
    value = _loss(x, y, penalty, weights)
    for _ in range(_STEPS):
        scores = x @ weights
        gradient = x.T @ (mean_of(link, scores) - y) + penalty * weights
        curved = (x * slope_of(link, scores)[:, None]).T @ x + np.diag(penalty)
        step = solve_symmetric(curved, gradient)
        if float(gradient @ step) <= _DONE * max(1.0, abs(value)):
            return np.asarray(weights - step)
        size, found = 1.0, _loss(x, y, penalty, weights - step)
        for _ in range(_HALVINGS):
            if found < value:
                break
            size /= 2
            found = _loss(x, y, penalty, weights - size * step)
        weights, value = weights - size * step, found
    raise Refused("the label party's own columns alone have no Poisson fit")


def _loss(x: Floats, y: Floats, penalty: Floats, weights: Floats) -> float:
    scores = np.minimum(x @ weights, 500.0)
    return float((np.exp(scores) - y * scores).sum() + 0.5 * penalty @ weights**2)
