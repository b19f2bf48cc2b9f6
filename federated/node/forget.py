"""Forget one person at this party: a withdrawal that is carried out.

In this order, each part written whole or not at all:

1. `persons/gone`: from now on no row that names the person is in a job, whatever the tables say;
2. the book of releases: a random number in the place of the person's tags;
3. `persons`: the person's digests in earlier jobs;
4. prepared tags of the party's tables: the next alignment makes others, without the person, and
   that is all that partners hear of it;
5. outputs of jobs that this party received, and copies of them, by whoever calls (`outputs`);
6. a line in the node's ledger, with counts.

What is to be done lies sealed in `persons/pending` until all is: a command that was killed is
finished by the next one. Nothing here prints, logs or raises what names the person.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from federated.keys.party_keys import PartyKeys
from federated.ledger.hashes import hash_apart, secret_beside
from federated.node.home import NodeHome, person_book
from federated.node.purge import note
from federated.persons.naming import Person, find_person, naming
from federated.releases.book import Level
from federated.releases.limits import load_release_limits
from federated.releases.memory import Releases
from federated.session.journal import can_resume
from federated.store.files import make_folder
from federated.store.plain import canonical, from_canonical
from federated.store.vault import Vault
from federated.tables.bindings import TablesFile
from federated.tables.source import FileSource
from psi.identifiers import clean, combine
from psi.protocol import InputError

__all__ = ["KEPT", "Forgotten", "forget", "look_up", "pending", "readmit"]

KEPT = (
    "signed ledgers and contracts: they hold counts and column names, nobody's name or value",
    "a keyed digest, so that later jobs leave the person out",
    "a random number in the place of the person's tag in the book of releases: without it two "
    "answers, one with the person and one without, could be subtracted",
    "statistics and models that were made earlier: they are about groups, and a contract bounds "
    "what they tell",
    "what partners have received: it is theirs, until their contract's retention is over",
)
"""What stays, and why."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was done, or would be, in counts. `under_way` are jobs that hold the person in their
    copy of a table until they end; `outputs` files, by name, that were written anew."""

    tables: dict[str, int]
    digests: int
    jobs: int
    releases: int
    prepared: int
    outputs: dict[str, str]
    under_way: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """What `persons/pending` holds: the word, its column, and what keys the random numbers."""

    word: str
    column: str
    secret: str


def look_up(home: NodeHome, word: str, column: str = "") -> Person:
    """The person that a word names in this node's tables.

    Raises:
        InputError: nothing was given, or it names several persons; without what was given.
    """
    if not word.strip():
        raise InputError("no identifier was given", hint="as an argument, by --from FILE, or -")
    file = TablesFile.load(home.tables)
    return find_person(file, FileSource(file), word.strip(), column=column)


def forget(
    home: NodeHome,
    person: Person,
    keys: PartyKeys | None,
    outputs: Callable[[Person, bool], dict[str, str]] = lambda person, dry: {},
    *,
    column: str = "",
) -> Forgotten:
    """Forget a person, or say what would be done where there are no `keys`.

    `outputs(person, dry)` takes the person out of what was made for this party and returns names
    and new hashes of the files.
    """
    file = TablesFile.load(home.tables)
    source, book = FileSource(file), person_book(home)
    names = [name for name in file.tables if naming(source, name)]
    rows = {name: found.num_rows for name, found in person.rows.items()}
    prepared = _prepared(home)
    if keys is None:
        used = len(book.used(person))
        found = Forgotten(
            tables=rows, digests=0, jobs=used, releases=0, prepared=len(prepared),
            outputs=outputs(person, True), under_way=_under_way(home),
        )  # fmt: skip
        return found
    vault = _vault(home)
    plan = _read(vault) or _Plan(person.word, column, secrets.token_hex(32))
    _write(vault, plan)
    digests = book.exclude(person, source, names)
    releases = Releases(
        home.releases, load_release_limits(home.policy), secrets.token_bytes, time.time
    )
    told = releases.forget_person(
        lambda table, levels: _levels(person, table, levels), bytes.fromhex(plan.secret)
    )
    jobs = book.drop(person)
    for path in prepared:
        path.unlink(missing_ok=True)
    written = outputs(person, False)
    done = Forgotten(
        tables=rows, digests=digests, jobs=jobs, releases=told, prepared=len(prepared),
        outputs=written, under_way=_under_way(home),
    )  # fmt: skip
    _note(home, keys, done)
    (home.persons / "pending").unlink(missing_ok=True)
    return done


def readmit(home: NodeHome, person: Person) -> int:
    """Let a person who was forgotten be in jobs again; how many digests went.

    Raises:
        InputError: an answer that counted the person is still remembered: coming back, the person
            would count as somebody else, and two answers would seem further apart than they are.
    """
    releases = Releases(
        home.releases, load_release_limits(home.policy), secrets.token_bytes, time.time
    )
    until = max((releases.stands_for_forgotten(table) for table in person.rows), default=0)
    if until > time.time():
        day = time.strftime("%Y-%m-%d", time.gmtime(until))
        raise InputError(
            f"answers about this table's persons are remembered until {day}",
            hint="whoever comes back before would count as somebody else in what was told",
        )
    return person_book(home).readmit(person)


def pending(home: NodeHome) -> tuple[str, str] | None:
    """The word and column of a forgetting that was begun and not finished; not to be shown."""
    plan = _read(_vault(home))
    return None if plan is None else (plan.word, plan.column)


def _levels(person: Person, table: str, levels: Sequence[Level]) -> list[pa.Array]:
    """The person's keys, one array a level."""
    found = []
    for level in levels:
        columns = [values for _, values in person.texts(table, level.columns)]
        several = len(level.columns) > 1 and table not in person.rows
        if several:  # one word does not name a row by two columns
            found.append(pa.nulls(1, pa.large_string()))
            continue
        parts = [clean(c, kind) for c, kind in zip(columns, level.kinds, strict=True)]
        found.append(combine(parts))
    return found


def _prepared(home: NodeHome) -> list[Path]:
    """Tags that were prepared of this party's tables, for later jobs: of all, since their names do
    not say whom they have."""
    return sorted(home.tags.glob("*.prepared")) if home.tags.exists() else []


def _under_way(home: NodeHome) -> tuple[str, ...]:
    """Jobs that can still go on: each has a sealed copy of its tables until it ends."""
    folders = sorted(home.jobs.iterdir()) if home.jobs.exists() else []
    return tuple(folder.name[:8] for folder in folders if can_resume(folder))


def _note(home: NodeHome, keys: PartyKeys, done: Forgotten) -> None:
    secret = secret_beside(home.path, secrets.token_bytes) if done.outputs else ""
    hashes = {n: digest and hash_apart(secret, n, digest) for n, digest in done.outputs.items()}
    note(
        home,
        keys,
        time.time,
        "withdrawn",
        jobs=done.jobs,
        releases=done.releases,
        prepared=done.prepared,
        outputs=hashes,
        under_way=list(done.under_way),
    )


def _vault(home: NodeHome) -> Vault:
    make_folder(home.persons)
    return Vault(home.persons, "key", b"fedprofile persons v1", secrets.token_bytes)


def _read(vault: Vault) -> _Plan | None:
    data = vault.read("pending")
    if data is None:
        return None
    return from_canonical(_Plan, data)


def _write(vault: Vault, plan: _Plan) -> None:
    vault.write("pending", canonical(plan))
