"""Weight of evidence and its kin against a direct computation, and `optbinning` where it is."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata

from federated.binning import ColumnWorth, number_bins, worth_of
from federated.binning.evidence import (
    auc_of_bins,
    chance,
    grouped,
    information_value,
    merged,
    stability,
    weight_of_evidence,
)


def table(rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    values = rng.normal(size=rows)
    label = rng.random(rows) < 1 / (1 + np.exp(2 - values))
    values[rng.random(rows) < 0.1] = np.nan
    return values, label.astype(np.int8)


def counts_of(codes: np.ndarray, label: np.ndarray) -> np.ndarray:
    found = np.zeros((codes.max() + 1, 2))
    np.add.at(found, (codes, 1 - label.astype(np.int64)), 1)
    return found


def test_woe_and_iv_are_those_of_the_joined_rows() -> None:
    values, label = table()
    bins = number_bins(values, 8, 20)
    counts = counts_of(bins.codes(values), label)
    total = 0.0
    for place in range(bins.count):  # row by row, as a textbook has it
        inside = bins.codes(values) == place
        events = (label[inside] == 1).sum() / (label == 1).sum()
        others = (label[inside] == 0).sum() / (label == 0).sum()
        evidence = math.log(events / others)
        assert math.isclose(weight_of_evidence(counts)[place], evidence, abs_tol=1e-12)
        total += (events - others) * evidence
    assert math.isclose(information_value(counts), total, abs_tol=1e-12)


def test_woe_and_iv_are_those_of_optbinning_with_the_same_edges() -> None:
    optbinning = pytest.importorskip("optbinning")
    values, label = table()
    bins = number_bins(values, 8, 20)
    counts = counts_of(bins.codes(values), label)
    fixed = [True] * len(bins.edges)
    other = optbinning.OptimalBinning(user_splits=list(bins.edges), user_splits_fixed=fixed)
    other.fit(values, label)
    built = other.binning_table.build()
    assert math.isclose(built.loc["Totals", "IV"], information_value(counts), abs_tol=1e-9)
    theirs = built["WoE"].iloc[: len(bins.edges) + 1].to_numpy(float)  # of the other sign
    ours = weight_of_evidence(counts)[: len(bins.edges) + 1]
    np.testing.assert_allclose(-theirs, ours, atol=1e-9)


def test_the_auc_of_bins_is_that_of_the_coded_rows() -> None:
    values, label = table()
    bins = number_bins(values, 8, 20)
    counts = counts_of(bins.codes(values), label)
    ranks = rankdata(weight_of_evidence(counts)[bins.codes(values)])
    ones = int((label == 1).sum())
    expected = (ranks[label == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(label) - ones))
    assert math.isclose(auc_of_bins(counts), expected, abs_tol=1e-12)


def test_a_bin_of_one_class_has_a_finite_weight() -> None:
    counts = np.array([[0.0, 50.0], [30.0, 0.0], [20.0, 50.0]])
    assert np.isfinite(weight_of_evidence(counts)).all()
    assert information_value(counts) > 1
    assert information_value(np.array([[30.0, 70.0]])) == 0.0
    noised = np.array([[-4.0, 60.0], [40.0, 30.0]])
    assert np.isfinite(information_value(noised))


def test_stability_is_zero_for_the_same_shares_and_grows() -> None:
    before = np.array([100.0, 200.0, 300.0])
    assert math.isclose(stability(before, 2 * before), 0.0, abs_tol=1e-12)
    assert stability(before, before[::-1]) > 0.5
    shifted = sum((b - a) * math.log(b / a) for a, b in ((0.2, 0.3), (0.8, 0.7)))
    assert math.isclose(stability(np.array([20.0, 80.0]), np.array([30.0, 70.0])), shifted)


@pytest.mark.parametrize("ordered", [0, 8])
def test_merged_groups_have_enough_of_each_class(ordered: int) -> None:
    rng = np.random.default_rng(5)
    counts = rng.integers(0, 40, (9, 2)).astype(np.float64)
    groups = merged(counts, ordered, 20, monotone=False)
    assert grouped(counts, groups).min() >= 20
    assert sorted(set(groups.tolist())) == list(range(groups.max() + 1))
    if ordered:
        assert (np.abs(np.diff(groups[:8])) <= 1).all(), "neighbours only"


def test_monotone_groups_only_rise_or_only_fall_and_keep_the_better_way() -> None:
    rates = np.array([0.1, 0.3, 0.2, 0.4, 0.35, 0.6])
    counts = np.column_stack([1000 * rates, 1000 * (1 - rates)])
    groups = merged(counts, 6, 20, monotone=True)
    assert groups.tolist() == [0, 1, 1, 2, 2, 3]
    falling = merged(counts[::-1].copy(), 6, 20, monotone=True)
    assert (np.diff(weight_of_evidence(grouped(counts[::-1].copy(), falling))) < 0).all()


def test_monotone_groups_have_the_best_value_that_any_have() -> None:
    """Against all ways to merge neighbours, of 30 columns of seven bins."""
    rng = np.random.default_rng(3)
    cuts = np.array(list(product((0, 1), repeat=6)))
    every = np.column_stack([np.zeros(len(cuts), int), cuts.cumsum(axis=1)])
    for _ in range(30):
        counts = rng.integers(20, (200, 2000), (7, 2)).astype(np.float64)
        merges = [grouped(counts, groups) for groups in every]
        steps = [np.diff(weight_of_evidence(merge)) for merge in merges]
        best = max(
            information_value(merge)
            for merge, step in zip(merges, steps, strict=True)
            if (step > 0).all() or (step < 0).all()
        )
        ours = information_value(grouped(counts, merged(counts, 7, 20, monotone=True)))
        assert math.isclose(ours, best, abs_tol=1e-12)


def test_a_missing_bin_of_few_goes_with_the_largest() -> None:
    counts = np.array([[100.0, 300.0], [200.0, 300.0], [3.0, 9.0]])
    assert merged(counts, 2, 20, monotone=False).tolist() == [0, 1, 1]
    counts[2] = [60.0, 40.0]
    assert merged(counts, 2, 20, monotone=False).tolist() == [0, 1, 2]


def test_chance_is_about_what_a_column_without_worth_has() -> None:
    rng = np.random.default_rng(11)
    label = (rng.random(5000) < 0.2).astype(np.int8)
    found = []
    for _ in range(200):
        exact = counts_of(rng.integers(0, 10, 5000), label)
        labelled = exact.sum(axis=1) + rng.laplace(scale=5, size=10)
        positives = exact[:, 0] + rng.laplace(scale=5, size=10)
        noised = np.column_stack([positives, labelled - positives])
        found.append((information_value(exact), information_value(noised)))
    mean = np.mean(found, axis=0)
    flat = np.tile([100.0, 400.0], (10, 1))
    assert math.isclose(mean[0], chance(flat), rel_tol=0.15)
    assert math.isclose(mean[1], chance(flat, 5), rel_tol=0.25)


def test_a_worth_says_what_its_bins_say() -> None:
    values, label = table()
    bins = number_bins(values, 8, 20)
    counts = counts_of(bins.codes(values), label)
    opened = np.column_stack([counts[:, 0], counts.sum(axis=1)]).astype(np.int64)
    rows = np.bincount(bins.codes(values)).tolist()
    worth = worth_of("x", bins, rows, opened, least=20, monotone=False)
    assert math.isclose(worth.value, information_value(grouped(counts, np.array(worth.groups))))
    again = type(worth).from_plain(worth.plain())
    np.testing.assert_array_equal(again.coded(values), worth.coded(values))
    assert sum(line["rows"] for line in worth.table()) == len(values)
    assert "x" in repr(worth)
    assert "positives" not in repr(worth)


def one_sided(values: np.ndarray, label: np.ndarray, noise: int = 0) -> ColumnWorth:
    bins = number_bins(values, 10, 20)
    counts = counts_of(bins.codes(values), label)
    opened = np.column_stack([counts[:, 0], counts.sum(axis=1)]).astype(np.int64)
    rng = np.random.default_rng(2)
    opened += np.round(rng.laplace(scale=noise, size=opened.shape)).astype(np.int64) if noise else 0
    rows = np.bincount(bins.codes(values)).tolist()
    return worth_of("x", bins, rows, opened, least=20, monotone=False, scale=noise)


@pytest.mark.parametrize("noise", [0, 5])
def test_a_column_that_is_the_outcome_is_not_worth_nothing(noise: int) -> None:
    rng = np.random.default_rng(7)
    label = (rng.random(8000) < 0.12).astype(np.int8)
    late = np.where(label == 1, rng.integers(30, 230, 8000), 0).astype(np.float64)
    almost = np.where(rng.random(8000) < 0.01, 1 - label, label).astype(np.float64)
    for values in (label.astype(np.float64), late, almost):
        worth = one_sided(values, label, noise)
        assert worth.value > 2, "above .5 it may be the outcome itself"
        assert worth.auc > 0.95
        again = type(worth).from_plain(worth.plain())
        np.testing.assert_array_equal(again.woe, worth.woe)


def test_a_flag_of_few_who_are_nearly_all_positive_is_a_bin() -> None:
    """440 rows, 426 of them positive, beside one or two larger bins: worth .5, not nothing."""
    rng = np.random.default_rng(7)
    label = (rng.random(18000) < 0.2).astype(np.int8)
    flag = np.zeros(18000)
    flag[np.flatnonzero(label == 1)[:426]] = 2
    flag[np.flatnonzero(label == 0)[:14]] = 2
    exact = information_value(counts_of((flag > 0).astype(np.int64), label))
    for values in (flag, np.where((flag == 0) & (rng.random(18000) < 0.4), 1.0, flag)):
        worth = one_sided(values, label)
        assert 0.9 * exact < worth.value <= exact + 0.01
        assert worth.groups[-1] not in worth.groups[:-1]


def test_small_bins_of_one_class_say_nothing_that_their_rows_do_not() -> None:
    """Bins of chance alone: what a class lacks is never evidence where none is to be expected."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(60):
        label = (rng.random(8000) < 0.12).astype(np.int8)
        few = (rng.random(8000) < rng.uniform(0.003, 0.03)).astype(np.float64)
        found.append(one_sided(few, label).value)
        assert one_sided(few, label, noise=10).floor == 0.5, "noise alone is no evidence"
    assert max(found) < 0.02
