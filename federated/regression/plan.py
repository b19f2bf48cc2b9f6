"""What both parties agree on before a regression, and how many numbers it opens.

Pure functions that the job's plan, the contract and both roles share: a number that one party
derives differently ends the session.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from psi.protocol import MisuseError

__all__ = [
    "FINEST_SCORES",
    "LINKS",
    "MANY_ROWS",
    "MOST_EVALUATIONS",
    "MOST_FOLDS",
    "MOST_PARTNERS",
    "Opened",
    "RegressionPlan",
    "count_noise",
    "counted_bits",
    "label_bits",
    "opened_numbers",
    "planned",
    "told_bits",
]

LINKS = ("logistic", "linear", "poisson")
MOST_EVALUATIONS, MOST_FOLDS = 64, 50
MOST_PARTNERS = 3
"""A lookup a partner takes digits of all numbers."""
MOST = 1024.0
"""The largest penalty, and the most noise."""
FINEST_SCORES = 12
"""The most `score_bits`."""
MANY_ROWS = 1 << 14
"""Rows from which on seven bits of a column and noise of one row cost no quality."""
FOLDS_ALONE = ((1 << 12, 0), (1 << 10, 3), (0, 6))
"""From how many rows on each fold has how many evaluations of its own.

A fold's model starts at the full one, which has seen the fold's rows: stopped early it looks better
than it is. Of 328 rows and 70 columns the folds' mean AUC was .054, .010, .004 and .000 too high
after 0, 2, 4 and 8; of many rows one step is enough.
"""


@dataclass(frozen=True, kw_only=True)
class RegressionPlan:
    """A regression's terms, the same at every party.

    rows: aligned rows, at most: what the contract knows before the alignment.
    partners: feature parties, 1 to `MOST_PARTNERS`; several for logistic regression only.
    link: one of `LINKS`.
    evaluations: of the gradient over all labelled rows, at most; the last one by fold, too.
    folds: of the cross-validation, 0 for none.
    fold_evaluations: more, in each fold, for all folds at once.
    penalty: λ of ½ λ Σ w²; 1 is scikit-learn's C = 1. The intercept has none.
    noise: s. Whoever opens a sum over a column gets it with Gaussian noise of the other party, of
        sd s times the largest magnitude that a row has in the column; 0 for none. A partner gets
        it with as much again, which stays the same in all evaluations.
    score_bits: a row's final number is told with noise of 2^-`score_bits` of the vector's
        standard deviation; to `FINEST_SCORES`. 0: none is, and counts of rows by score are opened
        in its place, or of numbers two sums (`federated.counted`).
    grid_bits: a partner's score is one of 2^grid_bits points of an even grid in a lookup.
    weighted: rows have weights, which their residuals are multiplied by; not in linear regression.
    column_bits: of a number that is on no small even grid, in gradients: up to 8 in one tree, more
        in two. Scores are made of exact columns.
    """

    rows: int
    partners: int = 1
    link: str = "logistic"
    evaluations: int
    folds: int
    fold_evaluations: int
    penalty: float = 1.0
    noise: float
    score_bits: int = 6
    grid_bits: int
    column_bits: int
    weighted: bool = False

    def __post_init__(self) -> None:
        """Raise MisuseError for terms that make no fit."""
        _within("evaluations", self.evaluations, 1, MOST_EVALUATIONS)
        _within("folds", self.folds, 0, MOST_FOLDS)
        _within("fold_evaluations", self.fold_evaluations, 0, MOST_EVALUATIONS)
        _within("score_bits", self.score_bits, 0, FINEST_SCORES)
        _within("grid_bits", self.grid_bits, 6, 12)
        _within("partners", self.partners, 1, MOST_PARTNERS)
        _within("column_bits", self.column_bits, 7, 16)
        if self.link not in LINKS:
            raise MisuseError(f"link {self.link!r} found, {', '.join(LINKS)} allowed")
        if self.weighted and self.link == "linear":
            raise MisuseError("weights of a linear regression found, none allowed")
        if self.partners > 1 and self.link != "logistic":
            raise MisuseError(f"link {self.link!r} of {self.partners} partners found, one allowed")
        if self.folds == 1 or (self.fold_evaluations and not self.folds):
            raise MisuseError(f"{self.folds} folds of {self.fold_evaluations} evaluations found")
        for name, value in (("penalty", self.penalty), ("noise", self.noise)):
            if not (math.isfinite(value) and 0 <= value <= MOST):
                raise MisuseError(f"{name} = {value} found, 0 to {MOST:.0f} allowed")
        if self.rows < 1:
            raise MisuseError(f"{self.rows} rows found, at least 1 needed")


@dataclass(frozen=True)
class Opened:
    """Numbers that one party gets to know of all rows together in a regression.

    gradients: sums over a column (or over a fold's rows of it), each with the other's noise.
    products: inner products of the other party's vectors, with its own noise, of 16 bits.
    """

    gradients: int
    products: int


def planned(
    rows: int,
    *,
    folds: int,
    partners: int = 1,
    link: str = "logistic",
    evaluations: int = 0,
    fold_evaluations: int | None = None,
    penalty: float = 1.0,
    noise: float | None = None,
    score_bits: int = 6,
) -> RegressionPlan:
    """The terms for so many aligned rows, where not asked otherwise.

    Args:
        rows: aligned rows, at most.
        folds: of the cross-validation, 0 for none.
        partners: feature parties.
        link: one of `LINKS`.
        evaluations: 0 for a choice by this function.
        fold_evaluations: None for a choice by this function.
        penalty, score_bits: see `RegressionPlan`.
        noise: None for 1 from `MANY_ROWS` rows on. Below, the contract has to say it: None is
            0 there.

    Raises:
        MisuseError: terms that make no fit.
    """
    many = rows >= MANY_ROWS
    alone = next((number for least, number in FOLDS_ALONE if rows >= least), 0) if folds else 0
    return RegressionPlan(
        rows=rows,
        partners=partners,
        link=link,
        evaluations=evaluations or (10 if many else 12),
        folds=folds,
        fold_evaluations=alone if fold_evaluations is None else fold_evaluations,
        penalty=penalty,
        noise=float(many) if noise is None else noise,
        score_bits=score_bits,
        grid_bits=(7 if partners == 1 else 8)
        if many
        else 10
        if rows >= 2048 or partners > 1
        else 12,
        column_bits=7 if many else 14,
    )


def opened_numbers(plan: RegressionPlan, columns: int) -> Opened:
    """What a party with so many design columns of its own gets to know, at most.

    Args:
        plan: as in the contract.
    """
    vectors = plan.evaluations + plan.folds * (1 + plan.fold_evaluations)
    full = sum(_products(number) for number in range(plan.evaluations))
    forks = plan.folds * (2 * (plan.evaluations - 1) + 1)
    later = range(plan.evaluations, plan.evaluations + plan.fold_evaluations)
    alone = plan.folds * sum(_products(number) for number in later)
    return Opened((columns + 1) * vectors, full + forks + alone)


def told_bits(score_bits: int) -> float:
    """The most that a row's final number tells of it, in bits, in the mean of rows.

    A vector of variance 1 under independent Gaussian noise of sd 2^-b tells ½ log2(1 + 4^b) bits
    at most, with equality for a Gaussian one (Shannon 1948). A row far from the mean tells more.

    Args:
        score_bits: bits of a score that are told, as the contract says.
    """
    return 0.5 * math.log2(1.0 + 4.0**score_bits)


def count_noise(noise: float) -> float:
    """The standard deviation of the noise on counts of rows by score, for a plan's `noise`.

    Never below 1, what one row adds: exact counts would tell who knows all other rows the last one.
    """
    return max(1.0, noise)


def counted_bits(noise: float) -> float:
    """The most that all counts of rows by score tell of one row's place among them, in bits.

    The row is in one cell: a vector of 0 and one 1, whose variances add up to less than 1, under
    noise of its own in each cell: ½ Σ log2(1 + v / s²) ≤ ½ log2(e) / s² (Shannon 1948), whoever
    knows all other rows.

    Args:
        noise: of the plan.
    """
    return 0.5 * math.log2(math.e) / count_noise(noise) ** 2


def label_bits(noise: float, folds: int, fold_evaluations: int, link: str = "logistic") -> float:
    """The most that all sums of one column in a training tell of one row's label, in bits.

    The row's residual is in every evaluation's sum. What stays of the noise over all evaluations
    has a variance of s² for all rows, 2 s² for the row's fold, which is opened once, and s² for
    each set of rows without a fold, where these have evaluations of their own. A label of 0 or 1,
    or a count in units of the largest one, has a variance of 1/4 at most, a number that may lie on
    both sides of the mean one of 1 (Shannon 1948).

    Args:
        noise: s of the plan.
        folds, fold_evaluations, link: of the plan.
    """
    most = 1.0 if link == "logistic" else math.inf
    if not noise:
        return most
    draws = 1.0 + (0.5 + (folds - 1.0) * bool(fold_evaluations) if folds else 0.0)
    variance = 1.0 if link == "linear" else 0.25
    return min(most, 0.5 * math.log2(1.0 + variance * draws / noise**2))


def _products(pairs: int) -> int:
    """Inner products of one evaluation with so many pairs of steps and changes before it."""
    return 4 * pairs + 3 if pairs else 2


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise MisuseError(f"{name} = {value} found, {low} to {high} allowed")
