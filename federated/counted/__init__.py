"""Rows counted by the final score and the label's class, where no row's score is told.

The label party's part of a row's score picks a private bin, the partner's one lane of many
(`federated.sharing`): both then hold shares of how many rows lie in each range of the score, and
the partner opens them with its noise (docs/protocols/counted_scores.md).
"""

from __future__ import annotations

from federated.counted.grid import (
    BINS,
    LANES,
    OTHER,
    ScoreGrid,
    bins_of,
    groups_of,
    lanes_of,
    leaves_of,
    wide_of,
)
from federated.counted.opening import CountsGiver, CountsTaker
from federated.counted.spread import SpreadHearer, SpreadTeller

__all__ = [
    "BINS",
    "LANES",
    "OTHER",
    "CountsGiver",
    "CountsTaker",
    "ScoreGrid",
    "SpreadHearer",
    "SpreadTeller",
    "bins_of",
    "groups_of",
    "lanes_of",
    "leaves_of",
    "wide_of",
]
