"""Poisson regression: a score is the logarithm of the expected count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.models.linear import LinearPart
from federated.models.model import Floats, Model

__all__ = ["POISSON", "Poisson"]

_FARTHEST = 300.0
"""How large a score may be before its exponential is drawn in: e^300 is beyond any count."""
_LEAST = 1e-12
"""How small a mean may be, for its logarithm to be taken."""


class Poisson(Model):
    """Labels are counts from 0 on."""

    name = "poisson"
    words = "Poisson regression"

    def predict(self, scores: Floats) -> Floats:
        """Expected counts."""
        return np.asarray(np.exp(np.clip(scores, -_FARTHEST, _FARTHEST)))

    def link(self, predictions: Floats) -> Floats:
        """Their logarithms."""
        return np.asarray(np.log(np.maximum(np.asarray(predictions, np.float64), _LEAST)))

    def loss(self, scores: Floats, answers: NDArray[Any]) -> float:
        """The sum of negative log-likelihoods, without what the scores do not change."""
        return float((self.predict(scores) - np.asarray(answers) * scores).sum())

    def curvature(self, scores: Floats) -> Floats:
        """The expected count."""
        return self.predict(scores)

    def deviance(self, predictions: Floats, answers: NDArray[Any]) -> float:
        """Twice the log-likelihood that is left to a perfect model (McCullagh and Nelder, 2.3)."""
        mean, y = np.maximum(predictions, _LEAST), np.asarray(answers, np.float64)
        entropy = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / mean), 0.0)
        return float(2.0 * (entropy - (y - mean)).sum())

    def part_of(self, plain: Mapping[str, Any]) -> LinearPart:
        """Coefficients and intercept. Raises `MisuseError`."""
        return LinearPart.of(plain)


POISSON = Poisson()
