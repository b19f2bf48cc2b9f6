"""How far a logistic regression of real tables is from one in one process: errors, folds' AUC.

    FEDPROFILE_DATA=... python -m tools.measure_regression bank|credit|berka|german [--runs 3]
        [--noise 1] [--fold-evaluations 6,8]

`bank` and `credit` are as in `tools/measure_trees.py`, texts as categories; `berka` is that of
`examples/`, its partners as one; `german` has the accounts and earlier credits at the partner. Both
roles of a regression of five folds run in this process. Coefficients are held against
scikit-learn's of all rows, in its standard errors: the root mean square over each party's columns,
and the farthest one. AUC is the mean of the folds, less scikit-learn's of the same folds: by the
exact parts of scores, and as the receiver is told them. Each run deals the folds anew.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from benchmarks.attack.data import bound, joined
from federated.evaluation import auc
from federated.models import LOGISTIC
from federated.regression import FeatureParty, LabelParty, RegressionPlan, planned
from federated.tables.encoding import Encoder
from profiles.central import central
from profiles.train_section import SCORE_BITS
from psi.protocol import Context, MemoryStore, Pair
from tools.measure_trees import DATA, bank, credit

Sides = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Both parties' design columns, and the label."""
Gap = tuple[float, float]

FOLDS = 5
TEXTS = ("job", "marital", "education", "default", "housing", "loan", "contact", "month")
TEXTS = (*TEXTS, "poutcome")
ACCOUNTS = (
    "status_of_existing_checking_account",
    "savings_account_and_bonds",
    "credit_history",
    "number_of_existing_credits_at_this_bank",
    "other_installment_plans",
)


def design(names: list[str], columns: dict[str, np.ndarray]) -> np.ndarray:
    """Standardised numbers, and texts as columns of 0 and 1 without the first value's."""
    found = []
    for name in names:
        x = columns[name]
        if name in TEXTS:
            found += [(x == value).astype(float) for value in np.unique(x)[1:]]
        else:
            found.append((x - x.mean()) / x.std())
    return np.column_stack(found)


def context(party: str) -> Context:
    """A session in memory."""
    return Context(b"m" * 32, "train/t", party, secrets.token_bytes, MemoryStore())


def encoded(table: pa.Table, names: list[str]) -> np.ndarray:
    """A party's columns as a job encodes them."""
    return np.asarray(Encoder.fit(table, names).transform(table)[0])


def plain(read: Callable[[], tuple[pa.Table, np.ndarray, list[str]]]) -> Sides:
    """Both sides of a table of numbers, those of `TEXTS` as categories."""
    table, label, partners = read()
    columns = {name: np.asarray(table[name], np.float64) for name in table.column_names}
    own = design([name for name in columns if name not in partners], columns)
    return own, design(partners, columns), label.astype(np.int8)


def german() -> Sides:
    """1,000 loans; the partner has what the bank of the account would know."""
    table = csv.read_csv(DATA / "german" / "germancredit.csv")
    y = np.asarray(pc.equal(table["creditability"], "bad")).astype(np.int8)
    names = [name for name in table.column_names if name not in (*ACCOUNTS, "creditability")]
    return encoded(table, names), encoded(table, list(ACCOUNTS)), y


def berka() -> Sides:
    """328 loans that have an answer."""
    found = joined(bound("berka"))
    found = found.of_rows(np.flatnonzero(found.label >= 0))
    return found.own, found.partner, found.label


SETS: dict[str, Callable[[], Sides]] = {
    "bank": partial(plain, bank),
    "credit": partial(plain, credit),
    "german": german,
    "berka": berka,
}


def fold_auc(y: np.ndarray, scores: np.ndarray, folds: np.ndarray) -> float:
    """The mean of the folds'."""
    return float(np.mean([auc(y[folds == f], scores[folds == f]) for f in range(FOLDS)]))


def central_auc(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> float:
    """The same of scikit-learn's fits."""
    scores = np.empty(len(y))
    for fold in range(FOLDS):
        out = folds == fold
        scores[out] = central(LOGISTIC, x[~out], y[~out]).scores(x[out])
    return fold_auc(y, scores, folds)


class Measured:
    """One table, and scikit-learn's fit of it."""

    def __init__(self, sides: Sides) -> None:
        self.own, self.theirs, self.y = sides
        self.joined = np.hstack([self.own, self.theirs])
        exact, width = central(LOGISTIC, self.joined, self.y), self.joined.shape[1]
        rows = np.column_stack([np.ones(len(self.y)), self.joined])
        curved = rows * LOGISTIC.curvature(exact.scores(self.joined))[:, None]
        covariance = np.linalg.inv(rows.T @ curved + np.eye(width + 1))
        self.errors = np.sqrt(np.diag(covariance))[1:]
        self.exact = exact.contributions(np.eye(width), np.zeros(width)).diagonal()

    def run(self, plan: RegressionPlan, folds: np.ndarray, wanted: float) -> tuple[str, Gap]:
        """A line of one training, and what its two AUC are off."""
        since = time.process_time()
        a = LabelParty(context("bank"), ["bureau"], self.own, self.y, plan=plan, folds=folds)
        b = FeatureParty(context("bureau"), "bank", self.theirs, plan=plan)
        found = Pair(a, b).run()
        spent, (bank_, bureau) = time.process_time() - since, (found["bank"], found["bureau"])
        off = np.concatenate([bank_.coefficients, bureau.coefficients]) - self.exact
        off /= self.errors
        parts = off[: self.own.shape[1]], off[self.own.shape[1] :]
        mine, other = (np.sqrt(np.mean(part**2)) for part in parts)
        exact = fold_auc(self.y, bank_.own + bureau.own, folds) - wanted
        told = fold_auc(self.y, bank_.fold_scores, folds) - wanted
        line = (
            f"label party's {mine:.2f}, partner's {other:.2f}, farthest {np.abs(off).max():.2f}; "
            f"AUC {exact:+.5f}, as told {told:+.5f}; {bank_.evaluations} + "
            f"{plan.fold_evaluations} evaluations; {spent:.1f} s of processor time"
        )
        return line, (exact, told)


def main() -> None:
    """A line a run, and one of all."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("table", choices=tuple(SETS))
    given.add_argument("--runs", type=int, default=3)
    given.add_argument("--noise", type=float)
    given.add_argument("--fold-evaluations", default="")
    given.add_argument("--score-bits", type=int, default=SCORE_BITS)
    asked = given.parse_args()
    measured = Measured(SETS[asked.table]())
    rows = len(measured.y)
    later = [int(text) for text in asked.fold_evaluations.split(",") if text] or [None]
    gaps: dict[int, list[Gap]] = {}
    for run in range(asked.runs):
        folds = np.random.default_rng(run).integers(0, FOLDS, rows)
        wanted = central_auc(measured.joined, measured.y, folds)
        for number in later:
            plan = planned(
                rows,
                folds=FOLDS,
                noise=asked.noise,
                fold_evaluations=number,
                score_bits=asked.score_bits,
            )
            line, gap = measured.run(plan, folds, wanted)
            gaps.setdefault(plan.fold_evaluations, []).append(gap)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    for number, found in gaps.items():
        off = np.array(found)
        mean, most = off.mean(axis=0), np.abs(off).max(axis=0)
        error = off.std(axis=0, ddof=min(1, len(off) - 1)) / np.sqrt(len(off))
        sys.stdout.write(
            f"{len(off)} runs of {rows:,} rows x {measured.joined.shape[1]}, {number} evaluations "
            f"of folds: AUC {mean[0]:+.5f} (standard error {error[0]:.5f}, most {most[0]:.5f}), "
            f"as told {mean[1]:+.5f} ({error[1]:.5f}, most {most[1]:.5f})\n"
        )


if __name__ == "__main__":
    main()
