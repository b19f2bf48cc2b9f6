"""The receiver of a horizontal training reads one row by the question that it asks.

A model so steep that p(1 - p) is zero but near one hyperplane makes the curvature's total run over
the rows of one value of one column. The party that answers is the product's `Branch`; the receiver
is the one other party, so that it takes off the mask it added itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.attack.data import Floats, Joined, load
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.world import why
from federated.horizontal.branch import Branch, Question
from federated.horizontal.secure_sum import SecureSum, add_masked
from psi.protocol import FedprofileError

__all__ = ["steep"]

STEEP = 2000.0
FOLDS = 5
ROWS = 10_000
CLOSE = 1e-6


def steep(scale: Scale) -> Iterator[Finding]:
    """One row by a steep model; the row that a column's rare value singles out."""
    for name in scale.sets[:1]:
        found = load(name, min(scale.rows or ROWS, ROWS))
        found = found.of_rows(np.flatnonzero(found.label >= 0))
        data, who = found.told, "receiver, lies: a steep model"
        what = "columns of one row read, of all"
        try:
            share = _read(found)
            yield Finding("", "horizontal", data, who, what, share, 0.0)
        except FedprofileError as error:
            yield Finding("", "horizontal", data, who, what, None, 0.0, refused=why(error))


def _read(found: Joined) -> float:
    x = np.column_stack([found.own, found.partner])
    rows, columns = x.shape
    secret = b"s" * 32
    fold = np.arange(rows) % FOLDS
    branch = Branch(x, found.label, fold, SecureSum("a", {"b": secret}))
    own = SecureSum("b", {"a": secret})
    # a value that one row alone has, as bisection over a few rounds would find it
    column, value = _rare(x)
    models = np.zeros((FOLDS + 1, columns + 1))
    models[:, column], models[:, -1] = STEEP, -STEEP * value
    question = Question(3, "step", models, np.zeros(columns), np.ones(columns))
    answer = branch.answer(question)
    total = add_masked([answer, own.mask(np.zeros(len(answer)), f"{3} step")], 2)
    first = total.reshape(FOLDS + 1, -1)[0]
    pairs = first[1 + columns + 1 :]
    curvature = np.zeros((columns + 1, columns + 1))
    curvature[np.triu_indices(columns + 1)] = pairs
    told = curvature[:, -1] / curvature[-1, -1]
    who = int(np.flatnonzero(x[:, column] == value)[0])
    return float((np.abs(told[:-1] - x[who]) < CLOSE).mean())


def _rare(x: Floats) -> tuple[int, float]:
    for column in np.argsort([-len(np.unique(one)) for one in x.T]):
        values, counts = np.unique(x[:, column], return_counts=True)
        gaps = np.diff(values, prepend=-np.inf, append=np.inf)
        lonely = (counts == 1) & (np.minimum(gaps[:-1], gaps[1:]) > 40 / STEEP)
        if lonely.any():
            return int(column), float(values[lonely][0])
    return 0, float(x[0, 0])
