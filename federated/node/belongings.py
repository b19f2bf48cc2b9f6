"""One list of what a node is: what lies in its folder, and what a copy of it must hold.

Backup, restore, rotation, renewal and a folder that moves all go through it. A copy takes whatever
is in the folder but what ends with a process, so that what is new is never forgotten; the list says
what each thing is for, and `memory` which of them the guard remembers by: without it a question
that was refused is answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BELONGINGS", "HUB_BELONGINGS", "Thing", "files_of", "is_known"]


@dataclass(frozen=True)
class Thing:
    """A file or folder. `rotates`: new keys write it anew; `renews`: so does a new certificate."""

    name: str
    what: str
    memory: bool = False
    rotates: bool = False
    renews: bool = False


BELONGINGS = (
    Thing("node.toml", "name, hub address, version of the layout", renews=True),
    Thing("keys", "organisation and sealing keys, sealed under the passphrase", rotates=True),
    Thing("keys.next", "new keys, until a rotation is done", rotates=True),
    Thing("identity.json", "the public identity", rotates=True, renews=True),
    Thing("hub.crt", "the hub's certificate authority", renews=True),
    Thing("node.crt", "this node's certificate", renews=True),
    Thing("node.key", "its key, under the passphrase", renews=True),
    Thing("peers", "identities of other parties, and vouchers"),
    Thing("authorities", "whose signature under an identity counts"),
    Thing("confirmed.json", "which identities are confirmed, by whom and when"),
    Thing("policy.toml", "what this party allows"),
    Thing("tables.toml", "what logical tables are bound to"),
    Thing("columns.json", "what the columns of tables were taken for in the last job"),
    Thing("officers.json", "officers and analysts with their keys, signed", rotates=True),
    Thing("desk", "proposals, and what officers said; paused", memory=True),
    Thing("spent", "which officers' words have taken effect", memory=True),
    Thing("campaigns", "keys of control groups, of this party's own lists", memory=True),
    Thing("quota.json", "jobs and rows of each proposer today", memory=True),
    Thing("releases", "what was told of which columns, to whom and about whom", memory=True),
    Thing("models", "this party's parts of trained models"),
    Thing("persons", "who was in which job, as digests; who is to be in none", memory=True),
    Thing("tags", "kept tags, exact counts told, groups asked, bits learned, folds", memory=True),
    Thing("jobs", "ledgers; of jobs under way journals with their copies of tables", memory=True),
    Thing("reached", "how far jobs under way have come", memory=True),
    Thing("ledger.jsonl", "the node's own ledger", rotates=True),
    Thing("former", "earlier identities, with the node's ledgers of their time", rotates=True),
    Thing("life", "which life of this party it is, and the folder it was begun in"),
    Thing("copy", "this folder is a copy that its officer has not accepted yet"),
)

HUB_BELONGINGS = (
    Thing("hub.toml", "address, host names, limits"),
    Thing("authority.crt", "the certificate authority", renews=True),
    Thing("authority.key", "its key"),
    Thing("server.crt", "what nodes see", renews=True),
    Thing("server.key", "its key"),
    Thing("nodes.json", "who is registered and who is revoked", memory=True),
    Thing("invites.json", "hashes of open invites' tokens", memory=True),
    Thing("lives.json", "the last life of each node, so that an older copy is known", memory=True),
    Thing("party", "a party of its own, if it has one: a node's folder"),
)

_PASSING = (".sock", ".lock")
"""Ends of names of what lives as long as a process."""


def is_known(name: str, things: tuple[Thing, ...] = BELONGINGS) -> bool:
    """Whether the list has a word on this name at the top of a folder."""
    return name.endswith(_PASSING) or name in {thing.name for thing in things}


def files_of(home: Path) -> Iterator[Path]:
    """Every file and folder below `home` that a copy takes, relative to it, in order.

    Not taken: sockets, locks, and files that are being written (their names begin with a dot).
    """
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home)
        if any(part.startswith(".") for part in name.parts) or name.name.endswith(_PASSING):
            continue
        if path.is_symlink() or path.is_file() or path.is_dir():
            yield name
