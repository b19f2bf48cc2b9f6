"""One model over joined rows whose columns are at several parties, at one of them."""

from __future__ import annotations

import numpy as np

from federated.binning import EvidenceEncoder
from federated.contract.few_rows import held_class_rows
from federated.contract.kinds.train import carded, classes
from federated.contract.kinds.train_vertical import TrainVertical as Terms
from federated.contract.kinds.train_vertical import plan_of
from federated.contract.terms import TrainTerms
from federated.models import CARD, LinearPart, has_answer, model_named
from federated.regression import FeatureFit, FeatureParty, LabelFit, LabelParty, RegressionPlan
from federated.regression.guards import check_classes, check_records
from federated.steps.count_scores import feature_counts, label_counts
from federated.steps.kept_models import keep_feature_part, keep_label_part
from federated.steps.outcome import Carded, Trained
from federated.steps.row_weights import offsets_of, weights_of
from federated.steps.scorecard import feature_card, label_card
from federated.steps.train_columns import TrainColumns
from federated.steps.training import (
    HELD,
    folds_of,
    held_out,
    rows_of_a_record,
    split_in_time,
)
from federated.steps.work import Work
from federated.tables.encoding import Encoder
from psi.protocol import Refused

__all__ = ["TrainVertical"]


class TrainVertical(TrainColumns):
    """A regression, or a scorecard."""

    kind = Terms()

    @staticmethod
    def class_rows(terms: TrainTerms) -> int:
        return held_class_rows(terms.folds) if carded(terms) else 0

    def _label_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        for name in terms.partners:
            work.guard.gives(step, name)
        label, later = split_in_time(table, terms, work.me.table)
        shown, card = label, carded(terms)
        if card:
            folds, shown = held_out(work, terms, table, label)
            encoder: Encoder | EvidenceEncoder = label_card(work, terms, table, shown)
        else:
            folds = folds_of(work, terms, table, has_answer(label))
            features = work.contract.features(terms, work.me.name)
            encoder = Encoder.fit(table, features, has_answer(label))  # sums run over these rows
        matrix, names = encoder.transform(table)
        if work.own is not None and classes(terms):
            check_classes(label, work.own)
        plan = _plan(work, terms)
        weights, offset = weights_of(table, terms, label), offsets_of(table, terms)
        brought = {name: work.contract.design_columns(terms, name) for name in terms.partners}
        role = LabelParty(
            work.session.context(step),
            list(terms.partners),
            matrix,
            shown,
            plan=plan,
            folds=folds if plan.folds else None,
            records=work.own,
            most=brought,
            weights=weights,
            offset=offset,
        )
        fit = work.run(step, role, terms.partners)
        fold_scores = np.where(folds == HELD, fit.scores, np.nan) if card else fit.fold_scores
        trained = Trained(
            terms=terms,
            encoder=encoder,
            columns=list(names),
            partner_columns=fit.brought,
            model=CARD if card else model_named(terms.model),
            part=LinearPart(fit.coefficients, fit.intercept),
            label=label,
            later=later,
            folds=folds,
            scores=fit.scores,
            fold_scores=fold_scores,
            own_matrix=matrix,
            log=list(fit.log),
            gradient_left=fit.gradient_left,
            opened=fit.opened,
            weights=weights,
            offset=offset,
            bounded=fit.bounded,
            spoilt=fit.spoilt,
            own_parts=fit.told(fit.own),
        )
        if terms.score_bits:
            work.outcome.trained.append(Carded(**vars(trained)) if card else trained)
            keep_label_part(work, work.outcome.trained[-1], table)
        else:
            work.outcome.counted.append(label_counts(work, trained, fit))
            keep_label_part(work, trained, table, work.outcome.counted[-1])
        told = {"rows": len(label), "score_bits": fit.score_bits, **_spoilt(fit)}
        work.disclosed(f"train {terms.task}", **told)

    def _feature_party(self, terms: TrainTerms) -> None:
        work, step, table = self._work, f"train/{terms.task}", self._work.aligned()
        plan = _plan(work, terms)
        work.reserve(step, times=rows_of_a_record(work))
        coded = feature_card(work, terms, table) if carded(terms) else None
        encoder = coded or Encoder.fit(table, work.contract.features(terms, work.me.name))
        matrix, _ = encoder.transform(table)
        if work.own is not None:
            check_records(matrix, work.own)
        receiver = work.contract.receiver
        others = [name for name in terms.partners if name != work.session.name]
        role = FeatureParty(
            work.session.context(step),
            receiver,
            matrix,
            plan=plan,
            partners=terms.partners,
            others=sum(work.contract.design_columns(terms, name) for name in others),
            most=work.contract.design_columns(terms, receiver),
            records=work.own,
            repeats=None if work.own is None else work.outcome.rows,
        )
        fit = work.run(step, role, [receiver, *others])
        if not terms.score_bits:
            feature_counts(work, terms, fit)
        part = LinearPart(fit.coefficients)
        work.outcome.parts[terms.task] = part
        if coded is not None:
            work.outcome.coded[terms.task] = coded
        card = {"columns": matrix.shape[1], "told_rows": fit.told_rows}
        keep_feature_part(work, terms, table, card, encoder=encoder, linear=part)
        # the shared rows that all of it is about: of a model that tells no score too
        told = {"rows": table.num_rows, "score_bits": fit.score_bits, **_spoilt(fit)}
        work.disclosed(f"train {terms.task}", **told)


def _spoilt(fit: LabelFit | FeatureFit) -> dict[str, int]:
    """For the own ledger: a job that is spoilt goes on as any other, for its end would tell."""
    return {"spoilt": 1} if fit.spoilt else {}


def _plan(work: Work, terms: TrainTerms) -> RegressionPlan:
    """What both roles run; raises `Refused` for more pairs of rows than it is for."""
    plan, rows = plan_of(work.contract, terms), len(work.outcome.rows)
    if rows > plan.rows:
        raise Refused(
            f"{rows:,} pairs of rows with one key, {plan.rows:,} allowed in a training",
            hint='fewer repeated keys, or duplicates = "collapse"',
        )
    return plan
