"""Both parties' parts of hidden trees as files: versioned JSON, which nothing runs when read.

The label party's part has its own splits, node by node, and leaves' values; the feature party's its
own splits. In both a node that the other party splits is -1. Neither scores a row by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.groups import groups_of
from federated.hidden_trees.plan import MOST_LEAF, MOST_SCORE_BITS, VALUE_BITS
from federated.hidden_trees.results import HiddenFeature, HiddenLabel
from federated.trees.binning import Binning
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from federated.trees.saved import loaded, saved
from psi.protocol import MisuseError

__all__ = ["HiddenFeatureModel", "HiddenLabelModel"]

LABEL, FEATURE = "hidden label", "hidden feature"
_MOST_BASE = 64.0

Whole = NDArray[np.int64]


class _Splits:
    """What both parts have."""

    training: bytes
    binning: Binning
    splits: Whole

    @property
    def trees(self) -> int:
        """How many."""
        return len(self.splits)

    @property
    def depth(self) -> int:
        """Of each tree."""
        return int(self.splits.shape[1] + 1).bit_length() - 1

    @property
    def own_splits(self) -> int:
        """Nodes that this party splits."""
        return int(np.count_nonzero(self.splits >= 0))

    def words(self) -> list[str]:
        """What goes left by each own split, tree by tree. For this party's own eyes."""
        named = [self.binning.layout.split(int(one)) for one in self.splits[self.splits >= 0]]
        return [self.binning.words(column, left) for column, left in named]


@dataclass(frozen=True, repr=False)
class HiddenFeatureModel(_Splits):
    """A feature party's part.

    training: its name; binning: of this party's columns; splits: `int64[trees, nodes]`.
    """

    training: bytes
    binning: Binning
    splits: Whole

    @classmethod
    def of(cls, fit: HiddenFeature, binning: Binning) -> HiddenFeatureModel:
        """From what its role ended with."""
        return cls(fit.training, binning, fit.splits)

    @property
    def groups(self) -> Whole:
        """Of each leaf its group (`groups_of`)."""
        return groups_of(self.splits >= 0)

    def to_bytes(self) -> bytes:
        """Versioned JSON. It holds edges and names of categories."""
        return saved(FEATURE, self.training, self.binning, {"splits": self.splits.tolist()})

    @classmethod
    def from_bytes(cls, data: bytes) -> HiddenFeatureModel:
        """What `to_bytes` wrote. Raises `MisuseError` for anything else, or another version."""
        training, binning, rest = loaded(FEATURE, data, ("splits",))
        return cls(training, binning, _splits(rest, binning))


@dataclass(frozen=True, repr=False)
class HiddenLabelModel(_Splits):
    """The label party's part.

    training: its name; binning: of this party's columns; splits: `int64[trees, nodes]`; values: of
    the leaves, `int64[trees, leaves]` in units of 2^-16; base: the score of no tree; score_bits: in
    how many bits training told a score.
    """

    training: bytes
    binning: Binning
    splits: Whole
    values: Whole
    base: float
    score_bits: int

    @classmethod
    def of(cls, fit: HiddenLabel, binning: Binning, score_bits: int) -> HiddenLabelModel:
        """From what its role ended with."""
        return cls(fit.training, binning, fit.splits, fit.values, fit.base, score_bits)

    @property
    def groups(self) -> Whole:
        """Of each leaf its group (`groups_of`)."""
        return groups_of(self.splits < 0)

    def to_bytes(self) -> bytes:
        """Versioned JSON. It holds edges and names of categories."""
        rest = {
            "splits": self.splits.tolist(),
            "values": self.values.tolist(),
            "base": self.base,
            "score_bits": self.score_bits,
        }
        return saved(LABEL, self.training, self.binning, rest)

    @classmethod
    def from_bytes(cls, data: bytes) -> HiddenLabelModel:
        """What `to_bytes` wrote. Raises `MisuseError` for anything else, or another version."""
        names = ("splits", "values", "base", "score_bits")
        training, binning, rest = loaded(LABEL, data, names)
        splits = _splits(rest, binning)
        values = _whole(rest["values"])
        base, bits = rest["base"], rest["score_bits"]
        if values.shape != (len(splits), splits.shape[1] + 1):
            raise MisuseError("saved values of leaves that there are not")
        if np.abs(values).max() > MOST_LEAF << VALUE_BITS:
            raise MisuseError("saved values of leaves out of range")
        if type(base) is not float or not abs(base) <= _MOST_BASE:
            raise MisuseError("a saved score of no tree out of range")
        if type(bits) is not int or not 1 <= bits <= MOST_SCORE_BITS:
            raise MisuseError("saved bits of a score out of range")
        return cls(training, binning, splits, values, base, bits)


def _whole(data: Any) -> Whole:
    """A table of whole numbers."""
    try:
        found = np.array(data)
    except ValueError:
        raise MisuseError("these are no saved trees") from None
    if found.ndim != 2 or found.dtype.kind != "i" or not found.size:
        raise MisuseError("these are no saved trees")
    return found.astype(np.int64)


def _splits(rest: Mapping[str, Any], binning: Binning) -> Whole:
    found = _whole(rest["splits"])
    nodes = found.shape[1] + 1
    if nodes & (nodes - 1) or not 2 <= nodes <= 1 << MOST_DEPTH or len(found) > MOST_TREES:
        raise MisuseError("saved trees of a shape that none has")
    if found.min() < -1 or found.max() >= binning.layout.candidates:
        raise MisuseError("saved splits of columns that there are not")
    return found
