"""A scorecard: each bin of a column has points, and a record's are added up.

With 600 points at odds of 50 to 1 and 20 more wherever the odds double, the factor is
20 / ln 2 = 28.854 and the offset 600 - 28.854 ln 50 = 487.123 (Siddiqi 2006, Credit Risk
Scorecards). Columns are standardised, so that the average record has the base points and a bin says
how far it moves a record from these; a partner's bins stand beside it without its knowing the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.binning.coding import EvidenceEncoder

__all__ = ["HIGH", "PointScale", "against_evidence", "point_lines"]

Floats = NDArray[np.float64]

HIGH = ("negative", "positive")
"""Which class of the label has many points: of a label that says who defaults the negative one."""


@dataclass(frozen=True)
class PointScale:
    """`points` at odds of `odds` to 1 for the class that is `high`, `double` more double them.

    >>> scale = PointScale(600, 50, 20)
    >>> round(scale.factor, 3), round(scale.offset, 3)
    (28.854, 487.123)
    """

    points: int
    odds: int
    double: int
    high: str = HIGH[0]

    @property
    def factor(self) -> float:
        """Points a unit of log odds."""
        return self.double / math.log(2)

    @property
    def offset(self) -> float:
        """Points at even odds."""
        return self.points - self.factor * math.log(self.odds)

    def moved(self, scores: Floats) -> Floats:
        """Points that parts of log odds of the positive class add."""
        sign = 1.0 if self.high == "positive" else -1.0
        return np.asarray(sign * self.factor * scores)

    def of(self, scores: Floats) -> Floats:
        """Points of log odds of the positive class."""
        return np.asarray(self.offset + self.moved(scores))


def point_lines(
    encoder: EvidenceEncoder, coefficients: Sequence[float], scale: PointScale
) -> list[dict[str, Any]]:
    """A line a group of bins: its bins in words, counts, weight of evidence, points.

    `points` are whole, `exact` are what they are rounded from.

    Args:
        encoder: of this party's columns.
        coefficients: one a column.
        scale: see there.
    """
    lines = []
    for column, weight in zip(encoder.columns, coefficients, strict=True):
        moved = scale.moved(column.levels * weight)
        lines += [
            {
                **line,
                "coefficient": round(float(weight) / column.scale, 6),
                "points": round(float(points)),
                "exact": round(float(points), 4),
            }
            for line, points in zip(column.worth.table(), moved, strict=True)
        ]
    return lines


def against_evidence(
    encoder: EvidenceEncoder, coefficients: Sequence[float], scale: PointScale
) -> str:
    """A sentence on columns whose points go against their own weights of evidence, or "".

    A regression gives a column a negative coefficient where others say the same and more: its bins
    with more positives then count as if they had fewer. Points that round to 0 are nobody's worry.

    Args:
        encoder: of this party's columns.
        coefficients: one a column.
        scale: see there.
    """
    pairs = zip(encoder.columns, coefficients, strict=True)
    found = [
        column.name
        for column, weight in pairs
        if weight < 0 and np.abs(np.round(scale.moved(column.levels * weight))).max(initial=0) > 0
    ]
    if not found:
        return ""
    return (
        f"Points go against the weights of evidence of {', '.join(found)}: bins with more "
        "positives count as if they had fewer. Other columns say the same and more: leave one "
        "of them out, or be able to say why."
    )
