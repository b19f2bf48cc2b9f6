"""How good scores are, and what moves them: measured once, for the report and `metrics.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.evaluation import (
    Calibration,
    Interval,
    Lift,
    Roc,
    auc,
    auc_difference,
    auc_interval,
    calibration,
    fold_aucs,
    ks,
    lift,
    mean_interval,
    roc_curve,
)
from federated.models import Part
from profiles.goodness import Goodness
from profiles.reasons import encoded_words
from profiles.report.card import Card
from psi.protocol.errors import MisuseError

__all__ = [
    "Importance",
    "Model",
    "OutOfTime",
    "Scored",
    "importance_of",
    "paired_gain",
    "scored",
]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One score of one task, measured: "bank alone", "joined".

    `interval` is over folds, None without them. `auc`, `ks` and the curves are over all
    labelled rows, each scored by a model that did not see it where there are folds.

    Attributes:
        name: whose score it is.
        roc: its curve.
        lift: by share of the list.
        calibration: predicted against found; None without.
        fold_aucs: one a fold.
    """

    name: str
    roc: Roc
    auc: float
    ks: float
    lift: Lift
    calibration: Calibration | None = None
    interval: Interval | None = None
    fold_aucs: tuple[float, ...] = ()

    @property
    def mean_auc(self) -> float:
        """The folds' mean, or the AUC where there are none."""
        return self.interval.mean if self.interval else self.auc


@dataclass(frozen=True)
class Importance:
    """How far one column moves the score: the standard deviation of its contribution.

    `direction` is 1 if higher values raise the score, -1 if they lower it, 0 where that is
    not known or has no meaning. Of a partner's columns the receiver knows only the total:
    `columns` says how many it stands for.

    Attributes:
        party: whose column it is.
        value: in units of the score, not negative.
    """

    party: str
    column: str
    value: float
    direction: int = 0
    columns: int = 1


@dataclass(frozen=True, kw_only=True)
class OutOfTime:
    """Rows whose `column` says a day from `day` on: not trained on, measured with the final models.

    `positives` of its `rows` are 1; `scores` are none where fewer than two classes are among them,
    and where the model predicts a number: then there are `numbers`.
    """

    column: str
    day: str
    rows: int
    positives: int
    scores: tuple[Scored, ...] = ()
    numbers: tuple[Goodness, ...] = ()


_DROPPED = re.compile(r": dropped, |no split is possible$")


@dataclass(frozen=True, kw_only=True)
class Model:
    """One trained task. `scores` begin with the one to compare with (alone), if there is one.

    A model that predicts a number has no scores and positives: `numbers` are as `scores` else,
    `mean` is the label's, and `gain` that of the share explained.

    `warnings` point at columns that tell the outcome by themselves. With `no_split` all rows have
    one score, and a warning says why.

    Attributes:
        model: the model's name.
        rows: that had a label.
        positives: of these.
        split: "vertical" or "horizontal".
        evaluation: how scores were measured, in words.
        importance: a column each.
        gain: of AUC, joined less alone, over folds.
        out_of_time: how both did in the validation period, if there is one.
        gain: of AUC, joined less the best own, over folds.
        gain_rows: the same over rows, with DeLong's interval.
        notes: sentences beneath.
        card: points, of a scorecard.
    """

    task: str
    model: str
    scores: tuple[Scored, ...]
    rows: int
    positives: int
    split: str = "vertical"
    evaluation: str = ""
    importance: tuple[Importance, ...] = ()
    gain: Interval | None = None
    out_of_time: OutOfTime | None = None
    gain_rows: Interval | None = None
    numbers: tuple[Goodness, ...] = ()
    mean: float = 0.0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    card: Card | None = None
    no_split: bool = False

    @property
    def judged(self) -> Interval | None:
        """By which interval the gain is called one: over rows, of which there are more than folds;
        None where no row was held out."""
        return self.gain if self.gain is None or self.gain_rows is None else self.gain_rows

    @property
    def dropped(self) -> tuple[str, ...]:
        """The notes that say that a column is in no model."""
        return tuple(note for note in self.notes if _DROPPED.search(note))

    @property
    def by_chance(self) -> Interval | None:
        """The interval of the last score where it is not surely better than chance, or than the
        mean answer; else None."""
        of, nothing = (self.numbers, 0.0) if self.numbers else (self.scores, 0.5)
        found = of[-1].interval if of and not self.no_split else None
        return found if found is not None and found.low <= nothing else None


def scored(
    name: str,
    label: Array,
    score: Array,
    folds: Array | None = None,
    *,
    by_rows: bool = False,
) -> Scored:
    """Measure one score on the rows with a label (0 or 1; negative: none).

    Args:
        name: what the report calls it.
        label: [rows].
        score: [rows], probabilities; NaN allowed where label or fold is negative. Scores
            outside 0 to 1 get no calibration.
        folds: [rows], the fold each row was held out in, -1 for none; gives the interval.
        by_rows: without folds, give DeLong's interval over the rows, which no model has seen.

    Raises as `federated.evaluation.roc_curve`.
    """
    held = np.asarray(label) >= 0
    if folds is not None:
        held &= np.asarray(folds) >= 0
    label, score = np.asarray(label)[held], np.asarray(score, np.float64)[held]
    curve = roc_curve(label, score)
    probability = 0.0 <= float(score.min()) <= float(score.max()) <= 1.0
    by_fold = None if folds is None else fold_aucs(label, score, np.asarray(folds)[held])
    found = None if by_fold is None else auc_interval(by_fold)
    if by_rows and found is None:
        more = auc_difference(label, score, np.zeros(len(label)))  # than one that ranks nobody
        low, high = (float(np.clip(end + 0.5, 0.0, 1.0)) for end in (more.low, more.high))
        found = Interval(more.mean + 0.5, more.sd, low, high, more.count)
    return Scored(
        name=name,
        roc=curve.thin(400),
        auc=auc(label, score),
        ks=ks(label, score),
        lift=lift(label, score),
        calibration=calibration(label, score) if probability else None,
        interval=found,
        fold_aucs=() if by_fold is None else tuple(by_fold.tolist()),
    )


def paired_gain(before: Scored, after: Scored) -> Interval | None:
    """The interval of the folds' differences in AUC; None without at least two folds.

    Args:
        before: the score to compare with.
        after: the score that is compared.

    Raises:
        MisuseError: scores measured on different numbers of folds.
    """
    if len(before.fold_aucs) != len(after.fold_aucs):
        raise MisuseError("scores can be compared on the same folds only")
    if len(before.fold_aucs) < 2:
        return None
    return mean_interval(np.subtract(after.fold_aucs, before.fold_aucs))


def importance_of(
    receiver: str,
    matrix: Array,
    names: Sequence[str],
    part: Part,
    partners: Mapping[str, tuple[Array, int]] | None = None,
) -> tuple[Importance, ...]:
    """How far each of the receiver's columns, and each partner as a whole, moves a score.

    Args:
        receiver: its name.
        matrix: [rows, d], its encoded columns.
        names: d names as the encoder writes them.
        part: the receiver's part of the model, of d columns.
        partners: name to (contribution [rows], number of columns it stands for); the
            contribution from `Trained.partners`.
    """
    sizes, signs = part.importance(np.asarray(matrix, np.float64))
    own = [
        Importance(receiver, encoded_words(name), float(size), int(sign))
        for name, size, sign in zip(names, sizes, signs, strict=True)
    ]
    theirs = [
        Importance(name, f"all columns of {name}", float(np.std(moved)), 0, columns)
        for name, (moved, columns) in (partners or {}).items()
    ]
    return (*own, *theirs)
