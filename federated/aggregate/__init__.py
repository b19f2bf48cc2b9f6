"""Encrypted aggregation: a partner's measures by the receiver's private segment.

    partner (key holder)                            receiver (segment)
      Encrypted: key, packed ciphertexts a row  ──►
                                                ◄──  Counts: shared records a group
      Kept: which groups may be opened          ──►
                                                ◄──  MaskedSums of those groups, re-randomised
      OpenedSums, still masked                  ──►

A row's plaintext holds every measure and, for each, whether it is there. The receiver adds rows
up by group without reading them. The partner sees the row counts first and drops groups below
its minimum (and, if one alone was dropped, the next smallest too, so that a total does not give
it back); only then does it open sums, which carry masks uniform mod n.

The receiver learns the statistics of the groups that were kept; the partner learns how many rows
each group has, not which. Semi-honest: a receiver that lies about its groups' sizes, or groups
one row with others that it knows, learns more than its contract says. Sources: Paillier 1999;
Damgård, Jurik and Nielsen 2010.
"""

from __future__ import annotations

from federated.aggregate.roles import AggregateResult, MeasureParty, SegmentParty, Statistic

__all__ = ["AggregateResult", "MeasureParty", "SegmentParty", "Statistic"]
