"""A join and sum by private sums: as under encryption, and what a lie gets."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.aggregate.share_messages import Bound, Showed
from federated.join_sum import JoinSumResult, Noising, SumReceiver, SumSender, place_values
from federated.join_sum.share_lanes import PlaceLanes, SumShares, check_noised
from federated.join_sum.share_receiver import ShareSumReceiver
from federated.join_sum.share_sender import ShareSumSender
from federated.sharing import BinHolder, ValueHolder
from psi.protocol import Context, InputError, Pair, PeerError
from psi.protocol.codec import peek
from tests.unit.test_join_sum import COLUMNS, KEY, STATISTICS

BOUND = int.from_bytes(secrets.token_bytes(8), "little") | 1
SUMMED = (True, False)


def context(party: str) -> Context:
    return Context(b"session", "join_sum", party, secrets.token_bytes)


def small_noise(scales: Sequence[int]) -> list[int]:
    return [(-1) ** (scale % 2) * 3 for scale in scales]


def shared(
    values: np.ndarray,
    places: Sequence[int],
    minimum: int = 1,
    *,
    noising: Noising | None = None,
    bound: Any = BOUND,
    parties: tuple[Any, Any] = (ShareSumReceiver, ShareSumSender),
) -> Pair:
    placed = place_values(values, np.arange(len(values)), COLUMNS)
    placed = noising.bounded(placed) if noising else placed
    lanes = PlaceLanes(SUMMED, len(placed))
    lanes.check(placed, COLUMNS)

    def give(start: int, stop: int) -> Any:
        found = lanes.rows(placed, BOUND, start, stop)
        if callable(bound):
            found[:, 0] = bound(start, stop)
        return found

    bins = np.ones(len(values), np.int64)
    bins[list(places)] = 0
    holder = BinHolder(context("bank"), "bureau", [bins], [2], lanes.lanes)
    shares = Pair(
        holder, ValueHolder(context("bureau"), "bank", len(values), lanes.lanes, give, columns=1)
    ).run()
    bank = parties[0](
        context("bank"), "bureau", lanes, shared=len(places), shares=shares["bank"][0],
        columns=COLUMNS, statistics=STATISTICS, noising=noising,
    )  # fmt: skip
    bureau = parties[1](
        context("bureau"), lanes, bound=BOUND, shares=shares["bureau"][0], minimum=minimum,
        noising=noising, noise=small_noise,
    )  # fmt: skip
    return Pair(bank, bureau)


def encrypted(
    values: np.ndarray, places: Sequence[int], minimum: int = 1, noising: Noising | None = None
) -> dict[str, Any]:
    placed = place_values(values, np.arange(len(values)), COLUMNS)
    bank = SumReceiver(
        context("bank"), "bureau", np.array(list(places), np.int64), len(values), COLUMNS,
        STATISTICS, key_bits=1024, noising=noising,
    )  # fmt: skip
    bureau = SumSender(
        context("bureau"), "bank", KEY, placed, minimum, summed=SUMMED, noising=noising,
        noise=small_noise,
    )  # fmt: skip
    return Pair(bank, bureau).run()


def table(rows: int = 70) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(0, 900, (rows, 2)), 3)
    values[rng.random(values.shape) < 0.3] = np.nan
    return values, sorted(rng.permutation(rows)[:40].tolist())


def same(one: JoinSumResult, other: JoinSumResult) -> None:
    assert one.shared == other.shared
    assert one.statistics == other.statistics
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.counts, other.counts)


@pytest.mark.parametrize("noised", [False, True])
@pytest.mark.parametrize("minimum", [1, 29, 60])
def test_what_comes_out_is_what_comes_out_under_encryption(noised: bool, minimum: int) -> None:
    values, places = table()
    noising = Noising(COLUMNS, {"a": (-500, 900)}, 1000) if noised else None
    one, other = (
        shared(values, places, minimum, noising=noising).run(),
        encrypted(values, places, minimum, noising),
    )
    same(one["bank"], other["bank"])
    assert np.array_equal(one["bureau"], other["bureau"])


def test_roles_made_again_after_each_message_end_alike() -> None:
    values, places = table()
    link = shared(values, places)
    for name, role in link.roles.items():
        link._take(name, role.start())
    while link._queue:
        link.deliver()
        for role in link.roles.values():
            role.restore(role.save())
    same(link.results["bank"], shared(values, places).run()["bank"])


def test_a_place_cannot_be_counted_twice() -> None:
    """Under encryption one place, added up as often as the minimum, gives its value away."""
    values, _ = table()

    class Claims(ShareSumReceiver):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._shares = self._shares.copy()
            self._shares[:1] += np.uint64(19)

        def on_bound(self, state: Any, sent: Any, peer: str) -> Any:
            number = int.from_bytes(sent.number, "little")
            self._shared = int((self._shares[:1] + sent.shares)[0]) * pow(number, -1, 2**64)
            self._shared %= 2**64
            return super().on_bound(state, sent, peer)

    with pytest.raises(PeerError, match="do not add up to the places"):
        shared(values, [3], 20, parties=(Claims, ShareSumSender)).run()


def test_shares_other_than_committed_end_the_job() -> None:
    values, places = table()

    class Changes(ShareSumReceiver):
        def on_bound(self, state: Any, sent: Any, peer: str) -> Any:
            turn = super().on_bound(state, sent, peer)
            ((who, told),) = turn.messages
            other = told.shares + np.uint64(1)
            return type(turn)(turn.state, [(who, replace(told, shares=other))])

    with pytest.raises(PeerError, match="not those committed to"):
        shared(values, places, parties=(Changes, ShareSumSender)).run()


def test_a_bound_that_singles_places_out_is_seen_before_counts_are_shown() -> None:
    values, places = table()
    powers = lambda start, stop: np.uint64(1) << np.arange(start, stop, dtype=np.uint64) % 64  # noqa: E731
    link = shared(values, places, bound=powers)
    with pytest.raises(PeerError, match="bound of other places"):
        link.run()
    assert Showed not in {peek(e.payload) for e in link.sent}
    assert Bound in {peek(e.payload) for e in link.sent}


CHANGES: list[Any] = []


def test_what_is_told_of_other_columns_is_a_peer_error() -> None:
    values, places = table()
    for change in (
        lambda s: replace(s, shares=s.shares[:0]),
        lambda s: replace(s, counts=s.counts[:1]),
        lambda s: replace(s, counts=s.counts + 100),
    ):
        CHANGES[:] = [change]

        class Liar(ShareSumSender):
            def on_showed(self, state: Any, sent: Any, peer: str) -> Any:
                turn = super().on_showed(state, sent, peer)
                ((who, told),) = turn.messages
                assert isinstance(told, SumShares)
                return type(turn)(turn.state, [(who, CHANGES[0](told))], turn.result)

        with pytest.raises(PeerError):
            shared(values, places, parties=(ShareSumReceiver, Liar)).run()


def test_values_that_fill_a_lane_are_refused() -> None:
    with pytest.raises(InputError, match="'a': the magnitudes of 90 values add up"):
        shared(np.full((90, 2), 2.0**40), [1])
    assert check_noised(Noising(COLUMNS, {"a": (0, 10**6)}, 1000), 10**6)
    assert not check_noised(Noising(COLUMNS, {"a": (0, 10**9)}, 1000), 10**6)
