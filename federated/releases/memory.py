"""What one party has let others learn of its columns, from one job to the next.

    releases/book        which job disclosed what of which columns to whom, sealed
    releases/tags-JOB    whom it was about: one keyed tag a row, sealed
    releases/section-JOB-NUMBER   which values a section's rows had and what it told, sealed
    releases/parts-JOB-NUMBER     in which part of its shares and histograms they were, sealed
    releases/scores-JOB-MODEL     what a scoring told of each row, sealed
    releases/key         opens them (0600); the key of the tags lies in the book

Before a step discloses anything, it is reserved here: looked at together with everything before,
written and synced, all under a lock. A kill afterwards does not give it back, and a job that goes
on finds its own reservation and pays nothing. Entries end with their time to be kept; tags go
with them, and the key of the tags with the last.

Tags are keyed BLAKE2s of the entity's cleaned key at this party, under a key for each table and
receiver: without the key they say nothing, and nobody else could make them. Which columns name an
entity is fixed by the first job that is kept, whatever columns a later job matches by, so that a
receiver cannot make old records look new by asking for another key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.aggregate.history import Past
from federated.contract.release import Release
from federated.contract.terms import Contract, PartyTerms
from federated.releases.book import MICRO, Book, Entry, Job, Level, Names
from federated.releases.budget import Earlier, Holds, allowed_bits, check_bits, check_counts
from federated.releases.differencing import Tags, exposure, inside, nearest
from federated.releases.files import ReleaseFiles
from federated.releases.likeness import Alike, apart
from federated.releases.limits import ReleaseLimits
from federated.releases.row_bits import RowBits
from federated.releases.tags import Tagged, distinct, level_key, paired, tags_of
from federated.releases.told import ToldParts, ToldSection
from federated.releases.told_scores import ToldScores, unchanged
from psi.protocol import MisuseError, Random, Refused

__all__ = ["Joined", "Releases"]

DAY = 24 * 3600

Joined = Callable[[Sequence[Level]], list[pa.Array]]
"""The joined records' keys at this party, one array a level; null where a record has none."""


def _unmeasured(columns: frozenset[str]) -> float:
    raise MisuseError(f"bits of {len(columns)} columns are told, and no table says what they hold")


class Releases:
    """One party's book in `folder`; several processes of the party may share it."""

    def __init__(
        self, folder: Path, limits: ReleaseLimits, random: Random, clock: Callable[[], float]
    ) -> None:
        self._folder, self._limits, self._random, self._clock = folder, limits, random, clock
        self._files = ReleaseFiles(folder, random)

    def __repr__(self) -> str:
        return f"<releases in {self._folder.name}>"

    @property
    def limits(self) -> ReleaseLimits:
        """What may be told."""
        return self._limits

    def reserve(
        self,
        contract: Contract,
        me: PartyTerms,
        release: Release,
        joined: Joined | None,
        ahead: Sequence[Release] = (),
        holds: Holds = _unmeasured,
        stands: np.ndarray | None = None,
        alike: Alike = apart,
        scores: ToldScores | None = None,
    ) -> None:
        """Count what a step is about to disclose; raises `Refused` where a limit says no.

        `joined` is None where this party does not learn which records are joined: then all that
        was told before counts for each. Steps `ahead` are looked at too, and reserved later.
        `holds` says how many bits a row holds; it is asked only where bits are told. Where records
        repeat among the joined, `stands` says which counts for each of the other's rows. Columns
        that are `alike` count as one. Of `scores`, where the contract tells nothing else of these
        records, only those that were not told before are booked; whether they may be told is
        decided as if none was.
        """
        session = contract.nonce
        with self._files.lock():
            book = self._files.book(self._clock())
            later = [other for other in ahead if other.step != release.step]
            own, every = self._asked(book, contract, me, [release, *later])
            if every[:1] != [release]:
                return  # a job that goes on has paid
            self._count(book, own, every, alike)
            columns = {c for r in every if self._is_compared(r) for c in r.columns}
            columns -= {c for entry in own.entries for c in entry.columns if own.compared}
            tags = None
            if joined is not None and (columns or any(r.bits for r in every)):
                book, tags = self._tags(book, own, me, joined)
            self._weigh(book, own, every, tags, holds)
            if tags is not None:
                if columns:
                    self._compare(book, own, columns, distinct(tags), alike)
                if not own.tagged:
                    about = tags
                    if scores is not None:
                        alone = len(every) == 1 and not own.entries
                        about = self._fresh(book, own, tags, scores, alone=alone)
                    kept = Tagged(about) if stands is None else paired(tags, stands)
                    self._files.write_tags(session, kept)
                own = replace(own, tagged=True, compared=own.compared or bool(columns))
            others = tuple(job for job in book.jobs if job.session != session)
            whole = replace(own, entries=(*own.entries, Entry.of(release)))
            if release.bits:
                told = frozenset(c for entry in whole.entries if entry.bits for c in entry.columns)
                whole = replace(whole, holds=int(holds(told) * MICRO))
            self._files.write_book(replace(book, jobs=(*others, whole)))

    def naming(self, table: str, receiver: str) -> list[str]:
        """The columns by which a table's entities were named towards a receiver in earlier jobs."""
        with self._files.lock():
            place = (table, receiver)
            names = [
                n for n in self._files.book(self._clock()).names if (n.table, n.receiver) == place
            ]
            every = (column for n in names for level in n.levels for column in level.columns)
            return list(dict.fromkeys(every))

    def weighed(self, table: str, receiver: str, *, every: bool = False) -> list[str]:
        """The columns of a table of which a receiver was told bits in earlier jobs, or anything."""
        with self._files.lock():
            jobs = [
                j
                for j in self._files.book(self._clock(), keep=False).jobs
                if (j.table, j.receiver) == (table, receiver)
            ]
            entries = [entry for job in jobs for entry in job.entries if entry.bits or every]
            return list(dict.fromkeys(c for entry in entries for c in entry.columns))

    def so_far(self) -> list[RowBits]:
        """What each receiver was told of a row of each table; `held` is at least so much."""
        with self._files.lock():
            jobs = [
                j
                for j in self._files.book(self._clock(), keep=False).jobs
                if any(e.bits for e in j.entries)
            ]
        found = []
        for table, receiver in dict.fromkeys((job.table, job.receiver) for job in jobs):
            held = max(j.holds for j in jobs if (j.table, j.receiver) == (table, receiver)) / MICRO
            columns, told = tuple(self.weighed(table, receiver)), self.told(table, receiver)
            most = allowed_bits(self._limits, held) / MICRO
            row = RowBits(
                party=table,
                receiver=receiver,
                columns=columns,
                asked=0.0,
                told=told,
                held=held,
                allowed=most,
            )
            found.append(row)
        return found

    def foresee(
        self,
        contract: Contract,
        me: PartyTerms,
        releases: Sequence[Release],
        holds: Holds = _unmeasured,
        alike: Alike = apart,
    ) -> None:
        """Raise `OverBudget` where `reserve` would refuse, whichever records will be joined.

        Nothing is reserved. What depends on the records, which nobody knows yet, is left to it.
        """
        with self._files.lock():
            book = self._files.book(self._clock())
            own, every = self._asked(book, contract, me, releases)
            self._count(book, own, every, alike)
            self._weigh(book, own, every, None, holds, foreseen=True)

    def forget(self, session: bytes) -> bool:
        """Drop a job from the book, on an officer's word; whether it was there."""
        with self._files.lock():
            book = self._files.book(self._clock())
            left = tuple(job for job in book.jobs if job.session != session.hex())
            self._files.write_book(replace(book, jobs=left))
            self._files.sweep(left)
            return len(left) < len(book.jobs)

    def forget_person(
        self, named: Callable[[str, Sequence[Level]], Sequence[pa.Array]], secret: bytes
    ) -> int:
        """Put a random number in the place of one person's tags; in how many jobs.

        `named` has the person's keys in a table, one array a level. The numbers follow from the
        `secret`, which whoever calls throws away afterwards: nobody can tell any more whom they
        stand for. The same one stands for the person in all jobs of one table and receiver, so that
        two answers, one with the person and one without, still differ by somebody and are refused.
        """
        with self._files.lock():
            book, jobs = self._files.book(self._clock()), 0
            for names in book.names:
                place = (names.table, names.receiver)
                keys = [level_key(bytes.fromhex(book.tag_key), place, n) for n in names.levels]
                found = [
                    tags_of([array], [key])
                    for array, key in zip(named(names.table, names.levels), keys, strict=True)
                ]
                own = distinct(np.concatenate(found)) if found else np.zeros(0, np.uint64)
                others = [
                    hashlib.blake2s(tag.tobytes(), key=secret, digest_size=8).digest()
                    for tag in own
                ]
                instead = np.frombuffer(b"".join(others), np.uint64)
                for job in book.jobs:
                    if job.tagged and (job.table, job.receiver) == place:
                        scored = self._files.replace_scored(job.session, own, instead)
                        tagged = self._files.replace_tags(job.session, own, instead)
                        jobs += scored or tagged
            return jobs

    def stands_for_forgotten(self, table: str) -> int:
        """The second until which answers about a table's persons are remembered at most."""
        with self._files.lock():
            jobs = [
                j
                for j in self._files.book(self._clock(), keep=False).jobs
                if j.table == table and j.tagged
            ]
        return max((job.expires for job in jobs), default=0)

    def entries(self, *, keep: bool = True) -> list[tuple[Job, Entry]]:
        """All that is in the book, job by job. What has expired goes, if they may `keep` that."""
        with self._files.lock():
            jobs = self._files.book(self._clock(), keep=keep).jobs
        return [(job, entry) for job in jobs for entry in job.entries]

    def lines(self) -> list[dict[str, str | int]]:
        """What is in the book, for its owner's eyes: one entry a job and step."""
        return [
            {
                "session": job.session, "table": job.table, "purpose": job.purpose,
                "receiver": job.receiver, "made": job.made, "expires": job.expires,
                "step": entry.step, "columns": ", ".join(entry.columns),
                "micro_epsilon": entry.epsilon, "micro_bits": entry.bits,
                "micro_label": entry.label,
                "thresholds": len({edge for edges in entry.thresholds for edge in edges}),
            }
            for job, entry in self.entries()
        ]  # fmt: skip

    def told(
        self,
        table: str,
        receiver: str,
        columns: frozenset[str] | None = None,
        but: str = "",
        among: frozenset[str] | None = None,
    ) -> float:
        """Bits that one receiver was told of a row at most, by releases that touch `columns`.

        None takes all columns. Of a row: of that one of which most was told. The job of the session
        `but` is left out, and so are those that are not `among` some, where these are given.
        """
        with self._files.lock():
            fixed, weights, tags = 0, [], []
            for job in self._files.book(self._clock(), keep=False).jobs:
                touching = [
                    e for e in job.entries if columns is None or columns.intersection(e.columns)
                ]
                bits = sum(entry.bits for entry in touching)
                other = (job.table, job.receiver) != (table, receiver) or job.session == but
                if not bits or other or (among is not None and job.session not in among):
                    continue
                if job.tagged:
                    tags.append(distinct(self._files.tags(job.session)))
                    weights.append(np.full(len(tags[-1]), bits, np.int64))
                else:
                    fixed += bits
        most = 0
        if tags:
            rows, place = np.unique(np.concatenate(tags), return_inverse=True)
            sums = np.zeros(len(rows), np.int64)
            np.add.at(sums, place, np.concatenate(weights))
            most = int(sums.max(initial=0))
        return (fixed + most) / MICRO

    # sections by segment, for the audit of later ones

    def keep_section(self, session: str, number: int, section: ToldSection) -> None:
        """Keep a section of a job that has reserved it, in place of what was kept of it."""
        with self._files.lock():
            if self._has(session):
                self._files.write_section(session, number, section)

    def section(self, session: str, number: int) -> ToldSection | None:
        """What was kept of a section; None if its job is not in the book."""
        return self._files.section(session, number)

    def keep_parts(self, session: str, number: int, parts: ToldParts) -> None:
        """Keep the shares and histograms of a section of a job that has reserved it."""
        with self._files.lock():
            if self._has(session):
                self._files.write_parts(session, number, parts)

    def parts(self, session: str, number: int) -> ToldParts | None:
        """What was kept of a section's shares and histograms; None if it had none."""
        return self._files.parts(session, number)

    def _has(self, session: str) -> bool:
        return any(job.session == session for job in self._files.book(self._clock()).jobs)

    def past(
        self, contract: Contract, me: PartyTerms, columns: set[str]
    ) -> tuple[Past, list[Past]] | None:
        """This job's tags row by row, and earlier jobs that told its receiver of these columns.

        None where nothing is compared.
        """
        with self._files.lock():
            book = self._files.book(self._clock())
            own = next((job for job in book.jobs if job.session == contract.nonce), None)
            if own is None or not own.compared:
                return None
            found = []
            for job in book.jobs:
                alike = (job.table, job.receiver) == (me.table, contract.receiver)
                if not job.compared or not alike or job is own:
                    continue
                numbers = [
                    int(entry.step.split("/")[1])
                    for entry in job.entries
                    if entry.step.startswith("aggregate/") and columns & set(entry.columns)
                ]
                kept = [n for n in numbers if self.section(job.session, n) is not None]
                if kept:
                    found.append(self._files.past(job.session, tuple(kept)))
            return self._files.past(own.session, ()), found

    def _fresh(self, book: Book, own: Job, tags: Tags, scores: ToldScores, *, alone: bool) -> Tags:
        """The tags, 0 for records that are told what they were told before; keeps what is told."""
        before = [
            told for job in self._before(book, own) for told in self._files.scores(job.session)
        ]
        same = unchanged(tags, scores, before)
        self._files.write_scores(own.session, replace(scores, tags=tags))
        return np.where(same & alone, np.uint64(0), tags)

    # the rules

    def _is_compared(self, release: Release) -> bool:
        """Noised answers under a budget are bounded by the budget; rounded ones speak of nobody."""
        noised = release.epsilon > 0 and self._limits.epsilon is not None
        return self._limits.minimum_difference > 0 and not noised and not release.rounded

    def _asked(
        self, book: Book, contract: Contract, me: PartyTerms, releases: Sequence[Release]
    ) -> tuple[Job, list[Release]]:
        """This contract's record, as it is or to be, and those of its releases not yet in it."""
        session, digest, now = contract.nonce, contract.digest.hex(), int(self._clock())
        own = next((job for job in book.jobs if job.session == session), None)
        if own is not None and own.contract != digest:
            raise Refused(
                f"this session's releases were reserved for another contract of {own.table}",
                hint="propose the job again",
            )
        if own is None:
            expires = now + self._limits.keep_days * DAY
            own = Job(
                session=session,
                contract=digest,
                table=me.table,
                receiver=contract.receiver,
                purpose=contract.purpose,
                made=now,
                expires=expires,
                entries=(),
                tagged=False,
                compared=False,
                holds=0,
            )
        done = {entry.step for entry in own.entries}
        return own, [release for release in releases if release.step not in done]

    def _before(self, book: Book, own: Job) -> list[Job]:
        """Earlier jobs on the same table to the same receiver."""
        place = (own.table, own.receiver)
        return [
            job
            for job in book.jobs
            if job.session != own.session and (job.table, job.receiver) == place
        ]

    def _count(self, book: Book, own: Job, fresh: Sequence[Release], alike: Alike) -> None:
        """Releases, thresholds and noise of each column, towards this receiver."""
        jobs = [*self._before(book, own), own]
        told = [(job.purpose, entry) for job in jobs for entry in job.entries]
        check_counts(own.table, self._limits, fresh, own.purpose, told, alike)

    def _weigh(
        self,
        book: Book,
        own: Job,
        fresh: Sequence[Release],
        tags: Tags | None,
        holds: Holds,
        *,
        foreseen: bool = False,
    ) -> None:
        """Bits of each record, towards this receiver.

        Before records are known (`foreseen`) those of earlier jobs, where known, count for none.
        """
        if not any(release.bits for release in fresh):
            return
        jobs = [j for j in self._before(book, own) if any(e.bits or e.label for e in j.entries)]
        before, asked = [], None if tags is None else distinct(tags)
        for job in jobs:
            about = None
            if job.tagged and foreseen:
                about = np.zeros(0, bool)
            elif job.tagged and asked is not None:
                about = inside(asked, distinct(self._files.tags(job.session)))
            before.append(Earlier(job.entries, job.expires, about))
        least = max((job.holds for job in jobs), default=0) / MICRO
        now = self._clock()
        check_bits(own.table, self._limits, holds, fresh, own.entries, before, now, least)

    def _compare(self, book: Book, own: Job, columns: set[str], asked: Tags, alike: Alike) -> None:
        """Refuse what differs too little from an earlier answer, or from several together."""
        least = self._limits.minimum_difference
        tags: dict[str, Tags] = {}
        looked: set[tuple[str, ...]] = set()
        told = {
            c for j in self._before(book, own) if j.compared for e in j.entries for c in e.columns
        }
        for column in sorted(columns):
            kin = alike(column, told)
            before = [
                job
                for job in book.jobs
                if job.session != own.session
                and job.compared
                and (job.table, job.receiver) == (own.table, own.receiver)
                and any(kin.intersection(entry.columns) for entry in job.entries)
            ]
            key = tuple(job.session for job in before)
            if key in looked:
                continue
            looked.add(key)
            for job in before:
                if job.session not in tags:
                    tags[job.session] = distinct(self._files.tags(job.session))
            earlier = [tags[job.session] for job in before]
            near = nearest(asked, earlier, least)
            if near is not None:
                raise _stands(own.table, column, before[near])
            together = exposure([*earlier, asked], least)
            if together and together > exposure(earlier, least):
                raise _stands(own.table, column, before[-1] if before else None)

    # tags

    def _tags(self, book: Book, own: Job, me: PartyTerms, joined: Joined) -> tuple[Book, Tags]:
        """The tags of a job's entities: those from before, or made now."""
        if own.tagged:
            return book, self._files.tags(own.session)
        place = (own.table, own.receiver)
        names = next((n for n in book.names if (n.table, n.receiver) == place), None)
        levels = names.levels if names else ()
        asked = [Level(c, k) for c, k in zip(me.keys, me.kinds, strict=True)]
        levels = tuple(dict.fromkeys([*levels, *asked]))
        key = book.tag_key or self._random(32).hex()
        others = tuple(n for n in book.names if (n.table, n.receiver) != place)
        whole = replace(book, tag_key=key, names=(*others, Names(*place, levels)))
        keys = [level_key(bytes.fromhex(key), place, level) for level in levels]
        return whole, tags_of(joined(levels), keys)


def _stands(table: str, column: str, job: Job | None) -> Refused:
    """One answer for all that is too near, which the asker could have worked out."""
    earlier = f" (job {job.session[:8]}, and those before it)" if job else ""
    return Refused(
        f"column {column!r} of {table}: too few records apart from earlier answers{earlier}, "
        "or too few at all",
        hint="what those jobs gave stands; a new answer needs other records",
    )
