"""Boosted trees over joined rows whose columns are at two parties, at one of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.kinds.train_trees import TrainTrees as Terms
from federated.contract.kinds.train_trees import held_class_rows, plan_of
from federated.contract.terms import Contract, TrainTerms
from federated.models import BOOSTED, LinearPart
from federated.steps.kept_models import keep_feature_part, keep_label_part
from federated.steps.outcome import Grown
from federated.steps.step import Step
from federated.steps.training import HELD, check_label, folds_of, held_out, split_in_time
from federated.steps.work import Work
from federated.tables.encoding import Encoder
from federated.trees import Binning, FeatureModel, FeatureParty, LabelModel, LabelParty
from psi.protocol import Refused

__all__ = ["STOPS", "TrainTrees", "ways_of"]

STOPS = 1
"""The fold by whose loss training ends early, where it may."""


class TrainTrees(Step):
    """Each task is a step: the receiver holds its label, the partner other columns."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        for train in Terms().terms(contract):
            if contract.receiver == party:
                least = held_class_rows(train.folds, train.early_stop)
                check_label(contract, table, train, contract.party(party), least)

    def run(self) -> None:
        work = self._work
        for terms in Terms().terms(work.contract):
            if work.receives:
                self._label_party(terms)
            elif work.session.name in terms.partners:
                self._feature_party(terms)

    def _label_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        work.guard.gives(step, terms.partners[0])
        label, later = split_in_time(table, terms, work.me.table)
        folds, shown = held_out(work, terms, table, label)
        valid = None
        if terms.early_stop:
            valid = (folds_of(work, terms, table, label >= 0) == STOPS) & (shown >= 0)
        features = work.contract.features(terms, work.me.name)
        grown_on = shown >= 0 if valid is None else (shown >= 0) & ~valid
        binning = Binning.fit(table, features, grown_on)
        partner = terms.partners[0]
        columns = len(work.contract.features(terms, partner))
        bins = binning.transform(table)
        role = LabelParty(
            work.session.context(step),
            [partner],
            bins,
            binning.layout,
            shown,
            plan=plan_of(work.contract, terms),
            valid=valid,
            ways=ways_of(terms, binning),
            most=columns,
        )
        fit = work.run(step, role, [partner])
        model = LabelModel.of(fit, binning)
        scores = BOOSTED.predict(fit.margin)
        encoder = Encoder.fit(table, features, label >= 0)  # of the receiver's own model beside it
        matrix, names = encoder.transform(table)
        work.outcome.trained.append(
            Grown(
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
                trees=model,
                told_levels=fit.told_levels,
                moved=fit.forest.moved(fit.places),
                bins=bins,
            )
        )
        keep_label_part(work, work.outcome.trained[-1], table)
        work.disclosed(f"train {terms.task}", rows=len(label), row_bits=fit.told_levels)

    def _feature_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        work.reserve(step)
        binning = Binning.fit(table, work.contract.features(terms, work.me.name))
        if not binning.columns:
            raise Refused(
                f"{work.me.table}: no column of '{terms.task}' has two bins of 20 shared records",
                hint="more shared records, or other features",
            )
        receiver = work.contract.receiver
        role = FeatureParty(
            work.session.context(step),
            receiver,
            binning.transform(table),
            binning.layout,
            plan=plan_of(work.contract, terms),
        )
        fit = work.run(step, role, [receiver])
        won = FeatureModel.of(fit, binning)
        work.outcome.won[terms.task] = won
        card = {"columns": len(binning.columns), "levels": fit.told_levels}
        keep_feature_part(work, terms, table, card, trees=won)
        work.disclosed(f"train {terms.task}", rows=table.num_rows, row_bits=fit.told_levels)


def ways_of(terms: TrainTerms, binning: Binning) -> list[int]:
    """Of each column in bins 1 where scores may only rise with it, -1 where only fall, else 0.

    Raises `Refused` for one that is a category.
    """
    ways = dict.fromkeys(terms.rising, 1) | dict.fromkeys(terms.falling, -1)
    for column, each in zip(binning.layout.columns, binning.columns, strict=True):
        if each.name in ways and not column.ordered:
            raise Refused(
                f"'{terms.task}': column {each.name!r} is a category, numbers allowed in rising "
                "and falling",
                hint="leave it out there, or say in tables.toml that it is a number (types)",
            )
    return [ways.get(each.name, 0) for each in binning.columns]
