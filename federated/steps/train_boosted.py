"""Boosted trees over joined rows whose columns are at several parties, whatever they tell."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from federated.contract.few_rows import held_class_rows
from federated.contract.terms import TrainTerms
from federated.models import BOOSTED, LinearPart
from federated.steps.outcome import Boosted
from federated.steps.train_columns import TrainColumns
from federated.steps.training import HELD, folds_of, held_out, split_in_time
from federated.tables.encoding import Encoder
from federated.trees import Binning
from psi.protocol import Context, Refused, Role

__all__ = ["STOPS", "Brought", "TrainBoosted"]

STOPS = 1
"""The fold by whose loss training ends early, where it may."""


@dataclass(frozen=True)
class Brought:
    """A party's columns in bins, the rows behind them, and of each peer its columns at `most`."""

    table: pa.Table
    binning: Binning
    bins: list[np.ndarray]
    most: dict[str, int]


class TrainBoosted(TrainColumns):
    """A label party and feature parties; what a subclass gives is said of their trees alone."""

    needs_own = True
    """Whether the label party has to have a column."""

    @staticmethod
    def class_rows(terms: TrainTerms) -> int:
        return held_class_rows(terms.folds, terms.early_stop)

    def _label_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        for name in terms.partners:
            work.guard.gives(step, name)
        label, later = split_in_time(table, terms, work.me.table)
        folds, shown = held_out(work, terms, table, label)
        valid, grown_on = None, shown >= 0
        if terms.early_stop:
            valid = (folds_of(work, terms, table, label >= 0) == STOPS) & (shown >= 0)
            grown_on &= ~valid
        brought = self._brought(terms, table, terms.partners, grown_on, needed=self.needs_own)
        role = self._label_role(work.session.context(step), terms, brought, shown, valid)
        fit = work.run(step, role, terms.partners)
        scores = BOOSTED.predict(fit.margin)
        features = work.contract.features(terms, work.me.name)
        encoder = Encoder.fit(table, features, label >= 0)  # of the receiver's own model beside it
        matrix, names = encoder.transform(table)
        trained = Boosted(
            terms=terms,
            encoder=encoder,
            columns=list(names),
            partner_columns=sum(brought.most.values()),
            model=BOOSTED,
            part=LinearPart(np.zeros(0)),
            label=label,
            later=later,
            folds=folds,
            scores=scores,
            fold_scores=np.where(folds == HELD, scores, np.nan),
            own_matrix=matrix,
            binning=brought.binning,
            bins=brought.bins,
            brought=brought.most,
        )
        work.outcome.trained.append(self._grown(trained, fit, table))
        work.disclosed(f"train {terms.task}", rows=len(label), **self._told(terms, fit))

    def _feature_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        work.reserve(step)
        receiver = work.contract.receiver
        brought = self._brought(terms, table, [receiver])
        role = self._feature_role(work.session.context(step), terms, brought)
        fit = work.run(step, role, [receiver])
        self._won(terms, fit, brought)
        work.disclosed(f"train {terms.task}", rows=table.num_rows, **self._told(terms, fit))

    def _brought(
        self,
        terms: TrainTerms,
        table: pa.Table,
        peers: Sequence[str],
        rows: np.ndarray | None = None,
        *,
        needed: bool = True,
    ) -> Brought:
        """Own columns in bins. Raises `Refused` where there is none that is `needed`."""
        work = self._work
        binning = Binning.fit(table, work.contract.features(terms, work.me.name), rows)
        if needed and not binning.columns:
            raise Refused(
                f"{work.me.table}: no column of '{terms.task}' has two bins of 20 shared records",
                hint="more shared records, or other features",
            )
        most = {peer: len(work.contract.features(terms, peer)) for peer in peers}
        return Brought(table, binning, binning.transform(table), most)

    @abstractmethod
    def _label_role(
        self,
        context: Context,
        terms: TrainTerms,
        brought: Brought,
        label: np.ndarray,
        valid: np.ndarray | None,
    ) -> Role[Any]:
        """The label party's; `label` is that of rows that are not held out."""

    @abstractmethod
    def _feature_role(self, context: Context, terms: TrainTerms, brought: Brought) -> Role[Any]:
        """The feature party's."""

    @abstractmethod
    def _grown(self, trained: Boosted, fit: Any, table: pa.Table) -> Boosted:
        """The outcome at the label party; its part is kept, with aligned rows of this `table`."""

    @abstractmethod
    def _won(self, terms: TrainTerms, fit: Any, brought: Brought) -> None:
        """The feature party's part goes to the outcome, and is kept."""

    @abstractmethod
    def _told(self, terms: TrainTerms, fit: Any) -> dict[str, int]:
        """What was told of a row, for the ledger."""
