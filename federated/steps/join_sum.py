"""Sums over an intersection whose records nobody learns, at one party."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.aggregate.rows import LARGEST
from federated.contract.kinds.join_sum import noising_of, summed_columns
from federated.contract.terms import Contract, JoinSumTerms
from federated.join_sum import JoinSumResult, SumReceiver, SumSender, place_values
from federated.paillier import PrivateKey
from federated.steps.numbers import check_numbers
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.matrix import numeric_matrix
from psi.align import Alignment
from psi.protocol import Context, Role

__all__ = ["JoinSum", "receiving", "sending"]

_SUMMED = ("sum", "mean")


class JoinSum(Step):
    """Each join and sum is a step, over what its alignment found."""

    def __init__(self, work: Work) -> None:
        self._work = work

    @staticmethod
    def check(contract: Contract, party: str, table: pa.Table) -> None:
        where = contract.party(party).table
        asked = [m for j in contract.join_sum if j.partner == party for m in j.measures]
        check_numbers(table, [m.column for m in asked], where)
        summed = [m.column for m in asked if m.statistic in _SUMMED]
        check_numbers(table, summed, where, most=LARGEST)

    def run(self) -> None:
        for number, terms in enumerate(self._work.contract.join_sum):
            if self._work.takes_part(terms.partner):
                self._sum(terms, f"join_sum/{number}/{terms.partner}")

    def _sum(self, terms: JoinSumTerms, step: str) -> None:
        work, contract = self._work, self._work.contract
        context = work.session.context(step)
        if work.receives:
            found = work.outcome.alignments[terms.partner]
            adding = receiving(context, terms, found, records=len(work.me.keys) > 1)
            result = work.run(step, adding, [terms.partner])
            work.outcome.join_sums.append((terms, result))
            shared = result.shared
        else:
            work.reserve(step, hidden=True)
            role = sending(
                context,
                terms,
                work.outcome.alignments[contract.receiver],
                work.table,
                work.paillier_key(terms.key_bits),
                receiver=contract.receiver,
                duplicates=next(a for a in contract.align if a.partner == terms.partner).duplicates,
                where=work.me.table,
            )
            shared = int(work.run(step, role, [contract.receiver])[0])
        work.disclosed(f"join_sum {terms.partner}", shared=shared)


def receiving(
    context: Context, terms: JoinSumTerms, found: Alignment, *, records: bool
) -> Role[JoinSumResult]:
    """The receiver's role; `records`: keys have several levels, so places are of records."""
    statistics = [(m.column, m.statistic) for m in terms.measures]
    return SumReceiver(
        context, terms.partner, found.places, found.size_sender, summed_columns(terms), statistics,
        records=records, key_bits=terms.key_bits, noising=noising_of(terms),
    )  # fmt: skip


def sending(
    context: Context,
    terms: JoinSumTerms,
    found: Alignment,
    table: pa.Table,
    key: PrivateKey,
    *,
    receiver: str,
    duplicates: str,
    where: str,
) -> Role[np.ndarray]:
    """The partner's role over its `table`, whose logical name is `where`."""
    columns = summed_columns(terms)
    values = numeric_matrix(table, columns, where=where)
    placed = place_values(values, found.places, columns, duplicates=duplicates)
    asked = {m.column for m in terms.measures if m.statistic != "count"}
    return SumSender(
        context, receiver, key, placed, terms.minimum_group,
        summed=[column in asked for column in columns], noising=noising_of(terms),
    )  # fmt: skip
