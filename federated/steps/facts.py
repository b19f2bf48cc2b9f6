"""What a party reads of its table for a contract, and the facts about it that it signs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.contract.kinds.train import SCORECARD, TREES, carded, private
from federated.contract.terms import Contract, PartyTerms, TrainTerms
from federated.tables.basis import BasisAsked
from federated.tables.encoding import encoded_columns, independent_columns
from federated.tables.inferred import mark
from federated.tables.snapshot import snapshot_hash
from federated.tables.source import Source
from federated.trees import Binning

__all__ = ["asked_of_bases", "load_table", "stated", "used_columns", "without"]


def asked_of_bases(contract: Contract, party: str, day: dt.date) -> BasisAsked:
    """What a party's rows need a basis for: towards whoever learns of them."""
    partners = tuple(contract.partners())
    recipients = partners if party == contract.receiver else (contract.receiver,)
    return BasisAsked(contract.purpose, recipients, contract.entity, day)


def used_columns(terms: PartyTerms) -> list[str]:
    """Every column of this party that the contract names, once."""
    keys = [column for level in terms.keys for column in level]
    own = [*terms.segments, *terms.labels, *terms.times, *terms.weights]
    return list(dict.fromkeys([*keys, *terms.features, *terms.measures, *own]))


def load_table(terms: PartyTerms, source: Source) -> pa.Table:
    """The columns of this party that the contract names."""
    keys = [column for level in terms.keys for column in level]
    return mark(source.load(terms.table, used_columns(terms), keys=keys), terms.features)


def stated(
    terms: PartyTerms, table: pa.Table, salt: bytes, draft: Contract | None = None
) -> PartyTerms:
    """The terms with row count, snapshot hash and number of columns by training.

    By private sums each column is told sums of, copies of others too; for trees those with two bins
    count, for scorecards all, else independent ones.

    `salt` stays with the party, so that nobody can guess a small table from its hash.
    """
    chosen = [(_how(t), draft.features(t, terms.name)) for t in draft.train] if draft else []
    widths = {one: _width(table, *one) for one in set(chosen)}
    return replace(
        terms,
        rows=len(table),
        snapshot=snapshot_hash(table, salt=salt),
        design_columns=tuple(widths[one] for one in chosen),
    )


def _how(terms: TrainTerms) -> str:
    return "private" if private(terms) and not carded(terms) else terms.model


def _width(table: pa.Table, how: str, features: tuple[str, ...]) -> int:
    if not features or not table.num_rows:
        return 0
    if how == SCORECARD:
        return len(features)
    if how == TREES:
        return len(Binning.fit(table, features).columns)
    count = encoded_columns if how == "private" else independent_columns
    return count(table, features)


def without(table: pa.Table, terms: PartyTerms, gone: np.ndarray) -> pa.Table:
    """The table in which rows that are `gone` (bool[n]) have no key and no label.

    They keep their place, match nobody and are trained on by nobody.
    """
    out = pa.array(gone)
    for name in dict.fromkeys([*(c for level in terms.keys for c in level), *terms.labels]):
        place, field = table.column_names.index(name), table.field(name)
        nothing = pa.scalar(None, field.type)
        table = table.set_column(place, field, pc.if_else(out, nothing, table.column(name)))
    return table
