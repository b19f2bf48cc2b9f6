"""Kept hidden trees that nobody has grown: splits and leaves drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from federated.hidden_trees import (
    HiddenFeatureModel,
    HiddenLabelModel,
    HiddenScorePartner,
    HiddenScoreReceiver,
)
from federated.hidden_trees.groups import inside_of
from federated.hidden_trees.plan import TOLD_BITS
from federated.hidden_trees.rounding import offsets, units_of_leaf
from federated.trees import Binning
from tests.unit.trees.world import context


@dataclass
class Kept:
    """Both parts, and rows to score."""

    label: HiddenLabelModel
    feature: HiddenFeatureModel
    a: list[np.ndarray]
    b: list[np.ndarray]

    @classmethod
    def of(
        cls, rows: int, seed: int = 0, trees: int = 5, depth: int = 3, theirs: float = 0.4
    ) -> Kept:
        """theirs: the share of nodes that the partner splits."""
        rng = np.random.default_rng(seed)
        table = pa.table(
            {"z": rng.normal(size=rows), "y": rng.normal(size=rows)}
            | {"a": rng.normal(size=rows), "c": rng.choice(["x", "y", "z"], rows)}
        )
        mine, other = Binning.fit(table, ["z", "y"]), Binning.fit(table, ["a", "c"])
        shape = trees, (1 << depth) - 1
        won = rng.random(shape) < theirs
        own = np.where(won, -1, rng.integers(0, mine.layout.candidates, shape))
        splits = np.where(won, rng.integers(0, other.layout.candidates, shape), -1)
        values = units_of_leaf(rng.uniform(-0.6, 0.6, (trees, 1 << depth)))
        label = HiddenLabelModel(b"t" * 32, mine, own, values, -1.25, 6)
        feature = HiddenFeatureModel(b"t" * 32, other, splits)
        return cls(label, feature, mine.transform(table), other.transform(table))

    @property
    def units(self) -> np.ndarray:
        """Each row's score less that of no tree, in one process: `int64[rows]`."""
        found = np.zeros(len(self.a[0]), np.int64)
        one, two = self.label.binning.layout, self.feature.binning.layout
        trees = zip(self.label.splits, self.feature.splits, self.label.values, strict=True)
        for own, theirs, values in trees:
            both = inside_of(self.a, one, own) & inside_of(self.b, two, theirs)
            assert (both.sum(axis=0) == 1).all()
            found += values[both.argmax(axis=0)]
        return found

    def told(self, bits: int = 6) -> np.ndarray:
        """The middle of each row's step, in units."""
        begins = offsets(self.label.training, self.a, bits).astype(np.int64)
        width, most = 1 << (TOLD_BITS - bits), 1 << (bits - 1)
        steps = np.clip((self.units + begins) // width, -most, most - 1)
        found: np.ndarray = steps * width + width // 2 - begins
        return found

    def receiver(self, bits: int = 6, store: Any = None, kind: Any = HiddenScoreReceiver) -> Any:
        return kind(context("bank", store), "bureau", self.label, self.a, bits)

    def partner(self, bits: int = 6, store: Any = None, kind: Any = HiddenScorePartner) -> Any:
        return kind(context("bureau", store), "bank", self.feature, self.b, bits)
