"""Statistics of a partner's columns by the receiver's segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from federated.aggregate import Asking, MeasureSlots, Section, Statistic
from federated.aggregate.lanes import lanes_of, most_lanes
from federated.aggregate.share_messages import CELLS
from federated.contract.cost import Estimate, Rates, aggregate_estimate, sums_estimate
from federated.contract.kinds.kind import Kind
from federated.contract.parts import Disclosure, Measure, Release, spelled
from federated.contract.rows import FLOOR, joined_rows, most_rows
from federated.contract.summed import A_ROW, SEGMENTS, check_protocol
from federated.sharing import MOST_LANES, SUITE
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["AggregateTerms", "BySegment"]
__all__ += ["measured_words", "section_of", "told_sums"]

_CELLS = 8 * (MOST_LANES + (1 << 6)) * CELLS
"""And of the cells that are opened: their numbers, and their groups in earlier sections."""


@dataclass(frozen=True)
class AggregateTerms:
    """Statistics of the partner's columns by the receiver's segment.

    `protocol` adds them up: "paillier", with keys of `key_bits`, or "sums", with 0.
    """

    partner: str
    by: str
    measures: tuple[Measure, ...]
    minimum_group: int
    key_bits: int
    protocol: str = "paillier"

    @property
    def shared(self) -> bool:
        """Whether private sums add up."""
        return self.protocol == "sums"

    @property
    def columns(self) -> list[str]:
        """The partner's columns, once each, in the order of the measures."""
        return list(dict.fromkeys(measure.column for measure in self.measures))

    @property
    def squared(self) -> list[str]:
        """Those of which a variance is asked."""
        return [m.column for m in self.measures if m.statistic == "variance"]


class BySegment(Kind[AggregateTerms]):
    """Sections: several of one contract may ask the same partner, over the same rows."""

    name = "aggregate"
    joined = True

    def terms(self, contract: Contract) -> Sequence[AggregateTerms]:
        return contract.aggregate

    def partners(self, terms: AggregateTerms) -> Sequence[str]:
        return [terms.partner]

    def check(self, contract: Contract) -> None:
        for sections in _by_partner(contract).values():
            if len({(terms.protocol, terms.key_bits) for terms in sections}) > 1:
                raise PeerError(
                    "sections over one partner's rows need one protocol, and keys of one size"
                )
            check_protocol(sections[0])
            squared = [column for terms in sections for column in terms.squared]
            if twice := [column for column in squared if squared.count(column) > 1]:
                raise PeerError(
                    f"a variance of {twice[0]} in {squared.count(twice[0])} sections, 1 allowed",
                    hint="by two a receiver that lies about its segments reads values of rows; a "
                    "sum or a mean may be in all",
                )
        for terms in contract.aggregate:
            if not all(spelled(measure.statistic) for measure in terms.measures):
                raise PeerError("the contract asks for a statistic that this version does not have")
            if terms.shared:
                _check_lanes(contract, terms)

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in contract.aggregate:
            if terms.partner == party:
                yield "aggregate", terms.columns
            if contract.receiver == party:
                yield "segment", [terms.by]

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in contract.aggregate:
            yield from _aggregate(contract, terms)

    def words(self, contract: Contract) -> Iterator[str]:
        for partner, sections in _by_partner(contract).items():
            what = "; ".join(f"by {a.by}: {measured_words(a)}" for a in sections)
            if sections[0].shared:
                yield (
                    f"{partner} sends its values for each section under pads of which "
                    f"{contract.receiver} can take sums only ({SUITE}); both then hold shares of "
                    f"the sums by segment and open what {partner} allows, {what}"
                )
                continue
            yield (
                f"{partner} sends its values encrypted under its own {sections[0].key_bits}-bit "
                f"key, once; {contract.receiver} adds them up without reading them, {what}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        for terms in contract.aggregate:
            least = f"{terms.partner} opens no group of fewer than {terms.minimum_group} records"
            if terms.shared:
                least += (
                    f", of rows and of values, counted by numbers in its rows that "
                    f"{contract.receiver} does not know and so cannot count twice"
                )
            yield least
            if not terms.shared:
                yield (
                    f"encryption does not hold {contract.receiver} to sums of whole groups: if it "
                    f"lies, it reads single rows of {terms.partner}'s values. Private sums do"
                )
            if terms.squared:
                yield (
                    f"a variance is a second exact sum, of squares of {', '.join(terms.squared)}: "
                    "who knows all values of a group but two reads these two. "
                    f"{terms.partner} tells it once: a later job asks the mean alone, or the "
                    "variance of a column of its own period"
                )

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for number, terms in enumerate(contract.aggregate):
            if terms.partner == party:
                step = f"aggregate/{number}/{party}"
                yield told_sums(step, terms.measures, known=contract.known)

    def limit(self, contract: Contract, step: str) -> int | None:
        kind, *rest = step.split("/")
        partner = rest[-1] if rest else ""
        if partner not in _by_partner(contract):
            return None
        if kind == "known" and len(rest) == 1:
            # where each record stood, now aligned or not any more, in each of many earlier jobs
            rows = most_rows(contract)
            return FLOOR + 512 * (rows[contract.receiver] + rows[partner])
        names = [f"{number}/{t.partner}" for number, t in enumerate(contract.aggregate)]
        told = kind == "aggregate" and "/".join(rest) in names
        shared = _by_partner(contract)[partner][0].shared
        joined = joined_rows(contract, [partner])
        if shared:
            if kind == "sums" and "/".join(rest) in names:
                return FLOOR + 2 * joined * A_ROW
            return FLOOR + _CELLS if told or (kind == "lanes" and len(rest) == 1) else None
        if not told and not (kind == "rows" and len(rest) == 1):
            return None
        bits = max(terms.key_bits for terms in contract.aggregate) // 4
        return FLOOR + (bits + 64) * 2 * joined * _ciphertexts(contract, partner, joined)

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        rows = {party.name: party.rows for party in contract.parties}
        for partner, sections in _by_partner(contract).items():
            both = min(rows[contract.receiver], rows[partner])
            if sections[0].shared:
                yield from (_sums_cost(terms, rates, both) for terms in sections)
                continue
            ciphers, bits = _ciphertexts(contract, partner, both), sections[0].key_bits
            yield aggregate_estimate(rates, both, SEGMENTS, ciphers, bits, sections=len(sections))


def _sums_cost(terms: AggregateTerms, rates: Rates, rows: int) -> Estimate:
    """Of one section, if its values are counted as they are there."""
    asking = Asking([section_of(terms)], rows)
    lanes = lanes_of(asking, 0, [False] * len(asking.columns))
    return sums_estimate(rates, rows, SEGMENTS, lanes.lanes)


def _check_lanes(contract: Contract, terms: AggregateTerms) -> None:
    """Raise `PeerError` for a section of more numbers a row than private sums take."""
    rows = max(contract.party(terms.partner).rows, contract.party(contract.receiver).rows)
    asking = Asking([section_of(terms)], rows)
    found = most_lanes(asking.sections[0], list(asking.grids.values()), rows)
    if found > MOST_LANES:
        raise PeerError(
            f"by {terms.by}: up to {found} numbers a row, {MOST_LANES} allowed by private sums",
            hint='ask fewer thresholds or columns at once, or protocol = "paillier"',
        )


def _by_partner(contract: Contract) -> dict[str, list[AggregateTerms]]:
    found: dict[str, list[AggregateTerms]] = {}
    for terms in contract.aggregate:
        found.setdefault(terms.partner, []).append(terms)
    return found


def _aggregate(contract: Contract, terms: AggregateTerms) -> list[Disclosure]:
    step, line, me = f"aggregate {terms.partner}", "aggregate", contract.receiver
    least, joined = terms.minimum_group, contract.joins(terms.partner)
    over, one = (", over all pairs of rows", f" of one row at {me}") if joined else ("", "")
    groups = (
        f"{measured_words(terms)} for each of its segments of at least {least} shared records{one} "
        f"with a value{over}{_ranges(terms)}"
    )
    alike = [t for t in contract.aggregate if t.partner == terms.partner]
    cut = any(_ranges(t, set(terms.columns)) for t in alike)
    within = f", or in each range between thresholds that at least {least} are in" * cut
    sizes = (
        f"how many shared records{one} each segment of {me} has, and how many of these have a "
        f"value in each column that at least {least} of them have and {least} lack{within}"
    )
    past = (
        f"the same for each combination of a segment of {me} with those that earlier jobs told of "
        f"the same columns, and in ranges between these jobs' thresholds, among at least {least} "
        "records that were in the same jobs"
    )
    stood = (
        "which rows of earlier jobs on the same columns are one record of "
        f"{terms.partner}'s, where at least {least} were in the same jobs"
    )
    found = [Disclosure(step, me, groups, line), Disclosure(step, terms.partner, sizes, line)]
    found += [Disclosure(step, terms.partner, past, line), Disclosure(step, me, stood, line)]
    if terms.shared:
        kinds = (
            f"of each column of {terms.partner}'s, whether some values do not count in its audit "
            f"(fewer than {least} records have them, lack them or share their past)"
        )
        found.append(Disclosure(step, me, kinds, "aggregate.protocol"))
    earlier = dict.fromkeys(t.by for t in contract.earlier_sections(terms) if t.by != terms.by)
    if earlier:
        crossed = f"the same for each combination of a segment by {terms.by} with those by "
        crossed += " and ".join(earlier)
        found.append(Disclosure(step, terms.partner, crossed, line))
    return found


def _ranges(terms: AggregateTerms, columns: set[str] | None = None) -> str:
    """What holds for shares and histograms of these columns, if any is asked."""
    asked = [m for m in terms.measures if columns is None or m.column in columns]
    if not any(Statistic.parse(m.statistic).edges for m in asked):
        return ""
    least = terms.minimum_group
    return f", with no range between thresholds told apart that holds some but fewer than {least}"


def measured_words(terms: AggregateTerms) -> str:
    """The measures for people: "mean of open_loans, share above 0.8 of utilisation"."""
    return ", ".join(f"{Statistic.parse(m.statistic).words} of {m.column}" for m in terms.measures)


def section_of(terms: AggregateTerms) -> Section:
    """What the terms ask, as the roles take it."""
    asked = tuple((m.column, Statistic.parse(m.statistic)) for m in terms.measures)
    return Section(asked, terms.minimum_group)


def _ciphertexts(contract: Contract, partner: str, rows: int) -> int:
    """Ciphertexts that each of so many rows takes for all sections that ask this partner."""
    asked = [terms for terms in contract.aggregate if terms.partner == partner]
    sections = [section_of(terms) for terms in asked]
    return MeasureSlots(sections, rows, asked[0].key_bits).layout.ciphers


def told_sums(step: str, measures: Sequence[Measure], *, known: bool) -> Release:
    """The release of statistics that count as no bits of a row, with their thresholds."""
    edges: dict[str, dict[str, None]] = {}
    for measure in measures:
        numbers = Statistic.parse(measure.statistic).numbers
        edges.setdefault(measure.column, {}).update((repr(number), None) for number in numbers)
    return Release(
        step=step,
        columns=tuple(edges),
        thresholds=tuple(map(tuple, edges.values())),
        squares=tuple(m.column for m in measures if m.statistic == "variance"),
        known=known,
    )
