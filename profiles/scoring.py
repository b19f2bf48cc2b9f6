"""The label party's own model beside the joined one: what the partners' data is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from federated.party.outcome import Trained
from profiles.reasons import linear_reasons, partner_contribution
from profiles.report.data import Importance, Model, paired_gain, scored

__all__ = ["Alone", "fit_alone", "measured", "reasons"]


@dataclass(frozen=True)
class Alone:
    """The same model on the receiver's own columns: fold scores, and a score for every row."""

    fold_scores: np.ndarray
    everyone: np.ndarray


def fit_alone(trained: Trained, table: pa.Table) -> Alone:
    """Fit on the aligned, labelled rows with the same folds; score all rows of `table`."""
    known, label, folds = trained.label >= 0, trained.label, trained.folds
    everyone = trained.encoder.transform(table)[0]
    whole = _fit(trained.own_matrix[known], label[known])
    fold_scores = np.full(len(label), np.nan)
    for fold in range(int(folds.max(initial=-1)) + 1):
        train, held = known & (folds != fold), folds == fold
        model = _fit(trained.own_matrix[train], label[train])
        fold_scores[held] = model.predict_proba(trained.own_matrix[held])[:, 1]
    if not (folds >= 0).any():
        fold_scores = whole.predict_proba(trained.own_matrix)[:, 1]
    return Alone(fold_scores, np.asarray(whole.predict_proba(everyone)[:, 1]))


def _fit(matrix: np.ndarray, label: np.ndarray) -> LogisticRegression:
    model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return model.fit(matrix, label)


def measured(trained: Trained, alone: Alone, receiver: str) -> Model:
    """Both models on rows that they did not see, and what moves the joined one."""
    folded = bool((trained.folds >= 0).any())
    folds = trained.folds if folded else None
    joined = trained.fold_scores if folded else trained.scores
    before = scored(f"{receiver} alone", trained.label, alone.fold_scores, folds)
    after = scored("joined", trained.label, joined, folds)
    seen = "on held-out folds" if folded else "on the training rows: no folds were asked for"
    labelled = trained.label[trained.label >= 0]
    return Model(
        trained.terms.task,
        "logistic regression",
        (before, after),
        len(labelled),
        int(labelled.sum()),
        evaluation=seen,
        importance=_importance(trained, receiver),
        gain=paired_gain(before, after),
        notes=trained.encoder.notes,
    )


def _importance(trained: Trained, receiver: str) -> tuple[Importance, ...]:
    spread = trained.own_matrix.std(axis=0) * np.abs(trained.coefficients)
    own = [
        Importance(receiver, name, float(value), int(np.sign(weight)))
        for name, value, weight in zip(trained.columns, spread, trained.coefficients, strict=True)
    ]
    partners = trained.terms.partners
    total = float(_partners(trained).std())
    names = " and ".join(partners)
    return (*own, Importance(names, f"all columns of {names}", total, 0, trained.partner_columns))


def _partners(trained: Trained) -> np.ndarray:
    return partner_contribution(
        trained.scores, trained.own_matrix, trained.coefficients, trained.intercept
    )


def reasons(trained: Trained) -> pa.Array:
    """For each aligned row the largest contributions in words."""
    names = " and ".join(trained.terms.partners)
    return linear_reasons(
        trained.own_matrix,
        trained.columns,
        trained.coefficients,
        {f"partner {names}": _partners(trained)},
    )
