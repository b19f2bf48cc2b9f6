"""Counts, and sums of the receiver's amounts, by a partner's private category, at one party."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.aggregate import AmountParty, CategoryParty, CategoryResult
from federated.aggregate.amounts import MOST_PARTS, AmountRows, AmountSizes
from federated.aggregate.audit import Told
from federated.aggregate.categories import with_other
from federated.aggregate.pairs import Pairs
from federated.aggregate.share_category import (
    ShareAmountParty,
    ShareCategoryParty,
    lanes_for,
)
from federated.aggregate.share_parts import PartsReceiver, PartsSender
from federated.contract.kinds.by_category import amounts_of
from federated.contract.terms import CategoryTerms, Contract
from federated.paillier import PrivateKey
from federated.sharing import MOST_LANES, BinHolder, ValueHolder
from federated.steps.by_segment import check_segments
from federated.steps.categories_told import FileTold, NothingTold, subject_of, tell
from federated.steps.numbers import check_numbers
from federated.steps.sections_told import groups_of
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.column_roles import check_role
from federated.tables.matrix import categorical, numeric_matrix
from psi.protocol import Context, InputError, PeerError, Role

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
                _check_parts(table, terms, where)

    def run(self) -> None:
        for number, terms in enumerate(self._work.contract.category):
            if self._work.takes_part(terms.partner):
                self._table(terms, f"category/{number}/{terms.partner}")

    def _table(self, terms: CategoryTerms, step: str) -> None:
        work, table = self._work, self._work.aligned()
        context = work.session.context(step)
        if terms.shared:
            self._shared(terms, step, table)
        elif work.receives:
            key, where = work.paillier_key(terms.key_bits), work.me.table
            role = receiving(context, terms, table, key, groups_of, where=where, most=work.most)
            work.outcome.categories.append((terms, work.run(step, role, [terms.partner])))
        else:
            work.reserve(step)
            rows = work.outcome.rows
            told = giving(context, terms, table, rows, self._told, work.pairs, work.most)
            work.run(step, told, [work.contract.receiver])
        work.disclosed(f"category {terms.partner}", rows=len(table))

    def _shared(self, terms: CategoryTerms, step: str, table: pa.Table) -> None:
        """By private sums: how many segments there are, the sums, and what is opened of them."""
        work, context = self._work, self._work.session.context
        which = step.removeprefix("category/")
        parts, sums = f"parts/{which}", f"sums/c{which}"
        if work.receives:
            peer = [terms.partner]
            segments, rows = amounts(terms, table, where=work.me.table, most=work.most)
            lanes = lanes_for(rows.slots)
            if lanes > MOST_LANES:
                raise InputError(
                    f"by {terms.category} and {terms.segment}: {lanes} numbers a row for "
                    f"{len(segments)} segments, {MOST_LANES} allowed by private sums",
                    hint='fewer segments, or protocol = "paillier"',
                )
            if terms.segment:
                work.run(parts, PartsSender(context(parts), terms.partner, len(segments)), peer)
            values = ValueHolder(
                context(sums), terms.partner, len(table), lanes, rows.lanes, columns=1
            )
            (shares,) = work.run(sums, values, peer)
            names = with_other(terms.categories)
            opening = ShareAmountParty(context(step), rows, names, segments, shares)
            work.outcome.categories.append((terms, work.run(step, opening, peer)))
            return
        work.reserve(step)
        receiver = work.contract.receiver
        held = categorized(terms, table, work.outcome.rows, self._told, work.pairs, work.most)
        count = 1
        if terms.segment:
            count = work.run(parts, PartsReceiver(context(parts)), [receiver]).parts
        sizes = AmountSizes(amounts_of(terms), count, len(table), terms.epsilon, work.most)
        if (lanes := lanes_for(sizes)) > MOST_LANES:
            raise PeerError(f"{lanes} numbers a row, {MOST_LANES} allowed by private sums")
        names = with_other(terms.categories)
        bins = np.where(held.codes < 0, len(names), held.codes)
        adding = BinHolder(context(sums), receiver, [bins], [len(names) + 1], lanes)
        (shares,) = work.run(sums, adding, [receiver])
        telling = ShareCategoryParty(
            context(step), receiver, held.codes, len(names), sizes,
            minimum_group=terms.minimum_group, shares=shares, kept=held.kept,
        )  # fmt: skip
        work.run(step, telling, [receiver])


def _check_parts(table: pa.Table, terms: CategoryTerms, where: str) -> None:
    """Raise `InputError` unless a row's numbers hold all of the receiver's segments."""
    if not terms.segment:
        return
    most, other = MOST_PARTS, ""
    if terms.shared:
        most, other = MOST_LANES // (1 + len(terms.amounts)), 'or take protocol = "paillier"'
    check_segments(table, [terms.segment], where, most + 2, other)


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
    asked = amounts_of(terms)
    values = numeric_matrix(table, [a.column for a in asked], where=where)
    segments, codes = _segments(terms, table, grouped)
    return AmountParty(
        context, terms.partner, key, asked, values, with_other(terms.categories),
        epsilon=terms.epsilon, segments=segments, codes=codes, most=most,
    )  # fmt: skip


def _segments(
    terms: CategoryTerms, table: pa.Table, grouped: Grouped
) -> tuple[list[str], np.ndarray]:
    """The receiver's groups, and each row's."""
    if terms.segment:
        return grouped(table.column(terms.segment))
    return [""], np.zeros(len(table), np.int64)


def amounts(
    terms: CategoryTerms, table: pa.Table, *, where: str, most: int = 1
) -> tuple[list[str], AmountRows]:
    """The receiver's groups, and its rows for private sums."""
    asked = amounts_of(terms)
    values = numeric_matrix(table, [a.column for a in asked], where=where)
    segments, codes = _segments(terms, table, groups_of)
    sizes = AmountSizes(asked, len(segments), len(table), terms.epsilon, most)
    return segments, AmountRows(sizes, values, codes)


@dataclass(frozen=True)
class Categorized:
    """The partner's rows: each one's category, -1 where it is left out; what its audit allows."""

    codes: np.ndarray
    kept: np.ndarray | None


def giving(
    context: Context,
    terms: CategoryTerms,
    table: pa.Table,
    rows: np.ndarray,
    before: Told,
    pairs: Pairs | None = None,
    most: int = 1,
) -> Role[np.ndarray]:
    """The partner's role over its aligned `table`, which are these `rows` of its own."""
    held = categorized(terms, table, rows, before, pairs, most)
    return CategoryParty(
        context, held.codes, len(terms.categories) + 1, amounts_of(terms), epsilon=terms.epsilon,
        minimum_group=terms.minimum_group, parts=None if terms.segment else 1,
        kept=held.kept, key_bits=terms.key_bits, most=most,
    )  # fmt: skip


def categorized(
    terms: CategoryTerms,
    table: pa.Table,
    rows: np.ndarray,
    before: Told,
    pairs: Pairs | None = None,
    most: int = 1,
) -> Categorized:
    """The partner's rows, which are these `rows` of its own.

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
    return Categorized(codes, kept)
