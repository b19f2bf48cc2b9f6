"""What the receiver is shown of a model of numbers whose scores no row was told: by noisy sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from federated.contract.kinds.counted import count_bits
from federated.evaluation import mean_interval
from federated.models import LINEAR
from federated.steps.explained import Explained, explained
from federated.steps.outcome import Counted
from profiles.alone import Alone
from profiles.goodness import Goodness, goodness
from profiles.numbers_outputs import ended, gain
from profiles.report.measured import Model, OutOfTime, importance_of

__all__ = ["measured_sums", "sums_metrics"]


def measured_sums(counted: Counted, alone: Alone, receiver: str, told: list[str]) -> Model:
    """The joined model by sums, beside the receiver's own by its rows' predictions.

    Args:
        counted: of a model whose answers are numbers.
        alone: the same model on own columns.
        receiver: its name.
        told: notes on a list.
    """
    trained, found = counted.trained, explained(counted)
    terms, folded = trained.terms, trained.terms.folds > 0
    folds = trained.folds if folded else None
    before = goodness(f"{receiver} alone", trained.model, trained.label, alone.fold_scores, folds)
    after = _joined(counted, found, slice(0, max(1, terms.folds)), folded=folded)
    return Model(
        task=terms.task,
        model=trained.model.words,
        scores=(),
        numbers=(before, after),
        mean=float(trained.label[trained.known].mean()),
        rows=before.rows,
        positives=0,
        evaluation="on held-out folds"
        if folded
        else "on the training rows: no folds were asked for",
        importance=importance_of(receiver, trained.own_matrix, trained.columns, trained.part),
        gain=gain(before, after),
        out_of_time=_out_of_time(counted, found, alone, receiver),
        notes=(*trained.encoder.notes, *told, *_notes(counted, found), *ended(trained)),
    )


def sums_metrics(counted: Counted) -> dict[str, Any]:
    """Of a training that was measured by sums, for `metrics.json`."""
    found = explained(counted)
    return {
        "summed": {
            "noise": counted.noise,
            "spoilt": counted.spoilt,
            "row_bits": round(count_bits(counted.trained.terms), 4),
            "explained_noise": _short(_noise(counted, found)),
            "explained": [_short(share) for share in found.shares],
        }
    }


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _noise(counted: Counted, found: Explained) -> float:
    """What noise moves the mean of the folds' shares by, as a standard deviation."""
    groups = found.noise[: max(1, counted.trained.terms.folds)]
    return float(np.linalg.norm(groups) / len(groups))


def _notes(counted: Counted, found: Explained) -> list[str]:
    spoilt = (
        "The sums that the partner told cannot be those of these rows: its software is at fault, "
        "or lies. They are left out: the joined model counts as one that explains nothing."
    )
    return [
        *[spoilt] * counted.spoilt,
        "No row's score is known here: what it explains is known by sums over rows. Noise of "
        f"{counted.noise:g} on each sum moves that by {_noise(counted, found):.2g} (one standard "
        "deviation).",
    ]


def _joined(counted: Counted, found: Explained, of: slice, *, folded: bool) -> Goodness:
    """Of these groups; errors are known of a linear model alone, whose deviance is their square."""
    shares, rows = found.shares[of], int(found.rows[of].sum())
    left = float(counted.left[of].sum()) / rows if rows else np.nan
    linear = counted.trained.terms.model == LINEAR.name and not counted.spoilt
    known = shares[np.isfinite(shares)]
    weights = found.rows[of][np.isfinite(shares)]
    return Goodness(
        name="joined",
        rows=rows,
        rmse=float(np.sqrt(max(0.0, left))) if linear else np.nan,
        mae=np.nan,
        explained=float(np.average(known, weights=weights)) if len(known) else np.nan,
        by_fold=tuple(shares.tolist()) if folded else (),
        interval=mean_interval(known) if folded and len(known) else None,
    )


def _out_of_time(
    counted: Counted, found: Explained, alone: Alone, receiver: str
) -> OutOfTime | None:
    """Both models on the shared rows of the validation period, which none was trained on."""
    trained, terms = counted.trained, counted.trained.terms
    if not terms.time:
        return None
    rows, numbers = int(trained.known_later.sum()), tuple[Goodness, ...]()
    if rows:
        numbers = (
            goodness(f"{receiver} alone", trained.model, trained.later, alone.aligned),
            _joined(counted, found, slice(-1, None), folded=False),
        )
    return OutOfTime(
        column=terms.time, day=terms.validate_from, rows=rows, positives=0, numbers=numbers
    )
