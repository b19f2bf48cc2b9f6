"""A section by private sums: what comes out is what comes out under encryption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.aggregate.lanes import SectionLanes
from federated.aggregate.rows import Section
from federated.aggregate.share_measure import ShareMeasureParty
from federated.aggregate.share_messages import Bound, Committed, Given, Showed
from federated.aggregate.share_segment import ShareSegmentParty
from federated.aggregate.statistics import Statistic
from psi.protocol import InputError, PeerError, decode
from psi.protocol.codec import peek
from tests.unit.aggregate_parties import ASKED, Parties
from tests.unit.aggregate_shares import SharedParties

MORE = [("b", "sum"), ("c", "share>2"), ("b", "histogram[-10,0,10]"), ("c", "variance")]


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        a, b = mine["bank"], theirs["bank"]
        assert a.groups == b.groups
        assert a.statistics == b.statistics
        assert np.array_equal(a.rows, b.rows)
        for left, right in (*zip(a.values, b.values), *zip(a.kept, b.kept)):  # noqa: B905
            np.testing.assert_array_equal(left, right)
        assert {c: n.tolist() for c, n in a.there.items()} == {
            c: n.tolist() for c, n in b.there.items()
        }
        assert np.array_equal(mine["bureau"].rows, theirs["bureau"].rows)
        assert np.array_equal(mine["bureau"].kept, theirs["bureau"].kept)


def table(rows: int, scale: float = 10.0, seed: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(0, scale, (rows, 3)), 3)
    values[rng.random(values.shape) < 0.2] = np.nan
    return values, rng.integers(-1, 3, rows).tolist(), rng.integers(-1, 2, rows).tolist()


@pytest.mark.parametrize("scale", [10.0, 1e9])
def test_what_comes_out_is_what_comes_out_under_encryption(scale: float) -> None:
    """Two sections over some of the same columns."""
    values, one, two = table(90, scale)
    asked = (values, one, 3, 3, ASKED, (two, 5, MORE))
    same(SharedParties(*asked, names="abc").run_all(), Parties(*asked, names="abc").run_all())


def test_columns_that_few_records_have_or_lack_have_lanes_of_their_own() -> None:
    values, one, _ = table(90)
    values[:, 0] = 1.5
    values[:2, 0] = np.nan  # lacked by fewer than the minimum: counts as there
    values[:, 1] = np.nan
    values[:2, 1] = 2.0  # had by fewer: counts as not there
    parties = SharedParties(values, one, 3, 5, ASKED, names="abc")
    assert parties.rows_of(0).lanes.own[:2] == (True, True)
    same(parties.run_all(), Parties(values, one, 3, 5, ASKED, names="abc").run_all())


def test_a_group_that_is_not_kept_is_not_given() -> None:
    values = np.arange(40.0).reshape(40, 1)
    codes = [0] * 5 + [1] * 35
    asked = [("a", "sum"), ("a", "histogram[10,37]")]
    parties = SharedParties(values, codes, 2, 10, asked, names="a")
    found = parties.run_all()[0]["bank"]
    assert found.rows.tolist() == [0, 0]  # the rest would give the small group back
    given = decode(parties.sent[-1].payload, Committed, Bound, Showed, Given)
    assert isinstance(given, Given)
    assert given.shares.shape[0] == 0
    assert given.numbers.shape[0] == 0
    values, asked = np.arange(60.0).reshape(60, 1), [("a", "sum"), ("a", "histogram[15,57]")]
    again = SharedParties(values, [0] * 30 + [1] * 30, 2, 10, asked, names="a")
    told = again.run_all()[0]["bank"]
    assert told.values[0].tolist() == [435.0, 1335.0]
    given = decode(again.sent[-1].payload, Committed, Bound, Showed, Given)
    assert isinstance(given, Given)
    assert not given.kept[1, 3]  # 3 rows of the second group lie above 57
    assert given.shares[1, 3] == 0
    assert (given.shares[:, :3] != 0).all()


@pytest.mark.parametrize("rows", [1, 20, 1 << 20, (1 << 30) - 1])
def test_sums_of_the_largest_numbers_are_exact(rows: int) -> None:
    """Both ends of a lane: the largest value that there is room for, as often as there are rows."""
    asked = tuple(("a", Statistic.parse(text)) for text in ("sum", "share>1"))
    lanes = SectionLanes(Section(asked, 3), rows, (True,), (1,))
    top = (2**62 - 1) // rows
    for value in (top, -top, 0):
        row = np.array([[1, value & (2**64 - 1), 1]], np.uint64)
        found = lanes.sums(row * np.uint64(rows))
        assert [int(each[0]) for each in found.values()] == [rows, rows * value, rows]


def test_values_that_fill_a_lane_are_refused() -> None:
    values = np.full((90, 1), 2.0**40)
    parties = SharedParties(values[:3], [0, 0, 0], 1, 3, [("a", "sum")], names="a")
    parties.run_all()
    parties = SharedParties(values, [0] * 90, 1, 3, [("a", "sum")], names="a")
    with pytest.raises(InputError, match="'a': the magnitudes of 90 values add up to"):
        parties.run_all()
    SharedParties(values, [0] * 90, 1, 3, [("a", "count")], names="a").run_all()


def liar(change: Any) -> type[ShareSegmentParty]:
    class Liar(ShareSegmentParty):
        def _change(self, turn: Any) -> Any:
            ((peer, told),) = turn.messages
            return type(turn)(turn.state, [(peer, change(told))])

        def begin(self) -> Any:
            return self._change(super().begin())

        def on_bound(self, state: Any, sent: Any, peer: str) -> Any:
            return self._change(super().on_bound(state, sent, peer))

    return Liar


def test_a_receiver_that_says_more_rows_than_there_are_is_stopped() -> None:
    """One row in a group of its own, said to be twenty: it would have to know the bound."""
    values = np.arange(41.0).reshape(41, 1)
    codes = [0] + [1] * 40

    class Claims(ShareSegmentParty):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._shares = self._shares.copy()
            self._shares[0, 0] += np.uint64(19)  # as if a row's bound were one
            self._shares[0, 1] += np.uint64(19)

        def on_bound(self, state: Any, sent: Any, peer: str) -> Any:
            self._exact = False
            self._sizes = np.full(2, -1)  # any number will do
            return super().on_bound(state, sent, peer)

    parties = SharedParties(values, codes, 2, 20, [("a", "sum")], names="a")
    parties.bank = Claims
    with pytest.raises(PeerError, match="not those of the trees"):
        parties.run_all()


def test_shares_other_than_committed_end_the_job() -> None:
    """Once the bound is known it would be easy: so the shares come before it."""
    values = np.arange(41.0).reshape(41, 1)
    codes = [0] + [1] * 40

    def change(told: Any) -> Any:
        if not isinstance(told, Showed):
            return told
        shares = told.shares.copy()
        shares[0, 0] += np.uint64(1)
        return replace(told, shares=shares)

    parties = SharedParties(values, codes, 2, 20, [("a", "sum")], names="a")
    parties.bank = liar(change)
    with pytest.raises(PeerError, match="not those committed to"):
        parties.run_all()


def test_a_partner_whose_bound_singles_rows_out_is_stopped_before_counts_are_shown() -> None:
    """Powers of two for the bound would read off which cell each of its rows is in."""
    values, codes = np.arange(40.0).reshape(40, 1), [0] * 20 + [1] * 20

    class Powers(SharedParties):
        def rows_of(self, number: int) -> Any:
            rows = super().rows_of(number)
            true = rows.give

            def give(start: int, stop: int) -> Any:
                found = true(start, stop)
                found[:, 0] <<= np.arange(start, stop, dtype=np.uint64)
                return found

            rows.give = give  # type: ignore[method-assign]
            return rows

    parties = Powers(values, codes, 2, 20, [("a", "sum")], names="a")
    with pytest.raises(PeerError, match="bound of other rows"):
        parties.run_all()
    assert Showed not in {peek(e.payload) for e in parties.sent}


def test_roles_made_again_after_each_message_end_alike() -> None:
    values, one, _ = table(60)
    parties = SharedParties(values, one, 3, 3, ASKED, names="abc")
    whole = parties.run_all()[0]

    class Reborn(SharedParties):
        def roles(self, number: int, before: list[dict[str, Any]]) -> tuple[Any, Any]:
            one, other = super().roles(number, before)
            return _reborn(one), _reborn(other)

    again = Reborn(values, one, 3, 3, ASKED, names="abc").run_all()[0]
    same([whole], [again])


def _reborn(role: Any) -> Any:
    """The role, put to rest and woken after every message."""
    real = role.receive

    def receive(envelope: Any) -> Any:
        found, saved = real(envelope), role.save()
        role.restore(saved)
        return found

    role.receive = receive
    return role


def test_a_lie_in_what_is_given_is_a_peer_error() -> None:
    values, one, _ = table(60)

    def spoilt(change: Any) -> Any:
        class Liar(ShareMeasureParty):
            def on_showed(self, state: Any, sent: Any, peer: str) -> Any:
                turn = super().on_showed(state, sent, peer)
                ((who, given),) = turn.messages
                return type(turn)(turn.state, [(who, change(given))], turn.result)

        return Liar

    for change in (
        lambda g: replace(g, shares=g.shares[:-1]),
        lambda g: replace(g, numbers=g.numbers[:, :-1]),
        lambda g: replace(g, kept=g.kept[:-1]),
        lambda g: replace(g, kept=g.kept * 2),
        lambda g: replace(g, numbers=-g.numbers),
    ):
        parties = SharedParties(values, one, 3, 3, ASKED, names="abc")
        parties.bureau = spoilt(change)
        with pytest.raises(PeerError):
            parties.run_all()
