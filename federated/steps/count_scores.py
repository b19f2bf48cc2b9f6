"""Rows counted by their final score, after a regression that tells no row's, at one party.

`counted/TASK/spread`, then for each group of rows `counted/TASK/NUMBER`, then `counted/TASK/open`;
then, where the contract names a list, who is on it (`list_rows`).
"""

from __future__ import annotations

import numpy as np

from federated.contract.terms import TrainTerms
from federated.counted import (
    LANES,
    OTHER,
    CountsGiver,
    CountsTaker,
    ScoreGrid,
    SpreadHearer,
    SpreadTeller,
    bins_of,
    groups_of,
    lanes_of,
    leaves_of,
    possible,
)
from federated.models import has_answer
from federated.regression import FeatureFit, count_noise
from federated.sharing import BinHolder, ValueHolder
from federated.steps.list_rows import hear_list, tell_list
from federated.steps.outcome import Counted, Trained
from federated.steps.work import Work

__all__ = ["feature_counts", "label_counts"]


def label_counts(work: Work, trained: Trained, own: np.ndarray) -> Counted:
    """The label party's part.

    Args:
        work: of the job.
        trained: the regression.
        own: `float64[rows]`, this party's part of each aligned row's final score.
    """
    terms, context = trained.terms, work.session.context
    peers = list(terms.partners)
    middle = float(own.mean())
    step = f"counted/{terms.task}/spread"
    grid: ScoreGrid = work.run(step, SpreadHearer(context(step), own - middle), peers)
    bins = bins_of(grid, own - middle, _classes(trained))
    shares, rows = [], []
    labelled = has_answer(trained.label)
    folds = trained.folds.astype(np.int8)
    for number, group in enumerate(groups_of(labelled, folds, terms.folds, later=bool(terms.time))):
        if not len(group):
            shares.append(np.zeros((leaves_of(grid), LANES), np.uint64))
        else:
            step = f"counted/{terms.task}/{number}"
            holder = BinHolder(context(step), peers[0], [bins[group]], [leaves_of(grid)], LANES)
            shares.append(work.run(step, holder, peers)[0])
        classes = bins[group] // grid.points
        rows.append(np.bincount(classes, minlength=OTHER)[:OTHER])
    step, noise = f"counted/{terms.task}/open", count_noise(float(terms.noise))
    counts = work.run(step, CountsTaker(context(step), shares, grid), peers)
    spoilt = not possible(counts, np.array(rows, np.int64), noise)
    if spoilt:  # nothing is made of these, and the partner sees no difference
        ends = np.linspace(np.zeros_like(rows), rows, grid.bins + 1, axis=-1)
        counts = list(np.diff(np.rint(ends).astype(np.int64), axis=-1))
    told = hear_list(work, terms, own, middle, grid) if terms.listed else None
    middles = grid.middles() + middle
    return Counted(
        trained=trained, counts=counts, middles=middles, noise=noise, told=told, spoilt=spoilt
    )


def feature_counts(work: Work, terms: TrainTerms, fit: FeatureFit) -> None:
    """The partner's part, after its `fit`."""
    context, peer = work.session.context, work.contract.receiver
    step = f"counted/{terms.task}/spread"
    grid: ScoreGrid = work.run(step, SpreadTeller(context(step), peer, fit.own), [peer])
    points = grid.theirs(fit.own)
    shares = []
    groups = groups_of(fit.labelled, fit.folds, terms.folds, later=bool(terms.time))
    for number, group in enumerate(groups):
        if not len(group):
            shares.append(np.zeros((leaves_of(grid), LANES), np.uint64))
            continue
        mine = points[group]

        def give(low: int, high: int, mine: np.ndarray = mine) -> np.ndarray:
            return lanes_of(mine[low:high])

        step = f"counted/{terms.task}/{number}"
        holder = ValueHolder(context(step), peer, len(group), LANES, give, columns=1)
        shares.append(work.run(step, holder, [peer])[0])
    step = f"counted/{terms.task}/open"
    seed = work.session.keep(f"counts-{terms.task.encode().hex()}", lambda: work.session.random(32))
    noise = count_noise(float(terms.noise))
    work.run(step, CountsGiver(context(step), peer, shares, grid, noise, seed), [peer])
    if terms.listed:
        tell_list(work, terms, fit.own, grid)


def _classes(trained: Trained) -> np.ndarray:
    """`int8[rows]`: 1 and 0 of rows that measure, `OTHER` of all others."""
    label = np.where(has_answer(trained.label), trained.label, trained.later)
    return np.where(label >= 0, label, OTHER).astype(np.int8)
