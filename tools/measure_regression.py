"""What noise costs a logistic regression of real tables: standard errors, folds' AUC, evaluations.

    FEDPROFILE_DATA=... python -m tools.measure_regression bank|credit [--runs 3] [--noise 1]

Tables as in `tools/measure_trees.py`, texts as categories. Both roles of a regression of five folds
run in this process. Coefficients are held against the fit of one process, in its standard errors:
the root mean square over each party's columns, and the farthest one. AUC is the mean of the folds.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time

import numpy as np

from federated.evaluation import auc
from federated.models import MODELS
from federated.regression import FeatureParty, LabelParty, planned
from profiles.central import central
from psi.protocol import Context, MemoryStore, Pair
from tools.measure_trees import bank, credit

FOLDS = 5
TEXTS = ("job", "marital", "education", "default", "housing", "loan", "contact", "month")
TEXTS = (*TEXTS, "poutcome")


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


def main() -> None:
    """A line a run."""
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    given.add_argument("table", choices=("bank", "credit"))
    given.add_argument("--runs", type=int, default=3)
    given.add_argument("--noise", type=float, default=1.0)
    asked = given.parse_args()
    table, label, partners = {"bank": bank, "credit": credit}[asked.table]()
    y = label.astype(np.int8)
    columns = {name: np.asarray(table[name], np.float64) for name in table.column_names}
    own = design([name for name in columns if name not in partners], columns)
    theirs = design(partners, columns)
    joined = np.hstack([own, theirs])
    folds = np.random.default_rng(0).integers(0, FOLDS, len(y))
    model = MODELS["logistic"]
    exact = central(model, joined, y)
    rows = np.column_stack([np.ones(len(y)), joined])
    curved = rows * model.curvature(exact.scores(joined))[:, None]
    errors = np.sqrt(np.diag(np.linalg.inv(rows.T @ curved + np.eye(rows.shape[1]))))[1:]
    wanted = []
    for fold in range(FOLDS):
        out = folds == fold
        part = central(model, joined[~out], y[~out])
        wanted.append(auc(y[out], part.scores(joined[out])))
    width = joined.shape[1]
    coefficients = exact.contributions(np.eye(width), np.zeros(width)).diagonal()
    plan = planned(len(y), folds=FOLDS, noise=asked.noise)
    for _ in range(asked.runs):
        since = time.process_time()
        a = LabelParty(context("bank"), ["bureau"], own, y, plan=plan, folds=folds)
        b = FeatureParty(context("bureau"), "bank", theirs, plan=plan)
        found = Pair(a, b).run()
        spent, (bank_, bureau) = time.process_time() - since, (found["bank"], found["bureau"])
        off = np.concatenate([bank_.coefficients, bureau.coefficients]) - coefficients
        off /= errors
        parts = off[: own.shape[1]], off[own.shape[1] :]
        mine, other = (np.sqrt(np.mean(part**2)) for part in parts)
        got = [auc(y[folds == f], bank_.own[folds == f] + bureau.own[folds == f]) for f in range(5)]
        sys.stdout.write(
            f"label party's {mine:.2f}, partner's {other:.2f}, farthest {np.abs(off).max():.2f}; "
            f"AUC {np.mean(got) - np.mean(wanted):+.5f}; {bank_.evaluations} evaluations; "
            f"{spent:.1f} s of processor time\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
