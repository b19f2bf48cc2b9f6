"""The step "a partner's measures by the receiver's segment" at one party.

Sections of one contract towards one partner are over the same rows, so what an earlier one told
counts in a later one that asks for the same column: `Segments` remembers it, at both parties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.aggregate import (
    AggregateResult,
    MeasureParty,
    MeasureResult,
    SegmentParty,
    Statistic,
)
from federated.aggregate.measure_party import Earlier
from federated.paillier import PrivateKey
from federated.party.contract import AggregateTerms, Contract
from federated.party.matrix import numeric_matrix
from psi.protocol import Context

__all__ = ["Segments", "columns_of", "earlier_sections", "groups_of"]


def columns_of(terms: AggregateTerms) -> list[str]:
    """The partner's columns, once each, in the order of the measures."""
    return list(dict.fromkeys(measure.column for measure in terms.measures))


def earlier_sections(contract: Contract, terms: AggregateTerms) -> list[AggregateTerms]:
    """The sections before this one that ask the same partner for one of the same columns."""
    before = contract.aggregate[: contract.aggregate.index(terms)]
    columns = set(columns_of(terms))
    return [t for t in before if t.partner == terms.partner and columns & set(columns_of(t))]


def groups_of(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Group names in sorted order and each row's group number, -1 where the value is null."""
    text = column.cast(pa.string()).combine_chunks()
    names = sorted(value for value in text.unique().to_pylist() if value is not None)
    codes = pc.index_in(text, value_set=pa.array(names, pa.string()))
    return names, codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


@dataclass(frozen=True)
class _Section:
    """What one section told: of each of its columns which groups, `bool[groups]`."""

    terms: AggregateTerms
    kept: dict[str, np.ndarray]


class Segments:
    """What the sections of one contract have told so far, at one party."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._sections: list[_Section] = []

    def _earlier(self, terms: AggregateTerms) -> list[_Section]:
        before = earlier_sections(self._contract, terms)
        return [section for section in self._sections if section.terms in before]

    def receiving(self, context: Context, terms: AggregateTerms, table: pa.Table) -> SegmentParty:
        """The receiver's role over its aligned `table`."""
        asked = [(m.column, Statistic.parse(m.statistic)) for m in terms.measures]
        groups, codes = groups_of(table.column(terms.by))
        earlier = []
        for section in self._earlier(terms):
            told = np.logical_or.reduce(
                [section.kept[c] for c in columns_of(terms) if c in section.kept]
            )
            before = groups_of(table.column(section.terms.by))[1]
            earlier.append(np.where(np.append(told, False)[before], before, -1))
        return SegmentParty(context, terms.partner, groups, codes, asked, earlier=earlier)

    def received(self, terms: AggregateTerms, result: AggregateResult) -> None:
        """Remember what the receiver was told."""
        named = zip(result.statistics, result.kept, strict=True)
        self._sections.append(_Section(terms, {column: kept for (column, _), kept in named}))

    def giving(
        self, context: Context, terms: AggregateTerms, table: pa.Table, key: PrivateKey, where: str
    ) -> MeasureParty:
        """The partner's role over its aligned `table`, whose logical name is `where`."""
        asked = [(m.column, Statistic.parse(m.statistic)) for m in terms.measures]
        columns = columns_of(terms)
        values = numeric_matrix(table, columns, where=where)
        earlier: list[Earlier] = []
        for section in self._earlier(terms):
            groups = len(next(iter(section.kept.values())))
            nothing = np.zeros(groups, bool)
            kept = np.stack([section.kept.get(c, nothing) for c in columns], axis=1)
            earlier.append((kept, section.terms.minimum_group))
        return MeasureParty(
            context, self._contract.receiver, key, values, asked, terms.minimum_group, earlier
        )

    def gave(self, terms: AggregateTerms, result: MeasureResult) -> None:
        """Remember what the partner told."""
        kept = dict(zip(columns_of(terms), result.kept[:, 1:].T, strict=True))
        self._sections.append(_Section(terms, kept))
