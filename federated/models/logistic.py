"""Logistic regression: a score is the log-odds of the label being 1, a prediction its chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.models.linear import LinearPart
from federated.models.model import Floats, Model

__all__ = ["LOGISTIC", "Logistic", "sigmoid"]

_NEAREST = 1e-12
"""How near to 0 and 1 a chance may be, for its log-odds to be taken."""


def sigmoid(scores: Floats) -> Floats:
    """1 / (1 + exp(-z)) without overflow."""
    small = np.exp(-np.abs(scores))
    return np.where(scores >= 0, 1.0, small) / (1.0 + small)


class Logistic(Model):
    """Labels 0 and 1, log-loss."""

    name = "logistic"
    words = "logistic regression"
    classes = True

    def predict(self, scores: Floats) -> Floats:
        """Chances of log-odds."""
        return sigmoid(scores)

    def link(self, predictions: Floats) -> Floats:
        """Log-odds of chances."""
        clipped = np.clip(np.asarray(predictions, np.float64), _NEAREST, 1 - _NEAREST)
        return np.asarray(np.log(clipped / (1 - clipped)))

    def loss(self, scores: Floats, answers: NDArray[Any]) -> float:
        """The sum of log-losses."""
        # the sign form keeps the digits where a score is large and right
        signed = np.where(np.asarray(answers) == 1, -scores, scores)
        return float(np.logaddexp(0.0, signed).sum())

    def curvature(self, scores: Floats) -> Floats:
        """p (1 - p)."""
        chance = sigmoid(scores)
        return chance * (1.0 - chance)

    def part_of(self, plain: Mapping[str, Any]) -> LinearPart:
        """Coefficients and intercept. Raises `MisuseError`."""
        return LinearPart.of(plain)


LOGISTIC = Logistic()
