"""Rows counted by score: what comes out, what it tells, and what a lie gets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federated.counted import (
    BINS,
    LANES,
    OTHER,
    CountsGiver,
    CountsTaker,
    ScoreGrid,
    SpreadHearer,
    SpreadTeller,
    auc_of_counts,
    bins_of,
    counts_of,
    groups_of,
    lanes_of,
    leaves_of,
    noise_of_auc,
    possible,
    wide_of,
)
from federated.counted.messages import CountShares, Spread, Stride
from federated.evaluation import auc
from federated.regression import RegressionPlan, count_noise, counted_bits
from federated.sharing import BinHolder, ValueHolder
from profiles.job import Job
from psi.protocol import Context, Done, JobError, MisuseError, Pair, PeerError, decode, encode

SEED = b"n" * 32


def context(party: str) -> Context:
    return Context(b"session", "counted", party, secrets.token_bytes)


def scores(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    own, theirs = rng.normal(size=rows), 1.5 * rng.standard_t(5, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(1.0 - own - theirs))).astype(np.int8)
    return own - own.mean(), theirs, label


def shares_of(
    grid: ScoreGrid, bins: np.ndarray, lanes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    holder = BinHolder(context("bank"), "bureau", [bins], [leaves_of(grid)], LANES)
    giver = ValueHolder(
        context("bureau"), "bank", len(bins), LANES, lambda low, high: lanes[low:high], columns=1
    )
    found = Pair(holder, giver).run()
    return found["bank"][0], found["bureau"][0]


def opened(
    grid: ScoreGrid,
    shares: tuple[np.ndarray, np.ndarray],
    rows: list[int],
    *,
    noise: float = 1.0,
    seed: bytes = SEED,
    wire: Callable[[bytes], Any] | None = None,
) -> np.ndarray:
    taker = CountsTaker(context("bank"), [shares[0]], grid)
    giver = CountsGiver(context("bureau"), "bank", [shares[1]], grid, noise, seed)
    found: np.ndarray = Pair(taker, giver, wire=wire).run()["bank"][0]
    if not possible([found], np.array([rows]), noise):
        raise ValueError("counts that rows of these classes cannot have")
    return found


def agreed(own: np.ndarray, theirs: np.ndarray) -> ScoreGrid:
    found = Pair(
        SpreadTeller(context("bureau"), "bank", float(theirs.std())),
        SpreadHearer(context("bank"), own),
    ).run()
    assert found["bank"] == found["bureau"]
    grid: ScoreGrid = found["bank"]
    return grid


def test_counts_are_those_of_the_ranges_and_their_auc_is_the_scores() -> None:
    own, theirs, label = scores(3000)
    grid = agreed(own, theirs)
    classes = np.where(np.arange(3000) % 10 == 0, np.int8(OTHER), label)
    shares = shares_of(grid, bins_of(grid, own, classes), lanes_of(grid.theirs(theirs)))
    rows = [int((classes == each).sum()) for each in (0, 1)]
    cell = grid.of_points()[grid.own(own), grid.theirs(theirs)]
    exact = np.stack([np.bincount(cell[classes == c], minlength=grid.bins) for c in (0, 1)])
    np.testing.assert_array_equal(
        counts_of(grid, shares[0] + shares[1]).view(np.int64), exact, "shares add up to the counts"
    )
    found = opened(grid, shares, rows)
    # noise of 1: the mean square of 128 numbers is 1.08 (.13) with rounding
    assert 0.3 < np.square(found - exact).mean() < 2.2
    there = classes < OTHER
    whole = auc(label[there], (own + theirs)[there])
    middles = grid.middles()
    width = float(np.diff(middles).mean())
    # rows of a range as ties: .0021 below; as log odds lie in it: .0003
    assert auc_of_counts(exact) == pytest.approx(whole, abs=0.004)
    assert auc_of_counts(exact, width) == pytest.approx(whole, abs=0.001)
    moved = noise_of_auc(exact, 1.0)
    assert 0.001 < moved < 0.01
    assert auc_of_counts(found) == pytest.approx(whole, abs=0.004 + 6 * moved)


def test_how_far_noise_moves_the_auc_is_told_right() -> None:
    rng = np.random.default_rng(3)
    exact = np.round(400 * np.stack([np.sin(np.linspace(0.1, 3, 40)), np.linspace(0, 1, 40)]))
    for noise in (1.0, 8.0):
        runs = [auc_of_counts(exact + rng.normal(0, noise, exact.shape)) for _ in range(400)]
        assert np.std(runs) == pytest.approx(noise_of_auc(exact, noise), rel=0.25)
        assert np.mean(runs) == pytest.approx(auc_of_counts(exact), abs=float(0.3 * np.std(runs)))


@pytest.mark.parametrize("width", [1e-9, 0.02, 1.0, 50.0, 1e6])
def test_points_reach_four_deviations_of_both_parts(width: float) -> None:
    own, theirs, _ = scores(500)
    for mine, other in ((own * width, theirs), (own, theirs * width)):
        grid = ScoreGrid.of(wide_of(float(other.std())), mine)
        assert leaves_of(grid) <= 256
        assert grid.bins <= BINS
        reach = grid.step * grid.stride * (grid.points // 2)
        assert reach >= min(4 * mine.std(), grid.step * grid.stride * 42) * 0.999
        assert grid.step * LANES / 2 >= 4 * other.std() * 0.999
        # neither end is beyond 6 deviations of the part with more points than it needs
        assert grid.step * LANES / 2 <= 6 * other.std()
        middles = grid.middles()
        assert (np.diff(middles) > 0).all()
        assert middles[0] < 0 < middles[-1] or grid.bins == 1


def test_scores_that_do_not_differ_are_counted_too() -> None:
    flat = np.zeros(100)
    grid = agreed(flat, flat)
    label = (np.arange(100) % 2).astype(np.int8)
    shares = shares_of(grid, bins_of(grid, flat, label), lanes_of(grid.theirs(flat)))
    found = opened(grid, shares, [50, 50])
    assert np.abs(found.sum(axis=1) - 50).max() < 6 * 8.5
    assert found[0].argmax() == found[1].argmax()


def test_groups_are_what_both_parties_know() -> None:
    labelled = np.array([True, True, False, True])
    folds = np.array([0, 1, -1, 0], np.int8)
    groups = groups_of(labelled, folds, 2, later=True)
    assert [group.tolist() for group in groups] == [[0, 3], [1], [2]]
    none = np.full(4, -1, np.int8)
    assert [g.tolist() for g in groups_of(labelled, none, 0, later=False)] == [[0, 1, 3]]


def test_a_label_party_that_aims_at_a_row_reads_it_under_the_noise() -> None:
    """It puts one row alone into a class, to read its place: one count of 64 is 1 more."""
    own, theirs, _ = scores(400)
    grid = agreed(own, theirs)
    right, runs, off = 0, 60, list[np.ndarray]()
    aimed = np.zeros(400, np.int8)
    aimed[7] = 1
    bins, lanes = bins_of(grid, np.zeros(400), aimed), lanes_of(grid.theirs(theirs))
    shares = shares_of(grid, bins, lanes)
    truth = int(grid.of_points()[grid.points // 2, grid.theirs(theirs)[7]])
    for _ in range(runs):
        found = opened(grid, shares, [399, 1], seed=secrets.token_bytes(32))
        right += int(found[1].argmax() == truth)
        off.append(found[1] - (np.arange(len(found[1])) == truth))
    # of 60 draws for each of 64 counts: 6 / sqrt(2 n)
    assert abs(np.std(off) - 1.0) < 6 / np.sqrt(2 * np.size(off))
    # the largest of 64 counts is the right one in .09 of draws, by chance in .016; 6 sd: .31
    assert right < 0.31 * runs
    assert counted_bits(1.0) < 0.73


def test_a_record_of_many_rows_is_read_through_the_noise_and_refused() -> None:
    """Eight pairs of one record, which a label party's own table makes of it: a count of 8."""
    _, theirs, _ = scores(400)
    theirs[-8:] = theirs[7]
    grid = agreed(np.zeros(400), theirs)
    aimed = (np.arange(400) >= 392).astype(np.int8)
    bins, lanes = bins_of(grid, np.zeros(400), aimed), lanes_of(grid.theirs(theirs))
    found = opened(grid, shares_of(grid, bins, lanes), [392, 8])
    truth = grid.of_points()[grid.points // 2, grid.theirs(theirs)[7]]
    assert found[1].argmax() == truth  # where counted_bits says .72
    party = {"keys": [["id"]]}
    asked = {
        "job": {"name": "j", "purpose": "p", "key_bits": 2048},
        "party": [
            party | {"name": "bank", "table": "bank.t", "features": ["z"]},
            party | {"name": "bureau", "table": "bureau.t", "features": ["a"]},
        ],
        "align": {"minimum_overlap": 20, "duplicates": "join"},
        "train": [{"task": "churn", "label": "bank.left", "score_bits": 0}],
    }
    with pytest.raises(JobError, match=r"score_bits: 0 found with .* 'join'"):
        Job.load(asked)


def test_a_label_party_that_counts_a_row_many_times_gets_noise() -> None:
    """Its share of a row is right once, in one bin: a multiple leaves random bits."""
    own, theirs, label = scores(200)
    grid = agreed(own, theirs)
    shares = shares_of(grid, bins_of(grid, own, label), lanes_of(grid.theirs(theirs)))
    rows = [int((label == each).sum()) for each in (0, 1)]
    with pytest.raises(ValueError, match="cannot have"):
        opened(grid, (shares[0] * np.uint64(2), shares[1]), rows)


def test_the_same_counts_get_the_same_noise_and_others_another() -> None:
    own, theirs, label = scores(200)
    grid = agreed(own, theirs)
    shares = shares_of(grid, bins_of(grid, own, label), lanes_of(grid.theirs(theirs)))
    rows = [int((label == each).sum()) for each in (0, 1)]
    first, again = (opened(grid, shares, rows) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    more = shares[1].copy()
    more[0, 0] += np.uint64(1)
    moved = opened(grid, (shares[0], more), rows) - first
    assert np.count_nonzero(moved) > 30
    other = opened(grid, shares, rows, seed=b"o" * 32)
    assert np.count_nonzero(other - first) > 30


def test_counts_that_cannot_be_are_known_and_end_nothing() -> None:
    grid = ScoreGrid(-6, 1, 5)
    own, rows = np.zeros((256, LANES), np.uint64), np.array([[4000, 3000]])
    for told in (np.full(2 * grid.bins, 1 << 40, np.uint64), np.zeros(2 * grid.bins, np.uint64)):
        taker = CountsTaker(context("bank"), [own], grid)
        taker.start()
        turn = taker.on_shares(taker.state, CountShares(told), "bureau")
        assert turn.state == Done()
        assert not turn.messages
        assert turn.result is not None
        assert not possible(turn.result, rows, 1.0)
    taker = CountsTaker(context("bank"), [own], grid)
    taker.start()
    with pytest.raises(PeerError, match="3 shares found"):
        taker.on_shares(taker.state, CountShares(np.zeros(3, np.uint64)), "bureau")


def test_a_partner_does_not_see_by_whether_a_job_ends_what_one_label_is() -> None:
    """A spread of its making leaves the other party one point, and a large number in a row's lane,
    taken back from one class, fits where that is the row's: the receiver's next state and what it
    sends are the same for both guesses."""
    own, theirs, label = scores(60)
    grid = agreed(own, 1000 * theirs)
    assert len(set(grid.own(own))) == 1
    row, lane = int(label.argmax()), grid.theirs(theirs)[int(label.argmax())]
    lanes = lanes_of(grid.theirs(theirs))
    lanes[row, lane] = 1 << 30
    hers, his = shares_of(grid, bins_of(grid, own, label), lanes)
    rows = np.array([[int((label == each).sum()) for each in (0, 1)]])
    seen = []
    for guess in (0, 1):
        moved = his.copy()
        moved[guess * grid.points + grid.points // 2, lane] -= np.uint64((1 << 30) - 1)
        taker = CountsTaker(context("bank"), [hers], grid)
        giver = CountsGiver(context("bureau"), "bank", [moved], grid, 1.0, SEED)
        run = Pair(taker, giver)
        counts = run.run()["bank"]
        assert possible(counts, rows, 1.0) == (guess == 1)
        seen.append((taker.state, [e.sender for e in run.sent]))
    assert seen[0] == seen[1]


def test_strides_that_no_score_has_end_a_session() -> None:
    teller = SpreadTeller(context("bureau"), "bank", 2.6)
    teller.start()
    with pytest.raises(PeerError, match="an odd number"):
        teller.on_stride(teller.state, Stride(1, 4), "bank")
    with pytest.raises(PeerError, match="only the label party"):
        teller.on_stride(teller.state, Stride(1, 5), "somebody")
    for bad in (Stride(0, 5), Stride(1, 87), Spread(200)):
        with pytest.raises((PeerError, MisuseError)):
            decode(encode(bad), type(bad))


def test_counts_are_never_opened_without_noise() -> None:
    grid, none = ScoreGrid(-6, 1, 5), np.zeros((16, LANES), np.uint64)
    with pytest.raises(MisuseError, match="without noise"):
        CountsGiver(context("bureau"), "bank", [none], grid, 0.0, SEED)
    assert count_noise(0.0) == count_noise(1.0) == 1.0
    assert count_noise(3.0) == 3.0
    assert counted_bits(3.0) == pytest.approx(counted_bits(1.0) / 9)


def test_a_plan_without_scores_is_of_any_model() -> None:
    terms: dict[str, Any] = {"evaluations": 4, "folds": 0, "fold_evaluations": 0, "noise": 0.0}
    terms |= {"grid_bits": 8, "column_bits": 14, "rows": 100, "score_bits": 0}
    for link in ("logistic", "linear", "poisson"):
        RegressionPlan(**terms, link=link)
    RegressionPlan(**terms, partners=2)
