"""The same model fitted on the joined columns in one process, to compare with.

Only where one process can see all parties' tables: it is what federated training must
reproduce, and how much a user may ask for proof.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from federated.counted import auc_of_counts
from federated.evaluation import mean_auc
from federated.models import Part
from federated.steps.explained import explained
from federated.steps.facts import load_table
from federated.steps.outcome import Counted, Outcome, Trained
from federated.tables.encoding import Encoder
from federated.tables.source import Source
from profiles.central import central
from profiles.goodness import goodness

__all__ = ["Comparison", "compare", "compare_counted"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences between the federated and the central model.

    `score_difference` is the largest absolute difference of a prediction, of a row with a fold
    from the models that did not see it, by the scores that the receiver was told, their noise
    included; `model_difference` that by the model of all rows itself, both of whose parts this
    process has, NaN where it has not;
    `coefficient_difference` the largest of a coefficient over the largest coefficient, over
    the columns of the party that `outcomes` hold; `fold_auc_difference` that of the mean AUCs. Of
    numbers there are shares explained in the place of AUCs. Where rows were counted, predictions
    are by the model of all rows, whose two parts this process has, and no fold's is compared.
    """

    task: str
    score_difference: float
    coefficient_difference: float
    fold_score_difference: float
    central_auc: float
    federated_auc: float
    quality: str = "AUC"
    model_difference: float = np.nan

    @property
    def fold_auc_difference(self) -> float:
        """Central minus federated mean AUC of the folds."""
        return self.central_auc - self.federated_auc


def compare(
    trained: Trained, outcomes: Mapping[str, Outcome], tables: Mapping[str, Source]
) -> Comparison:
    """Fit centrally with the same rows, encoding and folds, and compare.

    `tables` are every party's copies of the job.
    """
    matrix, federated = _joined(trained, outcomes, tables)
    label, folds = trained.label, trained.folds
    known = trained.known
    model = trained.model
    more = 0.0 if trained.offset is None else trained.offset

    def fitted(rows: np.ndarray) -> Part:
        given = [None if one is None else one[rows] for one in (trained.weights, trained.offset)]
        return central(model, matrix[rows], label[rows], *given)

    whole = fitted(known & (folds < 0) if trained.part_held_out else known)
    scores = model.predict(whole.scores(matrix) + more)
    own = np.abs(scores - model.predict(federated.scores(matrix) + more))
    fold_scores, central_auc, federated_auc = trained.fold_scores, np.nan, np.nan
    fold_difference = np.nan
    if (folds >= 0).any():
        fold_scores = np.full(len(label), np.nan)
        for fold in range(folds.max() + 1):
            train, test = known & (folds != fold), folds == fold
            found = fitted(train).scores(matrix) + more
            fold_scores[test] = model.predict(found[test])
        central_auc = _mean_quality(trained, fold_scores)
        federated_auc = _mean_quality(trained, trained.fold_scores)
        held = folds >= 0
        fold_difference = float(np.abs(fold_scores - trained.fold_scores)[held].max())
        scores = np.where(held, fold_scores, scores)
    return Comparison(
        task=trained.terms.task,
        score_difference=float(np.abs(scores - trained.scores).max()),
        coefficient_difference=whole.difference(federated),
        fold_score_difference=fold_difference,
        central_auc=central_auc,
        federated_auc=federated_auc,
        quality="AUC" if model.classes else "share explained",
        model_difference=float(own.max()),
    )


def compare_counted(
    counted: Counted, outcomes: Mapping[str, Outcome], tables: Mapping[str, Source]
) -> Comparison:
    """The same where no row's score was told: the folds' AUC by counts beside the central one."""
    trained = counted.trained
    matrix, federated = _joined(trained, outcomes, tables)
    more = 0.0 if trained.offset is None else trained.offset
    scores = trained.model.predict(federated.scores(matrix) + more)
    none = np.full(len(scores), -1)
    whole = compare(replace(trained, scores=scores, folds=none), outcomes, tables)
    held = compare(replace(trained, scores=scores, fold_scores=scores), outcomes, tables)
    if not trained.model.classes:
        shares = explained(counted).shares[: max(1, trained.terms.folds)]
        return replace(whole, central_auc=held.central_auc, federated_auc=float(shares.mean()))
    groups = counted.counts[: max(1, trained.terms.folds)]
    width = float(np.diff(counted.middles).mean()) if len(counted.middles) > 1 else 0.0
    aucs = np.array([auc_of_counts(group, width) for group in groups])
    return replace(
        whole,
        central_auc=held.central_auc,
        federated_auc=float(aucs[np.isfinite(aucs)].mean()) if np.isfinite(aucs).any() else np.nan,
    )


def _joined(
    trained: Trained, outcomes: Mapping[str, Outcome], tables: Mapping[str, Source]
) -> tuple[np.ndarray, Part]:
    """The joined design matrix and the federated model over its columns."""
    contract = next(iter(outcomes.values())).contract
    blocks, parts = [trained.own_matrix], []
    for name in trained.terms.partners:
        terms = contract.party(name)
        rows = load_table(terms, tables[name]).take(outcomes[name].rows)
        features = contract.features(trained.terms, name)
        coded = outcomes[name].coded.get(trained.terms.task)  # a scorecard's bins are its own
        encoder = Encoder.fit(rows, features) if coded is None else coded
        blocks.append(encoder.transform(rows)[0])
        parts.append(outcomes[name].parts[trained.terms.task])
    return np.hstack(blocks), trained.part.joined(parts)


def _mean_quality(trained: Trained, scores: np.ndarray) -> float:
    """The folds' mean AUC; of numbers their mean share explained."""
    label, folds = trained.label, trained.folds
    if trained.model.classes:
        return mean_auc(label, scores, folds)
    return goodness("", trained.model, label, scores, folds).mean_explained
