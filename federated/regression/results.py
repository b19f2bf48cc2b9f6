"""What each party holds at the end of a regression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.plan import Opened

__all__ = ["FeatureFit", "LabelFit"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False, kw_only=True)
class LabelFit:
    """What the label party holds at the end.

    coefficients: `float64[a]` of its own columns as they were passed in; intercept;
    scores: `float64[n]`, a prediction (a chance, a mean) for every aligned row; of a row with a
        fold by the model that did not see it, since no other tells its final number;
    fold_scores: `float64[n]`, these alone; NaN elsewhere; with `score_bits` of 0 all are NaN;
    own: `float64[n]`, the own part of each row's score, intercept and offset included;
    centre, scale: a label is centre + 2^scale times what `own` is in the unit of;
    brought: how many columns all partners together had, as their layouts say;
    score_bits: how finely a row's number was told;
    evaluations: of all rows, the plan's at most: fewer where the gradient was noise, or nothing;
    gradient_left: how far the last evaluation of all rows was from the optimum, in standard
        errors: the Newton decrement by the metric at hand. The fit is a step better than that;
    opened: numbers that were opened to this party;
    bounded: own values that counted as BOUND standard deviations from the median (`columns.py`);
    spoilt: sums came that residuals of these rows cannot have, or a step led beyond all scores: the
        other side's software is at fault, or lies, or no fit settles. The model says nothing. That
        is known here alone: whether a run ends would compare sums with numbers of its choosing;
    log: for each evaluation its `evaluation`, `fold` (-1: all rows), `gradient_left` before its
        step, and the `range` of the partner's score that its table spans (0 for linear).
    """

    coefficients: Floats
    intercept: float
    scores: Floats
    fold_scores: Floats
    own: Floats
    brought: int
    score_bits: int
    evaluations: int
    gradient_left: float
    opened: Opened
    bounded: int
    spoilt: bool
    log: tuple[dict[str, Any], ...] = field(default=())
    centre: float = 0.0
    scale: int = 0

    def told(self, scores: Floats) -> Floats:
        """Scores in the label's unit, as the model's link takes them."""
        return np.asarray(self.centre + np.ldexp(scores, self.scale))

    def within(self, answers: Floats) -> Floats:
        """Answers in the unit of `own`, NaN where there are none."""
        return np.asarray(np.ldexp(answers - self.centre, -self.scale))


@dataclass(frozen=True, repr=False, kw_only=True)
class FeatureFit:
    """A feature party's part of the model.

    coefficients: `float64[b]` for the columns as they were passed in;
    told_rows: rows whose final number was told, once each; score_bits: how finely;
    own: `float64[n]`, the own part of each row's final score, by the model that did not see it;
    labelled: `bool[n]`, the rows trained on; folds: `int8[n]`, -1 for none;
    evaluations, gradient_left, opened, bounded, spoilt: as in `LabelFit`.
    """

    coefficients: Floats
    told_rows: int
    own: Floats
    labelled: NDArray[np.bool_]
    folds: NDArray[np.int8]
    score_bits: int
    evaluations: int
    gradient_left: float
    opened: Opened
    bounded: int
    spoilt: bool
