"""Counts, and sums of the receiver's amounts, by a partner's private category, at one party."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.aggregate import AmountParty, CategoryParty, CategoryResult
from federated.aggregate.audit import Told
from federated.aggregate.categories import with_other
from federated.aggregate.pairs import Pairs
from federated.contract.kinds.by_category import amounts_of
from federated.contract.terms import CategoryTerms, Contract
from federated.paillier import PrivateKey
from federated.steps.by_segment import check_segments
from federated.steps.categories_told import FileTold, NothingTold, subject_of, tell
from federated.steps.numbers import check_numbers
from federated.steps.sections_told import groups_of
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.column_roles import check_role
from federated.tables.matrix import categorical, numeric_matrix
from psi.protocol import Context, Role

__all__ = ["ByCategory", "giving", "receiving"]

Grouped = Callable[[pa.ChunkedArray], tuple[list[str], np.ndarray]]


class ByCategory(Step):
    """Each table is a step."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._told = NothingTold() if work.kept is None else FileTold(work.kept / "told.json")

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        where = contract.party(party).table
        for terms in contract.category:
            if terms.partner == party:
                check_role(table, terms.category, "category", where=where)
            if contract.receiver == party:
                check_numbers(table, [amount.column for amount in terms.amounts], where)
                check_segments(table, [terms.segment] if terms.segment else [], where)

    def run(self) -> None:
        for number, terms in enumerate(self._work.contract.category):
            if self._work.takes_part(terms.partner):
                self._table(terms, f"category/{number}/{terms.partner}")

    def _table(self, terms: CategoryTerms, step: str) -> None:
        work, table = self._work, self._work.aligned()
        context = work.session.context(step)
        if work.receives:
            key, where = work.paillier_key(terms.key_bits), work.me.table
            role = receiving(context, terms, table, key, groups_of, where=where, most=work.most)
            work.outcome.categories.append((terms, work.run(step, role, [terms.partner])))
        else:
            work.reserve(step)
            rows = work.outcome.rows
            told = giving(context, terms, table, rows, self._told, work.pairs, work.most)
            work.run(step, told, [work.contract.receiver])
        work.disclosed(f"category {terms.partner}", rows=len(table))


def receiving(
    context: Context,
    terms: CategoryTerms,
    table: pa.Table,
    key: PrivateKey,
    grouped: Grouped,
    *,
    where: str,
    most: int = 1,
) -> Role[CategoryResult]:
    """The receiver's role over its aligned `table`, whose logical name is `where`.

    One record is in `most` pairs at most.
    """
    amounts = amounts_of(terms)
    values = numeric_matrix(table, [a.column for a in amounts], where=where)
    segments, codes = [""], np.zeros(len(table), np.int64)
    if terms.segment:
        segments, codes = grouped(table.column(terms.segment))
    return AmountParty(
        context, terms.partner, key, amounts, values, with_other(terms.categories),
        epsilon=terms.epsilon, segments=segments, codes=codes, most=most,
    )  # fmt: skip


def giving(
    context: Context,
    terms: CategoryTerms,
    table: pa.Table,
    rows: np.ndarray,
    before: Told,
    pairs: Pairs | None = None,
    most: int = 1,
) -> Role[np.ndarray]:
    """The partner's role over its aligned `table`, which are these `rows` of its own.

    Exact counts are audited together with what was told `before`, and kept there ahead of telling.
    One record counts with `most` of its pairs at most.
    """
    names, values = with_other(terms.categories), categorical(table, terms.category)
    kept = None
    if not terms.epsilon:
        subject = subject_of(terms.partner, terms.category, rows, values)
        earlier = before.earlier(subject)
        kept, told = tell(values, terms.categories, terms.minimum_group, earlier)
        before.add(subject, told)
    found = pc.index_in(values, pa.array(names, pa.large_string()))
    codes = found.fill_null(len(names) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    if pairs is not None:  # by several keys a record may be in more pairs than by one
        codes[~pairs.within(most)] = -1
    return CategoryParty(
        context, codes, len(names), amounts_of(terms), epsilon=terms.epsilon,
        minimum_group=terms.minimum_group, parts=None if terms.segment else 1,
        kept=kept, key_bits=terms.key_bits, most=most,
    )  # fmt: skip
