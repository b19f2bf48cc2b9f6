"""What a party's part of a model holds as numbers, for a file that programs read."""

from __future__ import annotations

from typing import Any

import numpy as np

from federated.binning import EvidenceEncoder, point_lines
from federated.scoring.card import numbers
from federated.scoring.model_file import LABEL, ModelPart

__all__ = ["card_scale", "exported"]

_LINE = ("column", "bin", "rows", "positives", "negatives", "woe", "coefficient", "points", "exact")
"""Of a bin: points are whole, `exact` are what they are rounded from."""


def exported(part: ModelPart) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Heads and rows: of a scorecard numbers as they are, of other models those that are shown.

    A partner's counts of positives and negatives carry the noise of its binning; the average record
    has no bin, no count and no coefficient (None).
    """
    if not isinstance(part.encoder, EvidenceEncoder) or part.linear is None or part.scale is None:
        return numbers(part)
    found = list[dict[str, Any]]()
    if part.side == LABEL:
        base = float(part.scale.of(np.array(part.linear.intercept)))
        found.append({"bin": "the average record", "points": round(base), "exact": round(base, 4)})
    found += point_lines(part.encoder, part.linear.coefficients.tolist(), part.scale)
    return _LINE, [tuple(line.get(name) for name in _LINE) for line in found]


def card_scale(part: ModelPart) -> dict[str, Any]:
    """How a scorecard's points are made of log odds; nothing of another model.

    Points are `offset` plus (positive high) or minus (negative high) `factor` times the log odds.
    """
    if part.scale is None or part.linear is None:
        return {}
    scale = part.scale
    found: dict[str, Any] = {"points": scale.points, "odds": scale.odds, "double": scale.double}
    found |= {"high": scale.high, "factor": scale.factor, "offset": scale.offset}
    if part.side == LABEL:
        found["intercept"] = part.linear.intercept
    return {"scale": found}
