"""Boosted trees over joined rows that tell no row's side, at one of the two parties."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.kinds.train_hidden import TrainHidden as Terms
from federated.contract.kinds.train_hidden import hidden_plan
from federated.contract.kinds.train_trees import held_class_rows
from federated.contract.terms import Contract, TrainTerms
from federated.hidden_trees import HiddenFeatureParty, HiddenLabelParty
from federated.models import BOOSTED, LinearPart
from federated.steps.outcome import HiddenGrown
from federated.steps.step import Step
from federated.steps.training import HELD, check_label, held_out, split_in_time
from federated.steps.work import Work
from federated.tables.encoding import Encoder
from federated.trees import Binning
from psi.protocol import Refused

__all__ = ["TrainHidden"]


class TrainHidden(Step):
    """Each task is a step: the receiver holds its label, the partner other columns."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        for train in Terms().terms(contract):
            if contract.receiver == party:
                least = held_class_rows(train.folds)
                check_label(contract, table, train, contract.party(party), least)

    def run(self) -> None:
        work = self._work
        for terms in Terms().terms(work.contract):
            if work.receives:
                self._label_party(terms)
            elif work.session.name in terms.partners:
                self._feature_party(terms)

    def _binned(self, terms: TrainTerms, table: pa.Table, rows: np.ndarray | None) -> Binning:
        """Own columns in bins. Raises `Refused` where there is none."""
        work = self._work
        binning = Binning.fit(table, work.contract.features(terms, work.me.name), rows)
        if not binning.columns:
            raise Refused(
                f"{work.me.table}: no column of '{terms.task}' has two bins of 20 shared records",
                hint="more shared records, or other features",
            )
        return binning

    def _label_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        partner = terms.partners[0]
        work.guard.gives(step, partner)
        label, later = split_in_time(table, terms, work.me.table)
        folds, shown = held_out(work, terms, table, label)
        binning = self._binned(terms, table, shown >= 0)
        bins, columns = binning.transform(table), len(work.contract.features(terms, partner))
        role = HiddenLabelParty(
            work.session.context(step),
            partner,
            bins,
            binning.layout,
            shown,
            plan=hidden_plan(work.contract, terms),
            most=columns,
        )
        fit = work.run(step, role, [partner])
        scores = BOOSTED.predict(fit.margin)
        features = work.contract.features(terms, work.me.name)
        encoder = Encoder.fit(table, features, label >= 0)  # of the receiver's own model beside it
        matrix, names = encoder.transform(table)
        work.outcome.trained.append(
            HiddenGrown(
                terms=terms,
                encoder=encoder,
                columns=list(names),
                partner_columns=columns,
                model=BOOSTED,
                part=LinearPart(np.zeros(0)),
                label=label,
                later=later,
                folds=folds,
                scores=scores,
                fold_scores=np.where(folds == HELD, scores, np.nan),
                own_matrix=matrix,
                binning=binning,
                bins=bins,
                splits=fit.splits,
            )
        )
        work.disclosed(f"train {terms.task}", rows=len(label), score_bits=terms.score_bits)

    def _feature_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        work.reserve(step)
        binning, receiver = self._binned(terms, table, None), work.contract.receiver
        role = HiddenFeatureParty(
            work.session.context(step),
            receiver,
            binning.transform(table),
            binning.layout,
            plan=hidden_plan(work.contract, terms),
            most=len(work.contract.features(terms, receiver)),
        )
        work.run(step, role, [receiver])
        work.disclosed(f"train {terms.task}", rows=table.num_rows, score_bits=terms.score_bits)
