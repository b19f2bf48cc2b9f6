"""The label party's own model on its own columns: what the joined one is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from federated.models import LOGISTIC, Part
from federated.steps.outcome import Grown, Trained
from profiles.central import central

__all__ = ["Alone", "fit_alone"]


@dataclass(frozen=True)
class Alone:
    """The same model on the receiver's own columns.

    `fold_scores` are of the aligned rows, by models that did not see them, and `aligned` by the one
    of all training rows; `matrix` holds all rows of the receiver's table, `everyone` their scores.
    """

    fold_scores: np.ndarray
    aligned: np.ndarray
    everyone: np.ndarray
    matrix: np.ndarray
    part: Part


def fit_alone(trained: Trained, table: pa.Table) -> Alone:
    """Fit on the aligned, labelled rows with the same folds; score all rows of `table`."""
    known, label, folds = trained.known, trained.label, trained.folds
    everyone = trained.encoder.transform(table)[0]
    model = LOGISTIC if isinstance(trained, Grown) else trained.model
    own = trained.own_matrix
    whole = central(model, own[known], label[known])
    fold_scores = np.full(len(label), np.nan)
    for fold in range(int(folds.max(initial=-1)) + 1):
        train, held = known & (folds != fold), folds == fold
        part = central(model, own[train], label[train])
        fold_scores[held] = model.predict(part.scores(own[held]))
    aligned = model.predict(whole.scores(own))
    if not (folds >= 0).any():
        fold_scores = aligned
    return Alone(fold_scores, aligned, model.predict(whole.scores(everyone)), everyone, whole)
