"""Statistics of a partner's columns over an intersection whose records nobody learns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from federated.aggregate import Amount
from federated.contract.cost import Estimate, Rates, join_sum_estimate, sums_estimate
from federated.contract.few_rows import check_group
from federated.contract.kinds.by_segment import told_sums
from federated.contract.kinds.kind import Kind
from federated.contract.parts import AmountTerms, Disclosure, Measure, Release, Unnoised
from federated.contract.rows import FLOOR, most_rows
from federated.contract.summed import A_ROW, check_protocol
from federated.join_sum import Layout, Noising
from federated.join_sum.share_lanes import PlaceLanes, check_noised
from federated.sharing import MOST_LANES, SUITE
from psi.align import PROTOCOLS
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["STATISTICS", "JoinSum", "JoinSumTerms", "lanes_of", "noising_of", "summed_columns"]

STATISTICS = ("count", "sum", "mean")


@dataclass(frozen=True, kw_only=True)
class JoinSumTerms:
    """Statistics of the partner's columns over an intersection whose records nobody learns.

    `epsilon`, in thousandths, is of the partner's noise on all numbers of the release; `ranges`
    has one for each column that is summed, to which its values are clipped. 0 and none: exact
    numbers. `protocol` adds up: "paillier", with keys of `key_bits`, or "sums", with 0.
    """

    partner: str
    measures: tuple[Measure, ...]
    minimum_group: int
    key_bits: int
    epsilon: int = 0
    ranges: tuple[AmountTerms, ...] = ()
    protocol: str = "paillier"

    @property
    def shared(self) -> bool:
        """Whether private sums add up."""
        return self.protocol == "sums"


class JoinSum(Kind[JoinSumTerms]):
    """Sums over what a cardinality intersection found."""

    name = "join_sum"

    def terms(self, contract: Contract) -> Sequence[JoinSumTerms]:
        return contract.join_sum

    def partners(self, terms: JoinSumTerms) -> Sequence[str]:
        return [terms.partner]

    def check(self, contract: Contract) -> None:
        for terms in contract.join_sum:
            _check_join_sum(terms)
            check_protocol(terms)
            if terms.shared:
                _check_lanes(contract, terms)
            hidden = [
                a.protocol
                for a in contract.align
                if a.partner == terms.partner and a.reveal == "cardinality"
            ]
            if not hidden or "places" not in PROTOCOLS[hidden[0]].reveals:
                raise PeerError("a join and sum needs a cardinality intersection with its partner")

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in contract.join_sum:
            if terms.partner == party:
                yield "join and sum", summed_columns(terms)

    def completed(self, contract: Contract) -> Contract:
        for terms in contract.join_sum:
            check_group(contract, terms.partner, terms.minimum_group, "a join and sum")
        return contract

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in contract.join_sum:
            yield from _join_sum(contract, terms)

    def words(self, contract: Contract) -> Iterator[str]:
        for terms in contract.join_sum:
            what = ", ".join(f"{m.statistic} of {m.column}" for m in terms.measures)
            if terms.shared:
                yield (
                    f"{terms.partner} sends its values in a secret order, under pads of which "
                    f"{contract.receiver} can take sums only ({SUITE}), that of shared records "
                    f"without learning which these are; both then hold shares of it, and open what "
                    f"{terms.partner} allows: {what}"
                )
                continue
            yield (
                f"{terms.partner} sends its values in a secret order, encrypted under its own "
                f"{terms.key_bits}-bit key; {contract.receiver} adds up those of shared records "
                f"without learning which these are: {what}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in contract.join_sum:
            yield _hidden_noise(contract, terms)
            counted = f"it, as counted in what {contract.receiver} sends back"
            if terms.shared:
                counted += (
                    f"; by a number in its values that {contract.receiver} does not know, no "
                    "record is added up twice"
                )
            yield (
                f"{terms.partner} opens no sum with fewer than {terms.minimum_group} values behind "
                f"{counted}"
            )
            if not terms.shared:
                yield (
                    f"encryption does not hold {contract.receiver} to sums of distinct records: if "
                    f"it lies, it reads single values of {terms.partner}'s through the noise. "
                    "Private sums do"
                )

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for number, terms in enumerate(contract.join_sum):
            if terms.partner == party:
                sums = told_sums(f"join_sum/{number}/{party}", terms.measures, known=False)
                epsilon = terms.epsilon / 1000
                yield replace(sums, epsilon=epsilon, bits=epsilon * math.log2(math.e))

    def unnoised(self, contract: Contract, party: str) -> Iterator[tuple[int, Unnoised]]:
        for terms in contract.join_sum:
            if terms.partner == party:
                yield (
                    terms.epsilon,
                    Unnoised(
                        limit="unnoised_join_sums",
                        asked="sums over records that nobody learns",
                        hint="without noise two jobs that differ by one record tell its values: "
                        "measures with a range, sum[LOW,HIGH], have some",
                    ),
                )

    def limit(self, contract: Contract, step: str) -> int | None:
        for number, terms in enumerate(contract.join_sum):
            which, rows = f"{number}/{terms.partner}", most_rows(contract)[terms.partner]
            if terms.shared and step in (f"join_sum/{which}", f"places/{which}"):
                return FLOOR
            if terms.shared and step == f"sums/j{which}":
                return FLOOR + rows * A_ROW
            if step == f"join_sum/{which}":
                plan = Layout(len(terms.measures), rows, terms.key_bits)
                return FLOOR + plan.key_bits // 4 * plan.ciphertexts * rows
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in contract.join_sum:
            rows = contract.party(terms.partner).rows
            if terms.shared:
                yield sums_estimate(rates, rows, 2, lanes_of(terms, rows).lanes)
                continue
            layout = Layout(len(terms.measures), rows, terms.key_bits)
            yield join_sum_estimate(rates, layout.places, layout.ciphertexts, terms.key_bits)


def _check_join_sum(terms: JoinSumTerms) -> None:
    if not terms.measures or {m.statistic for m in terms.measures} - set(STATISTICS):
        raise PeerError("the contract asks for a statistic that this version does not have")
    summed = {m.column for m in terms.measures if m.statistic != "count"}
    if sorted(r.column for r in terms.ranges) != sorted(summed if terms.epsilon else ()):
        raise PeerError("a sum with noise needs one range for each column, others have none")
    if not all(Amount(r.column, r.low, r.high).valid for r in terms.ranges):
        raise PeerError("the contract has a range that is empty or too wide")


def _check_lanes(contract: Contract, terms: JoinSumTerms) -> None:
    """Raise `PeerError` where sums, with their noise, are wider than private sums take."""
    rows = contract.party(terms.partner).rows
    noising = noising_of(terms)
    if noising is not None and not check_noised(noising, rows):
        raise PeerError(
            "sums of a wider range than private sums take",
            hint='a range times the rows below 2^42, or protocol = "paillier"',
        )
    if (lanes := lanes_of(terms, rows).lanes) > MOST_LANES:
        raise PeerError(f"{lanes} numbers a record, {MOST_LANES} allowed by private sums")


def lanes_of(terms: JoinSumTerms, places: int) -> PlaceLanes:
    """The lanes of so many places."""
    asked = {m.column for m in terms.measures if m.statistic != "count"}
    return PlaceLanes(tuple(column in asked for column in summed_columns(terms)), places)


def _join_sum(contract: Contract, terms: JoinSumTerms) -> list[Disclosure]:
    step, line, me = f"join_sum {terms.partner}", "join_sum", contract.receiver
    ranges = {r.column: f" ({r.low} to {r.high})" for r in terms.ranges}
    what = ", ".join(
        f"{m.statistic} of {m.column}{ranges.get(m.column, '') * (m.statistic != 'count')}"
        for m in terms.measures
    )
    behind = f"over the records it shares with {terms.partner}, not which, for columns with a value"
    sums = f"{what} {behind} in at least {terms.minimum_group} of them; in how many"
    if terms.epsilon:
        sums += (
            "; each number with noise of its own (discrete Laplace, epsilon "
            f"{terms.epsilon / 1000:g} in all)"
        )
    else:
        sums += "; exact numbers"
    counts = f"how many records it shares with {me}, and how many of these have a value, by column"
    return [Disclosure(step, me, sums, line), Disclosure(step, terms.partner, counts, line)]


def summed_columns(terms: JoinSumTerms) -> list[str]:
    """The partner's columns, each once."""
    return list(dict.fromkeys(measure.column for measure in terms.measures))


def noising_of(terms: JoinSumTerms) -> Noising | None:
    """The noise that the terms of a join and sum ask for; None without."""
    if not terms.epsilon:
        return None
    ranges = {r.column: (r.low, r.high) for r in terms.ranges}
    return Noising(summed_columns(terms), ranges, terms.epsilon)


def _hidden_noise(contract: Contract, terms: JoinSumTerms) -> str:
    noising, me = noising_of(terms), contract.receiver
    if noising is None:
        return (
            f"{terms.partner} adds no noise to its sums over records that nobody learns: with "
            f"another exact sum over the same but one, {me} would have that one's values, so its "
            "book of releases allows no other"
        )
    count, sums = noising.moves()
    each = ", ".join(
        [
            f"a count by up to {count:,.0f}",
            *(f"a sum of {column} by up to {moved:,.0f}" for column, moved in sums.items()),
        ]
    )
    return (
        f"{terms.partner}'s noise moves {each}, in 95 of 100 cases; it hides a shared record's "
        f"values, as long as {me} keeps to the protocol"
    )
