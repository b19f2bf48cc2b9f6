"""The terms of a training, whichever way its data are split."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from federated.contract.parts import FeatureTerms
from federated.models import LINEAR, LOGISTIC, MODELS
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = [
    "AUTO",
    "LONGEST_TASK",
    "MOST_CLASS_WEIGHT",
    "SCORECARD",
    "SPLITS",
    "TREES",
    "TrainAsked",
    "TrainTerms",
    "boosted",
    "carded",
    "check_features",
    "check_train",
    "chosen_words",
    "classes",
    "hidden",
    "is_class_weight",
    "is_day",
    "later_words",
    "linked",
    "noise_text",
    "private",
    "trained_on",
    "weight_words",
    "weighted",
]

SPLITS = ("vertical", "horizontal")
"""Columns at different parties, or rows."""
LONGEST_TASK = 64
"""UTF-8 bytes of a task's name, which is part of its step's."""


TREES = "trees"
"""The model of a training that grows boosted trees."""
SCORECARD = "scorecard"
MOST_CLASS_WEIGHT = 1000.0
"""How much more a positive row may count than another."""
"""The model of a training of weights of evidence, scored in points."""
AUTO = "auto"
"""A draft's noise: what the rows bear."""


@dataclass(frozen=True, kw_only=True)
class TrainAsked:
    """What an analyst may say of a training; counts of 0: as many as the data ask for.

    `split` is "vertical" (columns at different parties) or "horizontal" (rows at different
    parties); `label` is the column whose value `positive` is to be predicted. `features` are the
    columns that this training takes, of the parties that bring any; empty: all of all parties'.
    Columns split: `evaluations` of the gradient over all rows, `fold_evaluations` more in each
    fold, `noise` on what they open, a number as text. Rows split: `steps` and `row_bits`. Trees:
    how many, their `depth`, `learning_rate` and `penalty` (λ) in thousandths, and `row_bits`, the
    levels that may tell a bit of a row; a split has `least_weight` of curvature on each side, in
    thousandths, and `least_rows`; a tree takes `subsample` thousandths of the rows; training ends
    when `early_stop` trees bring nothing to a second part of the `folds`, 0: never; scores only
    rise with the parties' columns that are `rising`, and fall with the `falling`; one of the
    `folds` is held out. Trees with `score_bits` tell a row's score in so many bits, and no side of
    a split.
    Scorecards: likewise; they have `points` at `odds` to 1 for the class that is `high`, and
    `double` more where these double.

    Columns split: the label party's column `weight` says how much a row counts, `offset` what is
    added to its score; `class_weight` how much a positive row counts beside another, as text, or
    "balanced".

    Rows of which the label party's column `time` says a day on or after `validate_from`
    (2025-10-01) are not trained on: to everybody else they are rows without a label. The label
    party measures the model on them, out of time. Both are "" where nothing is asked; columns
    split only.
    """

    task: str
    model: str
    split: str
    label: str
    positive: str
    folds: int
    score_bits: int
    evaluations: int = 0
    fold_evaluations: int = 0
    noise: str = ""
    steps: int = 0
    row_bits: int = 0
    trees: int = 0
    depth: int = 0
    learning_rate: int = 0
    penalty: int = 0
    least_weight: int = 0
    least_rows: int = 0
    subsample: int = 0
    early_stop: int = 0
    rising: tuple[FeatureTerms, ...] = ()
    falling: tuple[FeatureTerms, ...] = ()
    points: int = 0
    odds: int = 0
    double: int = 0
    high: str = ""
    features: tuple[FeatureTerms, ...] = ()
    weight: str = ""
    offset: str = ""
    class_weight: str = ""
    time: str = ""
    validate_from: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainTerms(TrainAsked):
    """One model across the label party and the feature parties.

    Columns split: a row's final score is told with noise of 2^-`score_bits` of the vector's
    standard deviation, of several partners their sum; that is all that is told of a row, and
    `grid_bits` and `column_bits` say how finely scores and columns are taken on the way
    (`federated.regression.RegressionPlan`). Rows split: `row_bits` is the most that all sums of one
    party tell of any of its rows, whatever the receiver asks. `listed`: a bit a row is told,
    whether it is on a list of this length; 0 for no such list (`kinds.listed`). Of those on it the
    score is told too with `listed_bits`, as `score_bits` says of all; 0: it is not.
    """

    partners: tuple[str, ...]
    grid_bits: int = 0
    column_bits: int = 0
    listed: int = 0
    listed_bits: int = 0


def private(terms: TrainTerms) -> bool:
    """Whether a training is a regression by private sums: its columns are split."""
    return terms.split != "horizontal" and terms.model != TREES


def boosted(terms: TrainTerms) -> bool:
    """Whether a training grows trees: its columns are split."""
    return terms.split != "horizontal" and terms.model == TREES


def hidden(terms: TrainAsked) -> bool:
    """Whether it grows trees that tell no row's side of a split, and scores in steps."""
    return terms.split != "horizontal" and terms.model == TREES and terms.score_bits > 0


def carded(terms: TrainTerms) -> bool:
    """Whether a training is a scorecard: a regression of weights of evidence."""
    return terms.split != "horizontal" and terms.model == SCORECARD


def linked(terms: TrainTerms) -> str:
    """The model whose link a regression has."""
    return LOGISTIC.name if carded(terms) else terms.model


def classes(terms: TrainAsked) -> bool:
    """Whether the label is one of two classes; else it is a number."""
    return terms.model not in MODELS or MODELS[terms.model].classes


def weighted(terms: TrainAsked) -> bool:
    """Whether rows count differently."""
    return bool(terms.weight or terms.class_weight)


def is_class_weight(text: str) -> bool:
    """Whether it is "balanced", or a plain number of how much a positive row counts."""
    try:
        found = float(text)
    except ValueError:
        return text == "balanced"
    return 0 < found <= MOST_CLASS_WEIGHT and noise_text(found) == text


def weight_words(contract: Contract, terms: TrainTerms) -> str:
    """What rows count by, where they count differently, and what is added to scores."""
    me, found = contract.receiver, ""
    if terms.weight:
        found += f"; each row counts by {me}'s {terms.weight}"
    if terms.class_weight == "balanced":
        found += f"; rows of both classes of {terms.label} count alike"
    elif terms.class_weight:
        found += f"; a positive row counts {terms.class_weight} times"
    if terms.offset:
        found += f"; {me}'s {terms.offset} is added to each row's score"
    return found


def noise_text(noise: float) -> str:
    """How a contract, which has no fractions, writes a noise."""
    return f"{noise:g}"


def check_train(terms: TrainTerms) -> None:
    """Raise `PeerError` unless the terms of a training are whole, whatever its split."""
    if terms.split not in SPLITS:
        raise PeerError("the contract names an unknown way to split")
    own = boosted(terms) or carded(terms)
    if terms.model not in (*MODELS, TREES, SCORECARD) or (terms.model not in MODELS and not own):
        raise PeerError("the contract asks for a model that this version does not have")
    if len(terms.task.encode("utf-8", "replace")) > LONGEST_TASK:
        raise PeerError(f"a task's name of more than {LONGEST_TASK} bytes")
    if not boosted(terms) and any(_grown(terms)):
        raise PeerError("a training that grows no trees says how to grow them")
    if not carded(terms) and any((terms.points, terms.odds, terms.double, terms.high)):
        raise PeerError("a training that is no scorecard says how to make points")
    if terms.split == "horizontal" and not classes(terms):
        raise PeerError("a training of rows predicts one of two classes, and no number")
    if not classes(terms) and terms.positive:
        raise PeerError("a training that predicts a number names a class")
    _check_weights(terms)
    if terms.split != "horizontal" and not terms.partners:
        raise PeerError("a training of columns names no partner")
    if len(set(terms.partners)) < len(terms.partners):
        raise PeerError("a training names a partner twice")
    if bool(terms.time) != bool(terms.validate_from):
        raise PeerError("a training names a first day of validation without a column, or one alone")
    if terms.time and (terms.split == "horizontal" or not is_day(terms.validate_from)):
        raise PeerError("a training validates from a day that is none, or rows that are split")
    if terms.listed and (terms.score_bits or not private(terms)):
        raise PeerError(
            "a list told by a bit a record, of a training that tells scores, or of rows"
        )
    if not (private(terms) or hidden(terms)) and terms.row_bits < 1:
        raise PeerError("the contract does not say how many bits of a row a training may tell")


def _grown(terms: TrainTerms) -> tuple[object, ...]:
    """All that is said of how trees grow."""
    sizes = terms.trees, terms.depth, terms.learning_rate, terms.penalty
    least = terms.least_weight, terms.least_rows
    return (*sizes, *least, terms.subsample, terms.early_stop, terms.rising, terms.falling)


def _check_weights(terms: TrainTerms) -> None:
    said = any((terms.weight, terms.offset, terms.class_weight))
    if said and (not private(terms) or carded(terms)):
        raise PeerError("weights or an offset of a training that has none")
    if terms.model == LINEAR.name and weighted(terms):
        raise PeerError("a linear regression with weights, which it does not take")
    if terms.class_weight and (not classes(terms) or not is_class_weight(terms.class_weight)):
        raise PeerError("a class weight that is none, or without classes")


def check_features(contract: Contract, terms: TrainTerms) -> None:
    """Every partner brings a column, and nobody else's are named. Raises `PeerError`."""
    named = [chosen.party for chosen in terms.features]
    if len(set(named)) < len(named) or not set(named) <= {contract.receiver, *terms.partners}:
        raise PeerError("a training names columns of a party that has no part in it, or twice")
    if not all(contract.features(terms, name) for name in terms.partners):
        raise PeerError("a training names a partner that brings no column to it")


def is_day(text: str) -> bool:
    """Whether it is a day, written 2025-10-01."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def trained_on(terms: TrainTerms) -> str:
    """Which shared records are trained on, as others see them."""
    held = " and are not held out" * carded(terms)
    before = f" and are from before {terms.validate_from}" * bool(terms.time)
    return f"which shared records have a label{held}{before}"


def later_words(contract: Contract, terms: TrainTerms) -> str:
    """What is kept for a look at a later time, where something is."""
    if not terms.time:
        return ""
    return (
        f"; rows with {terms.time} from {terms.validate_from} on are not trained on, and "
        f"{contract.receiver} measures the model on them"
    )


def chosen_words(terms: TrainTerms) -> str:
    """Which columns, where it does not take all that the parties bring."""
    each = (f"{one.party}'s {', '.join(one.columns)}" for one in terms.features if one.columns)
    return f"; by {' and '.join(each)}" if terms.features else ""
