"""How good predictions of numbers are: squared and absolute error, and what share is explained.

What is explained is 1 less the predictions' deviance over that of the mean answer: R² where the
deviance is the squared error, D² of counts (Cameron and Windmeijer, "R-squared measures for count
data regression models", 1996). Rows without an answer are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.evaluation import Interval, mean_interval
from federated.models import Model

__all__ = ["Goodness", "goodness"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Goodness:
    """One score's errors over all rows, in the label's unit, and the share that it explains.

    `by_fold` are the shares within folds, each against the mean of its own rows, and `interval`
    over these; empty and None without folds.

    Attributes:
        name: whose score it is.
        rows: that have an answer.
        rmse: root of the mean squared error.
        mae: mean absolute error.
        explained: 1 at best; below 0 the mean answer would be nearer.
    """

    name: str
    rows: int
    rmse: float
    mae: float
    explained: float
    by_fold: tuple[float, ...] = ()
    interval: Interval | None = None

    @property
    def mean_explained(self) -> float:
        """The folds' mean, or that of all rows where there are none."""
        return self.interval.mean if self.interval else self.explained


def goodness(
    name: str, model: Model, label: Array, score: Array, folds: Array | None = None
) -> Goodness:
    """Measure predictions on the rows that have an answer.

    Args:
        name: what the report calls it.
        model: whose deviance counts.
        label: `float64[rows]`, NaN for none.
        score: `float64[rows]`, predictions.
        folds: `[rows]`, the fold each row was held out in, -1 for none.
    """
    held = ~np.isnan(np.asarray(label, np.float64))
    if folds is not None:
        held &= np.asarray(folds) >= 0
    y, found = np.asarray(label, np.float64)[held], np.asarray(score, np.float64)[held]
    by_fold: tuple[float, ...] = ()
    if folds is not None:
        inside = [np.asarray(folds)[held] == fold for fold in range(int(np.max(folds)) + 1)]
        by_fold = tuple(_explained(model, y[rows], found[rows]) for rows in inside)
    return Goodness(
        name=name,
        rows=len(y),
        rmse=float(np.sqrt(np.mean(np.square(found - y)))),
        mae=float(np.mean(np.abs(found - y))),
        explained=_explained(model, y, found),
        by_fold=by_fold,
        interval=mean_interval(np.array(by_fold)) if by_fold else None,
    )


def _explained(model: Model, y: Array, found: Array) -> float:
    """NaN where all answers are the same."""
    whole = model.deviance(np.full(len(y), y.mean()), y) if len(y) else 0.0
    return 1.0 - model.deviance(found, y) / whole if whole > 0 else float("nan")
