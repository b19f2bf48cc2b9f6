"""One model over joined rows whose columns are at three parties or more, at one of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.kinds.train_newton import TrainNewton as Terms
from federated.contract.terms import Contract, TrainTerms
from federated.models import LinearPart, model_named
from federated.steps.outcome import Trained
from federated.steps.step import Step
from federated.steps.training import check_label, folds_of, rows_of_a_record, split_in_time
from federated.steps.work import Work
from federated.tables.encoding import Encoder
from federated.vertical import FeatureParty, LabelParty, TrainingPlan
from federated.vertical.guards import check_classes, check_records

__all__ = ["TrainNewton"]


class TrainNewton(Step):
    """Each task is a step: the receiver holds its label, feature parties the other columns."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        for train in Terms().terms(contract):
            if contract.receiver == party:
                check_label(contract, table, train, contract.party(party))

    def run(self) -> None:
        work = self._work
        for terms in Terms().terms(work.contract):
            if work.receives:
                self._label_party(terms)
            elif work.session.name in terms.partners:
                self._feature_party(terms)

    def _label_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        label, later = split_in_time(table, terms, work.me.table)
        labelled = label >= 0
        features = work.contract.features(terms, work.me.name)
        encoder = Encoder.fit(table, features, labelled)  # sums run over these rows
        matrix, names = encoder.transform(table)
        if work.own is not None:
            check_classes(label[np.unique(work.own, return_index=True)[1]])
        folds = folds_of(work, terms, table, labelled)
        brought = {name: work.contract.design_columns(terms, name) for name in terms.partners}
        role = LabelParty(
            work.session.context(step),
            list(terms.partners),
            matrix,
            label,
            folds=folds if terms.folds else None,
            steps=terms.steps,
            fold_steps=terms.fold_steps,
            key=work.paillier_key(terms.key_bits),
            records=work.own,
            most=brought,
        )
        fit = work.run(step, role, terms.partners)
        work.outcome.trained.append(
            Trained(
                terms=terms,
                encoder=encoder,
                columns=list(names),
                partner_columns=sum(brought.values()),
                model=model_named(terms.model),
                part=LinearPart(fit.coefficients, fit.intercept),
                label=label,
                later=later,
                folds=folds,
                scores=fit.scores,
                fold_scores=fit.fold_scores,
                own_matrix=matrix,
                log=list(fit.log),
            )
        )
        work.disclosed(f"train {terms.task}", rows=len(label), score_vectors=fit.score_vectors)

    def _feature_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        work.reserve(step, times=rows_of_a_record(work))
        features = work.contract.features(terms, work.me.name)
        matrix, _ = Encoder.fit(table, features).transform(table)
        if work.own is not None:
            check_records(matrix, work.own)
        others = [name for name in terms.partners if name != work.session.name]
        role = FeatureParty(
            work.session.context(step),
            work.contract.receiver,
            matrix,
            partners=list(terms.partners),
            cap=terms.score_vectors,
            score_bits=terms.score_bits,
            row_bits=terms.row_bits,
            others=sum(work.contract.design_columns(terms, name) for name in others),
            key_bits=terms.key_bits,
            planned=TrainingPlan(terms.steps, terms.folds, terms.fold_steps),
            secrets={name: work.session.shared_secret(name, step) for name in others},
            records=work.own,
            repeats=None if work.own is None else work.outcome.rows,
        )
        fit = work.run(step, role, [work.contract.receiver, *others])
        work.outcome.parts[terms.task] = LinearPart(fit.coefficients)
        work.disclosed(f"train {terms.task}", rows=len(table), score_vectors=fit.score_vectors)
