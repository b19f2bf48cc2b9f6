"""Columns that tell the outcome by themselves: most often they were written after it.

A column whose single AUC is above .99 is rarely knowledge: it is the outcome under another name (a
closing date, a reason for leaving), and a model that has it is worth nothing on the day it is used.
The owner of the label sees this of its own columns before training. A partner's columns cannot be
held against a private label before training; afterwards the label's owner has the partners' part of
the score in any case, and the same question is asked of that: nothing more is told to anyone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.contract.kinds.train import classes
from federated.evaluation import auc
from federated.tables.column_report import ColumnTaken
from federated.tables.inferred import MANY, NUMBER, taken_for
from federated.tables.matrix import categorical, known_answers, known_labels, numeric_matrix
from profiles.job import Job
from psi.protocol.errors import InputError

__all__ = ["EXPLAINED", "LEAK", "Telling", "partners_jump", "partners_part", "telling_columns"]
__all__ += ["telling_numbers", "with_leaks"]

LEAK = 0.99
"""A single column above this AUC is pointed at."""
EXPLAINED = 0.98
"""Of a label that is a number: a column that alone explains more of it is pointed at."""
_CLASS_ROWS = 20
_GROUP_ROWS = 20
"""Categories with fewer rows are one, as in training."""


@dataclass(frozen=True)
class Telling:
    """A column, the label it tells, and the AUC it has alone."""

    column: str
    label: str
    auc: float

    @property
    def words(self) -> str:
        """What to do about it."""
        return (
            f"alone it tells {self.label!r} with an AUC of {self.auc:.3f}: a leak, it seems; see "
            "whether it is known before the outcome is, else leave it out of features"
        )


def telling_columns(
    table: pa.Table, features: Sequence[str], label: str, known: np.ndarray
) -> list[Telling]:
    """The features that alone rank the label with an AUC above .99.

    Args:
        table: holds the features, one row for each entry of `known`.
        features: column names; numbers, or texts that are categories.
        label: the label's name, for the words.
        known: int8[rows], 1 and 0, -1 where there is no label.

    Returns: the columns in their order; none where a class has fewer than 20 rows.
    """
    rows = known >= 0
    truth = known[rows]
    if min(int((truth == 1).sum()), int((truth == 0).sum())) < _CLASS_ROWS:
        return []
    if not features:
        return []
    labelled, found = table.filter(pa.array(rows)), list[Telling]()
    there = set(table.column_names)
    for name in dict.fromkeys(features):
        reached = _alone(labelled, name, truth) if name in there else 0.0
        if reached > LEAK:
            found.append(Telling(name, label, reached))
    return found


def partners_part(label: np.ndarray, part: np.ndarray, names: str) -> str:
    """A sentence where the partners' part of a score alone has an AUC above .99, else "".

    `label` is int8[rows], `part` float64[rows]: both are with the receiver after training.
    """
    known = (label >= 0) & np.isfinite(part)
    truth = label[known]
    if min(int((truth == 1).sum()), int((truth == 0).sum())) < _CLASS_ROWS:
        return ""
    reached = auc(truth, part[known])
    if max(reached, 1 - reached) <= LEAK:
        return ""
    return (
        f"What {names} adds to the score has an AUC of {max(reached, 1 - reached):.3f} alone: one "
        "of its columns may have been written after the outcome; ask when they were recorded."
    )


def telling_numbers(table: pa.Table, label: str, known: np.ndarray, party: str) -> Iterator[str]:
    """A sentence for each column that alone explains more than .98 of a label that is a number.

    `known` is float64[rows], NaN for none.
    """
    for name, words in _of_number(table, label, known):
        yield f"{party}'s {name}: {words}."


def _of_number(table: pa.Table, label: str, known: np.ndarray) -> Iterator[tuple[str, str]]:
    """Each such column and what to do about it: by its own line, or by its groups where they are
    few."""
    held = np.isfinite(known)
    if held.sum() < 2 * _GROUP_ROWS or not (truth := known[held]).var():
        return
    labelled = table.filter(pa.array(held))
    for name in dict.fromkeys(table.column_names):
        share = _explains(labelled, name, truth)
        if share > EXPLAINED:
            yield (
                name,
                f"alone it explains {share:.3f} of {label!r}: a leak, it seems; see whether it is "
                "known before the outcome is, else leave it out of features",
            )


def partners_jump(before: float, after: float, names: str, label: str) -> str:
    """A sentence where the partners' columns raise the share explained above .98, else ""."""
    if not after > EXPLAINED or before > EXPLAINED:
        return ""
    return (
        f"With what {names} adds, {after:.3f} of {label!r} is explained, and {before:.3f} without: "
        "one of its columns may have been written after the outcome; ask when they were recorded."
    )


def with_leaks(
    job: Job, party: str, table: pa.Table, found: Sequence[ColumnTaken]
) -> list[ColumnTaken]:
    """The same report, in which own columns that alone tell a label of the job say so.

    `table` holds the columns that the job names of this party. A label that cannot be read is said
    by others, and tells nothing here.
    """
    told: dict[str, list[str]] = {}
    for features, label, positive in _asked(job, party):
        if label not in table.column_names:
            continue
        there = [name for name in features if name in table.column_names]
        try:
            if positive is None:
                pairs = list(_of_number(table.select(there), label, known_answers(table, label)))
            else:
                known = known_labels(table, label, positive=positive)
                columns = telling_columns(table, there, label, known)
                pairs = [(one.column, one.words) for one in columns]
        except InputError:
            continue
        for column, words in pairs:
            if words not in told.setdefault(column, []):
                told[column].append(words)
    return [replace(c, wrong=(*c.wrong, *told.get(c.column, ()))) for c in found]


def _asked(job: Job, party: str) -> Iterator[tuple[Sequence[str], str, str | None]]:
    """Own columns, the label, and its positive value; None where the label is a number."""
    own = party == job.receiver
    for train in job.trains if job.horizontal or own else ():
        yield job.features(train, party), train.label, train.positive if classes(train) else None
    for binning in job.binnings if own else ():
        yield binning.own, binning.label, binning.positive


def _alone(table: pa.Table, name: str, truth: np.ndarray) -> float:
    """The best AUC of one column: by its order, by the rate of its groups, by its gaps."""
    try:
        if taken_for(table, name).kind != NUMBER:
            return _best(truth, *_of_groups(categorical(table, name), truth))
        values = numeric_matrix(table, [name])[:, 0]
    except InputError:
        return 0.0  # said by its role
    gaps = np.isnan(values)
    ends = (np.nan_to_num(values, nan=-np.inf), np.nan_to_num(values, nan=np.inf))
    scores = list(ends if gaps.any() else ends[:1])
    different = pc.unique(pa.array(values, from_pandas=True))
    if len(different) <= MANY:
        scores += _of_groups(pa.array(values, from_pandas=True), truth)
    return _best(truth, *scores)


def _explains(table: pa.Table, name: str, truth: np.ndarray) -> float:
    """The share of the label's variance that a column explains alone."""
    try:
        if taken_for(table, name).kind != NUMBER:
            scores = _of_groups(categorical(table, name), truth)
        else:
            values = numeric_matrix(table, [name])[:, 0]
            gaps = np.isnan(values)
            middle = 0.0 if gaps.all() else float(values[~gaps].mean())
            scores = [np.where(gaps, middle, values)]
            if len(pc.unique(pa.array(values, from_pandas=True))) <= MANY:
                scores += _of_groups(pa.array(values, from_pandas=True), truth)
    except InputError:
        return 0.0  # said by its role
    return max(
        (float(np.corrcoef(one, truth)[0, 1] ** 2) for one in scores if one.std() > 0), default=0.0
    )


def _of_groups(values: pa.Array, truth: np.ndarray) -> list[np.ndarray]:
    """Each row's group's share of positives; a missing value is a group, few rows are pooled."""
    codes = values.dictionary_encode().indices.fill_null(-1)
    group = np.asarray(codes.to_numpy(zero_copy_only=False), np.int64) + 1
    sizes = np.bincount(group)
    group = np.where(sizes[group] < _GROUP_ROWS, len(sizes), group)
    rows = np.bincount(group)
    return [(np.bincount(group, truth, len(rows)) / np.maximum(rows, 1))[group]]


def _best(truth: np.ndarray, *scores: np.ndarray) -> float:
    found = [auc(truth, _finite(score)) for score in scores]
    return max(max(one, 1 - one) for one in found)


def _finite(score: np.ndarray) -> np.ndarray:
    """Ranks, so that gaps at either end are ordinary numbers."""
    return np.unique(score, return_inverse=True)[1].astype(np.float64)
