"""A part that weighs each column by one number: what every generalised linear model leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.models.model import Floats, Part
from psi.protocol import MisuseError

__all__ = ["LinearPart"]


@dataclass(frozen=True, eq=False)
class LinearPart(Part):
    """Coefficients `float64[d]`, and the intercept, which is the label party's alone.

    Attributes:
        coefficients: `float64[d]`.
    """

    coefficients: Floats
    intercept: float = 0.0

    def __repr__(self) -> str:
        return f"<linear part of {self.width} columns>"

    @property
    def width(self) -> int:
        """How many encoded columns it takes."""
        return len(self.coefficients)

    def scores(self, matrix: Floats) -> Floats:
        """Weighted sums of the columns, and the intercept."""
        return np.asarray(matrix @ self.coefficients + self.intercept)

    def contributions(self, matrix: Floats, average: Floats) -> Floats:
        """(value - average) times coefficient."""
        return np.asarray((matrix - average) * self.coefficients)

    def importance(self, matrix: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """|coefficient| times standard deviation, and the coefficient's sign."""
        spread = matrix.std(axis=0) if len(matrix) else np.zeros(self.width)
        return np.abs(self.coefficients) * spread, np.sign(self.coefficients).astype(np.int64)

    def joined(self, others: Sequence[Part]) -> LinearPart:
        """Coefficients one after another, the sum of intercepts."""
        parts = [self, *(other for other in others if isinstance(other, LinearPart))]
        if len(parts) != len(others) + 1:
            raise MisuseError("parts of different models")
        coefficients = np.concatenate([part.coefficients for part in parts])
        return LinearPart(coefficients, sum(part.intercept for part in parts))

    def difference(self, other: Part) -> float:
        """Of a coefficient or the intercept, over the largest coefficient."""
        if not isinstance(other, LinearPart) or other.width != self.width:
            raise MisuseError("parts of different models or columns")
        gap = np.abs(np.append(self.coefficients - other.coefficients, 0.0))
        gap[-1] = abs(self.intercept - other.intercept)
        return float(gap.max() / np.abs(self.coefficients).max(initial=np.finfo(float).tiny))

    def plain(self) -> dict[str, Any]:
        """Coefficients and intercept."""
        return {"coefficients": self.coefficients.tolist(), "intercept": float(self.intercept)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> LinearPart:
        """The part that `plain` described. Raises `MisuseError`."""
        try:
            found = np.array(plain["coefficients"], np.float64), float(plain["intercept"])
        except (KeyError, TypeError, ValueError):
            raise MisuseError("this is no saved linear part") from None
        if set(plain) != {"coefficients", "intercept"} or found[0].ndim != 1:
            raise MisuseError("this is no saved linear part")
        if not np.isfinite(np.append(*found)).all():
            raise MisuseError("a saved linear part has numbers that are not finite")
        return cls(*found)
