"""Boosted trees over joined rows that tell no row's side, at one of the two parties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from federated.contract.kinds.train_hidden import TrainHidden as Terms
from federated.contract.kinds.train_hidden import hidden_plan
from federated.contract.terms import TrainTerms
from federated.hidden_trees import (
    HiddenFeatureModel,
    HiddenFeatureParty,
    HiddenLabelModel,
    HiddenLabelParty,
)
from federated.steps.kept_models import keep_feature_part, keep_label_part
from federated.steps.outcome import Boosted, HiddenGrown
from federated.steps.train_boosted import Brought, TrainBoosted
from psi.protocol import Context

__all__ = ["TrainHidden"]


class TrainHidden(TrainBoosted):
    """Both parties keep their part of the model."""

    kind = Terms()

    def _label_role(
        self,
        context: Context,
        terms: TrainTerms,
        brought: Brought,
        label: np.ndarray,
        valid: np.ndarray | None,
    ) -> HiddenLabelParty:
        return HiddenLabelParty(
            context,
            terms.partners[0],
            brought.bins,
            brought.binning.layout,
            label,
            plan=hidden_plan(self._work.contract, terms),
            most=sum(brought.most.values()),
        )

    def _feature_role(
        self, context: Context, terms: TrainTerms, brought: Brought
    ) -> HiddenFeatureParty:
        return HiddenFeatureParty(
            context,
            self._work.contract.receiver,
            brought.bins,
            brought.binning.layout,
            plan=hidden_plan(self._work.contract, terms),
            most=sum(brought.most.values()),
        )

    def _grown(self, trained: Boosted, fit: Any, table: pa.Table) -> HiddenGrown:
        trees = HiddenLabelModel.of(fit, trained.binning, trained.terms.score_bits)
        grown = HiddenGrown(**vars(trained), trees=trees)
        keep_label_part(self._work, grown, table)
        return grown

    def _won(self, terms: TrainTerms, fit: Any, brought: Brought) -> None:
        won = HiddenFeatureModel.of(fit, brought.binning)
        card = {"columns": len(brought.binning.columns)}
        keep_feature_part(self._work, terms, brought.table, card, trees=won)

    def _told(self, terms: TrainTerms, fit: Any) -> dict[str, int]:
        return {"score_bits": terms.score_bits}
