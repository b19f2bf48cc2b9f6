"""One model over joined rows whose columns are at different parties, at one of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.few_rows import check_labelled, class_rows
from federated.contract.terms import Contract, PartyTerms, TrainTerms
from federated.models import LinearPart, model_named
from federated.steps.folds import FoldKey, dealt
from federated.steps.outcome import Trained
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.encoding import Encoder
from federated.tables.matrix import known_labels
from federated.vertical import FeatureParty, LabelParty, TrainingPlan
from federated.vertical.guards import check_classes, check_records
from psi.protocol import Refused

__all__ = ["TrainVertical"]


class TrainVertical(Step):
    """Each task is a step: the receiver holds its label, feature parties the other columns."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        terms = contract.party(party)
        for train in contract.train:
            if train.split == "vertical" and contract.receiver == party:
                _check_label(contract, table, train, terms)

    def run(self) -> None:
        work = self._work
        for terms in work.contract.train:
            if terms.split == "vertical" and work.receives:
                self._label_party(terms)
            elif terms.split == "vertical" and work.session.name in terms.partners:
                self._feature_party(terms)

    def _label_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        label = known_labels(table, terms.label, positive=terms.positive, where=work.me.table)
        labelled = label >= 0
        features = work.contract.features(terms, work.me.name)
        encoder = Encoder.fit(table, features, labelled)  # sums run over these rows
        matrix, names = encoder.transform(table)
        if work.own is not None:
            check_classes(label[np.unique(work.own, return_index=True)[1]])
        folds = self._folds(terms, table, labelled)
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
                folds=folds,
                scores=fit.scores,
                fold_scores=fit.fold_scores,
                own_matrix=matrix,
                log=list(fit.log),
            )
        )
        work.disclosed(f"train {terms.task}", rows=len(label), score_vectors=fit.score_vectors)

    def _folds(self, terms: TrainTerms, table: pa.Table, labelled: np.ndarray) -> np.ndarray:
        """`int64[rows]`: each labelled row's fold, the same whenever this job goes on; else -1."""
        if not terms.folds:
            return np.full(len(labelled), -1, np.int64)
        work, session, me = self._work, self._work.session, self._work.me

        def deal() -> bytes:
            if work.kept is None:
                key = FoldKey.of_job(session.keep("fold-key", lambda: session.random(32)), me)
            else:
                there = [*work.table.column_names, *work.source.columns(me.table)]
                key = FoldKey.kept(work.kept, me, there, session.random)
            names = work.guard.keys(key.levels, work.outcome.rows)
            return key.deal(names, table, terms.folds).astype("<i2").tobytes()

        name = f"folds-{terms.task.encode().hex()}"
        return dealt(session.keep(name, deal), labelled)

    def _feature_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        several = 1
        if work.own is not None:  # each of a record's rows is told by itself
            of_rows = np.unique(np.column_stack([work.own, work.outcome.rows]), axis=0)[:, 0]
            several = int(np.unique(of_rows, return_counts=True)[1].max())
        work.reserve(step, times=several)
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


def _check_label(contract: Contract, table: pa.Table, train: TrainTerms, terms: PartyTerms) -> None:
    label = known_labels(table, train.label, positive=train.positive, where=terms.table)
    rarer = min(int(np.count_nonzero(label == value)) for value in (0, 1))
    least = class_rows(train.folds)
    in_folds = f" for {train.folds} folds" * bool(train.folds)
    if rarer < least:
        raise Refused(
            f"{terms.table}: label {train.label!r} has {rarer:,} rows of its rarer class, at "
            f"least {least:,} are needed{in_folds}",
            hint="more rows with a label are needed, or fewer folds",
        )
    labelled = label >= 0
    width = len(Encoder.fit(table, contract.features(train, terms.name), labelled).names)
    found = int(np.count_nonzero(labelled))
    check_labelled(
        train, found, width + 1, f"{terms.table}: {found:,} rows have a label {train.label!r}"
    )
