"""What the receiver is shown of a model whose scores no row was told: measured by noisy counts.

Counts by range of the score and class have noise of the partner's, so some are below 0. AUCs are
of the counts as they are, which leaves them without bias; curves need counts that can be, so there
the cumulated ones are made to rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from federated.counted import auc_of_counts, noise_of_auc, width_of
from federated.evaluation import auc_interval, calibration, lift, roc_curve
from federated.regression import counted_bits
from federated.steps.outcome import Counted, Outcome
from profiles.alone import Alone
from profiles.numbers_outputs import ended
from profiles.report.measured import (
    Model,
    OutOfTime,
    Scored,
    importance_of,
    paired_gain,
    scored,
)
from profiles.score_outputs import list_metrics
from profiles.summed_outputs import measured_sums, sums_metrics

__all__ = [
    "counted_metrics",
    "counted_notes",
    "measured_counts",
    "told_rows",
    "told_scores",
]

Counts = np.ndarray[Any, Any]


def measured_counts(counted: Counted, alone: Alone, receiver: str) -> Model:
    """The joined model by counts, beside the receiver's own by its rows' scores."""
    trained = counted.trained
    if not trained.model.classes:
        return measured_sums(counted, alone, receiver, _told_list(counted))
    terms, label = trained.terms, trained.label
    folded = terms.folds > 0
    folds = trained.folds if folded else None
    before = scored(f"{receiver} alone", label, alone.fold_scores, folds)
    groups = counted.counts[: max(1, terms.folds)]
    after = _scored(groups, counted, folded=folded)
    labelled = label[label >= 0]
    seen = "on held-out folds"
    if not folded:
        seen = "on the training rows: no folds were asked for"
    columns = trained.own_matrix, trained.columns, trained.part
    return Model(
        task=terms.task,
        model=trained.model.words,
        scores=(before, after),
        rows=len(labelled),
        positives=int(labelled.sum()),
        evaluation=seen,
        importance=importance_of(receiver, *columns),
        gain=paired_gain(before, after) if folded else None,
        out_of_time=_out_of_time(counted, alone, receiver),
        notes=(*trained.encoder.notes, *counted_notes(counted), *ended(trained)),
    )


def counted_metrics(counted: Counted) -> dict[str, Any]:
    """Of a training whose rows were counted, for `metrics.json`."""
    terms, numbers = counted.trained.terms, not counted.trained.model.classes
    found = sums_metrics(counted) if numbers else {"counted": _counts(counted)}
    if counted.told is not None:
        found["list"] = list_metrics(counted.told, terms)
    return found


def _counts(counted: Counted) -> dict[str, Any]:
    """By class and range of the score, fold by fold."""
    groups = counted.counts[: max(1, counted.trained.terms.folds)]
    return {
        "bins": counted.counts[0].shape[1],
        "noise": counted.noise,
        "spoilt": counted.spoilt,
        "row_bits": round(counted_bits(counted.noise), 4),
        "auc_noise": round(_mean_noise(groups, counted.noise), 5),
        "middles": np.round(counted.middles, 4).tolist(),
        "negatives": [group[0].tolist() for group in groups],
        "positives": [group[1].tolist() for group in groups],
    }


def told_rows(outcome: Outcome, total: int) -> dict[str, pa.Array]:
    """Of each task whose list was told by a bit a row: `bool[total]`, null where nothing was asked.

    Args:
        outcome: the receiver's.
        total: rows of its table.
    """
    found = {}
    every = [(one.trained.terms.task, one.told) for one in outcome.counted]
    every += [(one.terms.task, one.told) for one in outcome.scored]
    for task, told in every:
        if told is not None:
            listed, asked = np.zeros(total, bool), np.zeros(total, bool)
            listed[outcome.rows], asked[outcome.rows] = told.listed, told.asked
            found[task] = pa.array(listed, mask=~asked)
    return found


def told_scores(counted: Counted, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    """`own` scores of all rows, with the joined ones of those on a list in their place.

    Args:
        counted: a training with a list.
        rows: which rows its aligned rows are.
        own: `float64[total]`, of the receiver's own model.
    """
    found = own.copy()
    if counted.told is not None and counted.told.scores is not None:
        listed = counted.told.listed
        found[rows[listed]] = counted.trained.model.predict(counted.told.scores[listed])
    return found


def _mean_noise(groups: Sequence[Counts], noise: float) -> float:
    """What noise moves the mean of the groups' AUCs by, as a standard deviation."""
    return float(np.linalg.norm([noise_of_auc(group, noise) for group in groups]) / len(groups))


def counted_notes(counted: Counted) -> list[str]:
    """Sentences on what was told in the place of scores of two classes, and how far noise moves the
    AUC."""
    groups = counted.counts[: max(1, counted.trained.terms.folds)]
    moved = _mean_noise(groups, counted.noise)
    spoilt = (
        "The counts that the partner told cannot be those of these rows: its software is at fault, "
        "or lies. They are left out: the joined model counts as one that tells no row from another."
    )
    return [
        *_told_list(counted),
        *[spoilt] * counted.spoilt,
        f"No row's score is known here: rows are counted in {groups[0].shape[1]} ranges of it. "
        f"Noise of {counted.noise:g} on each count moves the AUC by {moved:.2g} (one standard "
        "deviation).",
    ]


def _told_list(counted: Counted) -> list[str]:
    """What was told of the list, where the job asks for who is on it."""
    if counted.told is None:
        return []
    asked, listed = int(counted.told.asked.sum()), int(counted.told.listed.sum())
    whose = "by the receiver's own columns"
    if counted.told.scores is not None:
        whose = "the joined model's, with noise; of all other rows no joined score is known"
    return [
        f"Who is on the list was told by one bit a row: {listed:,} of the {asked:,} rows that were "
        f"asked about. Their order and the scores beside them are {whose}."
    ]


def _scored(groups: Sequence[Counts], counted: Counted, *, folded: bool) -> Scored:
    total, middles = np.sum(groups, axis=0), counted.middles
    label, score = _rows(total, middles)
    curve, width = roc_curve(label, score), counted.blur * width_of(middles)
    aucs = np.array([auc_of_counts(group, width) for group in groups])
    known = aucs[np.isfinite(aucs)]
    return Scored(
        name="joined",
        roc=curve.thin(400),
        auc=auc_of_counts(total, width),
        ks=float(np.max(curve.true_positive - curve.false_positive)),
        lift=lift(label, score),
        calibration=replace(calibration(label, score), brier=_brier(total, middles)),
        interval=auc_interval(known) if folded and len(known) else None,
        fold_aucs=tuple(aucs.tolist()) if folded else (),
    )


def _brier(counts: Counts, middles: np.ndarray) -> float:
    """Of the ranges' middles, by counts as they are."""
    chance = 1.0 / (1.0 + np.exp(-middles))
    both = counts[0] * chance**2 + counts[1] * (1.0 - chance) ** 2
    return float(both.sum() / max(1.0, float(counts.sum())))


def _rows(counts: Counts, middles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A row for each that was counted, its label and its chance: counts that can be."""
    risen = [_risen(each) for each in counts]
    label = np.repeat([0, 1], [int(each.sum()) for each in risen])
    score = np.concatenate([np.repeat(middles, each) for each in risen])
    return label, 1.0 / (1.0 + np.exp(-score))


def _risen(counts: Counts) -> np.ndarray:
    """Counts of 0 and more whose cumulated ones are near those of `counts`; 1 at least in all."""
    total = max(1, int(counts.sum()))
    cumulated = np.clip(np.cumsum(counts), 0, total)
    high = np.maximum.accumulate(cumulated)
    low = np.minimum.accumulate(cumulated[::-1])[::-1]
    middle = np.rint((high + low) / 2).astype(np.int64)
    middle[-1] = total
    return np.diff(middle, prepend=0)


def _out_of_time(counted: Counted, alone: Alone, receiver: str) -> OutOfTime | None:
    """Both models on the shared rows of the validation period, which none was trained on."""
    trained = counted.trained
    terms, held = trained.terms, trained.later[trained.later >= 0]
    if not terms.time:
        return None
    both: tuple[Scored, ...] = ()
    if len(np.unique(held)) == 2:
        both = (
            scored(f"{receiver} alone", trained.later, alone.aligned),
            _scored(counted.counts[-1:], counted, folded=False),
        )
    return OutOfTime(
        column=terms.time,
        day=terms.validate_from,
        rows=len(held),
        positives=int(held.sum()),
        scores=both,
    )
