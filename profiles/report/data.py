"""What a report shows, as frozen data: every section is there or is left out.

Texts may come from anywhere; rendering makes them safe. Scores' curves are computed by
`scored`, so that a report and `metrics.json` cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.contract.terms import Disclosure
from federated.evaluation import (
    Calibration,
    Interval,
    Lift,
    Roc,
    auc,
    auc_interval,
    calibration,
    fold_aucs,
    ks,
    lift,
    mean_interval,
    roc_curve,
)
from federated.models import Part
from federated.releases.row_bits import RowBits
from profiles.campaign.people import Held
from profiles.exclusion.left_out import Reason
from profiles.offers.chosen import Money
from profiles.reasons import encoded_words
from psi.protocol.errors import MisuseError

__all__ = [
    "Aggregated",
    "Binning",
    "CategoryMeasure",
    "CategoryTable",
    "GroupRow",
    "Histogram",
    "HistogramRow",
    "Importance",
    "Leakage",
    "Match",
    "Model",
    "PartyLine",
    "ReportData",
    "RunFacts",
    "Scored",
    "SegmentLine",
    "StepFacts",
    "TargetLine",
    "TargetSummary",
    "Valued",
    "importance_of",
    "paired_gain",
    "scored",
]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PartyLine:
    """One party: its role in words, its rows, and what its columns are for, in words.

    Attributes:
        name: the party's.
    """

    name: str
    role: str
    rows: int
    columns: str = ""


@dataclass(frozen=True, kw_only=True)
class Match:
    """One alignment. `matched` is -1 where even the count stays hidden from the receiver.

    `grades` are (key in words, matches by it) in the order they were tried; `left_out` are
    (why, rows) of the receiver's own rows that could not match.

    Attributes:
        partner: its name.
        receiver_rows: that had a key.
        partner_rows: that had a key.
        reveal: who learnt what, as in the contract.
    """

    partner: str
    receiver_rows: int
    partner_rows: int
    matched: int
    reveal: str = "both"
    grades: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()


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

    `positives` of its `rows` are 1; `scores` are none where fewer than two classes are among them.
    """

    column: str
    day: str
    rows: int
    positives: int
    scores: tuple[Scored, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Model:
    """One trained task. `scores` begin with the one to compare with (alone), if there is one.

    `warnings` point at columns that tell the outcome by themselves.

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
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroupRow:
    """One group: a suppressed one has no count or values, and says why."""

    group: str
    count: int | None
    values: tuple[float | None, ...] = ()
    suppressed: str = ""


@dataclass(frozen=True)
class HistogramRow:
    """How many of one group's entities fall into each bin, of `total` that have a value.

    None where a bin is not told apart from a neighbour.

    Attributes:
        counts: one a bin.
    """

    group: str
    counts: tuple[int | None, ...]
    total: int

    @property
    def shares(self) -> tuple[float | None, ...]:
        """Of the group's entities with a value."""
        return tuple(None if count is None else count / self.total for count in self.counts)


@dataclass(frozen=True)
class Histogram:
    """A column's distribution in each group that is told.

    Attributes:
        bins: in words, from the lowest.
        rows: a group each.
    """

    column: str
    bins: tuple[str, ...]
    rows: tuple[HistogramRow, ...]


@dataclass(frozen=True, kw_only=True)
class Aggregated:
    """A partner's statistics by the receiver's groups, opened from sums that nobody saw before.

    Encrypted ones, or `shared`: private sums. `measures` name the columns of the table, such as
    "mean of open_loans", and `kinds` say which of them are shares ("share"). `by` is empty where
    the sums are over all shared entities.

    Attributes:
        rows: a group each.
        minimum_group: fewest values behind a number.
        key_bits: bits of the Paillier key; 0 for private sums.
        histograms: a column each.
    """

    partner: str
    by: str
    measures: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    minimum_group: int
    key_bits: int = 0
    kinds: tuple[str, ...] = ()
    shared: bool = False
    histograms: tuple[Histogram, ...] = ()


@dataclass(frozen=True)
class CategoryMeasure:
    """One number of each cell, `cells[category][segment]`, None where it is not told.

    `noise` is how far it is off in 95 of 100 cases; `clipped` counts amounts cut to their range.

    Attributes:
        name: of the number, for the table's head.
    """

    name: str
    cells: tuple[tuple[float | None, ...], ...]
    noise: float = 0.0
    clipped: int = 0

    def doubtful(self, value: float | None) -> bool:
        """Whether noise alone could look like this."""
        return value is not None and self.noise > 0 and abs(value) <= self.noise

    def depth(self, value: float | None) -> float:
        """The value's share of the largest."""
        largest = max((v for row in self.cells for v in row if v is not None), default=0.0)
        return max(0.0, value or 0.0) / largest if largest > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class CategoryTable:
    """The receiver's counts and sums by a partner's category, and by its own segment if any.

    `segment` is empty for a one-way table, `epsilon` 0 without noise.

    Attributes:
        categories: the partner's.
        segments: the receiver's.
        measures: counts first.
        minimum_group: fewest rows behind a number; 0 with noise.
    """

    partner: str
    category: str
    categories: tuple[str, ...]
    segment: str
    segments: tuple[str, ...]
    measures: tuple[CategoryMeasure, ...]
    epsilon: float
    minimum_group: int


@dataclass(frozen=True, kw_only=True)
class Valued:
    """What one column is worth: its information value, rounded to `step` if that is not 0.

    `chance` is about what a column without any worth would have, noise included. `drift` is the
    population stability index against the last job, None where there was none.
    """

    party: str
    column: str
    value: float
    step: float
    chance: float
    bins: int
    drift: float | None = None

    @property
    def shown(self) -> str:
        """As many digits as it is rounded to."""
        digits = 3 if self.step < 0.01 else 2 if self.step < 0.1 else 1
        return f"{self.value:.{digits}f}"

    @property
    def doubtful(self) -> bool:
        """Whether chance alone could look like this: it is often twice its mean."""
        return self.value <= max(2 * self.chance, self.step)


@dataclass(frozen=True, kw_only=True)
class Binning:
    """Columns in bins for one label; `epsilon` are (partner, noise of its counts, 0 for none)."""

    label: str
    positives: int
    negatives: int
    epsilon: tuple[tuple[str, float], ...]
    columns: tuple[Valued, ...]


@dataclass(frozen=True)
class SegmentLine:
    """One segment of the receiver's entities; `scores` are (task, mean score).

    Attributes:
        name: of the segment.
        description: what marks it, in words.
        size: entities.
        share: of all entities, 0 to 1.
    """

    name: str
    description: str
    size: int
    share: float
    scores: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class TargetLine:
    """One entity of a target list.

    Attributes:
        rank: from 1.
        score: 0 to 1.
        reasons: in words, the strongest first.
        manager: who is to call; "" for nobody.
        name: of the entity.
        segment: of the entity.
        unassigned: why nobody is to call.
        matched: whether a partner knows the entity.
        offer: what it is offered.
        left: the value less the cost of the offer.
    """

    rank: int
    entity: str
    score: float
    reasons: tuple[str, ...] = ()
    manager: str = ""
    name: str = ""
    segment: str = ""
    unassigned: str = ""
    matched: bool = True
    offer: str = ""
    left: float | None = None


@dataclass(frozen=True, kw_only=True)
class TargetSummary:
    """One target list: how long it is, how many have a manager, and its first lines.

    `assigned` is None where the job names no managers, `assigned_by` are (how, entities) of these;
    `unassigned` are (why, entities);
    `managers` are (manager, entities, their mean score), most entities first. `mean` is the mean
    score of the list and `average` that of all entities, None where there is none. `left_out`
    counts everybody else, each for one reason; `held` how many for a campaign's control group, None
    without one; `unknown` are (column of leads, of managers, leads whose value no manager has);
    `money` is what its offers come to, None without offers;
    `unmatched` of the listed have a score of the receiver's own model.

    Attributes:
        product: what is to be sold.
        total: entities on the list.
        file: where the whole list is.
    """

    product: str
    score: str
    total: int
    lines: tuple[TargetLine, ...]
    assigned: int | None = None
    unassigned: tuple[tuple[str, int], ...] = ()
    file: str = "targets.csv"
    mean: float | None = None
    average: float | None = None
    managers: tuple[tuple[str, int, float], ...] = ()
    left_out: tuple[Reason, ...] = ()
    unknown: tuple[tuple[str, str, int], ...] = ()
    money: Money | None = None
    unmatched: int = 0
    assigned_by: tuple[tuple[str, int], ...] = ()
    held: Held | None = None


@dataclass(frozen=True)
class Leakage:
    """How much of one partner's columns a run told. `row`: bits of a row, None if there are none.

    `epsilon` is the largest of a column, `releases` and `thresholds` are the most of one.
    """

    partner: str
    row: RowBits | None
    releases: int
    thresholds: int
    epsilon: float


@dataclass(frozen=True)
class StepFacts:
    """One step of the run, at the receiver.

    Attributes:
        name: of the step.
        seconds: that it took.
        sent: bytes.
        received: bytes.
        messages: both ways.
    """

    name: str
    seconds: float
    sent: int = 0
    received: int = 0
    messages: int = 0


@dataclass(frozen=True)
class RunFacts:
    """How the job ran. `facts` are further (name, value) pairs: suites, versions, machine.

    Attributes:
        key_bits: bits of n of the Paillier key.
        protocol: of set intersection.
        kernel: which of this machine's instructions it used.
        seconds: of the whole job.
        steps: one each, in their order.
    """

    key_bits: int = 0
    protocol: str = ""
    kernel: str = ""
    seconds: float = 0.0
    steps: tuple[StepFacts, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """The whole report. `created` is a date in words; the caller has the clock. `keep_until` is the
    last day on which the contract lets the receiver keep it, "" where none is known.

    `matched` counts the receiver's entities that all partners share, `entities` all of them;
    None where the job joins no rows. `disclosures` are those of the contract, `leakage` says how
    much they come to.

    Attributes:
        purpose: as in the contract.
        entity: what a row is about.
        parties: the receiver first.
        synthetic: the data are made up.
        matches: an alignment each.
        models: a task each.
        aggregates: a section each.
        categories: tables by a partner's category.
        binnings: what columns are worth, a label each.
        segments: of the receiver's entities.
        targets: a list each.
        run: how the job ran; None leaves it out.
        notes: sentences at the end.
    """

    job: str
    purpose: str
    entity: str
    receiver: str
    created: str
    parties: tuple[PartyLine, ...]
    synthetic: bool = False
    keep_until: str = ""
    contract: str = ""
    entities: int | None = None
    matched: int | None = None
    matches: tuple[Match, ...] = ()
    models: tuple[Model, ...] = ()
    aggregates: tuple[Aggregated, ...] = ()
    categories: tuple[CategoryTable, ...] = ()
    binnings: tuple[Binning, ...] = ()
    segments: tuple[SegmentLine, ...] = ()
    targets: tuple[TargetSummary, ...] = ()
    disclosures: tuple[Disclosure, ...] = ()
    leakage: tuple[Leakage, ...] = ()
    run: RunFacts | None = None
    notes: tuple[str, ...] = ()


def scored(name: str, label: Array, score: Array, folds: Array | None = None) -> Scored:
    """Measure one score on the rows with a label (0 or 1; negative: none).

    Args:
        name: what the report calls it.
        label: [rows].
        score: [rows], probabilities; NaN allowed where label or fold is negative. Scores
            outside 0 to 1 get no calibration.
        folds: [rows], the fold each row was held out in, -1 for none; gives the interval.

    Raises as `federated.evaluation.roc_curve`.
    """
    held = np.asarray(label) >= 0
    if folds is not None:
        held &= np.asarray(folds) >= 0
    label, score = np.asarray(label)[held], np.asarray(score, np.float64)[held]
    curve = roc_curve(label, score)
    probability = 0.0 <= float(score.min()) <= float(score.max()) <= 1.0
    by_fold = None if folds is None else fold_aucs(label, score, np.asarray(folds)[held])
    return Scored(
        name=name,
        roc=curve.thin(400),
        auc=auc(label, score),
        ks=ks(label, score),
        lift=lift(label, score),
        calibration=calibration(label, score) if probability else None,
        interval=None if by_fold is None else auc_interval(by_fold),
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
