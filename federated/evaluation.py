"""How good scores are: AUC, KS, lift, calibration, and folds to measure them on.

numpy only, so that a party's node needs no modelling library. Tied scores are handled
exactly: rows that share a score are never told apart by their order in the table. Labels are
0 and 1; where a function takes folds, rows with a negative label or fold are left out.

Sources: Fawcett, "An introduction to ROC analysis" (2006); Wilson (1927) for the interval of
a rate; Nadeau and Bengio, "Inference for the generalization error" (2003), on why an interval
over folds, which share training rows, is somewhat too narrow; DeLong, DeLong and Clarke-Pearson
(1988) and Sun and Xu (2014) for the difference of two AUCs over the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from psi.protocol.errors import InputError, MisuseError

__all__ = [
    "Calibration",
    "Interval",
    "Lift",
    "Roc",
    "auc",
    "auc_difference",
    "auc_interval",
    "calibration",
    "fold_aucs",
    "ks",
    "lift",
    "mean_auc",
    "mean_interval",
    "roc_curve",
    "stratified_folds",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Array = np.ndarray[Any, Any]

# two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom
# fmt: off
_STUDENT = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004,
    2.262157, 2.228139, 2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905,
    2.109816, 2.100922, 2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899,
    2.059539, 2.055529, 2.051831, 2.048407, 2.045230, 2.042272,
)
# fmt: on
_NORMAL = 1.959964


@dataclass(frozen=True)
class Roc:
    """One point a distinct score, from the highest down, with (0, 0) before them.

    `threshold[i]` is the lowest score that counts as positive at point i (infinite at the
    first); `share` is the part of all rows at or above it.
    """

    false_positive: Floats
    true_positive: Floats
    threshold: Floats
    share: Floats

    def thin(self, points: int) -> Roc:
        """At most about `points` of the points, spread evenly along the curve; keeps the ends."""
        count = len(self.share)
        if count <= points:
            return self
        length = self.false_positive + self.true_positive
        wanted = np.linspace(0.0, length[-1], points)
        keep = np.unique(np.clip(np.searchsorted(length, wanted), 0, count - 1))
        keep = np.unique(np.concatenate([[0], keep, [count - 1], [_gap(self)]]))
        return Roc(
            self.false_positive[keep],
            self.true_positive[keep],
            self.threshold[keep],
            self.share[keep],
        )


@dataclass(frozen=True)
class Lift:
    """Bins of equal size from the highest scores down.

    `rate` is the share of positives in a bin, `lift` that over the share in all rows,
    `captured` the share of all positives found up to and with this bin.
    """

    rows: float
    rate: Floats
    lift: Floats
    captured: Floats


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Bins from the lowest scores up: mean score, observed rate with its 95 % Wilson interval.

    `error` is the mean absolute difference of the two, weighted by rows (expected calibration
    error); `brier` the mean squared difference of score and label over all rows.
    """

    rows: Ints
    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    error: float
    brier: float


@dataclass(frozen=True)
class Interval:
    """Mean, standard deviation and 95 % Student interval of `count` values.

    One value has no deviation: `sd` is 0 and `low` and `high` are NaN.
    """

    mean: float
    sd: float
    low: float
    high: float
    count: int


def roc_curve(label: Array, score: Array) -> Roc:
    """The ROC curve of `label` (0 or 1) under `score`, both [rows].

    Raises:
        InputError: only one class.
        MisuseError: other shapes, labels or scores that are not finite.
    """
    positives, negatives, threshold = _cumulate(label, score)
    total = positives + negatives
    return Roc(
        _share(negatives),
        _share(positives),
        np.concatenate([[np.inf], threshold]),
        _share(total),
    )


def _share(cumulated: Ints) -> Floats:
    """Cumulated counts over their last, which is all of them."""
    return np.asarray(cumulated / cumulated[-1], dtype=np.float64)


def auc(label: Array, score: Array) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half.

    Args:
        label: `[n]` of 0 and 1.
        score: `[n]`, higher for what is likelier 1.

    Raises as `roc_curve`.

    >>> auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    positives, negatives, _ = _cumulate(label, score)
    steps = np.diff(negatives) * (positives[1:] + positives[:-1])  # twice the trapezoids
    return float(int(steps.sum()) / (2 * int(positives[-1]) * int(negatives[-1])))


def auc_difference(label: Array, score: Array, other: Array) -> Interval:
    """How much more AUC `score` has than `other` over the same rows, with its 95 % interval.

    By DeLong's variance of the two, which are paired: it says how other rows of the kind might turn
    out, for these two scores as they are. `count` is the number of rows.

    Args:
        label: `[n]` of 0 and 1.
        score: `[n]`, higher for what is likelier 1.
        other: `[n]`, to compare it with.

    Raises as `roc_curve`.

    >>> label, score = np.array([0, 1, 0, 1]), np.array([1, 4, 2, 3])
    >>> found = auc_difference(label, score, np.array([3, 4, 2, 1]))
    >>> found.mean, found.count
    (0.5, 4)
    """
    mean = auc(label, score) - auc(label, other)
    kinds = np.asarray(label) == 1
    above, below = (
        one - two for one, two in zip(_places(kinds, score), _places(kinds, other), strict=True)
    )
    variance = sum(float(part.var(ddof=1)) / len(part) for part in (above, below) if len(part) > 1)
    sd = variance**0.5
    return Interval(mean, sd, mean - _NORMAL * sd, mean + _NORMAL * sd, len(kinds))


def _places(positive: Array, score: Array) -> tuple[Floats, Floats]:
    """Of each positive the share of negatives below it, of each negative that of positives above.

    Ties count half: their means are the AUC.
    """
    score = np.asarray(score, np.float64)
    ones, zeros = np.sort(score[positive]), np.sort(score[~positive])
    higher, lower = score[positive], score[~positive]
    under = np.searchsorted(zeros, higher, "left") + np.searchsorted(zeros, higher, "right")
    over = np.searchsorted(ones, lower, "left") + np.searchsorted(ones, lower, "right")
    return under / (2 * len(zeros)), 1 - over / (2 * len(ones))


def ks(label: Array, score: Array) -> float:
    """Kolmogorov–Smirnov distance of the scores of the two classes, 0 to 1.

    Args:
        label: `[n]` of 0 and 1.
        score: `[n]`, higher for what is likelier 1.

    Raises as `roc_curve`.

    >>> ks(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.5
    """
    curve = roc_curve(label, score)
    at = _gap(curve)
    return float(abs(curve.true_positive[at] - curve.false_positive[at]))


def lift(label: Array, score: Array, bins: int = 10) -> Lift:
    """Lift by bins of equal size (deciles), highest scores first. Raises as `roc_curve`.

    Args:
        label: `[n]` of 0 and 1.
        score: `[n]`, higher for what is likelier 1.
        bins: how many.

    Where tied scores straddle a boundary, each side takes its share of their positives.

    >>> lift(np.array([0, 1, 0, 1]), np.array([0.1, 0.7, 0.4, 0.8]), bins=2).lift.tolist()
    [2.0, 0.0]
    """
    if bins < 1:
        raise MisuseError(f"found {bins} bins, allowed: at least 1")
    positives, negatives, _ = _cumulate(label, score)
    total = positives + negatives
    rows, hits = int(total[-1]), int(positives[-1])
    edges = np.linspace(0.0, rows, bins + 1)
    cumulated = np.interp(edges, total.astype(np.float64), positives.astype(np.float64))
    rate = np.diff(cumulated) / (rows / bins)
    return Lift(rows / bins, rate, rate / (hits / rows), cumulated[1:] / hits)


def calibration(label: Array, score: Array, bins: int = 10) -> Calibration:
    """Predicted against observed rate in bins of about equal size; tied scores share a bin.

    Args:
        label: `[n]` of 0 and 1.
        score: `[n]` probabilities.
        bins: how many.

    Raises:
        InputError: no rows.
        MisuseError: other shapes, labels, or scores outside 0 to 1.

    >>> found = calibration(np.array([0, 0, 0, 1]), np.array([0.25, 0.25, 0.25, 0.25]), bins=1)
    >>> found.predicted.tolist(), found.observed.tolist()
    ([0.25], [0.25])
    """
    label, score = _checked(label, score)
    if not label.size:
        raise InputError("no rows to calibrate on")
    if bins < 1 or score.min() < 0.0 or score.max() > 1.0:
        raise MisuseError("calibration needs probabilities from 0 to 1, and at least 1 bin")
    order = np.argsort(score, kind="stable")
    ordered, positive = score[order], label[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    start = np.flatnonzero(first)
    size = np.diff(np.append(start, len(ordered)))
    middle = (start + (size - 1) / 2)[np.cumsum(first) - 1]
    place = np.minimum((middle + 0.5) * bins / len(ordered), bins - 1e-9).astype(np.int64)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    rows = count[used]
    predicted = np.bincount(place, ordered, minlength=bins)[used] / rows
    observed = np.bincount(place, positive, minlength=bins)[used] / rows
    low, high = _wilson(observed, rows)
    error = float((np.abs(predicted - observed) * rows).sum() / rows.sum())
    brier = float(np.mean((score - label) ** 2))
    return Calibration(
        rows=rows.astype(np.int64),
        predicted=predicted,
        observed=observed,
        low=low,
        high=high,
        error=error,
        brier=brier,
    )


def stratified_folds(label: Array, folds: int, seed: int) -> Ints:
    """int64[rows]: a fold from 0 to `folds` - 1 for each row, each class spread evenly.

    Whoever is told these folds and knows the seed reads labels from them: they stay with the party
    that deals them (folds that partners are told come from `federated.steps.folds`).
    The same label, folds and seed give the same result in every process and version of
    numpy: only the generator's raw stream, which numpy keeps fixed, is used. Fold sizes, and
    those of each class in them, differ by at most one.

    Raises:
        InputError: a class with fewer rows than folds.
        MisuseError: folds below 2, or labels other than 0 and 1.
    """
    label, _ = _checked(label, label)
    if folds < 2:
        raise MisuseError(f"found {folds} folds, allowed: at least 2")
    smallest = int(min(label.sum(), len(label) - label.sum()))
    if smallest < folds:
        raise InputError(
            f"the rarer class of the label has {smallest} rows, allowed: at least {folds}",
            hint="one row a fold; use fewer folds, or folds = 0",
        )
    shuffled = np.argsort(np.random.PCG64(seed).random_raw(len(label)), kind="stable")
    dealt = shuffled[np.argsort(label[shuffled], kind="stable")]
    result = np.empty(len(label), dtype=np.int64)
    result[dealt] = np.arange(len(label)) % folds
    return result


def fold_aucs(label: Array, score: Array, folds: Array) -> Floats:
    """The AUC within each fold, float64[folds]. Rows with a negative label or fold are left out.

    Raises as `roc_curve`, also if one fold has one class only.
    """
    held = (np.asarray(folds) >= 0) & (np.asarray(label) >= 0)
    if not held.any():
        raise InputError("no labelled rows in any fold")
    label, score, folds = label[held], score[held], folds[held]
    inside = (folds == number for number in range(int(folds.max()) + 1))
    return np.array([auc(label[rows], score[rows]) for rows in inside])


def mean_auc(label: Array, score: Array, folds: Array) -> float:
    """The mean of `fold_aucs`."""
    return float(fold_aucs(label, score, folds).mean())


def auc_interval(aucs: Array) -> Interval:
    """Mean, standard deviation and 95 % Student interval of folds' AUCs, kept within 0 to 1."""
    found = mean_interval(aucs)
    low, high = np.clip([found.low, found.high], 0.0, 1.0)
    return Interval(found.mean, found.sd, float(low), float(high), found.count)


def mean_interval(values: Array) -> Interval:
    """The same of any values; of the folds' differences, it is a paired comparison.

    Raises:
        MisuseError: no values.
    """
    values = np.asarray(values, dtype=np.float64)
    count = values.size
    if not count:
        raise MisuseError("an interval needs at least 1 value")
    mean = float(values.mean())
    if count == 1:
        return Interval(mean, 0.0, float("nan"), float("nan"), 1)
    sd = float(values.std(ddof=1))
    half = _student(count - 1) * sd / count**0.5
    return Interval(mean, sd, mean - half, mean + half, count)


def _student(freedom: int) -> float:
    """The two-sided 95 % quantile; beyond the table by its expansion, right to 1e-5."""
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    z = _NORMAL
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return z + first + second


def _wilson(rate: Floats, rows: Ints) -> tuple[Floats, Floats]:
    """The 95 % score interval of a rate."""
    z2 = _NORMAL**2
    centre = (rate + z2 / (2 * rows)) / (1 + z2 / rows)
    half = _NORMAL * np.sqrt(rate * (1 - rate) / rows + z2 / (4 * rows**2)) / (1 + z2 / rows)
    # at 0 and 1 an end is the rate itself; rounding must not move it beyond
    return np.clip(np.minimum(centre - half, rate), 0, 1), np.clip(
        np.maximum(centre + half, rate), 0, 1
    )


def _gap(curve: Roc) -> int:
    """Where the two classes' shares differ most."""
    return int(np.argmax(np.abs(curve.true_positive - curve.false_positive)))


def _cumulate(label: Array, score: Array) -> tuple[Ints, Ints, Floats]:
    """Positives and negatives at or above each distinct score, highest first, from 0 on."""
    label, score = _checked(label, score)
    hits = int(label.sum())
    if hits in (0, len(label)):
        raise InputError(
            "the label has one class only, two are needed",
            hint="check the label column, and `positive` for a text label",
        )
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    positives = np.cumsum(label[order].astype(np.int64))[last]
    negatives = last + 1 - positives
    return np.append(0, positives), np.append(0, negatives), ordered[last]


def _checked(label: Array, score: Array) -> tuple[Floats, Floats]:
    """Both as float64[rows], checked."""
    label, score = np.asarray(label), np.asarray(score)
    if label.ndim != 1 or label.shape != score.shape:
        raise MisuseError(
            f"found labels {list(label.shape)} and scores {list(score.shape)}, "
            "allowed: one of each a row"
        )
    if not np.isin(label, (0, 1)).all():
        raise MisuseError("found labels other than 0 and 1")
    score = score.astype(np.float64)
    if not np.isfinite(score).all():
        raise MisuseError("found scores that are not finite numbers")
    return label.astype(np.float64), score
