"""A node's own ledger: whole over all its keys, and the list of officers that it ends with.

Each time of keys has a file: `ledger.jsonl` that of the present ones, `former/PRINT.ledger.jsonl`
those of earlier ones, named by their fingerprint. A file's last line `rotated` names the keys that
came next, the first one of the next file those before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.keys.identity_file import read_identity
from federated.keys.officers import load_officers
from federated.keys.party_keys import Identity
from federated.ledger.account import read_account
from federated.ledger.lines import read_ledger
from federated.node.home import NodeHome
from psi.protocol import InputError

__all__ = ["OwnLedger", "check_officers", "last_officers", "own_ledgers", "own_paths"]


@dataclass(frozen=True)
class OwnLedger:
    """One file of it: whose keys signed it, how many lines, and what is wrong, "" if nothing is."""

    path: Path
    owner: Identity
    lines: int
    wrong: str


def own_ledgers(home: NodeHome) -> list[OwnLedger]:
    """All files of a node's own ledger, checked, the oldest first; none at a node without a line.

    Raises `InputError` where an earlier identity, or its file, is missing or cannot be read.
    """
    found, owner, after = list[OwnLedger](), home.identity, ""
    path = home.path / "ledger.jsonl"
    while path.exists():
        account = read_account(path, owner, str(path))
        wrong = [str(finding) for finding in account.findings]
        named = [body["to"] for body in _bodies(account.lines, "rotated") if "to" in body]
        if not wrong and named != ([after] if after else []):
            wrong.append(f"{path}: its last line does not name the keys that came next")
        found.append(OwnLedger(path, owner, len(account.lines), wrong[0] if wrong else ""))
        if not (name := _before(account.lines)):
            return found[::-1]
        after, owner = owner.fingerprint, read_identity(home.path / "former" / f"{name}.json")
        path = home.path / "former" / f"{name}.ledger.jsonl"
    if found or any((home.path / "former").glob("*.json")):
        raise InputError(f"{path}: missing, although this party had other keys before")
    return []


def own_paths(home: NodeHome) -> list[Path]:
    """The files of a node's own ledger, unchecked, the oldest first; what nothing names before."""
    path, found = home.path / "ledger.jsonl", list[Path]()
    while path.exists() and path not in found:
        found.append(path)
        name = _before(read_ledger(path))
        path = home.path / "former" / f"{name or 'none'}.ledger.jsonl"
    others = set((home.path / "former").glob("*.ledger.jsonl")) - set(found)
    return [*sorted(others), *found[::-1]]


def _bodies(lines: Iterable[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line["body"] for line in lines if line["kind"] == kind]


def _before(lines: Iterable[dict[str, Any]]) -> str:
    """The fingerprint of the keys before, as files are named by it; "" if these are the first."""
    since = [str(body["since"]) for body in _bodies(lines, "rotated") if "since" in body]
    name = since[0].replace(" ", "") if since else ""
    return name if name.isalnum() else ""


def last_officers(home: NodeHome) -> dict[str, Any] | None:
    """The last list of officers in the node's own ledger, as its line holds it, unchecked."""
    noted = [body for path in own_paths(home) for body in _bodies(read_ledger(path), "officers")]
    return noted[-1] if noted else None


def check_officers(home: NodeHome) -> str:
    """What is wrong with `officers.json`, by the last list in the node's own ledger; "" if nothing.

    One that is gone lets users of the machine decide, an older one brings back who was removed.
    """
    last = last_officers(home)
    try:
        listed = load_officers(home.path)
    except InputError as error:
        return error.message
    if last is None:
        return "" if listed is None else "officers.json is a list that the node's ledger lacks"
    if listed is None:
        return "officers.json is missing: the node's ledger has a list of officers"
    if listed.plain()["people"] != last["people"] or listed.number < last["number"]:
        held = f"officers.json is list {listed.number}"
        return f"{held}, the node's ledger has another, {last['number']}"
    return ""
