"""Who was in which job, and who is to be in none any more: sealed at home, as keyed digests.

    persons/job-SESSION        what a job was for, with whom, which columns it used, counts; sealed
    persons/rows-SESSION       one keyed digest for each row that was admitted, sealed
    persons/matched-SESSION    which of these were found at the partners, where that is known here
    persons/gone               digests of those who were forgotten: their rows are in no job
    persons/secret             what keys the digests, sealed
    persons/key                opens all (0600)

A digest is eight bytes of keyed BLAKE2s of the value that names the row, under a key for each table
and column. It answers "was this person in it", for whoever has the key and the person's name, and
nothing else. Rows go after the policy's `admitted_days`; counts stay as long as the jobs' folders.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from federated.contract.columns import columns_used
from federated.contract.terms import Contract
from federated.persons.naming import Person, cleaned, naming
from federated.releases.tags import tags_of
from federated.store.files import locked
from federated.store.plain import canonical, from_canonical
from federated.store.vault import Vault
from federated.tables.source import Source
from psi.protocol import Random

__all__ = ["Admitted", "PersonBook", "Use", "Used"]


@dataclass(frozen=True)
class Use:
    """What columns were used for, and which."""

    use: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """One job as this party was in it. `uses` are its columns by what they were used for.

    `rows` were admitted, `matched` of them found; -1: not known at this party. `columns` name rows,
    `kinds` say how they are cleaned.
    """

    session: str
    job: str
    purpose: str
    purpose_class: str
    entity: str
    table: str
    receiver: str
    partners: tuple[str, ...]
    began: int
    uses: tuple[Use, ...]
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: int
    matched: int

    def others(self, me: str) -> tuple[str, ...]:
        """The parties it was with."""
        return tuple(name for name in (self.receiver, *self.partners) if name != me)


@dataclass(frozen=True)
class Used:
    """A job that one person was admitted to; `matched`: None where this party does not know."""

    job: Admitted
    matched: bool | None


@dataclass(frozen=True)
class _Gone:
    """Digests by table and column, in hexadecimal."""

    table: str
    column: str
    kind: str
    digests: tuple[str, ...]


@dataclass(frozen=True)
class _AllGone:
    entries: tuple[_Gone, ...] = ()


class PersonBook:
    """One party's, in `folder`; several processes of the party may share it."""

    def __init__(self, folder: Path, random: Random, clock: Callable[[], float]) -> None:
        self._folder, self._random, self._clock = folder, random, clock
        self._vault = Vault(folder, "key", b"fedprofile persons v1", random)

    def __repr__(self) -> str:
        return f"<persons in {self._folder.name}>"

    # who was in a job

    def admit(
        self, contract: Contract, me: str, source: Source, table: pa.Table, gone: np.ndarray | None
    ) -> None:
        """Keep who is in a job, before its first step.

        `source` says what names the rows of `table`; those that are `gone` (bool[n]) are not in it.
        """
        terms = contract.party(me)
        there = [c for c in naming(source, terms.table) if c in table.column_names]
        keys = [c for level in terms.keys for c in level if c in table.column_names]
        columns = tuple(there or dict.fromkeys(keys))
        known = dict(
            pair
            for level, kinds in zip(terms.keys, terms.kinds, strict=True)
            for pair in zip(level, kinds, strict=True)
        )
        kinds = tuple(known.get(column, "") for column in columns)
        kinds = tuple("" if kind in ("text", "name") else kind for kind in kinds)
        used = columns_used(contract, me)
        with self._locked():
            tags = self._tags(terms.table, columns, kinds, table)
            tags = tags if gone is None else tags[~gone]
            made = Admitted(
                session=contract.nonce,
                job=contract.job,
                purpose=contract.purpose,
                purpose_class=contract.purpose_class,
                entity=contract.entity,
                table=terms.table,
                receiver=contract.receiver,
                partners=tuple(contract.partners()),
                began=int(self._clock()),
                uses=tuple(Use(use, names) for use, names in used.items() if names),
                columns=columns,
                kinds=kinds,
                rows=len(tags),
                matched=-1,
            )
            before = self._job(contract.nonce)
            made = made if before is None else replace(made, began=before.began)
            self._write("rows", made.session, np.ascontiguousarray(tags).tobytes())
            self._write("job", made.session, canonical(made))

    def match(self, session: str, rows: np.ndarray, gone: np.ndarray | None) -> None:
        """Keep which of the table's `rows` were found; those `gone` have no place among them."""
        with self._locked():
            job = self._job(session)
            if job is None:
                return
            at = np.unique(rows)
            if gone is not None:  # places among those admitted
                at = (np.cumsum(~gone) - 1)[at[~gone[at]]]
            found = np.zeros(job.rows, bool)
            found[at] = True
            self._write("matched", session, np.packbits(found).tobytes())
            self._write("job", session, canonical(replace(job, matched=int(found.sum()))))

    def jobs(self) -> list[Admitted]:
        """Every job that is remembered, the first one first."""
        found = (self._job(f.name.split("-", 1)[1]) for f in self._folder.glob("job-*"))
        return sorted((job for job in found if job), key=lambda job: (job.began, job.session))

    def persons(self, sessions: list[str]) -> int | None:
        """How many distinct rows these jobs were about; None where digests have gone already."""
        found = [self._rows(session) for session in sessions]
        if any(rows is None for rows in found):
            return None
        every = np.concatenate([rows for rows in found if rows is not None] or [np.zeros(0)])
        return int(len(np.unique(every[every != 0])) + np.count_nonzero(every == 0))

    def used(self, person: Person) -> list[Used]:
        """The jobs that a person was admitted to, the first one first."""
        found = []
        for job in self.jobs():
            rows = self._rows(job.session)
            if rows is None:
                continue
            hit = np.isin(rows, self._tags_of(person, job))
            if not hit.any():
                continue
            data = self._read("matched", job.session)
            matched = None
            if data is not None:
                bits = np.unpackbits(np.frombuffer(data, np.uint8), count=len(rows)).astype(bool)
                matched = bool((bits & hit).any())
            found.append(Used(job, matched))
        return found

    # who is forgotten

    def exclude(self, person: Person, tables: Source, names: list[str]) -> int:
        """From now on no row that a person is named by is in a job; how many digests are new."""
        with self._locked():
            entries = {(e.table, e.column): e for e in self._gone().entries}
            new = 0
            for table in names:
                for column, values in person.texts(table, naming(tables, table)[:1]):
                    found = {f"{d:016x}" for d in self._digests(table, column, "", values)}
                    before = entries.get((table, column), _Gone(table, column, "", ()))
                    new += len(found - set(before.digests))
                    whole = tuple(sorted(found | set(before.digests)))
                    entries[table, column] = replace(before, digests=whole)
            self._vault.write("gone", canonical(_AllGone(tuple(entries.values()))))
            return new

    def readmit(self, person: Person) -> int:
        """Take a person out of those who are in no job; how many digests went."""
        with self._locked():
            entries, gone = [], 0
            for entry in self._gone().entries:
                named = {
                    f"{digest:016x}"
                    for _, values in person.texts(entry.table, [entry.column])
                    for digest in self._digests(entry.table, entry.column, entry.kind, values)
                }
                left = tuple(d for d in entry.digests if d not in named)
                gone += len(entry.digests) - len(left)
                entries += [replace(entry, digests=left)] if left else []
            self._vault.write("gone", canonical(_AllGone(tuple(entries))))
            return gone

    def excluded(self, table: str) -> list[str]:
        """The columns by which rows of a table are known that must be in no job."""
        return [entry.column for entry in self._gone().entries if entry.table == table]

    def out(self, table: str, loaded: pa.Table) -> np.ndarray:
        """bool[n]: the rows of `loaded` whose persons were forgotten."""
        rows = np.zeros(loaded.num_rows, bool)
        for entry in self._gone().entries:
            if entry.table == table:
                gone = np.array([int(d, 16) for d in entry.digests], np.uint64)
                rows |= np.isin(
                    self._digests(table, entry.column, entry.kind, loaded[entry.column]), gone
                )
        return rows

    def drop(self, person: Person) -> int:
        """Take a person's digests out of every job; how many jobs had one. Counts stay."""
        with self._locked():
            jobs = 0
            for job in self.jobs():
                rows = self._rows(job.session)
                hit = None if rows is None else np.isin(rows, self._tags_of(person, job))
                if rows is not None and hit is not None and hit.any():
                    self._write("rows", job.session, np.where(hit, 0, rows).tobytes())
                    jobs += 1
            return jobs

    def expired(self, rows_before: float, jobs_before: float) -> list[Path]:
        """The files whose time is over: digests of jobs that began before the one, counts before
        the other."""
        files = []
        for job in self.jobs():
            kinds = ["rows", "matched"] * (job.began < rows_before)
            kinds += ["job"] * (job.began < jobs_before)
            files += [self._folder / f"{kind}-{job.session}" for kind in kinds]
        return [file for file in files if file.exists()]

    # digests

    def _tags(
        self, table: str, columns: tuple[str, ...], kinds: tuple[str, ...], rows: pa.Table
    ) -> np.ndarray:
        """A digest a row, by the first column that has a value; 0 for none."""
        if not columns:
            return np.zeros(rows.num_rows, np.uint64)
        texts = [cleaned(rows.column(c), kind) for c, kind in zip(columns, kinds, strict=True)]
        return tags_of(texts, [self._key(table, column) for column in columns])

    def _tags_of(self, person: Person, job: Admitted) -> np.ndarray:
        kinds = dict(zip(job.columns, job.kinds, strict=True))
        found = [
            self._digests(job.table, column, kinds[column], values)
            for column, values in person.texts(job.table, job.columns)
        ]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.uint64)

    def _digests(
        self, table: str, column: str, kind: str, values: pa.Array | pa.ChunkedArray
    ) -> np.ndarray:
        tags = tags_of([cleaned(values, kind)], [self._key(table, column)])
        return tags if isinstance(values, pa.ChunkedArray) else tags[tags != 0]

    def _key(self, table: str, column: str) -> bytes:
        secret = self._vault.read("secret")
        if secret is None:
            secret = self._random(32)
            self._vault.write("secret", secret)
        about = canonical({"table": table, "column": column})
        return hashlib.blake2s(about, key=secret, person=b"persons1").digest()

    # files

    def _gone(self) -> _AllGone:
        data = self._vault.read("gone")
        return _AllGone() if data is None else from_canonical(_AllGone, data)

    def _job(self, session: str) -> Admitted | None:
        data = self._read("job", session)
        return None if data is None else from_canonical(Admitted, data)

    def _rows(self, session: str) -> np.ndarray | None:
        data = self._read("rows", session)
        return None if data is None else np.frombuffer(data, np.uint64)

    def _read(self, kind: str, session: str) -> bytes | None:
        name = f"{kind}-{session}"
        return self._vault.read(name, name.encode())

    def _write(self, kind: str, session: str, data: bytes) -> None:
        name = f"{kind}-{session}"
        self._vault.write(name, data, name.encode())

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locked(self._folder / ".lock")
