"""The coordinator's side: a model from noised sums.

It holds no rows and sees totals only, each with the noise of every party. The objective is that of
scikit-learn's LogisticRegression(C=1) on pooled rows, standardised by pooled mean and deviation,
with values beyond `CLIP` deviations and rows beyond `radius` drawn in. Curvature is told once, as
products of columns: at the first model, where every row's weight is that of the class's share, it
is these products. Gradients of later steps correct it along the steps taken (BFGS, where the noise
lets a difference of gradients show). Directions that the noise of the products drowns are moved
along slowly.

A fold's model is the whole one, moved by what the gradient of its rows differs by from the other
folds' (one Newton step to leave them out): one answer for all folds, in which a row stands once.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from federated.horizontal.branch import Question, clipped
from federated.horizontal.plan import BINS, Plan
from federated.models.linear import LinearPart
from federated.models.logistic import LOGISTIC
from psi.protocol import Refused

__all__ = ["Coordinator", "HorizontalFit"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

LONGEST_STEP = 2.0
"""Root mean square by which a step may move the rows' scores."""


@dataclass(frozen=True, kw_only=True)
class HorizontalFit:
    """The model, in standardised and clipped columns, and what was learned with it.

    `positives` and `fold_aucs` are from noised counts over all parties' rows; `log` has, for each
    step, by how much it moved the scores (root mean square).

    Attributes:
        coefficients: `float64[d]`, a standardised column each.
        intercept: of the scores.
        scale: `float64[d]`, each column's standard deviation.
    """

    coefficients: Floats
    intercept: float
    mean: Floats
    scale: Floats
    rows: int
    positives: int
    fold_aucs: Floats
    log: Floats

    @property
    def part(self) -> LinearPart:
        """The model over standardised and clipped columns."""
        return LinearPart(self.coefficients, self.intercept)

    def predict(self, x: Floats) -> Floats:
        """Probabilities of `float64[n, d]` rows in original units."""
        return LOGISTIC.predict(self.part.scores(clipped(x, self.mean, self.scale)))


class Coordinator:
    """Asks, adds up, and moves the model. `question` and `take` alternate.

    Args:
        plan: columns, folds, steps and bits, as in the contract.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._mean, self._scale = np.zeros(plan.columns), np.ones(plan.columns)
        self._unit = np.zeros(plan.columns, bool)
        self._model = np.zeros(plan.width)
        self._folds = np.zeros((plan.folds, plan.width))
        self._curvature = self._scatter = np.eye(plan.width)
        self._before: tuple[Floats, Floats] | None = None
        self._number, self._rows, self._positives = 0, 0, 0.0
        self._penalty = np.append(np.ones(plan.columns), 0.0)
        self._aucs = np.zeros(0)
        self._log: list[float] = []

    def question(self) -> Question:
        """What to ask next."""
        stage = self.plan.stage(self._number)
        models = self._folds if stage == "scores" else self._model[None]
        return Question(
            self._number, stage, models[: self.plan.models(stage)], self._mean, self._scale,
            self._edges()[: self.plan.edges(stage)],
        )  # fmt: skip

    def take(self, sums: Floats) -> None:
        """The totals that answer the last question."""
        {
            "sums": self._sums,
            "spread": self._spread,
            "products": self._products,
            "step": self._step,
            "folds": self._leave_out,
            "scores": self._scores,
        }[self.plan.stage(self._number)](sums)
        self._number += 1

    def result(self) -> HorizontalFit:
        """The fit, once all rounds are done."""
        w = self._model
        return HorizontalFit(
            coefficients=w[:-1],
            intercept=float(w[-1]),
            mean=self._mean,
            scale=self._scale,
            rows=self._rows,
            positives=round(self._positives),
            fold_aucs=self._aucs,
            log=np.array(self._log),
        )

    def _sums(self, sums: Floats) -> None:
        columns, rows, positives = self.plan.columns, float(sums[0]), float(sums[1])
        self._rows, self._positives = round(rows), positives
        if min(positives, rows - positives) < 20:
            raise Refused("fewer than 20 rows of one class in all parties together")
        self._mean = sums[2 : 2 + columns] / rows
        distance = sums[2 + columns :] / rows
        self._unit = distance > 1e-12
        self._scale = np.where(self._unit, distance, 1.0)  # a unit, for now
        self._model[-1] = np.log(positives / (rows - positives))

    def _spread(self, sums: Floats) -> None:
        variance = sums / self._rows
        deviation = np.sqrt(np.maximum(variance, 0.0))
        # a deviation is never below the mean distance, which is the unit
        self._scale = self._scale * np.where(self._unit, np.maximum(deviation, 1.0), 1.0)
        bare = ~self._unit & (deviation > 1e-6)  # the same value in all of a party's rows
        self._scale[bare] = deviation[bare]

    def _products(self, sums: Floats) -> None:
        """The curvature at the first model, and the first step."""
        plan = self.plan
        found = np.zeros((plan.width, plan.width))
        found[np.triu_indices(plan.width)] = sums[: plan.products]
        found += np.triu(found, 1).T
        values, vectors = np.linalg.eigh(found)
        self._scatter = (vectors * np.maximum(values, 0.0)) @ vectors.T / self._rows
        noise = plan.noise("products") * plan.radius**2 * np.sqrt(plan.parties * plan.width)
        share = self._positives / self._rows
        floored = (vectors * (np.maximum(values, 0.0) + noise)) @ vectors.T
        self._curvature = share * (1 - share) * floored + np.diag(self._penalty)
        self._step(sums[plan.products :])

    def _step(self, sums: Floats) -> None:
        gradient = sums + self._penalty * self._model
        if self._before is not None:
            self._learn(self._model - self._before[0], gradient - self._before[1])
        self._before = self._model, gradient
        step = -np.linalg.solve(self._curvature, gradient)
        length = float(np.sqrt(step @ self._scatter @ step))
        step *= min(1.0, LONGEST_STEP / max(length, 1e-300))
        self._log.append(min(length, LONGEST_STEP))
        self._model = self._model + step

    def _learn(self, step: Floats, change: Floats) -> None:
        """Correct the curvature by how the gradient has changed along a step."""
        plan, expected = self.plan, self._curvature @ step
        before, found = float(step @ expected), float(step @ change)
        noise = plan.noise("step") * plan.radius * np.sqrt(2.0 * plan.parties)
        if found < 2 * noise * np.linalg.norm(step) or before <= 0:
            return
        if np.linalg.norm(change) > 5 * noise * np.sqrt(plan.width):
            gained = np.outer(change, change) / found
        else:  # along the step only: elsewhere the change is noise
            gained = np.outer(expected, expected) * (min(found / before, 16.0) / before)
        self._curvature = self._curvature - np.outer(expected, expected) / before + gained

    def _leave_out(self, sums: Floats) -> None:
        """Each fold's model: the whole one without what its rows drew it by."""
        folds = self.plan.folds
        parts = sums.reshape(folds, self.plan.width)
        drawn = np.linalg.solve(self._curvature, (parts - parts.mean(axis=0)).T).T
        self._folds = self._model + drawn * (folds / (folds - 1))

    def _edges(self) -> Floats:
        """Of bins that would hold as many scores each, if scores were normal."""
        w = self._model
        spread = np.sqrt(max(float(w[:-1] @ self._scatter[:-1, :-1] @ w[:-1]), 1e-12))
        normal = NormalDist(float(w[-1]), float(spread))
        return np.array([normal.inv_cdf(number / BINS) for number in range(1, BINS)])

    def _scores(self, sums: Floats) -> None:
        counts = sums.reshape(self.plan.folds, 2, BINS)
        self._aucs = np.array([_auc(negative, positive) for negative, positive in counts])


def _auc(negative: Floats, positive: Floats) -> float:
    """From noised histograms; scores of one bin count as ties."""
    below = np.cumsum(negative) - negative
    pairs = float(negative.sum() * positive.sum())
    if min(negative.sum(), positive.sum()) <= 0:
        return float("nan")
    return float(np.clip((positive * (below + negative / 2)).sum() / pairs, 0.0, 1.0))
