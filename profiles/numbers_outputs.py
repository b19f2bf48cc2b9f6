"""What the receiver is shown of a model that predicts numbers: errors, and how it ended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from federated.evaluation import Interval, mean_interval
from federated.regression.columns import BOUND
from federated.steps.outcome import Trained
from profiles.alone import Alone
from profiles.goodness import Goodness, goodness
from profiles.leaks import partners_jump, telling_numbers
from profiles.report.measured import Model, OutOfTime, importance_of

__all__ = ["ended", "gain", "measured_numbers", "numbers_metrics", "unfit"]

_NOTHING = 1e-6
_UNSETTLED = 3.0
"""Times what noise and chance make: a last gradient beyond that is of a fit that did not settle."""


def measured_numbers(trained: Trained, alone: Alone, receiver: str, aligned: pa.Table) -> Model:
    """The joined model and the receiver's own, on rows that they did not see where there are folds.

    Args:
        trained: of a model whose answers are numbers.
        alone: the same model on own columns.
        receiver: its name.
        aligned: its features of the aligned rows, as they were read.
    """
    folded = bool((trained.folds >= 0).any())
    folds = trained.folds if folded else None
    seen = "on held-out folds" if folded else "on the training rows: no folds were asked for"
    joined = trained.fold_scores if folded else trained.scores
    before = goodness(f"{receiver} alone", trained.model, trained.label, alone.fold_scores, folds)
    after = goodness("joined", trained.model, trained.label, joined, folds)
    partners = " and ".join(trained.terms.partners)
    columns = trained.own_matrix, trained.columns, trained.part
    theirs = {partners: (trained.partners(), trained.partner_columns)}
    label = trained.terms.label
    known = np.where(trained.known, trained.label, np.nan)
    shares = (before.mean_explained, after.mean_explained)
    jump = partners_jump(*shares, partners, label)
    warnings = (*telling_numbers(aligned, label, known, receiver), *([jump] if jump else []))
    warnings = (*unfit(trained, before, after), *warnings)
    return Model(
        task=trained.terms.task,
        model=trained.model.words,
        scores=(),
        numbers=(before, after),
        mean=float(trained.label[trained.known].mean()),
        rows=before.rows,
        positives=0,
        evaluation=seen,
        importance=importance_of(receiver, *columns, theirs),
        gain=None if _silent(trained) else gain(before, after),
        out_of_time=_out_of_time(trained, alone, receiver),
        notes=(*trained.encoder.notes, *ended(trained)),
        warnings=warnings,
    )


def unfit(trained: Trained, before: Goodness, after: Goodness) -> list[str]:
    """What the receiver must know before it uses the model: noise, an end far off, a bad measure.

    Args:
        trained: of a model whose answers are numbers.
        before, after: how good its own columns alone are, and the joined model.
    """
    every = [entry for entry in trained.log if entry["fold"] == -1]
    chance = float(trained.own_matrix.shape[1] + trained.partner_columns + 1) ** 0.5
    noise = float(every[-1].get("noise", 0.0)) if every else 0.0
    found = []
    if noise > chance:
        largest = float(np.abs(trained.label[trained.known]).max())
        found.append(
            f"Noise that hides a row is {noise / chance:.1f} times as large as what chance leaves "
            f"of the model: it follows the farthest label ({largest:.6g}, the mean is "
            f"{float(trained.label[trained.known].mean()):.3g}). What the partner's columns say "
            "below that is left out, down to the own model alone. A column of your own with far "
            "values cut off, as label, has less noise."
        )
    if _silent(trained):
        found.append(
            "The partner's columns add nothing to this model: it is the own one, and its measure "
            "is of rows that it has seen. No gain is told."
        )
    left = trained.gradient_left or 0.0
    if left > _UNSETTLED * max(noise, chance):
        found.append(
            f"The fit did not settle: its last gradient was {left:.2g} standard errors from the "
            f"optimum, where noise and chance make {max(noise, chance):.2g}."
        )
    if trained.unusable:
        found.append(
            "This model is worse than the mean label, or no numbers came of it: it is not kept for "
            "scoring, and its predictions are not to be used."
        )
    elif after.mean_explained < before.mean_explained and noise > chance:
        found.append(f"The joined model explains less than {before.name}: use that.")
    return found


def _silent(trained: Trained) -> bool:
    """Whether noise left nothing of the partner's part."""
    if trained.opened is None or not np.isfinite(trained.scores).all():
        return False
    theirs = trained.partners()
    return bool(theirs.size) and float(np.ptp(theirs)) < _NOTHING


def numbers_metrics(found: tuple[Goodness, ...]) -> dict[str, Any]:
    """The same for `metrics.json`, by the score's name."""
    return {
        one.name: {
            "rmse": _digits(one.rmse),
            "mae": _digits(one.mae),
            "explained": _digits(one.explained),
            "mean_explained": _digits(one.mean_explained),
            "fold_explained": [_digits(share) for share in one.by_fold],
        }
        for one in found
    }


def gain(before: Goodness, after: Goodness) -> Interval | None:
    """Of the share explained, fold by fold; None without two folds."""
    if len(before.by_fold) < 2:
        return None
    return mean_interval(np.subtract(after.by_fold, before.by_fold))


def _out_of_time(trained: Trained, alone: Alone, receiver: str) -> OutOfTime | None:
    """Both models on the shared rows of the validation period, which none was trained on."""
    terms = trained.terms
    if not terms.time:
        return None
    rows, numbers = int(trained.known_later.sum()), tuple[Goodness, ...]()
    if rows:  # which rows are shared is known after the contract only
        numbers = (
            goodness(f"{receiver} alone", trained.model, trained.later, alone.aligned),
            goodness("joined", trained.model, trained.later, trained.scores),
        )
    return OutOfTime(
        column=terms.time, day=terms.validate_from, rows=rows, positives=0, numbers=numbers
    )


def _digits(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None


def ended(trained: Trained) -> list[str]:
    """How near a training by private sums came to its optimum, and how many sums it opened."""
    if trained.gradient_left is None or trained.opened is None:
        return []
    terms, opened = trained.terms, trained.opened
    noise = "without noise" if terms.noise == "0" else f"with noise of {terms.noise}"
    bounded = (
        f"{trained.bounded:,} values of own columns lie beyond {BOUND:.0f} standard deviations: in "
        "gradients they counted as that far, in scores as they are."
    )
    spoilt = (
        "Sums or scores came that no fit of these rows has: the partner's software is at fault, or "
        "lies, or the fit does not settle. This model says nothing: do not use it."
    )
    return [
        *[spoilt] * trained.spoilt,
        *[bounded] * bool(trained.bounded),
        f"The last gradient over all rows was {trained.gradient_left:.2g} standard errors from the "
        f"optimum, before the step that it led to. Up to {opened.gradients:,} sums {noise} and "
        f"{opened.products:,} inner products were opened on the way.",
    ]
