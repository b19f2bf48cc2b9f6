"""A receiver by private sums that shows counts of values other than they are is stopped.

Rows were bound, counts of values were not: so a column of a group with too few values behind it, or
a closed edge, opened for a receiver that said otherwise. Each test plays it on the tag, and once
more with the tag off, where it works.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from federated.aggregate import lanes as lanes_module
from federated.aggregate.share_segment import ShareSegmentParty
from federated.join_sum import share_lanes
from federated.join_sum.share_receiver import ShareSumReceiver
from federated.join_sum.share_sender import ShareSumSender
from psi.protocol import PeerError
from tests.unit.aggregate_shares import SharedParties
from tests.unit.test_join_sum_shares import shared


@contextmanager
def without_tags() -> Iterator[None]:
    """The counts as they were: the tags are not looked at."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (lanes_module, share_lanes):
            patch.setattr(module, "tags", lambda counts, bound: _Anything(counts))
        yield


class _Anything:
    """Equal to whatever it is compared with, and 0 as numbers."""

    def __init__(self, counts: Any) -> None:
        self._zeros = np.zeros(len(counts), np.uint64)

    def __ne__(self, other: object) -> Any:
        return np.zeros(len(self._zeros), bool)

    def __eq__(self, other: object) -> Any:
        return np.ones(len(self._zeros), bool)

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, place: int) -> int:
        return 0

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self._zeros


def _adding(places: dict[int, int]) -> type[ShareSegmentParty]:
    """A receiver that adds numbers to its first shown lane of values, by cell."""

    class Liar(ShareSegmentParty):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._shares = self._shares.copy()
            for cell, number in places.items():
                self._shares[cell : cell + 1, 1] += np.uint64(number % (1 << 64))

    return Liar


def test_values_that_there_are_not_open_no_column() -> None:
    """Thirty rows with three values, said to be 20, and 17 fewer in the other group of 60."""
    values = np.arange(90.0).reshape(90, 1)
    values[3:30, 0] = np.nan
    asked, codes = [("a", "sum"), ("a", "count")], [0] * 30 + [1] * 60

    def parties() -> SharedParties:
        return SharedParties(values, codes, 2, 20, asked, names="a")

    def play() -> Any:
        made = parties()
        made.bank = _adding({0: 17, 1: -17})
        return made.run_all()[0]["bank"]

    assert not parties().run_all()[0]["bank"].kept[0][0]
    with pytest.raises(PeerError, match="counts of values that are not those of the rows"):
        play()
    with without_tags():
        assert play().values[0][0] == 0 + 1 + 2  # the sum of three


def test_a_closed_edge_stays_closed() -> None:
    """Three of a group's values lie above the edge, said to be 13, and ten fewer in the other."""
    values = np.concatenate([np.full(30, 1.0), np.full(60, 1.0)]).reshape(90, 1)
    values[:3], values[30:60] = 9.0, 9.0
    values[-1] = np.nan  # so the column has lanes of its own, which say what the counts really are
    asked, codes = [("a", "sum"), ("a", "histogram[5]")], [0] * 30 + [1] * 60

    def parties() -> SharedParties:
        return SharedParties(values, codes, 2, 10, asked, names="a")

    def play() -> Any:
        lanes = parties().rows_of(0).lanes
        low, high = (lanes.headroom * lanes.counts.index((0, atom)) for atom in (0, 1))
        moved = (10 << high) - (10 << low)
        made = parties()
        made.bank = _adding({0: moved, 1: -moved})
        return made.run_all()[0]["bank"]

    honest = parties().run_all()[0]["bank"]
    assert honest.kept[0].all()
    assert np.isnan(honest.values[1][0]).all()
    with pytest.raises(PeerError, match="counts of values that are not those of the rows"):
        play()
    with without_tags():
        assert play().values[1][0].tolist() == [27.0, 3.0]


def test_a_hidden_join_tells_no_sum_of_values_that_are_not_there() -> None:
    values = np.full((40, 2), np.nan)
    values[:2, 0] = [5.0, 7.0]

    class Claims(ShareSumReceiver):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._shares = self._shares.copy()
            self._shares[1] += np.uint64(18)

    def play() -> Any:
        return shared(values, range(30), 20, parties=(Claims, ShareSumSender)).run()["bank"]

    with pytest.raises(PeerError, match="counts of values that are not those of the places"):
        play()
    with without_tags():
        assert play().values[0] == 12.0
