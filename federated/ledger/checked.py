"""A party's account held against its keys, and against another party's: what is found, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from federated.keys.party_keys import Identity
from federated.ledger.account import Account, Finding, read_account
from federated.ledger.compare import compare
from psi.protocol import InputError

__all__ = ["Checked", "check_ledger"]


@dataclass(frozen=True)
class Checked:
    """An account that is whole, and how another one of the same job differs from it.

    Args:
        mine: the account.
        theirs: the other, where one was given.
        differences: what the two tell differently; empty where they agree.
    """

    mine: Account
    theirs: Account | None
    differences: tuple[Finding, ...]


def check_ledger(path: Path, owner: Identity, against: Path | None = None) -> Checked:
    """Check that a ledger is whole and its owner's, and compare it with another party's.

    Args:
        path: the ledger.
        owner: its party's public keys.
        against: another party's ledger of the same job.

    Raises:
        InputError: the first thing that is wrong in a ledger itself, with its line.
    """
    names = (path.name, against.name) if against and against.name != path.name else ()
    mine = read_account(path, owner, names[0] if names else str(path))
    for finding in mine.findings:
        raise InputError(str(finding), hint="get the ledger again from where it was written")
    if against is None:
        return Checked(mine, None, ())
    theirs = read_account(against, name=names[1] if names else str(against))
    return Checked(mine, theirs, tuple(compare(mine, theirs)))
