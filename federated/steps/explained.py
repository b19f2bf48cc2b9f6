"""What share of a label that is a number a joined score explains, where no row's score was told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.models import has_answer
from federated.steps.outcome import Counted

__all__ = ["Explained", "explained"]


@dataclass(frozen=True)
class Explained:
    """Of each group of rows `[groups]`, as `Counted` has them.

    `shares` are 1 less the deviance that is left over that from the mean answer, NaN where all
    answers are one; `noise` is the standard deviation that the partner's noise gives a share,
    `rows` how many have an answer.
    """

    shares: np.ndarray
    noise: np.ndarray
    rows: np.ndarray


def explained(counted: Counted) -> Explained:
    """Of the folds, or of all rows with a label; then of a later time's rows, where there is one.

    What was told and cannot be explains nothing.

    Args:
        counted: of a model whose answers are numbers.
    """
    trained, left, noise = counted.trained, counted.left, counted.left_noise
    terms, known = trained.terms, trained.known
    groups = [trained.label[known & (trained.folds == fold)] for fold in range(terms.folds)]
    groups = groups or [trained.label[known]]
    if terms.time:
        groups.append(trained.later[has_answer(trained.later)])
    means = [np.full(len(y), y.mean()) if len(y) else y for y in groups]
    whole = np.array(
        [trained.model.deviance(m, y) for m, y in zip(means, groups, strict=True)], np.float64
    )
    whole[~(whole > 0)] = np.nan
    shares = np.zeros(len(groups)) if counted.spoilt else 1.0 - left / whole
    return Explained(shares, noise / whole, np.array([len(y) for y in groups]))
