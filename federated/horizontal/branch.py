"""One party's side of horizontal training: sums over its own rows, masked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.horizontal.secure_sum import SecureSum
from psi.protocol import PeerError

__all__ = ["BINS", "Branch", "Question"]

BINS = 2048
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Question:
    """What the coordinator asks in one round, the same of every party.

    `stage` is "moments", "step" or "scores"; `models` is `float64[folds + 1, d + 1]`, row 0
    for all rows, row f + 1 without fold f, the intercept last; `mean` and `scale` standardise.
    """

    number: int
    stage: str
    models: Floats
    mean: Floats
    scale: Floats


class Branch:
    """Rows of one party: `x` float64[n, d] without missing values, `y` of 0 and 1, `fold`."""

    def __init__(self, x: Floats, y: np.ndarray, fold: np.ndarray, masks: SecureSum) -> None:
        self._x, self._y, self._fold, self._masks = x, y.astype(np.float64), fold, masks

    def __repr__(self) -> str:
        return f"<branch of {len(self._x)} rows>"

    def answer(self, question: Question) -> np.ndarray:
        """The masked sums: `uint64[m]`."""
        sums = {"moments": self._moments, "step": self._step, "scores": self._scores}
        if question.stage not in sums:
            raise PeerError("a stage that the plan does not have", step="horizontal")
        width = self._x.shape[1]
        shapes = (question.models.shape[1:], question.mean.shape, question.scale.shape)
        if shapes != ((width + 1,), (width,), (width,)) or not np.isfinite(question.models).all():
            raise PeerError("a model of another shape", step="horizontal")
        values = sums[question.stage](question)
        return self._masks.mask(values, f"{question.number} {question.stage}")

    def _moments(self, question: Question) -> Floats:
        del question
        counts = [float(len(self._x)), float(self._y.sum())]
        return np.concatenate([counts, self._x.sum(axis=0), (self._x**2).sum(axis=0)])

    def _standard(self, question: Question) -> Floats:
        return np.column_stack([(self._x - question.mean) / question.scale, np.ones(len(self._x))])

    def _step(self, question: Question) -> Floats:
        """For every model loss, gradient and curvature over its training rows."""
        x, parts = self._standard(question), []
        upper = np.triu_indices(x.shape[1])
        for number, w in enumerate(question.models):
            rows = self._fold != number - 1
            own, y = x[rows], self._y[rows]
            z = own @ w
            p = 0.5 * (1 + np.tanh(z / 2))
            curvature = (own * (p * (1 - p))[:, None]).T @ own
            loss = np.logaddexp(0, z).sum() - y @ z
            parts += [[loss], own.T @ (p - y), curvature[upper]]
        return np.concatenate(parts)

    def _scores(self, question: Question) -> Floats:
        """Histograms of held-out scores by fold and label."""
        x, parts = self._standard(question), []
        for number, w in enumerate(question.models[1:]):
            rows = self._fold == number
            p = 0.5 * (1 + np.tanh((x[rows] @ w) / 2))
            place = np.minimum((p * BINS).astype(np.int64), BINS - 1)
            for label in (0.0, 1.0):
                parts.append(np.bincount(place[self._y[rows] == label], minlength=BINS))
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros(1)
