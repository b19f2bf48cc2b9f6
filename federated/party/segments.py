"""The step "a partner's measures by the receiver's segment" at one party.

Sections of one contract towards one partner are over the same rows, so what an earlier one told
counts in a later one that asks for the same column: `Segments` remembers it, at both parties. What
sections of earlier contracts told counts as well: the partner says before the first section where
its records stood in them (`history`), from its book of releases; the receiver looks up the groups
that it kept (`asked`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.aggregate import (
    Added,
    AggregateResult,
    Grouping,
    History,
    MeasureParty,
    MeasureResult,
    MeasureSlots,
    RowsReceiver,
    RowsSender,
    Section,
    SegmentParty,
    Statistic,
)
from federated.aggregate.cells import ABSENT, NONE
from federated.aggregate.history import Followed, followed, history_of
from federated.aggregate.measure_party import Earlier
from federated.aggregate.pairs import Pairs
from federated.paillier import PrivateKey
from federated.party.asked import Asked, AskedSection
from federated.party.contract import AggregateTerms, Contract, PartyTerms
from federated.party.matrix import categorical, numeric_matrix
from federated.party.releases import Releases, ToldSection
from psi.protocol import Context, Refused

__all__ = ["Segments", "groups_of", "section_of"]


def section_of(terms: AggregateTerms) -> Section:
    """What the terms ask, as the roles take it."""
    asked = tuple((m.column, Statistic.parse(m.statistic)) for m in terms.measures)
    return Section(asked, terms.minimum_group)


def groups_of(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Group names in sorted order and each row's group number, -1 where the value is null."""
    text = categorical(pa.table({"segment": column}), "segment", role="segment")
    names = sorted(value for value in text.unique().to_pylist() if value is not None)
    codes = pc.index_in(text, value_set=pa.array(names, pa.large_string()))
    return names, codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


@dataclass(frozen=True)
class _Section:
    """What one section told: of each of its columns which groups, `bool[groups]`."""

    terms: AggregateTerms
    kept: dict[str, np.ndarray]


class Segments:
    """What sections towards one party have told so far: in one contract, and before it.

    Nothing is kept beyond the contract without `asked` (the receiver) or `releases` (a partner).
    """

    def __init__(
        self, contract: Contract, asked: Asked | None = None, releases: Releases | None = None
    ) -> None:
        self._contract, self._asked, self._releases = contract, asked, releases
        self._sections: list[_Section] = []
        self._groupings: dict[str, list[Grouping]] = {}
        self._counts: list[Followed] = []
        self._pairs: Pairs | None = None

    def over(self, pairs: Pairs) -> None:
        """The aligned rows are these pairs; without, each is a record of its own."""
        self._pairs = pairs

    def _paired(self, rows: int) -> Pairs:
        return Pairs.single(rows) if self._pairs is None else self._pairs

    def least(self, partner: str) -> int:
        """How many records a history must have to be told."""
        return max(t.minimum_group for t in self._contract.aggregate if t.partner == partner)

    def _earlier(self, terms: AggregateTerms) -> list[_Section]:
        before = self._contract.earlier_sections(terms)
        return [section for section in self._sections if section.terms in before]

    # the receiver

    def ask(self, partner: str, table: pa.Table) -> None:
        """Keep the groups of the aligned `table` in all sections that ask `partner`, row by row."""
        for terms in self._contract.aggregate:
            if terms.partner == partner:
                self._keep(terms, self._codes_of(terms, table))

    def _codes_of(self, terms: AggregateTerms, table: pa.Table) -> np.ndarray:
        """The group of each row: its pairs have the same."""
        return groups_of(table.column(terms.by))[1][self._paired(len(table)).first]

    def _keep(self, terms: AggregateTerms, codes: np.ndarray) -> None:
        if self._asked is not None:
            number = self._contract.aggregate.index(terms)
            section = AskedSection(terms.partner, tuple(terms.columns), codes.astype(np.int32))
            self._asked.keep(self._contract.nonce, number, section)

    def adding(
        self, context: Context, partner: str, table: pa.Table, history: History
    ) -> RowsReceiver:
        """The receiver's role for the rows of all sections towards `partner`.

        They are over its aligned `table`, whose rows have this history.
        """
        self._groupings[partner] = [
            self._grouping(terms, table, history) for terms in self._towards(partner)
        ]
        bits = self._towards(partner)[0].key_bits
        return RowsReceiver(
            context, self._asked_of(partner), self._groupings[partner], key_bits=bits
        )

    def _towards(self, partner: str) -> list[AggregateTerms]:
        return [terms for terms in self._contract.aggregate if terms.partner == partner]

    def _asked_of(self, partner: str) -> list[Section]:
        return [section_of(terms) for terms in self._towards(partner)]

    def _grouping(self, terms: AggregateTerms, table: pa.Table, history: History) -> Grouping:
        groups, codes = groups_of(table.column(terms.by))
        before = self._contract.earlier_sections(terms)
        earlier = [groups_of(table.column(section.by))[1] for section in before]
        gone = np.full(len(history.places) - history.rows, ABSENT)
        every = [np.concatenate([part, gone]) for part in (codes, *earlier)]
        records = _records(history, self._paired(len(table)).row)
        for place, (job, numbers) in enumerate(zip(history.jobs, history.sections, strict=True)):
            for number in numbers:
                stood = self._codes(terms, job, number, int(history.sizes[place]))
                if stood is not None:
                    every.append(history.codes(place, stood, ABSENT, NONE)[records])
        return Grouping(groups, every[0], tuple(every[1:]))

    def receiving(self, context: Context, terms: AggregateTerms, added: Added) -> SegmentParty:
        """The receiver's role in one section, after `adding`."""
        told = [
            np.logical_or.reduce([section.kept[c] for c in terms.columns if c in section.kept])
            for section in self._earlier(terms)
        ]
        number = self._towards(terms.partner).index(terms)
        return SegmentParty(
            context, terms.partner, self._asked_of(terms.partner), number,
            self._groupings[terms.partner][number], added, told=told,
            key_bits=terms.key_bits,
        )  # fmt: skip

    def _codes(self, terms: AggregateTerms, job: str, number: int, rows: int) -> np.ndarray | None:
        """The groups of an earlier job's section; None if it asked for other columns."""
        found = self._asked.find(job, number) if self._asked is not None else None
        if found is None or found.partner != terms.partner or len(found.codes) != rows:
            raise Refused(
                f"the segments of job {job[:8]}, which {terms.partner} has answered, are not kept "
                "here any more: what both jobs tell together cannot be audited",
                hint=f"until {terms.partner}'s officer forgets that job (fedprofile node releases)",
            )
        shared = set(found.columns) & set(terms.columns)
        return found.codes.astype(np.int64) if shared else None

    def received(self, terms: AggregateTerms, result: AggregateResult, table: pa.Table) -> None:
        """Remember what the receiver was told."""
        named = zip(result.statistics, result.kept, strict=True)
        section = _Section(terms, {column: kept for (column, _), kept in named})
        self._sections.append(section)
        told = np.logical_or.reduce(list(section.kept.values()))
        codes = self._codes_of(terms, table)
        self._keep(terms, np.where(np.append(told, False)[codes], codes, NONE))

    # a partner

    def history(self, me: PartyTerms, table: pa.Table) -> History:
        """Where this partner's records stood in earlier jobs; what is asked now is put beside them.

        Without a book there are none. Records that count in no row have no history.
        """
        pairs = self._paired(len(table))
        number, least = np.arange(1, 1 + pairs.rows, dtype=np.uint64), self.least(me.name)
        number[~pairs.counts] = 0
        if self._releases is None:
            return history_of(number, (), least)
        mine = {i: t for i, t in enumerate(self._contract.aggregate) if t.partner == me.name}
        for place, terms in mine.items():
            columns = terms.columns
            values = numeric_matrix(table, columns, where=me.table)
            there = pairs.any(np.isfinite(values)).astype(np.uint8)
            section = ToldSection(tuple(columns), terms.minimum_group, there, there[:0], False)
            self._releases.keep_section(self._contract.nonce, place, section)
        columns_now = {column for terms in mine.values() for column in terms.columns}
        found = self._releases.past(self._contract, me, columns_now)
        if found is None:
            return history_of(number, (), least)
        now, past = found
        return history_of(now.tags, past, least, now.others)

    def sending(
        self,
        context: Context,
        me: PartyTerms,
        table: pa.Table,
        key: PrivateKey,
        history: History,
    ) -> RowsSender:
        """The partner's role for the rows of all sections towards it: those of `table`."""
        sections, pairs = self._asked_of(me.name), self._paired(len(table))
        at = _records(history, pairs.at)
        slots = MeasureSlots(sections, len(at), key.bits)
        values = numeric_matrix(table, slots.columns, where=me.table)
        self._counts = []
        for section in sections:
            own = values[:, [slots.columns.index(column) for column in section.columns]]
            now = pairs.any(np.isfinite(own))
            there = [
                _there([self._told(job, n) for n in numbers], section.columns, int(size))
                for job, numbers, size in zip(
                    history.jobs, history.sections, history.sizes, strict=True
                )
            ]
            self._counts.append(followed(history, now, there, section.minimum, pairs))
        return RowsSender(context, self._contract.receiver, key, slots, values, self._counts, at)

    def giving(
        self,
        context: Context,
        terms: AggregateTerms,
        key: PrivateKey,
        history: History,
    ) -> MeasureParty:
        """The partner's role in one section, after `sending`."""
        columns = terms.columns
        earlier: list[Earlier] = []
        for section in self._earlier(terms):
            groups = len(next(iter(section.kept.values())))
            nothing = np.zeros(groups, bool)
            kept = np.stack([section.kept.get(c, nothing) for c in columns], axis=1)
            earlier.append(Earlier(kept, section.terms.minimum_group))
        for place, (job, numbers) in enumerate(zip(history.jobs, history.sections, strict=True)):
            earlier += [
                Earlier(told.flags(columns), told.minimum, place)
                for told in (self._told(job, number) for number in numbers)
                if set(told.columns) & set(columns)
            ]
        number = self._towards(terms.partner).index(terms)
        rows = len(self._paired(history.rows)) + len(history.places) - history.rows
        slots = MeasureSlots(self._asked_of(terms.partner), rows, key.bits)
        return MeasureParty(context, key, slots.of(number), self._counts[number], history, earlier)

    def _told(self, job: str, number: int) -> ToldSection:
        found = self._releases.section(job, number) if self._releases is not None else None
        if found is None:
            raise Refused(
                f"what job {job[:8]} was told is not in the book any more, and this job, which "
                "began before, was to be audited with it",
                hint="propose the job again",
            )
        return found

    def gave(self, terms: AggregateTerms, result: MeasureResult) -> None:
        """Remember what the partner told."""
        kept = dict(zip(terms.columns, result.kept[:, 1:].T, strict=True))
        self._sections.append(_Section(terms, kept))
        if self._releases is not None:
            number = self._contract.aggregate.index(terms)
            section = self._releases.section(self._contract.nonce, number)
            if section is not None:
                self._releases.keep_section(
                    self._contract.nonce, number, section.with_kept(result.kept[:, 1:])
                )


def _records(history: History, rows: np.ndarray) -> np.ndarray:
    """The records that these rows are, and after them those that are not aligned any more."""
    return np.append(rows, np.arange(history.rows, len(history.places)))


def _there(sections: Sequence[ToldSection], columns: Sequence[str], rows: int) -> np.ndarray:
    """Which values an earlier job's rows had, true in columns that it was not asked for."""
    found = np.ones((rows, len(columns)), bool)
    for section in sections:
        for place, column in enumerate(section.columns):
            if column in columns:
                found[:, columns.index(column)] &= section.there[:, place].astype(bool)
    return found
