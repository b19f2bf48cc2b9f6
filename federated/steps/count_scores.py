"""How good a regression is that tells no row's score, at one party: counts of rows, or sums.

`counted/TASK/spread`, then for each group of rows `counted/TASK/NUMBER`, then `counted/TASK/open`;
then, where the contract names a list, who is on it (`list_rows`). Where the label is one of two
classes, rows are counted by their final score; of numbers two sums over rows say what the score
leaves unexplained.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federated.contract.kinds.train import classes
from federated.contract.terms import TrainTerms
from federated.counted import (
    LANES,
    OTHER,
    SUM_LEAVES,
    SUMS,
    CountsGiver,
    CountsTaker,
    OwnNumbers,
    RingGrid,
    ScoreGrid,
    SumsGiver,
    SumsTaker,
    bins_of,
    groups_of,
    lanes_of,
    leaves_of,
    most_of_a_row,
    number_lanes,
    possible,
    summed,
)
from federated.models import has_answer
from federated.regression import FeatureFit, LabelFit, count_noise
from federated.sharing import BinHolder, ValueHolder
from federated.steps.list_rows import hear_list, tell_list
from federated.steps.outcome import Counted, Trained
from federated.steps.score_parts import Parts, hear_parts, tell_parts
from federated.steps.work import Work

__all__ = ["feature_counts", "label_counts"]


def label_counts(work: Work, trained: Trained, fit: LabelFit) -> Counted:
    """The label party's part.

    Args:
        work: of the job.
        trained: the regression.
        fit: how it ended, with this party's part of each aligned row's final score.
    """
    terms, own = trained.terms, fit.own
    middle = float(own.mean())
    parts = hear_parts(work, f"counted/{terms.task}/spread", terms.partners, own - middle)
    found = Counted(trained=trained, noise=count_noise(float(terms.noise)))
    if len(own):  # the fit's own part has the mean of the partner's in it, which it was told
        found.partners_mean = float(
            (fit.told(own) - trained.part.scores(trained.own_matrix)).mean()
        )
    groups = _groups(terms, has_answer(trained.label), trained.folds.astype(np.int8))
    if classes(terms):
        _label_classes(work, found, parts, groups)
        found.middles, found.blur = parts.grid.middles() + middle, parts.grid.blur
    else:
        _label_numbers(work, found, parts.plain(), fit, groups)
    if terms.listed:
        told = hear_list(work, terms, parts, middle)
        if told.scores is not None:  # in the label's unit, before the model's link
            told = replace(told, scores=fit.told(told.scores))
        found.told = told
    return found


def feature_counts(work: Work, terms: TrainTerms, fit: FeatureFit) -> None:
    """The partner's part, after its `fit`; of several partners the last one counts."""
    context, peer = work.session.context, work.contract.receiver
    step, deviation = f"counted/{terms.task}/spread", float(fit.own.std())
    parts = tell_parts(work, step, terms.partners, fit.own, deviation)
    if parts is None:
        return
    grid = parts.grid
    numbers, points = not classes(terms), grid.theirs(parts.cut)
    trees, leaves, lanes = _shape(terms, grid)
    shares = []
    for number, group in enumerate(_groups(terms, fit.labelled, fit.folds)):
        if not len(group):
            shares.append([np.zeros((leaves, lanes), np.uint64)] * trees)
            continue

        def give(low: int, high: int, group: np.ndarray = group) -> np.ndarray:
            rows = group[low:high]
            if numbers:
                return number_lanes(fit.own[rows], parts.plain(), terms.model)
            return lanes_of(points[rows])

        step = f"counted/{terms.task}/{number}"
        holder = ValueHolder(context(step), peer, len(group), lanes, give, columns=trees)
        shares.append(work.run(step, holder, [peer]))
    step = f"counted/{terms.task}/open"
    seed = work.session.keep(f"counts-{terms.task.encode().hex()}", lambda: work.session.random(32))
    noise = count_noise(float(terms.noise))
    if numbers:
        sums, most = [summed(share) for share in shares], most_of_a_row()
        giver = SumsGiver(context(step), peer, sums, noise * most, seed)
    else:
        every = [share[0] for share in shares]
        giver = CountsGiver(context(step), peer, every, grid, noise, seed)
    work.run(step, giver, [peer])
    if terms.listed:
        tell_list(work, terms, parts)


def _groups(terms: TrainTerms, labelled: np.ndarray, folds: np.ndarray) -> list[np.ndarray]:
    return groups_of(labelled, folds, terms.folds, later=bool(terms.time))


def _shape(terms: TrainTerms, grid: ScoreGrid | RingGrid) -> tuple[int, int, int]:
    """Trees a row, their leaves, and lanes."""
    return (1, leaves_of(grid), LANES) if classes(terms) else (SUMS, SUM_LEAVES, SUMS)


def _label_shares(
    work: Work,
    terms: TrainTerms,
    grid: ScoreGrid | RingGrid,
    number: int,
    bins: list[np.ndarray],
) -> list[np.ndarray]:
    """This party's shares of one group's sums by tree, leaf and lane."""
    trees, leaves, lanes = _shape(terms, grid)
    if not len(bins[0]):
        return [np.zeros((leaves, lanes), np.uint64)] * trees
    step = f"counted/{terms.task}/{number}"
    peer = terms.partners[-1]
    holder = BinHolder(work.session.context(step), peer, bins, [leaves] * trees, lanes)
    found: list[np.ndarray] = work.run(step, holder, [peer])
    return found


def _label_classes(work: Work, found: Counted, parts: Parts, groups: list[np.ndarray]) -> None:
    """Rows counted by class and score."""
    terms, grid = found.trained.terms, parts.grid
    bins = bins_of(grid, parts.cut, _classes(found.trained))
    shares, rows = [], []
    for number, group in enumerate(groups):
        shares += _label_shares(work, terms, grid, number, [bins[group]])
        of_class = bins[group] // grid.points
        rows.append(np.bincount(of_class, minlength=OTHER)[:OTHER])
    step = f"counted/{terms.task}/open"
    taker = CountsTaker(work.session.context(step), shares, grid)
    found.counts = work.run(step, taker, [parts.peer])
    found.spoilt = not possible(found.counts, np.array(rows, np.int64), found.noise)
    if found.spoilt:  # nothing is made of these, and the partner sees no difference
        ends = np.linspace(np.zeros_like(rows), rows, grid.bins + 1, axis=-1)
        found.counts = list(np.diff(np.rint(ends).astype(np.int64), axis=-1))


def _label_numbers(
    work: Work,
    found: Counted,
    grid: ScoreGrid,
    fit: LabelFit,
    groups: list[np.ndarray],
) -> None:
    """What the joined score leaves unexplained of the label, by two sums a group."""
    trained, terms = found.trained, found.trained.terms
    answers = np.where(trained.known, trained.label, trained.later)
    within = fit.within(answers)
    own = [OwnNumbers(terms.model, within[rows], fit.own[rows], grid) for rows in groups]
    shares = [
        summed(_label_shares(work, terms, grid, number, one.bins)) for number, one in enumerate(own)
    ]
    step = f"counted/{terms.task}/open"
    taker = SumsTaker(work.session.context(step), shares)
    opened = work.run(step, taker, list(terms.partners))
    left = [one.left(sums, found.noise) for one, sums in zip(own, opened, strict=True)]
    unit = 4.0**fit.scale  # of squares; counts are in units of one
    found.left = np.array([each[0] for each in left]) * unit
    found.left_noise = np.array([each[1] for each in left]) * unit
    found.spoilt = not all(each[2] for each in left)


def _classes(trained: Trained) -> np.ndarray:
    """`int8[rows]`: 1 and 0 of rows that measure, `OTHER` of all others."""
    label = np.where(has_answer(trained.label), trained.label, trained.later)
    return np.where(label >= 0, label, OTHER).astype(np.int8)
