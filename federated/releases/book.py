"""The records of a party's book of releases, and the books of versions before.

Whole numbers only, as the canonical form has no others: epsilons and bits in millionths, rounded
up. A book of version 1 knew neither bits nor thresholds; what it lacks is taken at its worst, until
its entries end or an officer forgets them: a training told whole rows, for its score vectors were
exact; a table without noise told its category; sums had as many thresholds as there can be. One of
version 2 knew nothing of labels, but what binnings told of them: trainings of that time are in no
book, and do not count. Before version 4 no variance was noted: each sum by segment may have been
one. A book of a later version is refused, never read as something else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from federated.contract.kinds.label import class_bits
from federated.contract.release import Release
from federated.store.plain import OtherFields, canonical, from_canonical
from psi.protocol import EnvironmentFailed

__all__ = [
    "ANY_EDGES",
    "MICRO",
    "WHOLE",
    "Book",
    "Entry",
    "Job",
    "Level",
    "Names",
    "micro",
    "read_book",
]

VERSION = 4
MICRO = 1_000_000
WHOLE = 1000 * MICRO
"""Bits of what may have told everything."""
ANY_EDGES = "*"
"""Stands for more thresholds than can be counted: of sums of which it is not known."""


def micro(value: float) -> int:
    """Millionths, rounded up."""
    return math.ceil(round(value * MICRO, 3))


@dataclass(frozen=True)
class Level:
    """Columns that name an entity, and the kinds by which they are cleaned."""

    columns: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One step's release: `epsilon`, `bits` and `label` in millionths, `thresholds` by column.

    `label`: bits of a label of this party's, told to a partner of its own job. `squares`: the
    columns of which it told a variance.
    """

    step: str
    columns: tuple[str, ...]
    epsilon: int
    bits: int
    label: int
    thresholds: tuple[tuple[str, ...], ...]
    squares: tuple[str, ...]

    @classmethod
    def of(cls, release: Release) -> Entry:
        """What is kept of a release."""
        return cls(
            step=release.step,
            columns=release.columns,
            epsilon=micro(release.epsilon),
            bits=micro(release.bits),
            label=micro(release.label_bits),
            thresholds=release.thresholds,
            squares=release.squares,
        )

    def edges(self, column: str) -> set[str]:
        """The thresholds of one column."""
        pairs = zip(self.columns, self.thresholds, strict=False)
        return {edge for name, edges in pairs if name == column for edge in edges}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job's releases to one receiver. `contract` is its digest.

    `tagged`: which records it was about is kept. `compared`: they stand for later comparisons.
    `holds`: the bits that a row held in all columns of which it told bits, in millionths; 0: none.
    """

    session: str
    contract: str
    table: str
    receiver: str
    purpose: str
    made: int
    expires: int
    entries: tuple[Entry, ...]
    tagged: bool
    compared: bool
    holds: int


@dataclass(frozen=True)
class Names:
    """How entities of a table are named towards one receiver, level by level."""

    table: str
    receiver: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Book:
    """All that is remembered; `tag_key` is hexadecimal, "" before the first tag."""

    version: int = VERSION
    tag_key: str = ""
    names: tuple[Names, ...] = ()
    jobs: tuple[Job, ...] = ()

    def to_bytes(self) -> bytes:
        """What is sealed into the file."""
        return canonical(self)


def read_book(data: bytes) -> Book:
    """The book in these bytes. Raises `EnvironmentFailed` for one of a later version."""
    found = json.loads(data)
    version = found.get("version", 1) if isinstance(found, dict) else None
    if version == 1:
        return _from_first(from_canonical(_FirstBook, data))
    if version == 2:
        return _from_second(data)
    try:
        if version == 3:
            return _from_third(data)
        if version == VERSION:
            return from_canonical(Book, data)
        why = f"of version {version!r}, {VERSION} and before are read here"
    except OtherFields as error:  # of a build between two numbers
        why = f"of another version: {error.message}"
    raise EnvironmentFailed(
        f"the book of releases is {why}", hint="run the version of this software that wrote it"
    )


# version 3


def _from_third(data: bytes) -> Book:
    """As it is now, but for the squares of its entries."""
    found = json.loads(data)
    for job in found["jobs"]:
        for entry in job["entries"]:
            entry["squares"] = _squares(entry["step"], entry["columns"])
    return from_canonical(Book, canonical(found | {"version": VERSION}))


def _squares(step: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of which a step may have told a variance, before that was noted."""
    return tuple(columns) if step.startswith("aggregate/") else ()


# version 2


@dataclass(frozen=True)
class _SecondEntry:
    step: str
    columns: tuple[str, ...]
    epsilon: int
    bits: int
    thresholds: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class _SecondJob:
    session: str
    contract: str
    table: str
    receiver: str
    purpose: str
    made: int
    expires: int
    entries: tuple[_SecondEntry, ...]
    tagged: bool
    compared: bool
    holds: int


@dataclass(frozen=True)
class _SecondBook:
    version: int
    tag_key: str
    names: tuple[Names, ...]
    jobs: tuple[_SecondJob, ...]


def _from_second(data: bytes) -> Book:
    old = from_canonical(_SecondBook, data)
    jobs = tuple(
        Job(**(vars(job) | {"entries": tuple(_with_label(entry) for entry in job.entries)}))
        for job in old.jobs
    )
    return Book(VERSION, old.tag_key, old.names, jobs)


def _with_label(entry: _SecondEntry) -> Entry:
    """A binning told bits of a label if it was the label's own party that told it: then under an
    epsilon, or exactly, and of one column.
    """
    binned = entry.step.startswith("binning/") and len(entry.columns) == 1 and entry.bits > 0
    label = micro(class_bits(entry.epsilon / MICRO)) if binned else 0
    return Entry(**vars(entry), label=label, squares=_squares(entry.step, entry.columns))


# version 1


@dataclass(frozen=True)
class _FirstEntry:
    step: str
    columns: tuple[str, ...]
    micro: int


@dataclass(frozen=True, kw_only=True)
class _FirstJob:
    session: str
    contract: str
    table: str
    receiver: str
    purpose: str
    made: int
    expires: int
    entries: tuple[_FirstEntry, ...]
    compared: bool


@dataclass(frozen=True)
class _FirstBook:
    tag_key: str
    names: tuple[Names, ...]
    jobs: tuple[_FirstJob, ...]


def _from_first(old: _FirstBook) -> Book:
    jobs = tuple(
        Job(
            session=job.session,
            contract=job.contract,
            table=job.table,
            receiver=job.receiver,
            purpose=job.purpose,
            made=job.made,
            expires=job.expires,
            entries=tuple(_at_worst(entry) for entry in job.entries),
            tagged=job.compared,
            compared=job.compared,
            holds=0,
        )
        for job in old.jobs
    )
    return Book(VERSION, old.tag_key, old.names, jobs)


def _at_worst(entry: _FirstEntry) -> Entry:
    kind = entry.step.split("/")[0]
    bits = WHOLE if kind == "train" else 0
    if kind == "category":
        bits = micro(entry.micro / MICRO * math.log2(math.e)) or WHOLE
    edges = (ANY_EDGES,) if kind in ("aggregate", "join_sum") else ()
    return Entry(
        step=entry.step,
        columns=entry.columns,
        epsilon=entry.micro,
        bits=bits,
        label=0,
        thresholds=(edges,) * len(entry.columns),
        squares=_squares(entry.step, entry.columns),
    )
