"""What each party holds once hidden trees are grown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["HiddenFeature", "HiddenLabel"]


@dataclass(frozen=True, repr=False, kw_only=True)
class HiddenLabel:
    """What the label party holds.

    margin: `float64[n]`, every aligned row's score, the middle of its step; base: the score of no
    tree; splits: `int64[trees, 2^depth - 1]`, the own candidate of each node, level by level, -1
    where the feature party splits; values: of the leaves, `int64[trees, 2^depth]` in units of
    2^-16; training: 32 bytes that both parties' parts of one model share.
    """

    margin: NDArray[np.float64]
    base: float
    splits: NDArray[np.int64]
    values: NDArray[np.int64]
    training: bytes

    @property
    def won(self) -> NDArray[np.bool_]:
        """Which nodes the feature party split."""
        return np.asarray(self.splits < 0)


@dataclass(frozen=True, repr=False, kw_only=True)
class HiddenFeature:
    """What the feature party holds.

    splits: `int64[trees, 2^depth - 1]`, the own candidate of each node, -1 where the label party
    splits; training: as in `HiddenLabel`.
    """

    splits: NDArray[np.int64]
    training: bytes
