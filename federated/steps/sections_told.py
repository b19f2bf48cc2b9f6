"""What sections by the receiver's segment have told, and their roles at one party.

Sections of one contract towards one partner are over the same rows, so what an earlier one told
counts in a later one that asks for the same column: `SectionsTold` remembers it, at both parties.
What sections of earlier contracts told counts as well: the partner says before the first section
where its records stood in them (`history`), from its book of releases; the receiver looks up groups
that it kept (`groups_asked`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.aggregate import (
    Added,
    AggregateResult,
    Asking,
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
from federated.aggregate.binned import PastParts, binned
from federated.aggregate.cells import ABSENT, MOST_CELLS, NONE
from federated.aggregate.grid import Binned, atoms_of
from federated.aggregate.history import Followed, asked_of, followed, history_of
from federated.aggregate.pairs import Pairs
from federated.aggregate.section_audit import Earlier
from federated.aggregate.share_messages import CELLS
from federated.contract.kinds.by_segment import section_of
from federated.contract.terms import AggregateTerms, Contract, PartyTerms
from federated.paillier import PrivateKey
from federated.releases.memory import Releases
from federated.releases.told import ToldParts, ToldSection
from federated.steps.groups_asked import AskedSection, GroupsAsked
from federated.tables.matrix import categorical, numeric_matrix
from psi.protocol import Context, Refused

__all__ = ["SectionsTold", "groups_of"]


def groups_of(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Group names in sorted order and each row's group number, -1 where the value is null."""
    text = categorical(pa.table({"segment": column}), "segment", role="segment")
    names = sorted(value for value in text.unique().to_pylist() if value is not None)
    codes = pc.index_in(text, value_set=pa.array(names, pa.large_string()))
    return names, codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)


@dataclass(frozen=True)
class _Section:
    """What one section told: of each of its columns which groups, `bool[groups]`.

    At the partner also above which edges, `bool[groups, edges]`.
    """

    terms: AggregateTerms
    kept: dict[str, np.ndarray]
    open: dict[str, np.ndarray] = field(default_factory=dict)


class SectionsTold:
    """What sections towards one party have told so far: in one contract, and before it.

    Nothing is kept beyond the contract without `asked` (the receiver) or `releases` (a partner).
    """

    def __init__(
        self, contract: Contract, asked: GroupsAsked | None = None, releases: Releases | None = None
    ) -> None:
        self._contract, self._asked, self._releases = contract, asked, releases
        self._sections: list[_Section] = []
        self._groupings: dict[str, list[Grouping]] = {}
        self._before: dict[str, list[tuple[str, Statistic]]] = {}
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
        self.group(partner, table, history)
        bits = self._towards(partner)[0].key_bits
        return RowsReceiver(
            context, self._asked_of(partner), self._groupings[partner],
            earlier=self._before[partner], key_bits=bits,
        )  # fmt: skip

    def group(self, partner: str, table: pa.Table, history: History) -> None:
        """Keep the groups of all sections towards `partner` over the receiver's aligned `table`."""
        self._groupings[partner] = [
            self._grouping(terms, table, history) for terms in self._towards(partner)
        ]
        self._before[partner] = [asked_of(text) for text in history.asked]

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
        most = CELLS if terms.protocol == "sums" else MOST_CELLS
        return Grouping(groups, every[0], tuple(every[1:]), most)

    def receiving(self, context: Context, terms: AggregateTerms, added: Added) -> SegmentParty:
        """The receiver's role in one section, after `adding`."""
        return SegmentParty(
            context, terms.partner, self._asked_of(terms.partner), self.place(terms),
            self.grouping(terms), added, told=self.told(terms),
            earlier=self._before[terms.partner], key_bits=terms.key_bits,
        )  # fmt: skip

    def place(self, terms: AggregateTerms) -> int:
        """The section's number among those towards its partner."""
        return self._towards(terms.partner).index(terms)

    def grouping(self, terms: AggregateTerms) -> Grouping:
        """The groups of a section, after `group`."""
        return self._groupings[terms.partner][self.place(terms)]

    def told(self, terms: AggregateTerms) -> list[np.ndarray]:
        """Which groups the contract's earlier sections on the same columns told."""
        return [
            np.logical_or.reduce([section.kept[c] for c in terms.columns if c in section.kept])
            for section in self._earlier(terms)
        ]

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
        section = _Section(terms, {column: n > 0 for column, n in result.there.items()})
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
            self._keep_parts(place, section_of(terms), values, pairs)
        columns_now = {column for terms in mine.values() for column in terms.columns}
        found = self._releases.past(self._contract, me, columns_now)
        if found is None:
            return history_of(number, (), least)
        now, past = found
        told = [self._releases.parts(job.job, n) for job in past for n in job.sections]
        asked = [text for parts in told if parts for text in parts.asked]
        asked = [text for text in asked if asked_of(text)[0] in columns_now]
        return replace(
            history_of(now.tags, past, least, now.others), asked=tuple(dict.fromkeys(asked))
        )

    def _keep_parts(self, place: int, section: Section, values: np.ndarray, pairs: Pairs) -> None:
        """Keep in which part of its shares and histograms each row is, before they are told."""
        every = [(c, s) for name in section.columns for c, s in section.asked if c == name]
        told = [(column, s.text) for column, s in every if s.edges]
        if self._releases is None or not told:
            return
        edges = [(at, each) for at, each in enumerate(section.edges) if each]
        parts = [pairs.one(atoms_of(values[:, at], each)).astype(np.uint16) for at, each in edges]
        nothing = np.zeros((0, sum(len(each) for _, each in edges)), np.uint8)
        asked = tuple(dict.fromkeys(f"{column}:{text}" for column, text in told))
        kept = ToldParts(asked, np.stack(parts, axis=1), nothing, False)
        self._releases.keep_parts(self._contract.nonce, place, kept)

    def sending(
        self,
        context: Context,
        me: PartyTerms,
        table: pa.Table,
        key: PrivateKey,
        history: History,
    ) -> RowsSender:
        """The partner's role for the rows of all sections towards it: those of `table`."""
        sections, at = self._asked_of(me.name), _records(history, self._paired(len(table)).at)
        self._before[me.name] = [asked_of(text) for text in history.asked]
        slots = MeasureSlots(sections, len(at), key.bits, self._before[me.name])
        values = self.count(me, table, history, slots)
        return RowsSender(context, self._contract.receiver, key, slots, values, self._counts, at=at)

    def asking(self, partner: str, records: int) -> Asking:
        """What all sections towards `partner`, and earlier jobs, ask of so many records."""
        return Asking(self._asked_of(partner), records, self._before[partner])

    def counting(
        self, me: PartyTerms, table: pa.Table, history: History
    ) -> tuple[Asking, np.ndarray, list[Followed], np.ndarray]:
        """At the partner: what is asked, values of its columns, what counts in each section.

        And the record that each row stands for.
        """
        at = _records(history, self._paired(len(table)).at)
        self._before[me.name] = [asked_of(text) for text in history.asked]
        asking = self.asking(me.name, len(at))
        return asking, self.count(me, table, history, asking), self._counts, at

    def count(
        self, me: PartyTerms, table: pa.Table, history: History, asking: Asking
    ) -> np.ndarray:
        """Keep which values count in each section; the values `float64[rows, columns]`."""
        pairs = self._paired(len(table))
        values = numeric_matrix(table, asking.columns, where=me.table)
        self._counts = []
        for section in asking.sections:
            own = values[:, [asking.columns.index(column) for column in section.columns]]
            now = pairs.any(np.isfinite(own))
            there = [
                _there([self._told(job, n) for n in numbers], section.columns, int(size))
                for job, numbers, size in zip(
                    history.jobs, history.sections, history.sizes, strict=True
                )
            ]
            counted = followed(history, now, there, section.minimum, pairs)
            bins = tuple(
                self._binned(history, asking.grids[c], c, section.minimum, own[:, at], flags, pairs)
                for at, (c, flags) in enumerate(zip(section.columns, counted.flags.T, strict=True))
            )
            self._counts.append(replace(counted, bins=bins))
        return values

    def giving(
        self,
        context: Context,
        terms: AggregateTerms,
        key: PrivateKey,
        history: History,
    ) -> MeasureParty:
        """The partner's role in one section, after `sending`."""
        rows = len(self._paired(history.rows)) + len(history.places) - history.rows
        before, number = self._before[terms.partner], self.place(terms)
        slots = MeasureSlots(self._asked_of(terms.partner), rows, key.bits, before)
        earlier = self.audited(terms, history)
        return MeasureParty(context, key, slots.of(number), self._counts[number], history, earlier)

    def audited(self, terms: AggregateTerms, history: History) -> list[Earlier]:
        """What earlier sections, of this job and of others, told of the section's columns."""
        columns = terms.columns
        earlier: list[Earlier] = []
        for section in self._earlier(terms):
            groups = len(next(iter(section.kept.values())))
            nothing = np.zeros(groups, bool)
            kept = np.stack([section.kept.get(c, nothing) for c in columns], axis=1)
            own = section_of(section.terms)
            edges = dict(zip(own.columns, own.edges, strict=True))
            earlier.append(
                Earlier(
                    kept, section.terms.minimum_group,
                    edges=tuple(edges.get(c, ()) for c in columns),
                    open=tuple(section.open.get(c, nothing[:, None][:, :0]) for c in columns),
                )
            )  # fmt: skip
        for place, (job, numbers) in enumerate(zip(history.jobs, history.sections, strict=True)):
            for number in numbers:
                told = self._told(job, number)
                if set(told.columns) & set(columns):
                    kept = told.flags(columns)
                    earlier.append(
                        Earlier(kept, told.minimum, place, *self._parts(job, number, kept, columns))
                    )
        return earlier

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
        columns, edges = terms.columns, section_of(terms).edges
        kept = result.kept[:, 1 : 1 + len(columns)]
        opened = result.kept[:, 1 + len(columns) :]
        each = np.split(opened, np.cumsum([len(own) for own in edges])[:-1], axis=1)
        of = dict(zip(columns, kept.T, strict=True)), dict(zip(columns, each, strict=True))
        self._sections.append(_Section(terms, *of))
        if self._releases is None:
            return
        nonce, number = self._contract.nonce, self._contract.aggregate.index(terms)
        if (section := self._releases.section(nonce, number)) is not None:
            self._releases.keep_section(nonce, number, section.with_kept(kept))
        if (parts := self._releases.parts(nonce, number)) is not None:
            self._releases.keep_parts(nonce, number, parts.with_open(opened))

    def _binned(
        self,
        history: History,
        grid: tuple[float, ...],
        column: str,
        minimum: int,
        values: np.ndarray,
        flags: np.ndarray,
        pairs: Pairs,
    ) -> Binned | None:
        """In which atom of a column each record counts; None where no parts of it are asked."""
        if not grid:
            return None
        earlier = [
            PastParts(place, parts.edges[column], parts.of(column)[0])
            for place, (job, numbers) in enumerate(zip(history.jobs, history.sections, strict=True))
            for parts in (self._told_parts(job, number) for number in numbers)
            if parts is not None and column in parts.edges
        ]
        return binned(history, flags, grid, atoms_of(values, grid), earlier, minimum, pairs)

    def _told_parts(self, job: str, number: int) -> ToldParts | None:
        return None if self._releases is None else self._releases.parts(job, number)

    def _parts(
        self, job: str, number: int, kept: np.ndarray, columns: Sequence[str]
    ) -> tuple[tuple[tuple[float, ...], ...], tuple[np.ndarray, ...]]:
        """The edges of each column in a section of an earlier job, and those that it told."""
        parts = self._told_parts(job, number)
        edges = tuple((parts.edges if parts else {}).get(column, ()) for column in columns)
        nothing = np.zeros((len(kept), 0), bool)
        opened = [
            parts.of(column)[1] if parts and own else nothing
            for column, own in zip(columns, edges, strict=True)
        ]
        # a job that ended between its two notes: all may have been told
        every = [np.ones((len(kept), own.shape[1]), bool) for own in opened]
        pairs = zip(opened, every, strict=True)
        return edges, tuple(own if len(own) == len(kept) else all_ for own, all_ in pairs)


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
