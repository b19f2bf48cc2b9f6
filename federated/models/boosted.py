"""Boosted trees of two classes: predictions as of the logistic model, parts of their own.

Who holds what of fitted trees, and how it is kept, stands in `federated.trees`: a row's path goes
by both parties' splits, so neither party's part is a sum over its columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federated.models.linear import LinearPart
from federated.models.logistic import Logistic
from psi.protocol import MisuseError

__all__ = ["BOOSTED", "Boosted"]


class Boosted(Logistic):
    """Scores are log odds, as of the logistic model."""

    name = "trees"
    words = "boosted trees"

    def part_of(self, plain: Mapping[str, Any]) -> LinearPart:
        """Raise `MisuseError`: trees are no part of columns. `plain` may be anything."""
        raise MisuseError("trees are read by federated.trees.LabelModel")


BOOSTED = Boosted()
"""The model by which scores of trees are read."""
