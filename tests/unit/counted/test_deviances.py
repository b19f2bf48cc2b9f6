"""Numbers measured by two sums over rows: what comes out, what it tells, and what a lie gets."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from federated.counted import (
    SUM_LEAVES,
    SUMS,
    OwnNumbers,
    ScoreGrid,
    SumsGiver,
    SumsTaker,
    most_of_a_row,
    number_lanes,
    summed,
    summed_bits,
    wide_of,
)
from federated.models import MODELS
from federated.sharing import BinHolder, ValueHolder
from psi.protocol import Context, MisuseError, Pair

SEED = b"n" * 32


def context(party: str) -> Context:
    return Context(b"session", "counted", party, secrets.token_bytes)


def made(link: str, rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, and both parts of scores."""
    rng = np.random.default_rng(seed)
    own, theirs = 0.3 + 0.4 * rng.normal(size=rows), 0.4 * rng.normal(size=rows)
    if link == "poisson":
        return rng.poisson(np.exp(own + theirs)).astype(float), own, theirs
    return own + theirs + rng.normal(size=rows), own, theirs


def shares_of(own: OwnNumbers, lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    holder = BinHolder(context("bank"), "bureau", own.bins, [SUM_LEAVES] * SUMS, SUMS)
    giver = ValueHolder(
        context("bureau"), "bank", len(lanes), SUMS, lambda low, high: lanes[low:high], columns=SUMS
    )
    found = Pair(holder, giver).run()
    return summed(found["bank"]), summed(found["bureau"])


def opened(
    shares: tuple[np.ndarray, np.ndarray], noise: float = 1.0, seed: bytes = SEED
) -> np.ndarray:
    taker = SumsTaker(context("bank"), [shares[0]])
    giver = SumsGiver(context("bureau"), "bank", [shares[1]], noise * most_of_a_row(), seed)
    found: np.ndarray = Pair(taker, giver).run()["bank"][0]
    return found


def exactly(own: OwnNumbers, lanes: np.ndarray) -> np.ndarray:
    """The two sums without noise, in one process."""
    levels = np.stack(own.bins, axis=1) - SUM_LEAVES // 2
    return np.asarray((levels * lanes.view(np.int64)).sum(axis=0))


@pytest.mark.parametrize("link", ["linear", "poisson"])
def test_what_is_left_is_the_deviance_of_the_joined_score(link: str) -> None:
    y, own, theirs = made(link, 4000)
    grid = ScoreGrid.of(wide_of(float(theirs.std())), own - own.mean())
    y[::7] = np.nan  # rows that are not measured
    there = ~np.isnan(y)
    numbers, lanes = OwnNumbers(link, y, own, grid), number_lanes(theirs, grid, link)
    shares = shares_of(numbers, lanes)
    np.testing.assert_array_equal((shares[0] + shares[1]).view(np.int64), exactly(numbers, lanes))
    model = MODELS[link]
    whole = model.deviance(model.predict((own + theirs)[there]), y[there])
    left, moved, can_be = numbers.left(opened(shares), 1.0)
    without, _, _ = numbers.left(exactly(numbers, lanes), 1.0)
    # levels of own numbers are rounded: 2e-5 (linear) and 7e-4 of it
    assert without == pytest.approx(whole, rel=3e-3)
    assert abs(left - without) < 6 * moved
    assert 0 < moved < 0.05 * whole
    assert can_be


def test_noise_is_as_large_as_it_is_said_to_be() -> None:
    y, own, theirs = made("linear", 300)
    grid = ScoreGrid.of(wide_of(float(theirs.std())), own - own.mean())
    numbers, lanes = OwnNumbers("linear", y, own, grid), number_lanes(theirs, grid, "linear")
    exact, none = exactly(numbers, lanes), np.zeros(SUMS, np.uint64)
    found = []
    for seed in range(200):
        sums = opened((none, exact.view(np.uint64)), 2.0, bytes([seed]) * 32)
        found.append(numbers.left(sums, 2.0)[0])
    moved = numbers.left(exact, 2.0)[1]
    assert np.std(found) == pytest.approx(moved, rel=0.3)  # six deviations of 200 draws


def test_a_label_party_that_aims_at_a_row_reads_it_under_the_noise() -> None:
    """All other rows count as nothing, and one as much as a row may: its part is far below the
    noise, as the book says of rows in the mean; the farthest row is half a bit."""
    _, own, theirs = made("linear", 400)
    grid = ScoreGrid.of(wide_of(float(theirs.std())), own - own.mean())
    aimed = np.where(np.arange(400) == 7, 1.0, 0.0)
    numbers = OwnNumbers("linear", aimed, np.zeros(400), grid)
    numbers.bins[1] = numbers.bins[0]
    lanes = number_lanes(theirs, grid, "linear").view(np.int64)
    sums = exactly(numbers, lanes.view(np.uint64))
    assert np.array_equal(sums, 127 * lanes[7])  # what it would read without noise
    assert np.abs(lanes * 127).max() <= most_of_a_row()
    power = np.square(lanes * 127 / most_of_a_row()).mean(axis=0)
    assert (power <= 1 / 16).all()  # what `summed_bits` counts by
    assert 0.5 * np.log2(1 + power).sum() < summed_bits(0.0) < 0.09
    assert summed_bits(3.0) == pytest.approx(summed_bits(1.0) / 9, rel=0.1)


@pytest.mark.parametrize("link", ["linear", "poisson"])
@pytest.mark.parametrize("wide", [-80, 0, 80])
def test_a_lane_is_one_at_most_whatever_the_grid(link: str, wide: int) -> None:
    """Whatever step a partner tells, and however far its scores lie."""
    theirs = np.concatenate([np.linspace(-1e3, 1e3, 41), [1e12, -1e12, 0.0]])
    grid = ScoreGrid(wide, 1, 5)
    lanes = number_lanes(theirs, grid, link).view(np.int64)
    assert np.abs(lanes).max() <= 1 << 25
    far = grid.step * 32
    if link == "poisson":
        far = min(far, 300.0)
    # nearer to 0 than the part itself: so its square is no larger in the mean
    assert (np.abs(lanes[:, 1]) <= np.abs(lanes[:, 0]) + 1).all()
    assert np.array_equal(lanes[np.abs(theirs) >= far, 0] < 0, theirs[np.abs(theirs) >= far] < 0)


def test_sums_that_cannot_be_are_known_and_end_nothing() -> None:
    y, own, theirs = made("linear", 300)
    grid = ScoreGrid.of(wide_of(float(theirs.std())), own - own.mean())
    numbers, lanes = OwnNumbers("linear", y, own, grid), number_lanes(theirs, grid, "linear")
    mine, other = shares_of(numbers, lanes)
    for told, can_be in ((other, True), (other + np.uint64(1 << 60), False)):
        taker = SumsTaker(context("bank"), [mine])
        giver = SumsGiver(context("bureau"), "bank", [told], most_of_a_row(), SEED)
        sums = Pair(taker, giver).run()["bank"][0]
        assert numbers.left(sums, 1.0)[2] == can_be
    with pytest.raises(MisuseError, match="without noise"):
        SumsGiver(context("bureau"), "bank", [other], 0.0, SEED)


def test_a_group_of_which_no_row_is_measured_tells_nothing() -> None:
    _, own, theirs = made("linear", 50)
    grid = ScoreGrid.of(wide_of(float(theirs.std())), own - own.mean())
    numbers = OwnNumbers("linear", np.full(50, np.nan), own, grid)
    assert (np.stack(numbers.bins) == SUM_LEAVES // 2).all()
    assert numbers.left(np.zeros(2, np.int64), 1.0)[0] == 0.0
