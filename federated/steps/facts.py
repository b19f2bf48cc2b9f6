"""What a party reads of its table for a contract, and the facts about it that it signs."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from federated.contract.terms import PartyTerms
from federated.tables.encoding import independent_columns
from federated.tables.inferred import mark
from federated.tables.snapshot import snapshot_hash
from federated.tables.source import Source

__all__ = ["load_table", "stated", "used_columns"]


def used_columns(terms: PartyTerms) -> list[str]:
    """Every column of this party that the contract names, once."""
    keys = [column for level in terms.keys for column in level]
    own = [*terms.segments, *terms.labels]
    return list(dict.fromkeys([*keys, *terms.features, *terms.measures, *own]))


def load_table(terms: PartyTerms, source: Source) -> pa.Table:
    """The columns of this party that the contract names."""
    keys = [column for level in terms.keys for column in level]
    return mark(source.load(terms.table, used_columns(terms), keys=keys), terms.features)


def stated(terms: PartyTerms, table: pa.Table, salt: bytes) -> PartyTerms:
    """The terms with row count, snapshot hash and number of independent design columns.

    `salt` stays with the party, so that nobody can guess a small table from its hash.
    """
    width = independent_columns(table, terms.features) if terms.features else 0
    snapshot = snapshot_hash(table, salt=salt)
    return replace(terms, rows=len(table), snapshot=snapshot, design_columns=width)
