"""The coordinator's side: Newton steps on sums, for all folds at once.

It holds no rows and sees totals only. The objective is scikit-learn's LogisticRegression(C=1) on
pooled rows, standardised by pooled mean and deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.horizontal.branch import BINS, Question
from psi.protocol import Refused

__all__ = ["Coordinator", "HorizontalFit", "Plan"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Plan:
    """Columns, folds (0: none) and Newton rounds."""

    columns: int
    folds: int = 5
    steps: int = 12

    @property
    def rounds(self) -> int:
        """Moments, steps, and the scores of the folds."""
        return 1 + self.steps + (1 if self.folds else 0)

    def stage(self, number: int) -> str:
        """What round `number` asks for."""
        if number == 0:
            return "moments"
        return "step" if number <= self.steps else "scores"


@dataclass(frozen=True)
class HorizontalFit:
    """The model, in standardised columns, and what was learned with it.

    `fold_aucs` are over all parties' held-out rows, from histograms of 2,048 bins; `log` has
    the objective of the full model after each step.
    """

    coefficients: Floats
    intercept: float
    mean: Floats
    scale: Floats
    rows: int
    positives: int
    fold_aucs: Floats
    log: Floats

    def predict(self, x: Floats) -> Floats:
        """Probabilities of `float64[n, d]` rows in original units."""
        z = ((x - self.mean) / self.scale) @ self.coefficients + self.intercept
        return np.asarray(0.5 * (1 + np.tanh(z / 2)))


class Coordinator:
    """Asks, adds up, and moves the models. `question` and `take` alternate."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        width = plan.columns + 1
        self._models = np.zeros((plan.folds + 1, width))
        self._best = np.full(plan.folds + 1, np.inf)
        self._last = self._models.copy()
        self._mean, self._scale = np.zeros(plan.columns), np.ones(plan.columns)
        self._number, self._rows, self._positives = 0, 0, 0
        self._aucs = np.zeros(0)
        self._log: list[float] = []

    def question(self) -> Question:
        """What to ask next."""
        stage = self.plan.stage(self._number)
        return Question(self._number, stage, self._models, self._mean, self._scale)

    def take(self, sums: Floats) -> None:
        """The totals that answer the last question."""
        stage = self.question().stage
        {"moments": self._moments, "step": self._steps, "scores": self._scores}[stage](sums)
        self._number += 1

    def result(self) -> HorizontalFit:
        """The fit, once all rounds are done."""
        w = self._models[0]
        return HorizontalFit(
            w[:-1], float(w[-1]), self._mean, self._scale, self._rows, self._positives,
            self._aucs, np.array(self._log),
        )  # fmt: skip

    def _moments(self, sums: Floats) -> None:
        columns = self.plan.columns
        rows, positives = float(sums[0]), float(sums[1])
        self._rows, self._positives = round(rows), round(positives)
        if min(positives, rows - positives) < 20:
            raise Refused("fewer than 20 rows of one class in all parties together")
        self._mean = sums[2 : 2 + columns] / rows
        variance = sums[2 + columns :] / rows - self._mean**2
        deviation = np.sqrt(np.maximum(variance, 0))
        self._scale = np.where(deviation > 1e-9, deviation, 1.0)
        self._models[:, -1] = np.log(positives / (rows - positives))
        self._last = self._models.copy()

    def _steps(self, sums: Floats) -> None:
        width = self.plan.columns + 1
        size = 1 + width + width * (width + 1) // 2
        penalty = np.ones(width)
        penalty[-1] = 0.0
        for number, part in enumerate(sums.reshape(-1, size)):
            w = self._models[number]
            value = float(part[0] + 0.5 * penalty @ w**2)
            if number == 0:
                self._log.append(value)
            if value > self._best[number] + 1e-6:
                self._models[number] = (w + self._last[number]) / 2
                continue
            curvature = np.zeros((width, width))
            curvature[np.triu_indices(width)] = part[1 + width :]
            curvature += np.triu(curvature, 1).T
            gradient = part[1 : 1 + width] + penalty * w
            step = np.linalg.lstsq(curvature + np.diag(penalty), gradient, rcond=None)[0]
            self._best[number], self._last[number] = value, w
            self._models[number] = w - step

    def _scores(self, sums: Floats) -> None:
        counts = np.rint(sums).reshape(self.plan.folds, 2, BINS)
        self._aucs = np.array([_auc(negative, positive) for negative, positive in counts])


def _auc(negative: Floats, positive: Floats) -> float:
    """From histograms; scores of one bin count as ties."""
    below = np.cumsum(negative) - negative
    pairs = negative.sum() * positive.sum()
    return float((positive * (below + negative / 2)).sum() / pairs) if pairs else float("nan")
