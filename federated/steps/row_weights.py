"""How much each row of the label party counts in a training, and what is added to its score."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.terms import TrainTerms
from federated.models import has_answer
from federated.tables.matrix import known_answers
from psi.protocol import InputError

__all__ = ["BALANCED", "check_row_weights", "offsets_of", "weights_of"]

BALANCED = "balanced"
"""A class weight by which both classes count alike, as scikit-learn's."""
FARTHEST = 50.0
"""The largest offset: e^50 times the odds, or the count, of a row with none."""


def weights_of(table: pa.Table, terms: TrainTerms, label: np.ndarray) -> np.ndarray | None:
    """`float64[rows]`, NaN where nothing is said; None where the training has no weights.

    Args:
        table: the aligned rows.
        terms: `weight` and `class_weight` count.
        label: of each of these rows; a class weighs by the rows with a label.
    """
    if not terms.weight and not terms.class_weight:
        return None
    found = np.ones(len(label))
    if terms.weight:
        found = known_answers(table, terms.weight).copy()
    if terms.class_weight:
        found *= _by_class(terms.class_weight, label)
    return found


def offsets_of(table: pa.Table, terms: TrainTerms) -> np.ndarray | None:
    """`float64[rows]`, 0 where nothing is said; None where the training has no offset."""
    if not terms.offset:
        return None
    return np.nan_to_num(known_answers(table, terms.offset), nan=0.0)


def check_row_weights(table: pa.Table, terms: TrainTerms, label: np.ndarray, where: str) -> None:
    """Raise `InputError` for a row with a label and without a weight above 0, or an offset; for an
    offset that is no logarithm.
    """
    known = has_answer(label)
    for column, what in ((terms.weight, "weight"), (terms.offset, "offset")):
        if not column:
            continue
        found = known_answers(table, column, where=where)[known]
        wrong = np.isnan(found) | ((found <= 0) if what == "weight" else False)
        if count := int(np.count_nonzero(wrong)):
            allowed = "a number above 0" if what == "weight" else "a number"
            raise InputError(
                f"{where}: {count:,} of {len(found):,} rows with a label {terms.label!r} have no "
                f"{what} in {column!r}, {allowed} needed",
                hint="or take their label out: without one they are scored only",
            )

    if terms.offset:
        _check_near(known_answers(table, terms.offset, where=where), terms.offset, where)


def _check_near(offsets: np.ndarray, column: str, where: str) -> None:
    """Refuse offsets that no score reaches: mostly an exposure without its logarithm."""
    far = int(np.count_nonzero(np.abs(offsets) > FARTHEST))
    if far:
        raise InputError(
            f"{where}: {far:,} of {len(offsets):,} offsets in {column!r} are beyond "
            f"{FARTHEST:.0f} either way",
            hint="an offset is added to log odds, or to the logarithm of a count: give the "
            "logarithm of the time or the exposure",
        )


def _by_class(class_weight: str, label: np.ndarray) -> np.ndarray:
    ones = label == 1
    if class_weight != BALANCED:
        return np.where(ones, float(class_weight), 1.0)
    many, rows = int(ones.sum()), int(has_answer(label).sum())
    return np.where(ones, rows / (2 * max(1, many)), rows / (2 * max(1, rows - many)))
