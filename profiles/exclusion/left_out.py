"""One list's sieve: who may be on it, and the one reason of everybody else.

The order is that of the counts: basis, eligibility, a known outcome, suppression, consent. Whoever
is left may be on the list; the campaign's control group is drawn among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from federated.contract.kinds.train import classes
from federated.models import has_answer
from federated.tables.basis import Admission
from federated.tables.matrix import known_answers, known_labels
from federated.tables.source import Source
from profiles.exclusion.consent import reached
from profiles.exclusion.rules import Rules
from profiles.specs import TargetSpec

if TYPE_CHECKING:
    from profiles.job import Job

__all__ = ["KNOWN_OUTCOME", "Reason", "WhoMay", "who_may"]

KNOWN_OUTCOME = {
    "positive": "has the outcome already",
    "labelled": "outcome is known",
}
"""By `leave_out` of a list."""


@dataclass(frozen=True)
class Reason:
    """How many are left out for one reason, who have none before it.

    Attributes:
        stage: in which of the rules' stages.
        words: the reason.
        people: how many.
    """

    stage: str
    words: str
    people: int


@dataclass(frozen=True)
class WhoMay:
    """`rows`, bool[rows]: who may be on a list; `reasons` count everybody else once."""

    rows: np.ndarray
    reasons: tuple[Reason, ...]


def who_may(
    job: Job, target: TargetSpec, tables: Source, rules: Rules, admission: Admission | None
) -> WhoMay:
    """Who may be on a list.

    Args:
        job: as it was loaded.
        target: one of its lists.
        tables: the receiver's.
        rules: of the job, on the same tables.
        admission: who is in the job by their basis, of the rows of these tables; None where
            nothing is said of bases.
    """
    label = _label(job, target, tables)
    left = np.ones(len(label), bool)
    found = [Reason("basis", *pair) for pair in admission.left_out.items()] if admission else []
    for stage, words, out in _steps(target, label, rules, admission):
        found.append(Reason(stage, words, int(np.count_nonzero(left & out))))
        left &= ~out
    return WhoMay(left, tuple(found))


def _label(job: Job, target: TargetSpec, tables: Source) -> np.ndarray:
    """Each row's answer by the list's training; of a list by a kept model none is looked at."""
    where = job.party(job.receiver).table
    if target.task in [score.task for score in job.scores]:
        key = job.party(job.receiver).keys[0][0]
        return np.full(tables.load(where, [key]).num_rows, -1, np.int8)
    train = job.train(target.task)
    table = tables.load(where, [train.label])
    if classes(train):
        return known_labels(table, train.label, positive=train.positive, where=where)
    return known_answers(table, train.label, where=where)


def _steps(
    target: TargetSpec, label: np.ndarray, rules: Rules, admission: Admission | None
) -> Iterator[tuple[str, str, np.ndarray]]:
    if admission is not None and not admission.rows.all():
        yield "basis", "lost since the job was agreed on", ~admission.rows
    for rule in rules.of(target.product, "eligibility"):
        yield "eligibility", rule.reason, rules.excluded(rule, target.product)
    if target.leave_out != "none":
        known = has_answer(label) if target.leave_out == "labelled" else label == 1
        yield "eligibility", KNOWN_OUTCOME[target.leave_out], known
    for rule in rules.of(target.product, "suppression"):
        yield "suppression", rule.reason, rules.excluded(rule, target.product)
    if admission is not None and target.channel:
        yield (
            "consent",
            f"may not be reached by {target.channel}",
            ~reached(admission, target.channel),
        )
