"""Encrypted aggregation over aligned rows, in two directions.

A partner's measures by the receiver's private segments. Rows go once, whatever the number of
sections (`RowsSender`, `RowsReceiver`):

    partner (key holder)                            receiver (segments)
      Key, Rows, Rows, ...: packed ciphertexts  ──►
                                                ◄──  Next, while rows are missing

then each section (`MeasureParty`, `SegmentParty`):

                                                ◄──  Counted: counts of each group, the rest masked
      Kept: which groups and columns may be opened ─►
                                                ◄──  Returned: sums of those, masked uniformly
      Opened: still masked, what is not kept blanked ►

A row's plaintext holds every measure in slots of its own, and for each section a one. The receiver
adds rows up by group without reading them. The partner opens the counts of a section first and
drops groups below its minimum, columns with too few values behind them in a group, and what would
give a few rows away together with earlier sections (`overlap`); only then does it open sums, which
carry masks uniform mod n, and puts a random number into every slot that is not to be told. The
receiver learns the statistics of what was kept; the partner learns how many rows each group has,
and of columns with enough missing values how many of these each group has, not which.

The receiver's amounts by a partner's private category (`AmountParty`, `CategoryParty`), and by the
receiver's segment too:

    receiver (key holder, amounts)                  partner (category)
      Key, Rows, Rows, ...                      ──►
                                                ◄──  Next, while rows are missing
                                                ◄──  Kept: which categories are told
                                                ◄──  Returned: their sums, with noise in each

The receiver chooses the amounts: powers of two would read off who is in a category. So the partner
adds discrete Laplace noise (OpenDP) to every sum, scaled to the largest amount that the contract
allows. The receiver learns noised counts and sums of all categories; the partner learns sizes.
Without noise the receiver learns which category each record is in whose amount it chooses so.

All that returns to the key holder is re-randomised by r^n, r uniform. Semi-honest: what a party
that lies could do is in docs/protocols/aggregate.md. Sources: Paillier 1999; Damgård, Jurik and
Nielsen 2010; Ghosh, Roughgarden and Sundararajan 2009 for the discrete (geometric) noise.
"""

from __future__ import annotations

from federated.aggregate.amount_party import AmountParty
from federated.aggregate.amounts import Amount
from federated.aggregate.categories import OTHER
from federated.aggregate.category_party import CategoryParty
from federated.aggregate.cells import Grouping
from federated.aggregate.history import History
from federated.aggregate.measure_party import MeasureParty
from federated.aggregate.pair import aggregate_by_category, aggregate_by_segment
from federated.aggregate.result import AggregateResult, CategoryResult, MeasureResult
from federated.aggregate.rows import Asking, MeasureSlots, Section
from federated.aggregate.rows_party import Added, RowsReceiver, RowsSender
from federated.aggregate.segment_party import SegmentParty
from federated.aggregate.statistics import Statistic

__all__ = [
    "OTHER",
    "Added",
    "AggregateResult",
    "Amount",
    "AmountParty",
    "Asking",
    "CategoryParty",
    "CategoryResult",
    "Grouping",
    "History",
    "MeasureParty",
    "MeasureResult",
    "MeasureSlots",
    "RowsReceiver",
    "RowsSender",
    "Section",
    "SegmentParty",
    "Statistic",
    "aggregate_by_category",
    "aggregate_by_segment",
]
