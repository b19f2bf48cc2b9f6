"""Metrics against scikit-learn and scipy, folds against their promises."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc

from federated.evaluation import (
    auc,
    auc_difference,
    auc_interval,
    calibration,
    fold_aucs,
    ks,
    lift,
    mean_auc,
    mean_interval,
    roc_curve,
    stratified_folds,
)
from psi.protocol.errors import InputError, MisuseError


def drawn(seed: int, rows: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes and scores of few levels, so that many are tied."""
    random = np.random.default_rng(seed)
    score = random.integers(0, levels, rows) / levels
    label = (random.random(rows) < 0.2 + 0.5 * score).astype(np.int8)
    label[:2] = 0, 1
    return label, score


SHAPES = [(0, 50, 3), (1, 500, 7), (2, 2000, 10**6), (3, 40, 1), (4, 2, 5)]


@pytest.mark.parametrize(("seed", "rows", "levels"), SHAPES)
def test_auc_is_scikit_learns(seed: int, rows: int, levels: int) -> None:
    label, score = drawn(seed, rows, levels)
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


@pytest.mark.parametrize(("seed", "rows", "levels"), SHAPES)
def test_roc_is_scikit_learns(seed: int, rows: int, levels: int) -> None:
    label, score = drawn(seed, rows, levels)
    curve = roc_curve(label, score)
    false, true, threshold = sklearn_roc(label, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive, false, atol=1e-12)
    np.testing.assert_allclose(curve.true_positive, true, atol=1e-12)
    np.testing.assert_array_equal(curve.threshold, threshold)
    assert curve.share[0] == 0.0
    assert curve.share[-1] == 1.0


@pytest.mark.parametrize(("seed", "rows", "levels"), SHAPES)
def test_ks_is_scipys(seed: int, rows: int, levels: int) -> None:
    label, score = drawn(seed, rows, levels)
    expected = stats.ks_2samp(score[label == 1], score[label == 0], method="asymp").statistic
    assert ks(label, score) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40))
def test_metrics_do_not_depend_on_row_order(rows: list[tuple[bool, int]]) -> None:
    label = np.array([hit for hit, _ in rows])
    score = np.array([value for _, value in rows], dtype=float)
    if label.all() or not label.any():
        with pytest.raises(InputError, match="one class"):
            auc(label, score)
        return
    assert auc(label, score) == auc(label[::-1], score[::-1])
    assert auc(label, -score) == pytest.approx(1 - auc(label, score))
    np.testing.assert_allclose(lift(label, score).lift, lift(label[::-1], score[::-1]).lift)


def test_the_difference_of_two_aucs_has_delongs_variance() -> None:
    """Against DeLong's own definition, pair by pair (1988, equations 3 to 6)."""
    label, one = drawn(3, 60, 12)
    other = np.random.default_rng(4).random(60).round(1)
    found = auc_difference(label, one, other)
    parts = []
    for score in (one, other):
        high, low = score[label == 1][:, None], score[label == 0][None, :]
        wins = (high > low) + 0.5 * (high == low)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    cases, controls = (np.cov(np.vstack(pair)) for pair in zip(*parts, strict=True))
    whole = cases / (label == 1).sum() + controls / (label == 0).sum()
    contrast = np.array([1.0, -1.0])
    assert found.sd == pytest.approx((contrast @ whole @ contrast) ** 0.5)
    assert found.mean == pytest.approx(auc(label, one) - auc(label, other))
    assert auc_difference(label, one, one).sd == 0.0


def test_delongs_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    """Normal scores whose true AUCs are known; 400 seeded draws."""
    rng, held = np.random.default_rng(7), 0
    true = stats.norm.cdf(1.0 / 2**0.5) - stats.norm.cdf(0.5 / 2**0.5)
    for _ in range(400):
        label = np.repeat([0, 1], [150, 50])
        shared = rng.normal(size=200)
        one = label * 1.0 + 0.8 * shared + 0.6 * rng.normal(size=200)
        other = label * 0.5 + 0.8 * shared + 0.6 * rng.normal(size=200)
        found = auc_difference(label, one, other)
        held += found.low <= true <= found.high
    assert 0.92 < held / 400 < 0.98


def test_a_thinned_curve_keeps_ends_and_the_widest_gap() -> None:
    label, score = drawn(5, 20_000, 10**6)
    whole = roc_curve(label, score)
    thin = whole.thin(100)
    assert 50 < len(thin.share) <= 104
    assert (thin.share[0], thin.share[-1]) == (0.0, 1.0)
    widest = np.abs(thin.true_positive - thin.false_positive).max()
    assert widest == ks(label, score)
    assert whole.thin(10**6) is whole


def test_lift_of_a_perfect_score_and_of_none() -> None:
    label = np.repeat([1, 0], [100, 900])
    perfect = lift(label, label.astype(float))
    np.testing.assert_allclose(perfect.lift, [10] + [0] * 9)
    np.testing.assert_allclose(perfect.captured, 1)
    # all tied: every bin takes its share of the positives
    flat = lift(label, np.zeros(1000))
    np.testing.assert_allclose(flat.lift, 1)
    np.testing.assert_allclose(flat.captured, np.arange(1, 11) / 10)
    assert flat.rows == 100


def test_lift_adds_up_to_all_positives() -> None:
    label, score = drawn(6, 1037, 9)
    found = lift(label, score)
    assert found.rate.sum() * found.rows == pytest.approx(label.sum())
    assert found.lift.mean() == pytest.approx(1)
    assert found.captured[-1] == pytest.approx(1)


def test_calibration_of_true_probabilities() -> None:
    random = np.random.default_rng(7)
    score = random.random(20_000)
    label = random.random(20_000) < score
    found = calibration(label, score)
    assert found.rows.sum() == 20_000
    np.testing.assert_allclose(found.rows, 2000)
    assert found.error < 0.02
    assert (found.low <= found.observed).all()
    assert (found.observed <= found.high).all()
    assert ((found.low <= found.predicted) & (found.predicted <= found.high)).sum() >= 8
    assert found.brier == pytest.approx(brier_score_loss(label, score))


def test_calibration_keeps_ties_together() -> None:
    label = np.array([0, 1, 0, 1, 1, 1])
    score = np.array([0.2, 0.2, 0.2, 0.2, 0.9, 0.9])
    found = calibration(label, score, bins=3)
    assert found.rows.tolist() == [4, 2]
    np.testing.assert_allclose(found.predicted, [0.2, 0.9])
    np.testing.assert_allclose(found.observed, [0.5, 1.0])
    low, high = stats.binomtest(2, 4).proportion_ci(method="wilson")
    assert [found.low[0], found.high[0]] == pytest.approx([low, high], abs=1e-6)


@pytest.mark.parametrize("folds", [2, 5, 20])
def test_folds_spread_each_class_evenly(folds: int) -> None:
    label, _ = drawn(8, 1003, 10)
    found = stratified_folds(label, folds, 7)
    for rows in (label >= 0, label == 1, label == 0):
        sizes = np.bincount(found[rows], minlength=folds)
        assert sizes.max() - sizes.min() <= 1
    assert (stratified_folds(label, folds, 8) != found).any()


def test_folds_are_the_same_in_every_process() -> None:
    label = np.arange(1000) % 7 == 0
    found = stratified_folds(label, 5, 42)
    digest = hashlib.sha256(found.astype("<i8").tobytes()).hexdigest()
    code = (
        "import hashlib, numpy; from federated.evaluation import stratified_folds;"
        "folds = stratified_folds(numpy.arange(1000) % 7 == 0, 5, 42);"
        "print(hashlib.sha256(folds.astype('<i8').tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest
    # fixed for all time: a job's metrics must not change with a library
    assert digest.startswith("1e4aaefd24544aec")


@pytest.mark.parametrize("count", [2, 3, 5, 10, 20, 31, 32, 50, 200])
def test_interval_is_scipys(count: int) -> None:
    values = np.random.default_rng(count).normal(0.7, 0.02, count)
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(values.std(ddof=1))
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-6)


def test_auc_interval_stays_within_bounds() -> None:
    found = auc_interval(np.array([0.99, 1.0]))
    assert found.high == 1.0
    single = auc_interval(np.array([0.7]))
    assert (single.mean, single.sd) == (0.7, 0.0)
    assert np.isnan(single.low)


def test_fold_aucs_leave_out_rows_without_label_or_fold() -> None:
    label, score = drawn(9, 400, 50)
    folds = stratified_folds(label, 4, 1)
    expected = [roc_auc_score(label[folds == f], score[folds == f]) for f in range(4)]
    label, score = np.append(label, [-1, 1]), np.append(score, [np.nan, 0.5])
    folds = np.append(folds, [-1, -1])
    np.testing.assert_allclose(fold_aucs(label, score, folds), expected)
    assert mean_auc(label, score, folds) == pytest.approx(np.mean(expected))


def test_wrong_input_is_named() -> None:
    both, score = np.array([0, 1]), np.array([0.1, 0.2])
    with pytest.raises(MisuseError, match="one of each a row"):
        auc(both, score[:1])
    with pytest.raises(MisuseError, match="0 and 1"):
        auc(np.array([0, 2]), score)
    with pytest.raises(MisuseError, match="not finite"):
        ks(both, np.array([np.nan, 1]))
    with pytest.raises(InputError, match="one class"):
        auc(np.zeros(0), np.zeros(0))
    with pytest.raises(MisuseError, match="probabilities"):
        calibration(both, np.array([0.5, 1.5]))
    with pytest.raises(InputError, match="no rows"):
        calibration(np.zeros(0), np.zeros(0))
    with pytest.raises(MisuseError, match="at least 1"):
        lift(both, score, bins=0)
    with pytest.raises(MisuseError, match="at least 2"):
        stratified_folds(both, 1, 7)
    with pytest.raises(InputError, match="rarer class") as caught:
        stratified_folds(np.array([0, 0, 0, 1]), 2, 7)
    assert "folds" in caught.value.hint
    with pytest.raises(InputError, match="in any fold"):
        mean_auc(both, score, np.array([-1, -1]))
    with pytest.raises(MisuseError, match="at least 1 value"):
        mean_interval(np.zeros(0))
