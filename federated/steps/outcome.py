"""What one party holds at the end of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from federated.aggregate import AggregateResult, CategoryResult
from federated.binning import (
    ColumnWorth,
    EvidenceEncoder,
    PointScale,
    RoundedWorth,
    point_lines,
)
from federated.contract.kinds.scorecard import scale_of
from federated.contract.terms import (
    AggregateTerms,
    BinningTerms,
    CategoryTerms,
    Contract,
    JoinSumTerms,
    ScoreTerms,
    TrainTerms,
)
from federated.hidden_trees import HiddenLabelModel
from federated.horizontal import HorizontalFit
from federated.join_sum import JoinSumResult
from federated.models import LinearPart, Model, Part, has_answer
from federated.regression import Opened
from federated.releases.label_bits import LabelBits
from federated.scoring.model_file import ModelPart
from federated.steps.saved_model import SavedModel
from federated.tables.encoding import Encoder
from federated.trees import Binning, FeatureModel, LabelModel
from psi.align import Alignment

__all__ = ["Binned", "Boosted", "Carded", "Counted", "Grown", "HiddenGrown", "Outcome"]
__all__ += ["Scored", "ToldList", "Trained"]


def _mean(matrix: np.ndarray) -> np.ndarray:
    """Of each column, 0 where there is no row."""
    return np.asarray(matrix.mean(axis=0) if len(matrix) else np.zeros(matrix.shape[1]))


@dataclass(kw_only=True)
class Trained:
    """One model at the label party.

    `part` is the model's over the label party's own encoded columns, `own_matrix`. `scores` has
    one prediction a row of the aligned rows, by the models that did not see the row where it has a
    fold; `fold_scores` these alone, NaN without a label or without cross-validation.
    `label` is 1, 0 or -1 of each aligned row, or of a model of numbers a number or NaN: what was
    trained on; `later` the same of rows that are kept for a look at a later time, which nothing was
    trained on.
    `partner_columns` are those that all partners' features came to, encoded, in this training.
    `gradient_left` is how far the last gradient was from none, in standard errors, and `opened` how
    many sums this party got to know. `weights` are how much each aligned row counted, `offset` what
    was added to its score; None: alike, and nothing. `bounded` own values counted as nearer to
    their column's mean than they are. `own_parts` are the own part of each row's score, offset
    included, by the model that gave it: of a row with a fold another than `part`.
    """

    terms: TrainTerms
    encoder: Encoder | EvidenceEncoder
    columns: list[str]
    partner_columns: int
    model: Model
    part: Part
    label: np.ndarray
    later: np.ndarray
    folds: np.ndarray
    scores: np.ndarray
    fold_scores: np.ndarray
    own_matrix: np.ndarray
    log: list[dict[str, Any]] = field(default_factory=list)
    gradient_left: float | None = None
    opened: Opened | None = None
    weights: np.ndarray | None = None
    offset: np.ndarray | None = None
    bounded: int = 0
    spoilt: bool = False
    own_parts: np.ndarray | None = None

    @property
    def part_held_out(self) -> bool:
        """Whether rows of fold 0 were held out of one fit, and no others have a fold."""
        return False

    @property
    def unusable(self) -> bool:
        """Whether a model of numbers says less than the mean answer: it is not kept for scoring."""
        if self.model.classes:
            return False
        held = (self.folds >= 0) & self.known
        found, label = self.fold_scores[held], self.label[held]
        if not held.any() or np.isnan(found).all():  # nothing measures it, or counts alone do
            return self.spoilt
        if self.spoilt or not np.isfinite(found).all():
            return True
        with np.errstate(over="ignore"):
            mean = np.full(len(label), label.mean())
            return not self.model.deviance(found, label) <= 1.001 * self.model.deviance(mean, label)

    @property
    def known(self) -> np.ndarray:
        """`bool[rows]`: which aligned rows have a label that was trained on."""
        return has_answer(self.label)

    @property
    def known_later(self) -> np.ndarray:
        """`bool[rows]`: which have one of the later time."""
        return has_answer(self.later)

    @property
    def average(self) -> np.ndarray:
        """What reasons hold a row against, kept with the model: the mean row of the training.

        `float64[columns]` of `own_matrix`.
        """
        return _mean(self.own_matrix)

    def partners(self) -> np.ndarray:
        """What all partners together add to each row's score, centred: `float64[rows]`."""
        rest = self.rest()
        return np.asarray(rest - rest.mean() if rest.size else rest)

    def rest(self) -> np.ndarray:
        """What partners told of each row: the score, less the own part by the same model."""
        own = self.own_parts
        if own is None:  # of one model, and without an offset
            own = self.part.scores(self.own_matrix)
        return np.asarray(self.model.link(self.scores) - own)

    def saved(self) -> SavedModel | LabelModel:
        """The label party's part with its encoding, to keep."""
        return SavedModel(self.terms.task, self.model, self.part, self.encoder)


@dataclass(kw_only=True)
class Carded(Trained):
    """A scorecard at the label party: `encoder` has its columns in bins, as weights of evidence.

    Rows that were held out are in fold 0, all others in none.
    """

    encoder: EvidenceEncoder
    part: LinearPart

    @property
    def part_held_out(self) -> bool:
        """One part of the labelled rows measures it."""
        return True

    @property
    def scale(self) -> PointScale:
        """How its points are made of log odds."""
        return scale_of(self.terms)

    @property
    def base(self) -> float:
        """Points of the average record, which bins add to."""
        return float(self.scale.of(np.array(self.part.intercept)))

    def lines(self) -> list[dict[str, Any]]:
        """Points of this party's columns by bin; see `point_lines`."""
        return point_lines(self.encoder, self.part.coefficients.tolist(), self.scale)


@dataclass(kw_only=True)
class Counted:
    """A regression of which no row's score was told: `trained` has none, NaN in their place.

    `counts` are of each group of rows `int64[2, bins]`: how many negatives and positives lie in
    each range of the score, with the partner's noise of a standard deviation of `noise`. Groups
    are the folds, or all labelled rows where there are none; then, where `trained` has a later
    time, its rows. `middles` are the scores in the ranges' middles, `blur` how wide a range counts
    as for an AUC, in its own width. Of a model of numbers there are
    no counts: `left` is how much deviance the joined score leaves in each group `float64[groups]`,
    `left_noise` the standard deviation that the partner's noise gives it. `told` is who is on a
    list, None where the contract has none. `partners_mean` is that of the partner's part, as it is
    in scores. `spoilt`: what the partner told cannot be; all
    ranges count alike in its place, and of numbers nothing is explained.
    """

    trained: Trained
    noise: float
    counts: list[np.ndarray] = field(default_factory=list)
    middles: np.ndarray = field(default_factory=lambda: np.zeros(0))
    blur: float = 1.0
    left: np.ndarray = field(default_factory=lambda: np.zeros(0))
    left_noise: np.ndarray = field(default_factory=lambda: np.zeros(0))
    partners_mean: float = 0.0
    told: ToldList | None = None
    spoilt: bool = False


@dataclass(frozen=True, kw_only=True)
class ToldList:
    """Of each aligned row `bool[rows]`: whether a partner was asked about it, and is it `listed`.

    `noise` is the standard deviation of the counts that the list's end was found by. `scores` are
    the listed rows' joined scores, NaN of all others; None where none was told.
    """

    asked: np.ndarray
    listed: np.ndarray
    noise: float
    scores: np.ndarray | None = None


@dataclass(kw_only=True)
class Boosted(Trained):
    """Boosted trees at the label party: `part` has no columns.

    `binning` is of the own columns, `bins` of each of them `uint16[rows]`, `brought` how many
    columns each partner has at most. Rows that were held out are in fold 0, all others in none;
    `encoder` and `own_matrix` are for the model of own columns.
    """

    binning: Binning
    bins: list[np.ndarray]
    brought: Mapping[str, int]

    @property
    def part_held_out(self) -> bool:
        """One part of the labelled rows measures them."""
        return True


@dataclass(kw_only=True)
class Grown(Boosted):
    """Trees that told rows' sides: `trees` are the label party's own part of them.

    `moved` is by how much each own column, and all of each partner's at last, moves each aligned
    row's log odds: `float64[rows, columns + partners]`. `told_levels` of each partner told a bit of
    each row.
    """

    trees: LabelModel
    told_levels: Sequence[int]
    moved: np.ndarray

    def saved(self) -> LabelModel:
        """The label party's part, to keep."""
        return self.trees

    @property
    def average(self) -> np.ndarray:
        """The mean of `moved`: `float64[columns + partners]`, partners' last."""
        return _mean(self.moved)

    def partners(self) -> np.ndarray:
        """What partners' splits add to each row's score, centred: `float64[rows]`."""
        return np.asarray(np.sum(list(self.by_partner().values()), axis=0))

    def by_partner(self) -> dict[str, np.ndarray]:
        """What each partner's splits add, centred: `float64[rows]`."""
        names = self.terms.partners
        centred = (self.moved - self.average)[:, -len(names) :].T
        return dict(zip(names, centred, strict=True))


@dataclass(kw_only=True)
class HiddenGrown(Boosted):
    """Trees that told no row's side, only scores in steps: `trees` are the own part of them."""

    trees: HiddenLabelModel

    @property
    def splits(self) -> np.ndarray:
        """The own candidate of each node, -1 where the partner splits: `int64[trees, nodes]`."""
        return self.trees.splits


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Rows scored by a kept model, at the receiver.

    `scores` are log odds and `partners` what the partners' part of them is: `float64[rows]` of the
    aligned rows. `moved` is, of trees, by how much each own column and each partner's data move a
    row's score: `float64[rows, columns + partners]`; None where nobody knows. `released` is what
    officers signed of the model, where this party's policy asks for that. `told` is who is on a
    list, where that was told and no score: then `partners` is their mean in training, but of the
    listed whose score was told.
    """

    terms: ScoreTerms
    part: ModelPart
    scores: np.ndarray
    partners: np.ndarray
    moved: np.ndarray | None = None
    told: ToldList | None = None
    released: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Binned:
    """What a partner told of its columns, at the label party.

    `label` is each aligned row's: 1, 0, and -1 for none.
    """

    terms: BinningTerms
    label: np.ndarray
    told: list[RoundedWorth]


@dataclass(kw_only=True, repr=False)
class Outcome:
    """Alignment, aggregates, models: empty where this party has no part in them.

    `rows` are this party's row numbers of the entities that all parties share, in the
    receiver's order; `grades` say by which key each was found. `parts` are a feature party's
    own parts of each task's model, over its encoded columns, `won` of trees; `worths` its columns
    in bins, by binning, `coded` what they are in a scorecard. `before` says how many bits of a row
    earlier jobs told this receiver, by partner; None where nothing outlives a job. `labels` is what
    a job tells partners of the receiver's labels.
    """

    contract: Contract
    alignments: dict[str, Alignment] = field(default_factory=dict)
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    grades: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    aggregates: list[tuple[AggregateTerms, AggregateResult]] = field(default_factory=list)
    categories: list[tuple[CategoryTerms, CategoryResult]] = field(default_factory=list)
    join_sums: list[tuple[JoinSumTerms, JoinSumResult]] = field(default_factory=list)
    binned: list[Binned] = field(default_factory=list)
    worths: list[list[ColumnWorth]] = field(default_factory=list)
    trained: list[Trained] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    won: dict[str, FeatureModel] = field(default_factory=dict)
    coded: dict[str, EvidenceEncoder] = field(default_factory=dict)
    before: dict[str, float] | None = None
    labels: tuple[LabelBits, ...] = ()
    horizontal: list[tuple[TrainTerms, HorizontalFit]] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
