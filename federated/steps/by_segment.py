"""Statistics of a partner's columns by the receiver's segment, at one party."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from federated.aggregate import Added, History
from federated.aggregate.history import KnownReceiver, KnownSender
from federated.aggregate.lane_rows import check_room
from federated.aggregate.messages import GROUPS
from federated.aggregate.rows import LARGEST
from federated.aggregate.share_messages import CELLS
from federated.aggregate.squares import check_squares
from federated.contract.terms import AggregateTerms, Contract
from federated.paillier import PrivateKey
from federated.steps.groups_asked import GroupsAsked
from federated.steps.numbers import check_numbers
from federated.steps.sections_told import SectionsTold, groups_of
from federated.steps.segment_sums import SharedSections
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.column_roles import check_role
from federated.tables.matrix import numeric_matrix
from psi.protocol import InputError

__all__ = ["BySegment", "check_segments"]

_SUMMED = ("sum", "mean", "variance")


class BySegment(Step):
    """Each section is a step; before the first towards a partner go its rows, for all of them."""

    def __init__(self, work: Work) -> None:
        self._work, session = work, work.session
        asked = None
        if work.kept is not None and work.receives:
            asked = GroupsAsked(work.kept / "asked", session.random, session.clock)
        self._segments = SectionsTold(work.contract, asked, work.releases)
        self._histories: dict[str, History] = {}
        self._added: dict[str, Added] = {}
        self._sent_rows = False
        self._sums = SharedSections(work, self._segments)

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        where = contract.party(party).table
        asked = [m for a in contract.aggregate if a.partner == party for m in a.measures]
        check_numbers(table, [m.column for m in asked], where)
        summed = [m.column for m in asked if m.statistic in _SUMMED]
        check_numbers(table, summed, where, most=LARGEST)
        sums = [m.column for a in contract.aggregate if a.partner == party and a.shared
                for m in a.measures if m.statistic in _SUMMED]  # fmt: skip
        squares = {m.column for a in contract.aggregate if a.partner == party and a.shared
                   for m in a.measures if m.statistic == "variance"}  # fmt: skip
        for column in dict.fromkeys(sums):
            values = numeric_matrix(table, [column], where=where)[:, 0]
            check_room(column, values, f"{where}: ")
            if column in squares:
                check_squares(column, values, f"{where}: ")
        if contract.receiver == party:
            check_segments(table, [terms.by for terms in contract.aggregate], where)
            shared = [terms.by for terms in contract.aggregate if terms.shared]
            check_segments(table, shared, where, CELLS, 'or take protocol = "paillier"')

    def run(self) -> None:
        if self._work.pairs is not None:
            self._segments.over(self._work.pairs)
        for number, terms in enumerate(self._work.contract.aggregate):
            if self._work.takes_part(terms.partner):
                self._section(terms, f"aggregate/{number}/{terms.partner}")

    def _section(self, terms: AggregateTerms, step: str) -> None:
        work, table = self._work, self._work.aligned()
        context = work.session.context(step)
        if work.receives:
            history = self._history(terms.partner, table)
            if terms.shared:
                result = self._sums.ask(terms, table, history)
            else:
                added = self._added_rows(terms.partner, table, history)
                asking = self._segments.receiving(context, terms, added)
                result = work.run(step, asking, [terms.partner])
            self._segments.received(terms, result, table)
            work.outcome.aggregates.append((terms, result))
        else:
            work.reserve(step)
            history = self._history(terms.partner, table)
            if terms.shared:
                told = self._sums.answer(terms, table, history)
            else:
                key = work.paillier_key(terms.key_bits)
                self._send_rows(table, key, history)
                role = self._segments.giving(context, terms, key, history)
                told = work.run(step, role, [work.contract.receiver])
            self._segments.gave(terms, told)
        work.disclosed(f"aggregate {terms.partner}", rows=len(table))

    def _added_rows(self, partner: str, table: pa.Table, history: History) -> Added:
        """Before the first section towards a partner: its rows, added up for all of them."""
        if partner not in self._added:
            step = f"rows/{partner}"
            context = self._work.session.context(step)
            role = self._segments.adding(context, partner, table, history)
            self._added[partner] = self._work.run(step, role, [partner])
        return self._added[partner]

    def _send_rows(self, table: pa.Table, key: PrivateKey, history: History) -> None:
        """Before this partner's first section: its rows, for all of them."""
        if not self._sent_rows:
            step = f"rows/{self._work.session.name}"
            context = self._work.session.context(step)
            role = self._segments.sending(context, self._work.me, table, key, history)
            self._work.run(step, role, [self._work.contract.receiver])
            self._sent_rows = True

    def _history(self, partner: str, table: pa.Table) -> History:
        """Before the first section towards a partner: where its records stood in earlier jobs."""
        if partner not in self._histories:
            work, step = self._work, f"known/{partner}"
            context = work.session.context(step)
            if work.receives:
                self._segments.ask(partner, table)
                rows = len(table) if work.pairs is None else work.pairs.rows
                asking = KnownReceiver(context, rows, self._segments.least(partner))
                self._histories[partner] = work.run(step, asking, [partner])
            else:
                made = self._segments.history(work.me, table)
                role = KnownSender(context, work.contract.receiver, made)
                self._histories[partner] = work.run(step, role, [work.contract.receiver])
        return self._histories[partner]


def check_segments(
    table: pa.Table, columns: Iterable[str], where: str, most: int = GROUPS, other: str = ""
) -> None:
    """Raise `InputError` unless each column has segments, and no more than a message holds."""
    for column in dict.fromkeys(columns):
        check_role(table, column, "segment", where=where)
        names, _ = groups_of(table.column(column))
        if not names:
            raise InputError(f"{where}: column {column!r} is empty: there is no segment in it")
        if len(names) > most - 2:
            raise InputError(
                f"{where}: column {column!r} has {len(names):,} different values, at most "
                f"{most - 2:,} segments allowed",
                hint=f"group by a coarser column{', ' * bool(other)}{other}",
            )
