"""Amounts by the partner's category by private sums: as under encryption, and what a lie gets."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from federated.aggregate import Amount, CategoryResult
from federated.aggregate.amounts import AmountRows, AmountSizes
from federated.aggregate.noise import TAIL, Noise, discrete_laplace
from federated.aggregate.share_category import (
    CategoryShares,
    ShareAmountParty,
    ShareCategoryParty,
    lanes_for,
)
from federated.sharing import BinHolder, ValueHolder
from psi.protocol import Context, MisuseError, Pair, PeerError, decode
from tests.unit.test_categories import run as encrypted


def no_noise(scales: Sequence[int]) -> list[int]:
    return [0] * len(scales)


def counted_noise(scales: Sequence[int]) -> list[int]:
    """Small numbers of either sign, the same at each call."""
    return [(-1) ** i * (1 + i % 7) for i in range(len(scales))]


def context(party: str) -> Context:
    return Context(b"session", "category", party, secrets.token_bytes)


def roles(
    values: np.ndarray,
    codes: Sequence[int],
    amounts: Sequence[Amount],
    *,
    categories: int = 3,
    epsilon: int = 1000,
    minimum: int = 3,
    noise: Noise = discrete_laplace,
    segments: Sequence[str] = ("",),
    own: Sequence[int] | None = None,
    lie: Any = None,
) -> tuple[ShareAmountParty, ShareCategoryParty]:
    held = np.array(codes, np.int64)
    sizes = AmountSizes(amounts, len(segments), len(values), epsilon)
    mine = np.zeros(len(values), np.int64) if own is None else np.array(own, np.int64)
    rows = AmountRows(sizes, values, mine)
    lanes = lanes_for(sizes)
    bins = np.where(held < 0, categories, held)
    shares = Pair(
        ValueHolder(context("bank"), "registry", len(values), lanes, lie or rows.lanes, columns=1),
        BinHolder(context("registry"), "bank", [bins], [categories + 1], lanes),
    ).run()
    names = [f"c{i}" for i in range(categories)]
    bank = ShareAmountParty(context("bank"), rows, names, segments, shares["bank"][0])
    registry = ShareCategoryParty(
        context("registry"), "bank", held, categories, sizes,
        minimum_group=minimum, shares=shares["registry"][0], noise=noise,
    )  # fmt: skip
    return bank, registry


def run(*args: Any, **options: Any) -> CategoryResult:
    found: CategoryResult = Pair(*roles(*args, **options)).run()["bank"]
    return found


def table(rows: int = 120) -> tuple[np.ndarray, list[int], list[int]]:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 900, (rows, 2))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values, rng.integers(-1, 3, rows).tolist(), rng.integers(-1, 2, rows).tolist()


@pytest.mark.parametrize("two_way", [False, True])
def test_what_comes_out_is_what_comes_out_under_encryption(two_way: bool) -> None:
    values, codes, own = table()
    amounts = [Amount("x", -500, 900), Amount("y", 0, 10**12)]
    options: dict[str, Any] = {"noise": no_noise, "epsilon": 5000}
    if two_way:
        options |= {"segments": ("s0", "s1"), "own": own}
    one, other = (each(values, codes, amounts, **options) for each in (run, encrypted))
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.sums, other.sums)
    assert one.scales == other.scales
    assert one.clipped == other.clipped
    noised = run(values, codes, amounts, **(options | {"noise": counted_noise}))
    assert (noised.counts - one.counts != 0).all()
    assert np.abs(np.array(noised.sums) - one.sums).max() <= 7


def test_a_receiver_made_again_before_the_last_message_reads_the_same() -> None:
    values, codes, _ = table()
    asked = [Amount("x", 0, 9), Amount("y", 0, 9)]
    bank, registry = roles(values, codes, asked, noise=counted_noise)
    link = Pair(bank, registry)
    for name, role in link.roles.items():
        link._take(name, role.start())
    bank.restore(bank.save())
    link.deliver()
    again = run(values, codes, asked, noise=counted_noise)
    np.testing.assert_array_equal(link.results["bank"].sums, again.sums)


def test_exact_counts_of_small_categories_are_not_sent() -> None:
    values, codes = np.ones((40, 1)), [0] * 25 + [1] * 13 + [2] * 2
    made = roles(values, codes, [Amount("x", 0, 9)], epsilon=0)
    link = Pair(*made)
    found = link.run()["bank"]
    other = encrypted(values, codes, [Amount("x", 0, 9)], epsilon=0)
    np.testing.assert_array_equal(found.counts, other.counts)
    sent = decode(link.sent[-1].payload, CategoryShares)
    assert len(sent.shares) == int(found.kept.sum()) < 3


def test_noise_is_of_the_scale_and_each_cell_has_its_own() -> None:
    values, codes = np.full((40, 1), 100.0), [0] * 30 + [1] * 10
    first, second = (run(values, codes, [Amount("x", 0, 10**6)]) for _ in range(2))
    assert len({*first.sums[0][:, 0], *second.sums[0][:, 0]}) == 6
    assert (np.abs(first.sums[0][:, 0] - [3000, 1000, 0]) < TAIL * first.scales[1]).all()


def test_noise_is_drawn_by_the_scales_that_are_said() -> None:
    """In the place of each draw stands the scale that it was asked for."""
    values, codes, amounts = np.full((40, 1), 100.0), [0] * 30 + [1] * 10, [Amount("x", 0, 10**6)]
    exact, scaled = (run(values, codes, amounts, noise=each) for each in (no_noise, list))
    assert (scaled.counts - exact.counts == exact.scales[0]).all()
    assert (scaled.sums[0] - exact.sums[0] == exact.scales[1]).all()


def test_numbers_above_an_honest_sum_are_masked() -> None:
    """A receiver that puts 2^k into row k's lane reads nothing above the size of a sum."""
    values, codes = np.ones((64, 1)), np.random.default_rng(4).integers(0, 2, 64)

    def powers(start: int, stop: int) -> np.ndarray:
        return np.repeat(np.uint64(1) << np.arange(start, stop, dtype=np.uint64), 2).reshape(-1, 2)

    sizes = AmountSizes([Amount("x", 0, 9)], 1, 64, 1000)
    seen = []
    for _ in range(2):
        link = Pair(*roles(values, codes.tolist(), [Amount("x", 0, 9)], lie=powers, noise=no_noise))
        link.run()
        bank, sent = link.roles["bank"], decode(link.sent[-1].payload, CategoryShares)
        assert isinstance(bank, ShareAmountParty)
        seen.append(sent.shares + bank._shares[:3])
    bits = np.array(sizes.bits, np.uint64) + np.uint64(1)
    low = (np.uint64(1) << bits) - np.uint64(1)
    assert np.array_equal(seen[0] & low, seen[1] & low)
    assert not (seen[0] >> bits == seen[1] >> bits).any()


def test_a_lie_in_what_is_told_is_a_peer_error() -> None:
    values, codes, _ = table()

    class Liar(ShareCategoryParty):
        change: Any = None

        def begin(self) -> Any:
            turn = super().begin()
            ((who, told),) = turn.messages
            return type(turn)(turn.state, [(who, type(self).change(told))], turn.result)

    for change in (
        lambda t: CategoryShares(t.kept[:-1], t.shares),
        lambda t: CategoryShares(t.kept * 2, t.shares),
        lambda t: CategoryShares(t.kept, t.shares[:, :-1]),
    ):
        bank, registry = roles(values, codes, [Amount("x", 0, 9)])
        Liar.change = staticmethod(change)
        registry.__class__ = Liar
        with pytest.raises(PeerError, match="than"):
            Pair(bank, registry).run()


def test_sums_that_do_not_fit_a_lane_are_refused() -> None:
    with pytest.raises(MisuseError, match="63 allowed by private sums"):
        lanes_for(AmountSizes([Amount("x", 0, 10**12)], 1, 10**6, 10, most=500))
