"""How a party's columns and a model's scores lay in training, to see how far they have moved.

Ten bins a column (`federated.trees.Binning`), each with its rows; of scores ten equal parts. The
measure is the population stability index: below .1 little has moved, above .25 much has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from federated.binning.evidence import stability
from federated.readers.canonical import canonical
from federated.scoring.fixed import FRACTION_BITS
from federated.tables.encoding import DEFAULT_SUPPORT
from federated.trees import Binning

__all__ = ["Spread", "evened"]

Floats = NDArray[np.float64]
Counts = tuple[int, ...]
PARTS = 10
_FEWEST_STEPS = 5
_DIGITS = 6
_TURN = (math.sqrt(5.0) - 1.0) / 2.0


def evened(told: Floats, partners: int = 1) -> Floats | None:
    """Numbers that were told by the middle of a step, each anywhere in it: `float64[rows]`.

    In the middle of its step a row lies in a few places, where training had it anywhere: by that
    alone a coarse score of the same rows would seem to have moved. Rows are spread evenly, by the
    golden section of their order, so that the same rows give the same figure. None where all lie
    within so few steps that nothing can be said of how they lie in them.

    Args:
        told: sums of as many middles as there are partners, in whole units of 2^-30.
    """
    units = np.ldexp(told, FRACTION_BITS).astype(np.int64)
    common = int(np.bitwise_or.reduce(units)) if len(units) else 0
    if not common:
        return None
    # an odd number of middles ends in half a step, an even one in a whole one
    step = (common & -common) << partners % 2
    if int(units.max()) - int(units.min()) < (_FEWEST_STEPS - 1) * step:
        return None
    within = np.arange(len(told)) * _TURN % 1.0 - 0.5
    width = math.ldexp(step, -FRACTION_BITS) * math.sqrt(partners)
    return np.asarray(told + within * width, np.float64)


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
        """The population stability index of each column, of rows that are there now.

        Values without a bin (`unlike`) count as one of their own.
        """
        counts, unlike = self._counted(table), self.unlike(table)
        found = {}
        for each, rows, held in zip(self.binning.columns, self.rows, counts, strict=True):
            before, now = list(map(float, rows)), list(map(float, held))
            for share in filter(None, unlike.get(each.name, ())):
                for cells, moved in ((before, self._few(share)), (now, share * table.num_rows)):
                    cells[each.fullest] -= min(moved, cells[each.fullest])
                    cells.append(moved)
            found[each.name] = stability(np.array(before), np.array(now))
        return found

    def unlike(self, table: pa.Table) -> dict[str, tuple[float, float]]:
        """By column the shares of rows without a value, and with one that training had not.

        Of columns where training had too few such rows for a bin of them, and would have had
        enough at these shares; other columns are left out, and a share of fewer is 0.
        """
        found = {}
        table = canonical(table.select([each.name for each in self.binning.columns]))
        for each in self.binning.columns:
            shares = [float(rows.mean()) if rows.size else 0.0 for rows in each.without(table)]
            missing, other = (s * (s * self.trained >= DEFAULT_SUPPORT) for s in shares)
            if missing or other:
                found[each.name] = (missing, other)
        return found

    @property
    def trained(self) -> int:
        """Rows of the training."""
        return sum(self.rows[0]) if self.rows else 0

    def _few(self, share: float) -> float:
        """How many rows without a bin training can have had: as many as now, below a bin's."""
        return min(share * self.trained, DEFAULT_SUPPORT - 1.0)

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
