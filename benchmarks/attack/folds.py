"""The partner reads labels from the folds, and the numbers of the whole product against central.

A whole job by the product's nodes, the training's sums in the clear. The partner is told which
fold each row is in, and the contract's seed. Where folds are dealt by class in an order that the
seed gives, it runs over the rows in that order: a row of one class takes the class's next fold,
and the number of rows of the class so far, modulo the folds, is all that has to be kept in mind.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Bound, Floats, bound, joined
from benchmarks.attack.finding import Finding, Scale
from benchmarks.attack.plain import Fit, watched
from benchmarks.attack.world import Result, World, heading, why
from federated.evaluation import auc, mean_auc
from federated.models.logistic import sigmoid
from federated.regression.newton import fit_logistic
from psi.protocol import Declined, FedprofileError, Refused

__all__ = ["SCORE_BITS", "folds", "labels_of", "trained"]

CENTRAL = 0.002
FOLDS = 5
SCORE_BITS = (0, 4, 3, 2, 1)
"""What is tried in turn until a new node's policy lets the job pass; 0: the job's defaults."""


def folds(scale: Scale) -> Iterator[Finding]:
    """Labels from folds and seed, alone and with the partner's own score part; AUC of the folds."""
    for name in scale.sets if scale.full else scale.sets[:1]:
        found = bound(name)
        if scale.rows:
            found = found.take(np.arange(min(scale.rows, len(found.own))))
        played = _first(found)
        if isinstance(played, FedprofileError):
            yield Finding(
                attack="",
                protocol="vertical, one partner, whole job",
                data=f"{name}, {len(found.own):,} rows",
                who="partner, semi-honest",
                what="AUC of labels",
                refused=why(played),
            )
            continue
        result, fit = played
        made = result.bank.trained[0]
        known = made.label >= 0
        y = made.label[known].astype(np.int8)
        where = f"{name}, {len(y):,} labelled rows"
        design = joined(found)
        own = (design.partner @ fit.coefficients)[known]
        fold = fit.fold[known]
        share = float(y.mean())
        for what, prior, base in (
            ("from the folds and the contract's seed", np.full(len(y), share), 0.5),
            ("the same, beside its own score part", _calibrated(own, share), auc(y, own)),
        ):
            guess = labels_of(fold, FOLDS, result.contract.seed, prior)
            yield Finding(
                attack="",
                protocol="vertical, one partner, whole job",
                data=where,
                who="partner, semi-honest",
                what=f"AUC of labels {what}",
                figure=auc(y, guess),
                baseline=base,
                bar=0.02,
            )
        central = _central(made.own_matrix[known], design.partner[known], y, made.folds[known])
        gap = central - mean_auc(y, made.fold_scores[known], made.folds[known])
        yield Finding(
            attack="",
            protocol="vertical, one partner, whole job",
            data=where,
            who="nobody",
            what=f"mean AUC of {FOLDS} folds: central minus federated",
            figure=gap,
            baseline=0.0,
            bar=CENTRAL,
            more={
                "central": central,
                "evaluations": made.terms.evaluations,
                "noise": float(made.terms.noise),
                "score_bits": made.terms.score_bits,
            },
        )


def _first(found: Bound) -> tuple[Result, Fit] | FedprofileError:
    """The first job that a new node runs, or what the last one was refused for."""
    refused: FedprofileError = Refused("nothing was asked")
    for score_bits in SCORE_BITS:
        try:
            return trained(found, score_bits=score_bits)
        except (Refused, Declined) as error:
            refused = error
    return refused


def trained(found: Bound, world: World | None = None, score_bits: int = 0) -> tuple[Result, Fit]:
    """One job that trains the set's label over all columns, and what each side saw.

    `score_bits`: how finely scores are told; the job's own default for 0. Raises what a party
    raised that stopped the job.
    """
    own, partner = found.features
    more = [f'positive = "{found.positive}"'] if found.positive else []
    if score_bits:
        more.append(f"score_bits = {score_bits}")
    asked = "\n".join(more)
    job = (
        heading(own, partner)
        + f"""
[train]
task = "attack"
label = "bank.{found.label}"
folds = {FOLDS}
{asked}
"""
    )
    world = world or World(found.partner, dict.fromkeys(partner, "feature"))
    with watched() as fits:
        result = world.run(job, found.own)
    return result, fits[-1]


def labels_of(fold: NDArray[np.int64], count: int, seed: int, prior: Floats) -> Floats:
    """Probability of label 1 of each row, `float64[n]`, from folds dealt with this seed.

    Args:
        fold: `int64[n]`, the fold of each labelled row; count: how many there are.
        prior: `float64[n]`, the probability of label 1 before.
    """
    n = len(fold)
    order = np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
    near = 1e-12
    # state: rows of class 0 so far, modulo the folds; batch: rows of class 0 in all, modulo it
    zeros = np.arange(count)
    zero_fold = np.arange(count)
    forward = np.zeros((n + 1, count, count))
    forward[0, :, 0] = 1.0
    scale = np.zeros((n + 1, count))
    given, p = fold[order], np.clip(prior[order], near, 1 - near)
    as_zero = np.empty((n, count), dtype=np.bool_)
    as_one = np.empty((n, count, count), dtype=np.bool_)
    for i in range(n):
        as_zero[i] = zero_fold == given[i]
        as_one[i] = (zeros[:, None] + i - zero_fold[None, :]) % count == given[i]
        now = forward[i]
        moved = np.roll(now * as_zero[i] * (1 - p[i]), 1, axis=1) + now * as_one[i] * p[i]
        size = moved.sum(axis=1)
        forward[i + 1] = moved / np.maximum(size, 1e-300)[:, None]
        scale[i + 1] = scale[i] + np.log(np.maximum(size, 1e-300))
    end = forward[n][zeros, n_zero := zeros]
    likely = scale[n] + np.log(np.maximum(end, 1e-300))
    weight = np.exp(likely - likely.max())
    backward = np.zeros((count, count))
    backward[zeros, n_zero] = 1.0
    found = np.empty(n)
    for i in range(n - 1, -1, -1):
        as_0 = np.roll(backward, -1, axis=1) * as_zero[i] * (1 - p[i])
        as_1 = backward * as_one[i] * p[i]
        one, zero = (forward[i] * as_1).sum(axis=1), (forward[i] * as_0).sum(axis=1)
        total = one + zero
        each = np.where(total > 0, one / np.maximum(total, 1e-300), p[i])
        found[i] = float(weight @ each) / float(weight.sum())
        backward = as_0 + as_1
        backward /= np.maximum(backward.sum(axis=1), 1e-300)[:, None]
    out = np.empty(n)
    out[order] = found
    return out


def _calibrated(score: Floats, share: float) -> Floats:
    """Probabilities whose mean is the share of label 1, in the score's order."""
    shift = 0.0
    for _ in range(50):
        shift += np.log(share / float(sigmoid(score + shift).mean()))
    return sigmoid(score + shift)


def _central(own: Floats, partner: Floats, y: NDArray[np.int8], fold: NDArray[np.int64]) -> float:
    """Mean AUC of the folds of one regression on the joined columns."""
    x = np.column_stack([np.ones(len(y)), own, partner])
    penalty = np.append(0.0, np.ones(x.shape[1] - 1))
    scores = np.empty(len(y))
    for value in range(FOLDS):
        test = fold == value
        scores[test] = x[test] @ fit_logistic(x[~test], y[~test], penalty).coefficients
    return mean_auc(y, scores, fold)
