"""What each party holds at the end of a training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.trees.forest import Forest

__all__ = ["FeatureTrees", "LabelTrees", "PartnerSplit"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False, kw_only=True)
class LabelTrees:
    """What the label party holds at the end.

    forest: its part; margin: `float64[n]`, every aligned row's score by all kept trees; places:
    `uint8[trees, n]`, where each row ends in each kept tree; losses: the mean loss after each tree,
    of the validation part where there is one; told_levels: of each partner levels of trees in which
    it told a bit of each row, those of trees that were not kept included; training: of each partner
    32 bytes that its part of the model has too, one after the other.
    """

    forest: Forest
    margin: Floats
    places: NDArray[np.uint8]
    losses: tuple[float, ...]
    told_levels: tuple[int, ...]
    training: bytes


@dataclass(frozen=True, repr=False)
class PartnerSplit:
    """A feature party's split: its own column, and which of its bins `bool[cells]` go left."""

    column: int
    left: NDArray[np.bool_]


@dataclass(frozen=True, repr=False, kw_only=True)
class FeatureTrees:
    """A feature party's part: its splits, by the numbers that the label party's trees have.

    trees: how many were kept; levels: of these, those on which it splits; told_levels, training:
    this partner's of `LabelTrees`.
    """

    splits: tuple[PartnerSplit, ...]
    trees: int
    levels: int
    told_levels: int
    training: bytes
