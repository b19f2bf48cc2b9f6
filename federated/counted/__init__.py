"""Rows counted by the final score and the label's class, where no row's score is told.

The label party's part of a row's score picks a private bin, the partner's one lane of many
(`federated.sharing`): both then hold shares of how many rows lie in each range of the score, and
the partner opens them with its noise (docs/protocols/counted_scores.md). Of a label that is a
number two sums say what the score leaves unexplained. Who is on a list is told
by one bit a row, of 128 answers that the partner pads (docs/protocols/told_lists.md).
"""

from __future__ import annotations

from federated.counted.deviances import (
    SUM_LEAVES,
    SUMS,
    OwnNumbers,
    most_of_a_row,
    number_lanes,
    summed,
    summed_bits,
)
from federated.counted.goodness import auc_of_counts, noise_of_auc, width_of
from federated.counted.grid import (
    BINS,
    LANES,
    OTHER,
    Cut,
    ScoreGrid,
    bins_of,
    counts_of,
    groups_of,
    lanes_of,
    leaves_of,
    wide_of,
)
from federated.counted.listed_scores import (
    A_SCORE,
    FINEST_LISTED,
    ScoredHearer,
    ScoredTeller,
    codes_of,
    scores_of,
)
from federated.counted.listing import A_QUESTION, ListHearer, ListTeller
from federated.counted.listing_shares import (
    A_WIDE_QUESTION,
    A_WIDE_SCORE,
    WideHearer,
    WideScoreHearer,
    WideScoreTeller,
    WideTeller,
)
from federated.counted.opening import CountsGiver, CountsTaker, SumsGiver, SumsTaker, possible
from federated.counted.parts import Joined, PartAdder, PartHearer, PartTeller
from federated.counted.ring import RingGrid, above, asked_places, ring_codes, ring_scores
from federated.counted.spread import SpreadHearer, SpreadTeller
from federated.counted.threshold import (
    MOST_RANGES,
    aimed,
    answer_bits,
    answers,
    list_noise,
    questions,
    threshold,
)

__all__ = [
    "A_QUESTION",
    "A_SCORE",
    "A_WIDE_QUESTION",
    "A_WIDE_SCORE",
    "BINS",
    "FINEST_LISTED",
    "LANES",
    "MOST_RANGES",
    "OTHER",
    "SUMS",
    "SUM_LEAVES",
    "CountsGiver",
    "CountsTaker",
    "Cut",
    "Joined",
    "ListHearer",
    "ListTeller",
    "OwnNumbers",
    "PartAdder",
    "PartHearer",
    "PartTeller",
    "RingGrid",
    "ScoreGrid",
    "ScoredHearer",
    "ScoredTeller",
    "SpreadHearer",
    "SpreadTeller",
    "SumsGiver",
    "SumsTaker",
    "WideHearer",
    "WideScoreHearer",
    "WideScoreTeller",
    "WideTeller",
    "above",
    "aimed",
    "answer_bits",
    "answers",
    "asked_places",
    "auc_of_counts",
    "bins_of",
    "codes_of",
    "counts_of",
    "groups_of",
    "lanes_of",
    "leaves_of",
    "list_noise",
    "most_of_a_row",
    "noise_of_auc",
    "number_lanes",
    "possible",
    "questions",
    "ring_codes",
    "ring_scores",
    "scores_of",
    "summed",
    "summed_bits",
    "threshold",
    "wide_of",
    "width_of",
]
