"""Which pairs count, against a plain account of records and rows."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate.pairs import Pairs

PAIRS = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=8)


def made(rows: list[list[int]]) -> Pairs:
    """Each of the receiver's rows with the records that it is paired with."""
    row = [at for at, records in enumerate(rows) for _ in records]
    return Pairs(np.array(row), np.array([r for records in rows for r in records]))


@settings(deadline=None)
@given(PAIRS)
def test_a_record_counts_once_where_it_has_one_row_and_a_row_once(rows: list[list[int]]) -> None:
    pairs = made(rows)
    held = defaultdict(set)
    for at, records in enumerate(rows):
        for record in records:
            held[record].add(at)
    alone = [[r for r in records if len(held[r]) == 1] for records in rows]
    assert pairs.rows == len(rows)
    assert pairs.counts.tolist() == [bool(records) for records in alone]
    for at, records in enumerate(alone):
        stands = int(pairs.stands[at])
        assert (stands == -1) == (not records)
        if records:
            assert pairs.row[stands] == at
            assert pairs.record[stands] == records[0]
    assert pairs.at.tolist() == [
        int(pairs.row[i]) if i in pairs.stands else -1 for i in range(len(pairs))
    ]
    every = {record for records in rows for record in records}
    assert pairs.all_count == (len(every) == sum(map(bool, alone)))


@settings(deadline=None)
@given(PAIRS, st.integers(0, 2**16))
def test_a_record_has_what_any_of_its_rows_has(rows: list[list[int]], seed: int) -> None:
    pairs = made(rows)
    flags = np.random.default_rng(seed).random((len(pairs), 2)) < 0.4
    found = pairs.any(flags)
    for at in range(pairs.rows):
        stands = int(pairs.stands[at])
        own = (pairs.row == at) & (pairs.record == (pairs.record[stands] if stands >= 0 else -1))
        assert found[at].tolist() == flags[own].any(axis=0).tolist()


def test_pairs_beyond_the_most_of_a_record_are_the_last_ones() -> None:
    pairs = made([[1, 2], [1], [1, 3]])
    assert pairs.within(2).tolist() == [True, True, True, False, True]
    assert Pairs.single(3).within(1).all()
    assert Pairs.single(3).all_count
    assert Pairs.single(0).rows == 0
