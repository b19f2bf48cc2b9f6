"""The label party's fit of its own columns alone: where the regression starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.regression.links import mean_of, slope_of
from federated.regression.newton import fit_logistic, solve_symmetric
from federated.regression.results import Floats
from psi.protocol import Refused

__all__ = ["alone"]

_STEPS, _HALVINGS = 60, 20
_DONE = 1e-10
_FARTHEST = 500.0


def alone(
    link: str,
    x: Floats,
    y: Floats,
    penalty: Floats,
    weights: Floats | None = None,
    offset: Floats | None = None,
) -> Floats:
    """Coefficients `float64[a]` of the least penalised loss; the first column is all ones.

    Args:
        link: one of `LINKS`.
        x: `float64[n, a]`; y: `float64[n]`; penalty: its diagonal `float64[a]`.
        weights, offset: `float64[n]`; None for 1 and 0.

    Raises:
        Refused: labels that no such fit comes to an end for.
    """
    rows = np.ones(len(y)) if weights is None else weights
    more = np.zeros(len(y)) if offset is None else offset
    if link == "logistic" and weights is None and offset is None:
        return fit_logistic(x, y, penalty).coefficients
    if link == "linear":
        return solve_symmetric(
            (x * rows[:, None]).T @ x + np.diag(penalty), x.T @ (rows * (y - more))
        )
    least = _Loss(link=link, x=x, y=y, penalty=penalty, weights=rows, offset=more)
    start = np.zeros(x.shape[1])
    if link == "poisson":
        mean = float(rows @ y) / float(rows @ np.exp(more))
        start[0] = np.log(max(mean, 1e-9))
    return least.fitted(start)


@dataclass(frozen=True, repr=False, kw_only=True)
class _Loss:
    """Σ w l(x c + o, y) + ½ c' P c, and where it is least."""

    link: str
    x: Floats
    y: Floats
    penalty: Floats
    weights: Floats
    offset: Floats

    def at(self, found: Floats) -> float:
        scores = np.minimum(self.x @ found + self.offset, _FARTHEST)
        whole = np.exp(scores) if self.link == "poisson" else np.logaddexp(0.0, scores)
        return float(self.weights @ (whole - self.y * scores) + 0.5 * self.penalty @ found**2)

    def fitted(self, found: Floats) -> Floats:
        """By damped Newton steps from `found`. Raises `Refused` where these do not end."""
        value = self.at(found)
        for _ in range(_STEPS):
            scores = np.minimum(self.x @ found + self.offset, _FARTHEST)
            residual = self.weights * (mean_of(self.link, scores) - self.y)
            gradient = self.x.T @ residual + self.penalty * found
            slopes = self.weights * slope_of(self.link, scores)
            curved = (self.x * slopes[:, None]).T @ self.x + np.diag(self.penalty)
            step = solve_symmetric(curved, gradient)
            if float(gradient @ step) <= _DONE * max(1.0, abs(value)):
                return np.asarray(found - step)
            size, tried = 1.0, self.at(found - step)
            for _ in range(_HALVINGS):
                if tried < value:
                    break
                size /= 2
                tried = self.at(found - size * step)
            found, value = found - size * step, tried
        raise Refused("the label party's own columns alone have no fit")
