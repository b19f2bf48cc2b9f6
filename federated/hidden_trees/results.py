"""What each party holds once hidden trees are grown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.trees.results import PartnerSplit

__all__ = ["HiddenFeature", "HiddenLabel"]


@dataclass(frozen=True, repr=False, kw_only=True)
class HiddenLabel:
    """What the label party holds.

    margin: `float64[n]`, every aligned row's score, in steps; base: the score of no tree; won:
    `bool[trees, 2^depth - 1]`, which nodes the feature party split, level by level; splits: the own
    candidate there, else -1; values: of the leaves, `float64[trees, 2^depth]`.
    """

    margin: NDArray[np.float64]
    base: float
    won: NDArray[np.bool_]
    splits: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, repr=False, kw_only=True)
class HiddenFeature:
    """What the feature party holds: its splits, tree by tree, and how many trees there are."""

    splits: tuple[PartnerSplit, ...]
    trees: int
