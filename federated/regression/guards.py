"""What a label party checks of its answers, whatever the link."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.results import Floats
from federated.vertical.guards import check_label, check_width
from psi.protocol import InputError, MisuseError

__all__ = ["check_answers"]


def check_answers(link: str, label: NDArray[Any], own: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Which rows have an answer, and the answers `float64[n]`, 0 where there is none.

    Raises:
        InputError: answers that the link does not allow.
        MisuseError: not one a row.
        Refused: too few of a class, or for the columns.
    """
    if link == "logistic":
        found = check_label(label, own)
        return found >= 0, np.maximum(found, 0).astype(np.float64)
    answers = np.asarray(label, np.float64)
    if answers.shape != (len(own),):
        raise MisuseError("one label a row is needed, NaN for none")
    known = ~np.isnan(answers)
    if not np.isfinite(answers[known]).all():
        raise InputError("labels that are not finite numbers")
    if link == "poisson" and (answers[known] < 0).any():
        raise InputError("labels below 0, which Poisson regression does not allow")
    check_width(int(np.count_nonzero(known)), own.shape[1] + 1)
    return known, np.where(known, answers, 0.0)
