"""Rows are scored by kept trees that tell no row's side, at one party."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from federated.contract.terms import ScoreTerms
from federated.hidden_trees import (
    HiddenFeatureModel,
    HiddenLabelModel,
    HiddenScorePartner,
    HiddenScoreReceiver,
)
from federated.hidden_trees.rounding import margins
from federated.scoring.model_file import ModelPart
from federated.steps.outcome import Scored
from federated.steps.score import Score, told_of

__all__ = ["ScoreHidden"]


class ScoreHidden(Score):
    """Each such scoring is a step; all of its rows are booked, for nobody knows who got what."""

    hidden: ClassVar[bool] = True

    def _receiver(self, terms: ScoreTerms, part: ModelPart) -> dict[str, int]:
        work, step, table = self._work, f"score/{terms.task}", self._work.aligned()
        trees = part.trees
        assert isinstance(trees, HiddenLabelModel)  # noqa: S101  the part has been looked at
        bins, partner = trees.binning.transform(table), terms.partners[0]
        role = HiddenScoreReceiver(
            work.session.context(step), partner, trees, bins, terms.score_bits
        )
        scores = margins(trees.base, work.run(step, role, [partner]))
        unknown = np.full(len(scores), np.nan)
        self._keep(Scored(terms=terms, part=part, scores=scores, partners=unknown))
        return told_of(terms)

    def _partner(self, terms: ScoreTerms, part: ModelPart) -> dict[str, int]:
        work, step, table = self._work, f"score/{terms.task}", self._work.aligned()
        trees, receiver = part.trees, work.contract.receiver
        assert isinstance(trees, HiddenFeatureModel)  # noqa: S101  the part has been looked at
        work.reserve(step)
        bins = trees.binning.transform(table)
        role = HiddenScorePartner(
            work.session.context(step), receiver, trees, bins, terms.score_bits
        )
        work.run(step, role, [receiver])
        return told_of(terms)
