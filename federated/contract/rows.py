"""How many rows a contract's steps can be about: bounds from its terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["FLOOR", "REPEATED", "joined_rows", "most_rows"]

FLOOR = 16 << 20
"""Bytes that any step may bring from one peer, whatever its rows."""
REPEATED = 16
"""How many rows a key has at most in the mean where `duplicates = "join"` pairs them all."""


def most_rows(contract: Contract) -> dict[str, int]:
    """What each party may have at most of what it says that it has.

    A row count is a party's own word: `largest_set` bounds it.
    """
    most = [a.largest_set * (REPEATED if a.duplicates == "join" else 1) for a in contract.align]
    return {terms.name: min(terms.rows, max(most, default=0)) for terms in contract.parties}


def joined_rows(contract: Contract, partners: Sequence[str]) -> int:
    """Rows that these partners and the receiver can share: no more than the smallest has."""
    rows = most_rows(contract)
    found = [rows[contract.receiver], *(rows[name] for name in partners)]
    repeated = any(a.duplicates == "join" for a in contract.align)
    return max(found) if repeated else min(found)
