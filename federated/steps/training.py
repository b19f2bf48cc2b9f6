"""What trainings over joined rows share, whatever adds up: labels, folds, rows of a record."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.contract.few_rows import check_labelled, class_rows
from federated.contract.kinds.train import carded, classes
from federated.contract.terms import Contract, PartyTerms, TrainTerms
from federated.models import POISSON, has_answer
from federated.regression.guards import CLASS_ROWS
from federated.steps.folds import FoldKey, dealt
from federated.steps.row_weights import check_row_weights
from federated.steps.work import Work
from federated.tables.days import days_of
from federated.tables.encoding import Encoder
from federated.tables.matrix import known_answers, known_labels
from psi.protocol import InputError, Refused

__all__ = ["HELD", "check_label", "folds_of", "held_out", "rows_of_a_record", "split_in_time"]

HELD = 0
"""The fold that trees and scorecards are not fitted on."""


def check_label(
    contract: Contract, table: pa.Table, train: TrainTerms, terms: PartyTerms, least: int = 0
) -> None:
    """Raise `Refused` where the whole table has too few rows with a label, or of a class.

    `least` are the fewest of a class; 0: those that folds take. Raises `InputError` for labels that
    the model does not take.
    """
    label, later = split_in_time(table, train, terms.table)
    before = f" from before {train.validate_from}" * bool(train.time)
    if classes(train):
        _check_both(label, later, train, terms, least)
    elif len(np.unique(label[has_answer(label)])) < 2:
        raise Refused(
            f"{terms.table}: label {train.label!r} has the same value in all rows{before}",
            hint="there is nothing to predict",
        )
    check_row_weights(table, train, label, terms.table)
    labelled = has_answer(label)
    features = contract.features(train, terms.name)
    coded = carded(train)  # a number a column, whatever it holds
    width = len(features) if coded else len(Encoder.fit(table, features, labelled).names)
    found = int(np.count_nonzero(labelled))
    check_labelled(
        train,
        found,
        width + 1,
        f"{terms.table}: {found:,} rows{before} have a label {train.label!r}",
    )


def _check_both(
    label: np.ndarray, later: np.ndarray, train: TrainTerms, terms: PartyTerms, least: int
) -> None:
    """Enough rows of both classes."""
    before = f" from before {train.validate_from}" * bool(train.time)
    rarer, least = _rarer(label), max(least, class_rows(train.folds))
    in_folds = f" for {train.folds} folds" * bool(train.folds)
    if rarer < least:
        raise Refused(
            f"{terms.table}: label {train.label!r} has {rarer:,} rows of its rarer class{before}, "
            f"at least {least:,} are needed{in_folds}",
            hint="more rows with a label are needed, or fewer folds",
        )
    if train.time and _rarer(later) < CLASS_ROWS:
        raise Refused(
            f"{terms.table}: label {train.label!r} has {_rarer(later):,} rows of its rarer class "
            f"with {train.time} from {train.validate_from} on, at least {CLASS_ROWS} are needed",
            hint="an earlier validate_from in [[train]], or later rows with a label",
        )


def split_in_time(table: pa.Table, train: TrainTerms, where: str) -> tuple[np.ndarray, np.ndarray]:
    """The labels to train on, and those that are kept for a look at a later time, where there is
    one: `int8[rows]` of 1, 0 and -1 for none, or of a model of numbers `float64[rows]`, NaN.

    Raises:
        InputError: values that are no days, or rows with a label and without a day.
    """
    label: np.ndarray
    if classes(train):
        label = known_labels(table, train.label, positive=train.positive, where=where)
    else:
        counts = train.model == POISSON.name
        label = known_answers(table, train.label, counts=counts, where=where)
    none = np.full_like(label, -1 if classes(train) else np.nan)
    if not train.time:
        return label, none
    days = days_of(table, train.time, where)
    if timeless := int(np.count_nonzero(np.isnat(days) & has_answer(label))):
        raise InputError(
            f"{where}: {timeless:,} rows have a label {train.label!r} and no day in {train.time!r}",
            hint="give them a day, or take their label out: without one they are scored only",
        )
    after = days >= np.datetime64(train.validate_from, "D")
    return np.where(after, none, label), np.where(after, label, none)


def _rarer(label: np.ndarray) -> int:
    """Rows of the rarer class."""
    return min(int(np.count_nonzero(label == value)) for value in (0, 1))


def folds_of(work: Work, terms: TrainTerms, table: pa.Table, labelled: np.ndarray) -> np.ndarray:
    """`int64[rows]`: each labelled row's fold, the same whenever this job goes on; else -1."""
    if not terms.folds:
        return np.full(len(labelled), -1, np.int64)
    session, me = work.session, work.me

    def deal() -> bytes:
        if work.kept is None:
            key = FoldKey.of_job(session.keep("fold-key", lambda: session.random(32)), me)
        else:
            there = [*work.table.column_names, *work.source.columns(me.table)]
            key = FoldKey.kept(work.kept, me, there, session.random)
        names = work.guard.keys(key.levels, work.outcome.rows)
        return key.deal(names, table, terms.folds).astype("<i2").tobytes()

    name = f"folds-{terms.task.encode().hex()}"
    return dealt(session.keep(name, deal), labelled)


def held_out(
    work: Work, terms: TrainTerms, table: pa.Table, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`int64[rows]` and `int8[rows]`: fold `HELD` of the records that are held out, -1 elsewhere,
    and the labels that a fit may see, -1 for none.

    Raises `Refused` where the part that is held out has one class, and so measures nothing.
    """
    folds = np.where(folds_of(work, terms, table, label >= 0) == HELD, HELD, -1)
    held = label[(folds == HELD) & (label >= 0)]
    if len(np.unique(held)) < 2:  # which records are shared is known now
        raise Refused(
            f"'{terms.task}': the {len(held):,} held-out records are of one class",
            hint="fewer folds in [train], so that more records are held out, or more rows",
        )
    return folds, np.where(folds == HELD, np.int8(-1), label)


def rows_of_a_record(work: Work) -> int:
    """How many rows a record of this party has at most: each is told by itself."""
    if work.own is None:
        return 1
    of_rows = np.unique(np.column_stack([work.own, work.outcome.rows]), axis=0)[:, 0]
    return int(np.unique(of_rows, return_counts=True)[1].max())
