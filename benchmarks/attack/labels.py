"""The partner infers labels from what it sees of a training: sums and coefficients of its own.

It knows 50 labels (of customers of its own, say). Its baseline is what it has whatever happens
between: its own columns and its final coefficients, used as well as we can. The attack adds the
coefficients before each evaluation, each gradient that is opened to it, and what sets a fold's
apart: sums over the fold's rows, weighted by their residuals. Both take the best of several rules,
told by the true labels, which favours the attacker.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Floats, Joined, load
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.plain import Fit, fitted
from federated.evaluation import auc
from federated.regression.newton import fit_logistic

__all__ = ["BAR", "KNOWN", "MANY", "PENALTIES", "coefficients", "inferred", "known_rows", "learned"]

KNOWN = 50
BAR = 0.02
# rows from which on the bar counts
MANY = 16_384
PENALTIES = (1.0, 10.0, 100.0)
WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0)

Labels = NDArray[np.int8]


def coefficients(scale: Scale) -> Iterator[Finding]:
    """A semi-honest partner with 50 known labels, from all it sees."""
    for name in scale.sets:
        joined = load(name, scale.rows)
        joined = joined.of_rows(np.flatnonzero(joined.label >= 0))
        pairs = [
            inferred(joined, fitted(joined, seed=seed), np.random.default_rng(seed))
            for seed in range(scale.seeds)
        ]
        base, found = (np.array(column) for column in zip(*pairs, strict=True))
        yield Finding(
            attack="",
            protocol="vertical, one partner",
            data=joined.told,
            who="partner, semi-honest",
            what=f"AUC of labels it does not know, with {KNOWN} known: all it sees beyond its own "
            "columns and final coefficients",
            figure=float(found.mean()),
            baseline=float(base.mean()),
            bar=BAR if len(joined.label) >= MANY else None,
            more={"seeds": scale.seeds, "largest_above": float((found - base).max())},
        )


def inferred(joined: Joined, fit: Fit, rng: np.random.Generator) -> tuple[float, float]:
    """AUC over the unknown labels: of the baseline's best rule, and of all rules."""
    y = joined.label
    known = known_rows(y, rng)
    rest = np.ones(len(y), dtype=np.bool_)
    rest[known] = False

    def best(rules: list[Floats]) -> float:
        return max(auc(y[rest], rule[rest]) for rule in rules)

    base = _own(joined.partner, y, known, fit.coefficients)
    return best(base), best([*base, *_evaluations(joined.partner, y, known, fit)])


def known_rows(y: Labels, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows whose labels it knows: by chance, two of each class at least."""
    while True:
        known = rng.permutation(len(y))[:KNOWN]
        if 2 <= int(y[known].sum()) <= KNOWN - 2:
            return known


def _own(x: Floats, y: Labels, known: NDArray[np.int64], final: Floats) -> list[Floats]:
    score = x @ final
    both = np.column_stack([_unit(score), x])
    rules = [score]
    for penalty in PENALTIES:
        rules.append(learned(x, y, known, np.full(x.shape[1], penalty)))
        rules.append(learned(both, y, known, np.append(0.1, np.full(x.shape[1], penalty))))
    return rules


def _evaluations(x: Floats, y: Labels, known: NDArray[np.int64], fit: Fit) -> list[Floats]:
    """Rules from the coefficients and gradients of every evaluation, and from each fold's.

    A gradient is a sum of rows weighted by residuals: its least squares say which rows these are.
    """
    score, centred = _unit(x @ fit.coefficients), x - x[fit.labelled].mean(axis=0)
    back = np.linalg.pinv(centred[fit.labelled].T @ centred[fit.labelled], hermitian=True)
    steps, pulls = [x @ model for model in fit.models], [np.zeros(len(x)) for _ in fit.models[1:2]]
    for fold, model in enumerate(fit.models[1:]):
        rows = fit.fold == fold
        pulls[0][rows] = x[rows] @ (fit.coefficients - model)
    for seen in fit.partner:
        steps += [x @ weights for weights in seen.weights[list(seen.evaluation.models)]]
        pull = np.zeros(len(x))
        for vector, gradient in zip(seen.evaluation.vectors, seen.gradients, strict=True):
            rows = vector.rows(fit.labelled, fit.fold.astype(np.int8))
            pull[rows] -= centred[rows] @ (back @ gradient)
        pulls.append(pull)
    rules = [*steps, *pulls]
    for pull in pulls:
        rules += [score + weight * _unit(pull) / 8.0 for weight in WEIGHTS]
    features = np.column_stack([score, *(_unit(p) for p in pulls), *(_unit(s) for s in steps)])
    rules += [
        learned(features, y, known, np.append(0.1, np.full(features.shape[1] - 1, penalty)))
        for penalty in PENALTIES
    ]
    return rules


def learned(x: Floats, y: Labels, known: NDArray[np.int64], penalty: Floats) -> Floats:
    """Scores of a logistic regression on the known rows."""
    design = np.column_stack([np.ones(len(known)), x[known]])
    fit = fit_logistic(design, y[known], np.append(0.0, penalty))
    return np.asarray(x @ fit.coefficients[1:])


def _unit(values: Floats) -> Floats:
    size = float(values.std())
    return (values - values.mean()) / size if size > 0 else values * 0.0
