"""Linear regression: a score is the expected number itself, its loss half the squared error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.models.linear import LinearPart
from federated.models.model import Floats, Model

__all__ = ["LINEAR", "Linear"]


class Linear(Model):
    """Labels are any numbers."""

    name = "linear"
    words = "linear regression"

    def predict(self, scores: Floats) -> Floats:
        """The scores."""
        return np.asarray(scores, np.float64)

    def link(self, predictions: Floats) -> Floats:
        """The predictions."""
        return np.asarray(predictions, np.float64)

    def loss(self, scores: Floats, answers: NDArray[Any]) -> float:
        """Half the sum of squared errors."""
        return 0.5 * self.deviance(scores, answers)

    def curvature(self, scores: Floats) -> Floats:
        """1."""
        return np.ones_like(scores, np.float64)

    def deviance(self, predictions: Floats, answers: NDArray[Any]) -> float:
        """The sum of squared errors."""
        return float(np.square(np.asarray(predictions) - answers).sum())

    def part_of(self, plain: Mapping[str, Any]) -> LinearPart:
        """Coefficients and intercept. Raises `MisuseError`."""
        return LinearPart.of(plain)


LINEAR = Linear()
