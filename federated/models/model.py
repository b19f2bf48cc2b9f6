"""What every model can say of a score, and every part of one of its columns.

A score is a number a row that parties add up: the sum of what their columns contribute. The link
is the canonical one, so that the loss changes with the score by prediction less answer, whatever
the model (McCullagh and Nelder, Generalized Linear Models, 1989, section 2.2.4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Model", "Part", "has_answer"]

Floats = NDArray[np.float64]


def has_answer(label: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have one.

    Args:
        label: `[rows]`: classes 1 and 0, -1 for none; or floats, NaN for none.
    """
    return np.asarray(~np.isnan(label) if label.dtype.kind == "f" else label >= 0)


class Part(ABC):
    """One party's part of a fitted model, over its own encoded columns."""

    @property
    @abstractmethod
    def width(self) -> int:
        """How many encoded columns it takes."""

    @abstractmethod
    def scores(self, matrix: Floats) -> Floats:
        """What it adds to the score of each row of `float64[n, d]`: `float64[n]`."""

    @abstractmethod
    def contributions(self, matrix: Floats, average: Floats) -> Floats:
        """By how much each column moves each row's score from that of the average row.

        Args:
            matrix: `float64[n, d]`.
            average: `float64[d]`, the mean row.

        Returns:
            `float64[n, d]`; a row's sum is its score less the average row's, where the part is
            linear.
        """

    @abstractmethod
    def importance(self, matrix: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """How far each column moves scores over these rows, and which way.

        Args:
            matrix: `float64[n, d]`.

        Returns:
            Standard deviations of contributions `float64[d]`, and -1, 0 or 1 as the score falls
            or rises with the column `int64[d]`.
        """

    @abstractmethod
    def joined(self, others: Sequence[Part]) -> Part:
        """This part and those of the other parties as one, over their columns side by side."""

    @abstractmethod
    def difference(self, other: Part) -> float:
        """The largest difference from another part of the same columns, as a share of this one."""

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """What `Model.part_of` makes the part of again: numbers, texts and lists only."""


class Model(ABC):
    """A kind of model: `predict` and its inverse `link`, `loss`, and its curvature."""

    name: ClassVar[str]
    """In contracts, job files and saved models."""
    words: ClassVar[str]
    """In reports: "logistic regression"."""
    classes: ClassVar[bool] = False
    """Whether answers are 1 and 0, -1 for none; else they are numbers, NaN for none."""

    @abstractmethod
    def predict(self, scores: Floats) -> Floats:
        """Predictions of scores, element by element."""

    @abstractmethod
    def link(self, predictions: Floats) -> Floats:
        """Scores of predictions: the inverse of `predict`, with its ends drawn in."""

    @abstractmethod
    def loss(self, scores: Floats, answers: NDArray[Any]) -> float:
        """The sum of the rows' losses, without a penalty."""

    @abstractmethod
    def curvature(self, scores: Floats) -> Floats:
        """The second derivative of each row's loss in its score."""

    @abstractmethod
    def part_of(self, plain: Mapping[str, Any]) -> Part:
        """The part that `Part.plain` described.

        Raises:
            MisuseError: it describes no part of this model.
        """

    def deviance(self, predictions: Floats, answers: NDArray[Any]) -> float:
        """How far predictions are from the answers, summed over rows; 0 where all are right."""
        return 2.0 * self.loss(self.link(predictions), answers)

    def slope(self, scores: Floats, answers: NDArray[Any]) -> Floats:
        """The first derivative of each row's loss in its score: prediction less answer."""
        return np.asarray(self.predict(scores) - answers)

    def __repr__(self) -> str:
        return f"<model {self.name}>"
