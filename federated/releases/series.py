"""Which job a rule of the party's policy approved, and which is of a series that contracts name, so
that one series has totals of its own.

    releases/series             by rule or series, and session, what a contract may tell, sealed
    releases/series-forgotten   rules whose jobs are not all remembered, and since when, sealed

It lies with the book of releases, and is as old or new as the book in every copy. What a job has
told is in the book; what one that is under way may tell still, in its contract's terms here. Of a
copy that was put back nobody knows what the rules of its party have approved since it was made, so
none of them that counts approves anything: it would begin again with what the copy remembers.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from federated.contract.release import planned
from federated.contract.series import SeriesTold
from federated.contract.terms import Contract
from federated.releases.book import MICRO, Entry
from federated.releases.memory import Releases
from federated.store.files import locked
from federated.store.plain import canonical, from_canonical
from federated.store.vault import Vault
from psi.protocol import EnvironmentFailed, MisuseError, PeerError, Random

__all__ = ["EVERY_SERIES", "Approved", "Series", "Spent", "promise", "told_at_most", "told_by"]

VERSION = 1
_DAY = 24 * 3600
_DIGEST = 16
EVERY_SERIES = "series that contracts name"
"""Stands for a rule where what contracts of any series told may be forgotten."""


@dataclass(frozen=True, kw_only=True)
class Approved:
    """A job that a rule approved; `expires` is until when its contract may start."""

    rule: str
    session: str
    table: str
    receiver: str
    made: int
    expires: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class _File:
    version: int = VERSION
    jobs: tuple[Approved, ...] = ()


@dataclass(frozen=True)
class _Forgotten:
    rules: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the jobs of a series come to: their sessions, bits of a row by table, the rest.

    `forgotten` is since when there may be more that nobody knows of, in seconds since 1970; None
    where there is not.
    """

    sessions: frozenset[str] = frozenset()
    row_bits: Mapping[str, float] = field(default_factory=dict)
    epsilon: float = 0.0
    releases: int = 0
    forgotten: int | None = None

    def adding(self, table: str, entries: tuple[Entry, ...]) -> Spent:
        """The same with what one more job tells of a table."""
        bits = sum(entry.bits for entry in entries) / MICRO
        return replace(
            self,
            row_bits={**self.row_bits, table: self.row_bits.get(table, 0.0) + bits},
            epsilon=self.epsilon + sum(entry.epsilon for entry in entries) / MICRO,
            releases=self.releases + len(entries),
        )


def told_at_most(contract: Contract, party: str) -> tuple[Entry, ...]:
    """What a contract tells its receiver of a party's columns, whatever is joined."""
    return tuple(Entry.of(release) for release in planned(contract, party) if release.columns)


def _key(contract: Contract) -> str:
    """What stands for a rule: the series, by its receiver, name and totals."""
    (terms,) = contract.series
    digest = hashlib.sha256(canonical(terms)).hexdigest()[:_DIGEST]
    return f"series of {contract.receiver}: {terms.name}: {digest}"


def told_by(entries: tuple[Entry, ...]) -> SeriesTold:
    """In millionths, as the book has them: rounded once, when all jobs are added up."""
    return SeriesTold(
        jobs=1,
        row_bits=sum(entry.bits for entry in entries),
        epsilon=sum(entry.epsilon for entry in entries),
        releases=len(entries),
    )


def promise(contract: Contract, party: str) -> SeriesTold:
    """What this contract adds to its series."""
    return told_by(told_at_most(contract, party))


class Series:
    """The series of one party. `folder` is that of its `book`."""

    def __init__(
        self, folder: Path, book: Releases, random: Random, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._book, self._clock = folder, book, clock
        self._vault = Vault(folder, "key", b"fedprofile series v1", random)

    def __repr__(self) -> str:
        return f"<series in {self._folder.name}>"

    def note(self, rule: str, contract: Contract, party: str, days: int) -> None:
        """A rule approves a job. What is older than `days` goes."""
        me, now = contract.party(party), int(self._clock())
        own = Approved(
            rule=rule,
            session=contract.nonce,
            table=me.table,
            receiver=contract.receiver,
            made=now,
            expires=contract.expires,
            entries=told_at_most(contract, party),
        )
        with locked(self._folder / ".lock"):
            since = now - days * 24 * 3600
            others = (job for job in self._jobs() if job.made >= since)
            mine = (own.rule, own.session)
            jobs = (*(job for job in others if (job.rule, job.session) != mine), own)
            self._vault.write("series", canonical(_File(VERSION, jobs)))

    def forget(self, rules: Iterable[str], since: int) -> None:
        """What these rules have approved since then is not remembered here."""
        with locked(self._folder / ".lock"):
            known = self.forgotten()
            known |= {rule: min(since, known.get(rule, since)) for rule in rules}
            self._vault.write("series-forgotten", canonical(_Forgotten(known)))

    def spent(self, rule: str, days: int, over: Callable[[Approved], bool], but: str = "") -> Spent:
        """What the jobs of a rule have told in so many days, and may tell still.

        Args:
            over: whether a job tells nothing more.
            but: a session that is left out.

        Raises:
            EnvironmentFailed, InputError: nobody can say.
        """
        since = self._clock() - days * 24 * 3600
        every = (job for job in self._jobs() if job.rule == rule and job.session != but)
        jobs = [job for job in every if job.made >= since]
        told = defaultdict[str, list[Entry]](list)
        for booked, entry in self._book.entries(keep=False) if jobs else ():
            told[booked.session].append(entry)
        sessions, bits = frozenset(job.session for job in jobs), defaultdict[str, float](float)
        for table, receiver in dict.fromkeys((job.table, job.receiver) for job in jobs):
            bits[table] += self._book.told(table, receiver, among=sessions)
        found = Spent(sessions=sessions, row_bits=bits, forgotten=self.forgotten().get(rule))
        for job in jobs:
            done = told[job.session]
            steps = {entry.step for entry in done}
            waits = () if over(job) else tuple(e for e in job.entries if e.step not in steps)
            counted = tuple(replace(entry, bits=0) for entry in done)  # theirs by record, above
            found = found.adding(job.table, (*waits, *counted))
        return found

    def forgotten(self) -> dict[str, int]:
        """Since when the jobs of rules are not all remembered, by rule."""
        data = self._vault.read("series-forgotten")
        return {} if data is None else dict(from_canonical(_Forgotten, data).rules)

    @property
    def may_lack(self) -> bool:
        """Whether contracts of a series may have been signed that are not remembered here."""
        return EVERY_SERIES in self.forgotten()

    def agreed(self, contract: Contract, party: str, days: int) -> None:
        """A contract of a series is about to be signed. What is older than `days` goes."""
        self.note(_key(contract), contract, party, days)

    def promised(
        self, contract: Contract, days: int, void: Callable[[Approved], bool]
    ) -> SeriesTold:
        """What earlier contracts of this contract's series tell at most, but for those of jobs
        that came to no step.

        It follows from contracts that the receiver has signed too, and from no row: all parties
        of the job are told.

        Args:
            contract: of a series.
            days: within which they were agreed on.
            void: whether a job has ended, or can start no more, and came to no step.

        Raises:
            EnvironmentFailed, InputError: nobody can say.
            MisuseError: earlier ones were agreed on with other totals, whatever they came to.
        """
        since, key = self._clock() - days * _DAY, _key(contract)
        name = key[:-_DIGEST]
        begun = {booked.session for booked, _ in self._book.entries(keep=False)}
        told = SeriesTold()
        for job in self._jobs():
            named = job.rule[:-_DIGEST] == name and job.session != contract.nonce
            if not named or job.made < since:
                continue
            if job.rule != key:
                raise MisuseError(
                    f"the series '{contract.series[0].name}' was agreed on with other totals"
                )
            if job.session in begun or not void(job):
                told += told_by(job.entries)
        return told

    def _jobs(self) -> tuple[Approved, ...]:
        data = self._vault.read("series")
        if data is None:
            return ()
        try:
            found = from_canonical(_File, data)
        except PeerError:
            found = _File(0)
        if found.version != VERSION:
            raise EnvironmentFailed(
                "the file of series is of another version",
                hint="run the version of this software that wrote it",
            )
        return found.jobs
