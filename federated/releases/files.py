"""The sealed files of a party's book of releases, and the lock that jobs take turns by.

Whoever reads and then writes holds `lock()` from the first to the last of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from federated.aggregate.history import Past
from federated.releases.book import Book, Job, read_book
from federated.releases.differencing import Tags, inside
from federated.releases.tags import Paired, Tagged, distinct
from federated.releases.told import ToldParts, ToldSection
from federated.releases.told_scores import ToldScores
from federated.store.files import locked
from federated.store.vault import Vault
from psi.protocol import EnvironmentFailed, Random, decode, encode

__all__ = ["ReleaseFiles"]


class ReleaseFiles:
    """What lies in `folder`: the book, and tags, sections and parts of the jobs in it."""

    def __init__(self, folder: Path, random: Random) -> None:
        self._folder = folder
        self._vault = Vault(folder, "key", b"fedprofile releases v1", random)

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Two jobs are looked at one after the other, or each could pass without the other."""
        return locked(self._folder / ".lock")

    # the book

    def book(self, now: float, *, keep: bool = True) -> Book:
        """The book without what has expired; with `keep` that goes from the disk too.

        Whoever only looks may be another user than the node's, whose files the node cannot read.
        """
        data = self._vault.read("book")
        book = read_book(data) if data is not None else Book()
        jobs = tuple(job for job in book.jobs if job.expires > now)
        if len(jobs) == len(book.jobs):
            return book
        fresh = replace(book, jobs=jobs)
        if keep:
            self.write_book(fresh)
            self.sweep(jobs)
        return fresh if jobs else Book()

    def write_book(self, book: Book) -> None:
        """Replace the book; one without jobs forgets the key of the tags too."""
        self._vault.write("book", (book if book.jobs else Book()).to_bytes())

    def sweep(self, jobs: Sequence[Job]) -> None:
        """Remove tags, sections and parts that none of `jobs` stands for."""
        kept = {job.session for job in jobs}
        for kind in ("tags-*", "section-*", "parts-*", "scores-*"):
            for file in self._folder.glob(kind):
                if file.name.split("-")[1] not in kept:
                    file.unlink(missing_ok=True)

    # whom a job was about

    def write_tags(self, session: str, tagged: Tagged | Paired) -> None:
        """Keep a job's tags."""
        self._vault.write(f"tags-{session}", encode(tagged), session.encode())

    def tags(self, session: str) -> Tags:
        """A job's tags. Raises `EnvironmentFailed` where they are missing."""
        return self._tagged(session).tags

    def replace_tags(self, session: str, own: Tags, others: Tags) -> bool:
        """Put `others` in the place of the sorted tags `own` in one job; whether one was there."""
        tagged = self._tagged(session)
        hit = inside(tagged.tags, own)
        if not hit.any():
            return False
        fresh = tagged.tags.copy()
        fresh[hit] = np.maximum(others[np.searchsorted(own, tagged.tags[hit])], 1)
        self.write_tags(session, replace(tagged, tags=fresh))
        return True

    def replace_scored(self, session: str, own: Tags, others: Tags) -> bool:
        """The same in what a scoring told."""
        found = False
        for told in self.scores(session):
            hit = inside(told.tags, own)
            fresh = told.tags.copy()
            fresh[hit] = np.maximum(others[np.searchsorted(own, told.tags[hit])], 1)
            if hit.any():
                self.write_scores(session, replace(told, tags=fresh))
                found = True
        return found

    def past(self, session: str, sections: tuple[int, ...]) -> Past:
        """A job's records as its rows had them, and those that count in none."""
        tagged = self._tagged(session)
        if isinstance(tagged, Tagged):
            return Past(session, sections, tagged.tags)
        rows = np.append(tagged.tags, np.uint64(0))[tagged.stands]
        return Past(session, sections, rows, np.setdiff1d(distinct(tagged.tags), rows))

    def _tagged(self, session: str) -> Tagged | Paired:
        data = self._vault.read(f"tags-{session}", session.encode())
        if data is None:
            raise EnvironmentFailed(
                f"tags of job {session[:8]} are missing: no answer can be compared with it",
                hint="restore the folder of releases, or forget that job",
            )
        kinds: tuple[type[Tagged | Paired], ...] = (Tagged, Paired)
        return decode(data, *kinds)

    # what its sections told

    def write_section(self, session: str, number: int, section: ToldSection) -> None:
        """Keep a section, in place of what was kept of it."""
        name = f"section-{session}-{number}"
        self._vault.write(name, encode(section), name.encode())

    def section(self, session: str, number: int) -> ToldSection | None:
        """What was kept of a section; None if its job is not in the book."""
        name = f"section-{session}-{number}"
        data = self._vault.read(name, name.encode())
        return decode(data, ToldSection) if data is not None else None

    def write_scores(self, session: str, told: ToldScores) -> None:
        """Keep what a scoring told of each row."""
        name = f"scores-{session}-{told.about[:8].hex()}"
        self._vault.write(name, encode(told), name.encode())

    def scores(self, session: str) -> list[ToldScores]:
        """What a job's scorings told."""
        files = sorted(self._folder.glob(f"scores-{session}-*"))
        found = [self._vault.read(file.name, file.name.encode()) for file in files]
        return [decode(data, ToldScores) for data in found if data is not None]

    def write_parts(self, session: str, number: int, parts: ToldParts) -> None:
        """Keep the shares and histograms of a section."""
        name = f"parts-{session}-{number}"
        self._vault.write(name, encode(parts), name.encode())

    def parts(self, session: str, number: int) -> ToldParts | None:
        """What was kept of a section's shares and histograms; None if it had none."""
        name = f"parts-{session}-{number}"
        data = self._vault.read(name, name.encode())
        return decode(data, ToldParts) if data is not None else None
