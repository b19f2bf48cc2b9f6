"""How a party's columns and a model's scores lay in training, to see how far they have moved.

Ten bins a column (`federated.trees.Binning`), each with its rows; of scores ten equal parts. The
measure is the population stability index: below .1 little has moved, above .25 much has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from federated.binning.evidence import stability
from federated.trees import Binning

__all__ = ["Spread"]

Floats = NDArray[np.float64]
Counts = tuple[int, ...]
PARTS = 10
_DIGITS = 6


@dataclass(frozen=True, repr=False)
class Spread:
    """Bins of columns, the rows in each, edges of scores and the rows between them."""

    binning: Binning
    rows: tuple[Counts, ...]
    edges: tuple[float, ...] = ()
    scores: Counts = ()

    @classmethod
    def of_training(cls, table: pa.Table, columns: list[str], scores: Floats | None) -> Spread:
        """Of the training's aligned rows; `scores` as the receiver knows them, None elsewhere."""
        binning = Binning.fit(table, columns, most=PARTS)
        edges: list[float] = []
        if scores is not None and len(scores):
            parts = np.arange(1, PARTS) / PARTS
            edges = np.unique(np.quantile(np.round(scores, _DIGITS), parts)).tolist()
        found = cls(binning, (), tuple(edges))
        return cls(binning, found._counted(table), found.edges, found._places(scores))

    def drift(self, table: pa.Table) -> dict[str, float]:
        """The population stability index of each column, of rows that are there now."""
        counts = self._counted(table)
        names = [each.name for each in self.binning.columns]
        return {
            name: stability(np.array(before, np.float64), np.array(now, np.float64))
            for name, before, now in zip(names, self.rows, counts, strict=True)
        }

    def drift_of_scores(self, scores: Floats) -> float | None:
        """The same of scores; None where training has told none."""
        if not self.scores:
            return None
        now = np.array(self._places(scores), np.float64)
        return stability(np.array(self.scores, np.float64), now)

    def _counted(self, table: pa.Table) -> tuple[Counts, ...]:
        bins = self.binning.transform(table)
        cells = [each.column.cells for each in self.binning.columns]
        return tuple(
            tuple(np.bincount(own, minlength=count).tolist())
            for own, count in zip(bins, cells, strict=True)
        )

    def _places(self, scores: Floats | None) -> Counts:
        if scores is None:
            return ()
        shown = np.round(scores, _DIGITS)  # a tree's score is that of many rows
        place = np.searchsorted(np.array(self.edges), shown, side="left")
        return tuple(np.bincount(place, minlength=len(self.edges) + 1).tolist())

    def plain(self) -> dict[str, Any]:
        """What `of` reads."""
        return {
            "bins": self.binning.as_dict(),
            "rows": [list(each) for each in self.rows],
            "edges": list(self.edges),
            "scores": list(self.scores),
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Spread:
        """What `plain` wrote. Raises `MisuseError`, `KeyError`, `TypeError` or `ValueError`."""
        rows = tuple(tuple(int(n) for n in each) for each in plain["rows"])
        edges = tuple(float(edge) for edge in plain["edges"])
        found = cls(Binning.from_dict(plain["bins"]), rows, edges, tuple(map(int, plain["scores"])))
        cells = [each.column.cells for each in found.binning.columns]
        if [len(each) for each in rows] != cells or len(found.scores) not in (0, len(edges) + 1):
            raise ValueError("rows of other bins")
        return found
