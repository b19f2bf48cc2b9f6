"""The label party's own model on its own columns: what the joined one is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from federated.models import LOGISTIC, Part
from federated.steps.outcome import Boosted, Trained
from federated.steps.row_weights import offsets_of
from profiles.central import central

__all__ = ["Alone", "fit_alone"]


@dataclass(frozen=True)
class Alone:
    """The same model on the receiver's own columns.

    `fold_scores` are of the aligned rows, by models that did not see them, and `aligned` by the one
    of all training rows; `matrix` holds all rows of the receiver's table, `everyone` their scores.
    `trees` are like `fold_scores`, by boosted trees of the same columns; None: not tried.
    """

    fold_scores: np.ndarray
    aligned: np.ndarray
    everyone: np.ndarray
    matrix: np.ndarray
    part: Part
    trees: np.ndarray | None = None


def fit_alone(trained: Trained, table: pa.Table, moved: pa.Table | None = None) -> Alone:
    """Fit on the aligned, labelled rows with the same folds; score all rows of `table`.

    `moved` has the column of offsets of all these rows, where the training has one.
    """
    known, label, folds = trained.known, trained.label, trained.folds
    everyone = trained.encoder.transform(table)[0]
    model = LOGISTIC if isinstance(trained, Boosted) else trained.model
    own = trained.own_matrix
    more = 0.0 if trained.offset is None else trained.offset

    def fitted(rows: np.ndarray) -> Part:
        given = [None if one is None else one[rows] for one in (trained.weights, trained.offset)]
        return central(model, own[rows], label[rows], *given)

    whole = fitted(known)
    fold_scores = np.full(len(label), np.nan)
    for fold in range(int(folds.max(initial=-1)) + 1):
        train, held = known & (folds != fold), folds == fold
        found = fitted(train).scores(own) + more
        fold_scores[held] = model.predict(found[held])
    aligned = model.predict(whole.scores(own) + more)
    if not (folds >= 0).any():
        fold_scores = aligned
    offsets = None if moved is None else offsets_of(moved, trained.terms)
    scores = whole.scores(everyone) + (0.0 if offsets is None else offsets)
    return Alone(fold_scores, aligned, model.predict(scores), everyone, whole)
