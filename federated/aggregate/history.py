"""Which of a section's records stood where in earlier jobs: what an audit over contracts needs.

    partner (knows its entities)                    receiver (kept its groups, by position)
      Known: where each record stood          ──►

The partner remembers, from every earlier job that told of one of the same columns, its entities in
the order of the aligned rows; the receiver the group of each of these rows, without names. A
section's records are the rows that are aligned now, in their order, and after them those of earlier
jobs that are not any more: without these a group that lost one record could be compared with
what it was before. `Known` says at which of its rows each record stood in each job, or that it did
not. From then on both see one table of records with a group in each section, old or new, and the
partner can have the cells counted under encryption.

The partner must not learn the group of a record by what is rare about it. A history (the set of
jobs a record was in) that fewer than `least` records share is not told: such a record passes for
one of the most frequent history, in no group, and does not count; one that has left is left out.
In the same way a column that few records of a history have counts for none of them, and one that
few of them lack counts for all, as so many more that a combination has to speak of.

The receiver learns which of its rows, now and then, are one record of the partner's. It knew that
both had these rows; only where it has two records for one of the partner's it learns that too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from federated.aggregate.grid import Binned
from federated.aggregate.pairs import Pairs
from federated.aggregate.statistics import Statistic
from psi.protocol import (
    Array,
    Context,
    Done,
    Length,
    MisuseError,
    PeerError,
    Range,
    Role,
    Text,
    Turn,
    message,
)

__all__ = [
    "Followed",
    "History",
    "Known",
    "KnownReceiver",
    "KnownSender",
    "Past",
    "asked_of",
    "followed",
    "history_of",
    "kinds_of",
]

GONE = -1
"""Was not in that job."""
MEMBER = -2
"""Was in that job, in no group that counts."""

JOBS = 1 << 10
# earlier jobs are named by their sessions; the receiver looks for files and tells of them by these
_SESSION = re.compile("[0-9a-f]{64}")
LARGEST = 1 << 30

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Tags = np.ndarray[Any, np.dtype[np.uint64]]
_NOBODY: Tags = np.zeros(0, np.uint64)


@dataclass(frozen=True)
class Past:
    """One earlier job: its name, its sections by number, its records' tags row by row (0: none).

    `others` are the tags of records that were in it and count in none of its rows.
    """

    job: str
    sections: tuple[int, ...]
    tags: Tags
    others: Tags = field(default_factory=lambda: _NOBODY)


@dataclass(frozen=True, kw_only=True)
class History:
    """Where each record stood.

    `places` is `int32[records, jobs]`: the row in that job, or `GONE`, or `MEMBER`. The first
    `rows` records are those that are aligned now. `sections[j]` are the numbers of the sections of
    `jobs[j]`, `sizes[j]` is how many rows that job had; `asked` are the shares and histograms that
    any of them told, as "COLUMN:STATISTIC". At the partner `shown` says which records'
    histories are true, `bool[records]`, and `left_out` how many are not told of at all.
    """

    rows: int
    jobs: tuple[str, ...]
    sections: tuple[tuple[int, ...], ...]
    sizes: Ints
    places: np.ndarray
    shown: Flags
    left_out: int = 0
    asked: tuple[str, ...] = ()

    def absent(self, job: int, ones: Flags) -> int:
        """How many of the records that count that job did not have."""
        return int((self.places[ones, job] == GONE).sum())

    def codes(self, job: int, groups: np.ndarray, absent: int, none: int) -> np.ndarray:
        """Each record's group in a section of that job, by those of its rows: `int64[records]`."""
        where = self.places[:, job].astype(np.int64)
        return np.select(
            [where == GONE, where == MEMBER], [absent, none], np.append(groups, none)[where]
        )


@message(0x4F)
@dataclass(frozen=True)
class Known:
    """A history, without what only the partner knows."""

    rows: Annotated[int, Range(0, LARGEST)]
    jobs: Annotated[tuple[Annotated[str, Text(64)], ...], Length(JOBS)]
    sections: Annotated[
        tuple[Annotated[tuple[Annotated[int, Range(0, JOBS)], ...], Length(JOBS)], ...],
        Length(JOBS),
    ]
    sizes: Annotated[np.ndarray, Array("int64", most=JOBS)]
    places: Annotated[np.ndarray, Array("int32", width=-1, most=LARGEST)]
    asked: Annotated[tuple[Annotated[str, Text(2048)], ...], Length(JOBS)]


@message(0x57)
@dataclass(frozen=True)
class Hearing:
    """Waiting to be told the history."""


class KnownSender(Role[History]):
    """Tells a history; gives it back, so that it is the same after a restart."""

    def __init__(self, context: Context, receiver: str, history: History) -> None:
        super().__init__(context)
        self._receiver, self._history = receiver, history

    def begin(self) -> Turn[History]:
        made = self._history
        known = Known(made.rows, made.jobs, made.sections, made.sizes, made.places, made.asked)
        return Turn(Done(), [(self._receiver, known)], made)


class KnownReceiver(Role[History]):
    """Learns the history of its `rows` aligned rows, each kind of `least` records or more."""

    transitions = {(Hearing, Known): "on_known"}  # noqa: RUF012

    def __init__(self, context: Context, rows: int, least: int) -> None:
        super().__init__(context)
        self._rows, self._least = rows, least

    def begin(self) -> Turn[History]:
        return Turn(Hearing())

    def on_known(self, state: Hearing, found: Known, peer: str) -> Turn[History]:
        del state, peer
        jobs, places = len(found.jobs), found.places
        if found.rows != self._rows or len(places) < self._rows or places.shape[1] != jobs:
            raise PeerError("a history of other rows than are aligned")
        if not len(found.sections) == len(found.sizes) == jobs == len(set(found.jobs)):
            raise PeerError("a history of jobs without their sections")
        if not all(_SESSION.fullmatch(job) for job in found.jobs):
            raise PeerError("a history of jobs by names that are no session's")
        if self.context.session.hex() in found.jobs:
            raise PeerError("a history in which this job is an earlier one")
        for job, size in enumerate(found.sizes.tolist()):
            stood = places[:, job][places[:, job] >= 0]
            if (places[:, job] < MEMBER).any() or (stood >= size).any():
                raise PeerError("a history of rows that do not exist")
            if len(np.unique(stood)) < len(stood):
                raise PeerError("a history in which two records are one")
        kinds = _kinds(found.rows, places)
        alike = np.unique(kinds, return_counts=True)[1]
        if (alike < min(self._least, self._rows)).any():
            raise PeerError(f"a history that fewer than {self._least} records share")
        shown = np.ones(len(places), bool)
        history = History(
            rows=found.rows,
            jobs=found.jobs,
            sections=found.sections,
            sizes=found.sizes,
            places=places.astype(np.int32),
            shown=shown,
            asked=found.asked,
        )
        for asked in found.asked:
            asked_of(asked)
        return Turn(Done(), result=history)


def asked_of(text: str) -> tuple[str, Statistic]:
    """A column and what was asked of it; raises `PeerError` where that is no statistic."""
    column, _, statistic = text.rpartition(":")
    try:
        return column, Statistic.parse(statistic)
    except MisuseError:
        raise PeerError("a history of statistics that this version does not have") from None


def history_of(now: Tags, past: Sequence[Past], least: int, others: Tags = _NOBODY) -> History:
    """The history that the partner tells, from its records' tags in the order of their rows.

    `others` are those of records that count in no row of this job.
    """
    every = [now, *(job.tags for job in past)]
    names, numbers = np.unique(np.concatenate(every), return_inverse=True)
    jobs = np.split(numbers.reshape(-1), np.cumsum([len(tags) for tags in every])[:-1])
    clear = (names != 0) & ~np.isin(names, np.concatenate([others, *(job.others for job in past)]))
    for tags in jobs:
        clear &= np.bincount(tags, minlength=len(names)) < 2
    record = np.full(len(names), -1)
    record[jobs[0]] = np.arange(len(now))
    gone = np.flatnonzero(record < 0)
    record[gone] = len(now) + np.arange(len(gone))
    clear = clear[np.concatenate([jobs[0], gone])]
    places = np.full((len(clear), len(past)), GONE, np.int32)
    for job, tags in enumerate(jobs[1:]):
        places[record[tags], job] = np.arange(len(tags))
    places[~clear] = GONE
    kinds = _kinds(len(now), places)
    shared = np.bincount(kinds, clear, minlength=1)
    shown = clear & (shared[kinds] >= least)
    hidden = ~shown[: len(now)]
    if hidden.any():
        like = np.argmax(np.where(clear[: len(now)], shared[kinds[: len(now)]], -1))
        places[np.flatnonzero(hidden)] = np.where(places[like] == GONE, GONE, MEMBER)
    stay = np.append(np.ones(len(now), bool), shown[len(now) :])
    return History(
        rows=len(now),
        jobs=tuple(job.job for job in past),
        sections=tuple(job.sections for job in past),
        sizes=np.array([len(job.tags) for job in past], np.int64),
        places=places[stay],
        shown=shown[stay],
        left_out=len(stay) - int(stay.sum()),
    )


@dataclass(frozen=True)
class Followed:
    """For which records a column counts, `flags: bool[records, columns]`.

    `ones: bool[records]` says which count as rows. `wrong: int64[columns]` is how many that count
    have no value: a combination must speak of so many more. `hidden: bool[columns]` says whether
    some records have a value now or had one, and do not count, or not as they were; `uncounted`
    whether some count nowhere that are in the rows' groups as they are now. `bins` says in which
    atom each counts, for columns whose shares or histograms are asked.
    """

    flags: Flags
    ones: Flags
    wrong: Ints
    hidden: Flags
    uncounted: bool = False
    bins: tuple[Binned | None, ...] = ()


def followed(
    history: History,
    there: Flags,
    earlier: Sequence[Flags],
    least: int,
    pairs: Pairs | None = None,
) -> Followed:
    """A value counts if it is there now and was in every job that told of the column.

    As far as that job had the record: `there` is `bool[rows, columns]`, `earlier` the same for each
    job's rows, all true where it told nothing of a column. `pairs` says which rows count.
    """
    ones = np.ones(len(history.places), bool)
    if pairs is not None:
        ones[: history.rows] = pairs.counts
    found = np.repeat((history.shown & ones)[:, None], there.shape[1], axis=1)
    found[: history.rows] &= there
    ever = np.zeros_like(found)
    ever[: history.rows] = there
    for number, flags in enumerate(earlier):
        stood = np.flatnonzero(history.places[:, number] >= 0)
        had = flags[history.places[stood, number]]
        found[stood] &= had
        ever[stood] |= had
    uncounted = pairs is not None and not pairs.all_count
    untrue = history.left_out > 0 or not history.shown[ones].all()
    untrue |= uncounted and len(history.jobs) > 0
    hidden = np.asarray((ever & ~found).any(axis=0) | untrue)
    kinds = kinds_of(history)
    sizes = np.bincount(kinds, ones, minlength=1).astype(np.int64)
    wrong = np.zeros(there.shape[1], np.int64)
    for column in range(there.shape[1]):
        have = np.bincount(kinds, found[:, column], minlength=1).astype(np.int64)
        lack = np.where(have < least, 0, sizes - have)
        few = (lack > 0) & (lack < least)
        wrong[column] = lack[few].sum()
        hidden[column] |= ((have > 0) & (have < least)).any()
        found[:, column] = (found[:, column] & (have >= least)[kinds]) | (few[kinds] & ones)
    return Followed(found, ones, wrong, hidden, uncounted)


def kinds_of(history: History) -> Ints:
    """Records of one history have one number: `int64[records]`."""
    return _kinds(history.rows, history.places)


def _kinds(rows: int, places: np.ndarray) -> Ints:
    """Records of one history have one number: `int64[records]`."""
    kinds = (np.arange(len(places)) < rows).astype(np.int64)
    for column in places.T:
        _, kinds = np.unique(2 * kinds + (column != GONE), return_inverse=True)
    return kinds.reshape(-1)
