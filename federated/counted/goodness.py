"""How good scores are, by counts of rows by range of the score and class."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["auc_of_counts", "noise_of_auc", "width_of"]

Counts = np.ndarray[Any, Any]


def auc_of_counts(counts: Counts, width: float = 0.0) -> float:
    """The AUC of `[2, bins]` negatives and positives by range of the score; NaN without any.

    Args:
        counts: by class and range.
        width: of a range, in log odds. Rows of both classes in one are no ties then: where scores
            are log odds, positives outweigh negatives e times as much one further up, so of two
            rows in a range the positive one is ahead in ½ + `width` / 12 of cases.

    >>> auc_of_counts(np.array([[2, 1, 0], [0, 1, 2]]))
    0.9444444444444444
    """
    negative, positive = np.asarray(counts, np.float64)
    pairs = float(negative.sum() * positive.sum())
    if negative.sum() <= 0 or positive.sum() <= 0:
        return float("nan")
    below = np.cumsum(negative) - negative * max(0.0, 0.5 - width / 12)
    return float(np.clip((positive * below).sum() / pairs, 0.0, 1.0))


def noise_of_auc(counts: Counts, noise: float) -> float:
    """The standard deviation of `auc_of_counts` where each of `counts` has noise of this one.

    By the slope of the AUC in each count.
    """
    negative, positive = np.asarray(counts, np.float64)
    wins, losses = max(1.0, positive.sum()), max(1.0, negative.sum())
    below = (np.cumsum(negative) - negative / 2) / losses
    above = (wins - np.cumsum(positive) + positive / 2) / wins
    found = auc_of_counts(counts)
    of_positives = np.square(below - found).sum() / wins**2
    of_negatives = np.square(above - found).sum() / losses**2
    return float(noise * np.sqrt(of_positives + of_negatives))


def width_of(middles: np.ndarray) -> float:
    """How wide a range of the score is, from all ranges' middles."""
    return float(middles[-1] - middles[0]) / max(1, len(middles) - 1)
