"""The receiver of a horizontal training reads one row by the question that it asks.

A model so steep that p is 0 or 1 but near one hyperplane decides on the rows of one value of one
column: gradients of two such planes, one on each side, differ by these rows. The party that answers
is the product's `Branch`; the receiver is the one other party, so that it takes off the mask it
added itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np

from benchmarks.attack.data import Floats, Joined, load
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.world import why
from federated.horizontal import Branch, NoiseKey, Plan, SecureSum, add_masked
from federated.horizontal.branch import Question
from psi.protocol import FedprofileError

__all__ = ["steep"]

STEEP = 200.0
APART = 0.1
FOLDS = 5
ROWS = 10_000
CLOSE = 1e-2


def steep(scale: Scale) -> Iterator[Finding]:
    """One row by a steep model; the row that a column's rare value singles out."""
    for name in scale.sets[:1]:
        found = load(name, min(scale.rows or ROWS, ROWS))
        found = found.of_rows(np.flatnonzero(found.label >= 0))
        data, who = found.told, "receiver, lies: a steep model"
        what = "columns of one row read, of all"
        try:
            share = _read(found)
            yield Finding(
                attack="",
                protocol="horizontal",
                data=data,
                who=who,
                what=what,
                figure=share,
                baseline=0.0,
            )
        except FedprofileError as error:
            yield Finding(
                attack="",
                protocol="horizontal",
                data=data,
                who=who,
                what=what,
                figure=None,
                baseline=0.0,
                refused=why(error),
            )


def _read(found: Joined) -> float:
    x = np.column_stack([found.own, found.partner])
    rows, columns = x.shape
    plan, secret = Plan(columns, FOLDS), b"s" * 32
    fold = np.arange(rows) % FOLDS
    masks, key = SecureSum("a", {"b": secret}), NoiseKey(secrets.token_bytes(32))
    branch = Branch(x, found.label, fold, masks, plan, key)
    own = SecureSum("b", {"a": secret})
    # a value that one row alone has, as bisection over a few rounds would find it
    mean, scale = x.mean(axis=0), np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    z = (x - mean) / scale
    column, value = _rare(z)
    told = []
    for number, at in ((3, value - APART), (4, value + APART)):
        model = np.zeros((1, columns + 1))
        model[:, column], model[:, -1] = STEEP, -STEEP * at
        question = Question(number, "step", model, mean, scale, np.zeros(0))
        answer = branch.answer(question)
        nothing = np.zeros(len(answer))
        mine = own.mask(nothing, f"{number} step", nothing.astype(np.int64))
        told.append(add_masked([answer, mine], 2))
    row = (told[0] - told[1])[:-1]
    who = int(np.flatnonzero(z[:, column] == value)[0])
    return float((np.abs(row - z[who]) < CLOSE).mean())


def _rare(x: Floats) -> tuple[int, float]:
    for column in np.argsort([-len(np.unique(one)) for one in x.T]):
        values, counts = np.unique(x[:, column], return_counts=True)
        gaps = np.diff(values, prepend=-np.inf, append=np.inf)
        lonely = (counts == 1) & (np.minimum(gaps[:-1], gaps[1:]) > 2 * APART)
        if lonely.any():
            return int(column), float(values[lonely][0])
    return 0, float(x[0, 0])
