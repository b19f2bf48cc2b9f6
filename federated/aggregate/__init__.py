"""Encrypted aggregation: a partner's measures by the receiver's private segment.

    partner (key holder)                            receiver (segment)
      Key, Rows, Rows, ...: packed ciphertexts  ──►
                                                ◄──  Next, while rows are missing
                                                ◄──  Returned: counts of each group, the rest masked
      Kept: which groups and columns may be opened ─►
                                                ◄──  Returned: sums of those, masked uniformly
      Opened: still masked, what is not kept blanked ►

A row's plaintext holds every measure in slots of its own, and a one. The receiver adds rows up by
group without reading them. The partner opens the counts first and drops groups below its minimum,
and columns with too few values behind them in a group; only then does it open sums, which carry
masks uniform mod n, and puts a random number into every slot that is not to be told. All that
returns to the key holder is re-randomised by r^n, r uniform.

The receiver learns the statistics of what was kept; the partner learns how many rows each group
has, and of columns with enough missing values how many of these each group has, not which.
Semi-honest: a receiver that adds up other rows than its groups (one row many times, to pass the
minimum) learns more than its contract says. Sources: Paillier 1999; Damgård, Jurik and Nielsen
2010.
"""

from __future__ import annotations

from federated.aggregate.measure_party import MeasureParty
from federated.aggregate.pair import aggregate_by_segment
from federated.aggregate.result import AggregateResult
from federated.aggregate.segment_party import SegmentParty
from federated.aggregate.statistics import Statistic

__all__ = ["AggregateResult", "MeasureParty", "SegmentParty", "Statistic", "aggregate_by_segment"]
