"""The folder of one party node: what lies where, and what must be private.

node.toml        name, hub address, version of this layout
keys             organisation and sealing keys, sealed under the passphrase (0600)
keys.next        new ones, while they are being made (rotation)
identity.json    the public identity: hand it to the other parties
hub.crt          the hub's certificate authority, from the invite
node.crt, node.key   this node's certificate, and its key under the passphrase (0600)
peers/, authorities/, confirmed.json   other parties' identities, and which are confirmed
desk/            proposals that wait, and what officers said
spent/           which of their words have taken effect
officers.json    officers and analysts with keys of their own, a list that the party signs
quota.json       how many jobs and rows each proposer has had today
tables.toml      what logical tables are bound to
columns.json     what their columns were taken for in the last job; a change stops the next (0600)
policy.toml      what this party allows
tags/            between jobs (0600): prepared tags; told.json, exact counts that were told; asked/,
                 the groups of this party's own rows in jobs it received; learned.json, the bits
                 of partners' rows that these told; folds, the key that deals its records into
                 validation folds: if it is lost, they are dealt anew; bins-*.json, its columns'
                 bins with what they said of a receiver's label in the last job, for drift
models/          its parts of models that were trained, sealed, and their key (0600)
releases/        what was disclosed of which columns to whom, for how long it is remembered (0600)
persons/         who was in which job, as keyed digests, and who is to be in none (0600)
jobs/SESSION/    one folder a job: ledger; while it runs the journal, with its copy of the table
reached/SESSION  how far a job under way has come: an older copy of its folder does not go on
life, copy       which life of the party this is, and whether the folder is a copy (lives)

`belongings` is the whole list, with what a copy must hold.
"""

from __future__ import annotations

import secrets
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from federated.keys.identity_file import read_identity
from federated.keys.keyfile import check_private, load_keys
from federated.keys.party_keys import Identity, PartyKeys
from federated.keys.peers import Peers
from federated.store.files import check_layout, make_folder, write_atomic
from psi.protocol import InputError, MisuseError

if TYPE_CHECKING:
    from federated.persons.book import PersonBook
    from federated.tables.frozen import FrozenColumns

__all__ = ["MOUNTED", "NodeHome", "frozen_columns", "person_book"]


LAYOUT = 1
"""The version of this folder's layout."""

MOUNTED = "mounted"
"""The hub of a party that has no node: it is mounted in its own hub's process."""


@dataclass(frozen=True)
class NodeHome:
    """Paths and settings of one node."""

    path: Path
    name: str
    hub: str

    @staticmethod
    def refuse_existing(path: Path) -> None:
        """Raise `MisuseError` if a node is there already."""
        if (path / "node.toml").exists():
            raise MisuseError(f"{path} holds a node already", hint="give another --home")

    @classmethod
    def create(cls, path: Path, name: str, hub: str, *, again: bool = False) -> NodeHome:
        """A new folder, mode 0700. Raises `MisuseError` if a node is there, unless `again`."""
        if not again:
            cls.refuse_existing(path)
        make_folder(path)
        path.chmod(0o700)
        home = cls(path, name, hub)
        for folder in (home.peers, home.jobs, home.desk):
            folder.mkdir(exist_ok=True, mode=0o700)
        if not home.policy.exists():
            from federated.approval.policy_file import NEW_POLICY

            write_atomic(home.policy, NEW_POLICY, private=False)
        text = f'version = {LAYOUT}\nname = "{name}"\nhub = "{hub}"\n'
        write_atomic(path / "node.toml", text, private=False)  # officers are other users
        return home

    @classmethod
    def open(cls, path: Path) -> NodeHome:
        """The node in a folder. Raises `InputError` if there is none."""
        file = path / "node.toml"
        try:
            data = tomllib.loads(file.read_text("utf-8"))
            check_layout(file, data["version"], LAYOUT)
            return cls(path, str(data["name"]), str(data["hub"]))
        except OSError:
            raise InputError(
                f"{path}: no party's folder",
                hint="name the folder that fedprofile node init, or hub init --party, has made",
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError):
            raise InputError(f"{file}: malformed") from None

    @property
    def keys(self) -> Path:
        """The sealed key file."""
        return self.path / "keys"

    @property
    def next_keys(self) -> Path:
        """The keys that a rotation has made, until it is done."""
        return self.path / "keys.next"

    @property
    def peers(self) -> Path:
        """Other parties' identities."""
        return self.path / "peers"

    @property
    def tables(self) -> Path:
        """Bindings of logical tables."""
        return self.path / "tables.toml"

    @property
    def policy(self) -> Path:
        """What this party allows."""
        return self.path / "policy.toml"

    @property
    def desk(self) -> Path:
        """Proposals that wait for an officer."""
        return self.path / "desk"

    @property
    def jobs(self) -> Path:
        """One folder a job, named by its session in hexadecimal."""
        return self.path / "jobs"

    @property
    def tags(self) -> Path:
        """Prepared tags of set intersections, its own and others'."""
        return self.path / "tags"

    @property
    def releases(self) -> Path:
        """The book of what this party has disclosed of its columns."""
        return self.path / "releases"

    @property
    def models(self) -> Path:
        """This party's parts of models."""
        return self.path / "models"

    @property
    def persons(self) -> Path:
        """Who was in which job, and who is to be in none."""
        return self.path / "persons"

    @property
    def columns(self) -> Path:
        """What its tables' columns were taken for in the last job."""
        return self.path / "columns.json"

    @property
    def socket(self) -> Path:
        """Of a running node: for commands, and for processes that play the party in a job."""
        return self.path / "node.sock"

    @property
    def certificate(self) -> Path:
        """This node's certificate."""
        return self.path / "node.crt"

    @property
    def certificate_key(self) -> Path:
        """The certificate's key, under the passphrase."""
        return self.path / "node.key"

    @property
    def authority(self) -> Path:
        """The hub's certificate authority."""
        return self.path / "hub.crt"

    @property
    def identity(self) -> Identity:
        """This party's public identity."""
        return read_identity(self.path / "identity.json")

    def load_keys(self, passphrase: bytes) -> PartyKeys:
        """This party's private keys. Raises `InputError` where a rotation of them was killed."""
        if self.next_keys.exists():
            raise InputError(
                f"{self.path}: new keys were being made, and that has not ended",
                hint=f"fedprofile node keys rotate --home {self.path} finishes it",
            )
        return load_keys(self.keys, passphrase)

    def pinned(self) -> dict[str, Identity]:
        """The other parties whose keys are confirmed, and this one, by name."""
        mine = self.identity
        return Peers(self.path).confirmed() | {mine.name: mine}

    def check(self) -> None:
        """Raise `EnvironmentFailed` if a private file can be read by others."""
        for path in (self.keys, *[self.certificate_key] * (self.hub != MOUNTED)):
            check_private(path)

    def job(self, session: bytes) -> Path:
        """The folder of one job."""
        return self.jobs / session.hex()

    def reached(self, session: bytes) -> Path:
        """What says how far that job has come, outside of its folder."""
        return self.path / "reached" / session.hex()


def person_book(home: NodeHome) -> PersonBook:
    """Who was in which job of this node, and who is to be in none."""
    from federated.persons.book import PersonBook

    return PersonBook(home.persons, secrets.token_bytes, time.time)


def frozen_columns(home: NodeHome) -> FrozenColumns:
    """What the columns of this node's tables were taken for in the last job."""
    from federated.tables.frozen import FrozenColumns  # an idle node loads no tables

    how = "fedprofile node table accept TABLE takes them for what they are now"
    return FrozenColumns(home.columns, time.time, how=how)
