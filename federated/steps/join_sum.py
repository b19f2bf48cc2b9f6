"""Sums over an intersection whose records nobody learns, at one party."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from federated.aggregate.rows import LARGEST
from federated.contract.kinds.join_sum import lanes_of, noising_of, summed_columns
from federated.contract.terms import Contract, JoinSumTerms
from federated.join_sum import JoinSumResult, Placed, SumReceiver, SumSender, place_values
from federated.join_sum.share_receiver import PlaceReceiver, ShareSumReceiver
from federated.join_sum.share_sender import PlaceSender, ShareSumSender
from federated.paillier import PrivateKey
from federated.sharing import BinHolder, ValueHolder
from federated.steps.numbers import check_numbers
from federated.steps.step import Step
from federated.steps.work import Work
from federated.tables.matrix import numeric_matrix
from psi.align import Alignment
from psi.protocol import Context, Refused, Role

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
        if terms.shared:
            shared = self._shared(terms, step)
        elif work.receives:
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

    def _shared(self, terms: JoinSumTerms, step: str) -> int:
        """By private sums: how many places there are, the sums, and what is opened of them."""
        work, context = self._work, self._work.session.context
        which = step.removeprefix("join_sum/")
        place, sums = f"places/{which}", f"sums/j{which}"
        columns, noising, several = summed_columns(terms), noising_of(terms), len(work.me.keys) > 1
        if work.receives:
            found, peer = work.outcome.alignments[terms.partner], [terms.partner]
            total = found.size_sender
            if several:  # the partner's records have places
                hearing = PlaceReceiver(context(place), int(found.places.max(initial=0)) + 1, total)
                total = work.run(place, hearing, peer).places
            lanes = lanes_of(terms, _some(total))
            bins = np.ones(total, np.int64)
            bins[found.places] = 0
            adding = BinHolder(context(sums), terms.partner, [bins], [2], lanes.lanes)
            (shares,) = work.run(sums, adding, peer)
            asking = ShareSumReceiver(
                context(step), terms.partner, lanes, shared=len(found.places), shares=shares,
                columns=columns, statistics=[(m.column, m.statistic) for m in terms.measures],
                noising=noising,
            )  # fmt: skip
            result = work.run(step, asking, peer)
            work.outcome.join_sums.append((terms, result))
            return result.shared
        work.reserve(step, hidden=True)
        receiver = work.contract.receiver
        placed = self._placed(terms)
        lanes = lanes_of(terms, _some(len(placed)))
        lanes.check(placed, columns)
        if several:
            work.run(place, PlaceSender(context(place), receiver, len(placed)), [receiver])
        session = work.session
        kept = session.keep(f"bound-j{which}", lambda: session.random(8))
        bound = int.from_bytes(kept, "little") | 1
        giving = ValueHolder(
            context(sums), receiver, len(placed), lanes.lanes,
            lambda start, stop: lanes.rows(placed, bound, start, stop), columns=1,
        )  # fmt: skip
        (shares,) = work.run(sums, giving, [receiver])
        telling = ShareSumSender(
            context(step), lanes, bound=bound, shares=shares, minimum=terms.minimum_group,
            noising=noising,
        )  # fmt: skip
        return int(work.run(step, telling, [receiver])[0])

    def _placed(self, terms: JoinSumTerms) -> Placed:
        """The partner's values by place, within the contract's ranges."""
        work, columns, noising = self._work, summed_columns(terms), noising_of(terms)
        values = numeric_matrix(work.table, columns, where=work.me.table)
        places = work.outcome.alignments[work.contract.receiver].places
        align = next(a for a in work.contract.align if a.partner == terms.partner)
        placed = place_values(values, places, columns, duplicates=align.duplicates)
        return noising.bounded(placed) if noising else placed


def _some(places: int) -> int:
    if not places:
        raise Refused("no record of the partner's has a key")
    return places


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
