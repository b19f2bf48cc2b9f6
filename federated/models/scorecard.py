"""A scorecard: logistic regression of columns' weights of evidence, read in points.

How points are made of log odds stands in `federated.binning.points`.
"""

from __future__ import annotations

from federated.models.logistic import Logistic

__all__ = ["CARD", "Scorecard"]


class Scorecard(Logistic):
    """Scores are log odds, as of the logistic model."""

    name = "scorecard"
    words = "scorecard"


CARD = Scorecard()
"""The model by which scores of a scorecard are read."""
