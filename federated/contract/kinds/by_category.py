"""Counts, and sums of the receiver's amounts, by a partner's private category."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from federated.aggregate import Amount
from federated.aggregate.amounts import MOST_PARTS, AmountSizes, AmountSlots
from federated.aggregate.share_category import lanes_for
from federated.contract.cost import Estimate, Rates, aggregate_estimate, sums_estimate
from federated.contract.kinds.kind import Kind
from federated.contract.parts import AmountTerms, Disclosure, Release, Unnoised
from federated.contract.rows import FLOOR, joined_rows
from federated.contract.summed import A_ROW, SEGMENTS, check_protocol
from federated.sharing import MOST_LANES, SUITE
from psi.protocol import MisuseError, PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["ByCategory", "CategoryTerms", "amounts_of"]

_MOST = 1000
"""Categories of one list."""


@dataclass(frozen=True, kw_only=True)
class CategoryTerms:
    """Counts, and sums of the receiver's amounts, by a partner's private category.

    `categories` is a public list of names. `segment` is a column of the receiver's for a two-way
    table, "" for none. `noise` is "laplace" with `epsilon` thousandths for the whole release, or
    "none" with 0: then categories of fewer than `minimum_group` records are not told. `protocol`
    adds up: "paillier", with keys of `key_bits`, or "sums", with 0.
    """

    partner: str
    category: str
    categories: tuple[str, ...]
    segment: str
    amounts: tuple[AmountTerms, ...]
    noise: str
    epsilon: int
    minimum_group: int
    key_bits: int
    protocol: str = "paillier"

    @property
    def shared(self) -> bool:
        """Whether private sums add up."""
        return self.protocol == "sums"


class ByCategory(Kind[CategoryTerms]):
    """Tables by a category of the partner's, with its noise."""

    name = "category"
    joined = True

    def terms(self, contract: Contract) -> Sequence[CategoryTerms]:
        return contract.category

    def partners(self, terms: CategoryTerms) -> Sequence[str]:
        return [terms.partner]

    def check(self, contract: Contract) -> None:
        for terms in contract.category:
            _check_category(terms)
            check_protocol(terms)
            if terms.shared:
                _check_lanes(contract, terms)
            if terms.noise == "none" and contract.joins(terms.partner):
                raise PeerError("exact counts by category need duplicates = collapse")

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in contract.category:
            if terms.partner == party:
                yield "category", [terms.category]
            if contract.receiver == party:
                yield "segment", [terms.segment] if terms.segment else []
                yield "amount", [amount.column for amount in terms.amounts]

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        for terms in contract.category:
            yield from _category(contract, terms)

    def words(self, contract: Contract) -> Iterator[str]:
        for terms in contract.category:
            noise = "adds noise to every sum" if terms.epsilon else "adds no noise"
            if terms.shared:
                yield (
                    f"{contract.receiver} sends its amounts under pads of which {terms.partner} "
                    f"can take sums only ({SUITE}); both then hold shares of the sums by category, "
                    f"{terms.partner} {noise} and opens them to {contract.receiver}: "
                    f"{_words(terms)}"
                )
                continue
            yield (
                f"{contract.receiver} sends its amounts encrypted under its own "
                f"{terms.key_bits}-bit key; {terms.partner} adds them up without reading them, "
                f"{noise} and sends the sums back: {_words(terms)}"
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in contract.category:
            if not terms.epsilon:
                yield (
                    f"{terms.partner} tells no category of fewer than {terms.minimum_group} "
                    f"records; amounts that {me} chose cleverly would tell it who is in which"
                )
                continue
            named = ["a count", *(f"a sum of {a.column}" for a in terms.amounts)]
            moved = zip(named, _moved(terms), strict=True)
            each = ", ".join(f"{name} by up to {most:,}" for name, most in moved)
            if contract.joins(terms.partner):
                each += ", each times the pairs that one record is in at most"
            yield (
                f"{terms.partner}'s noise moves {each}, in 95 of 100 cases; it hides which "
                f"category a record is in as long as {me} keeps to the ranges of its amounts"
            )

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for number, terms in enumerate(contract.category):
            if terms.partner == party:
                yield _release(f"category/{number}/{party}", terms, contract.known)

    def unnoised(self, contract: Contract, party: str) -> Iterator[tuple[int, Unnoised]]:
        for terms in contract.category:
            if terms.partner == party:
                yield (
                    terms.epsilon,
                    Unnoised(
                        limit="unnoised_categories",
                        asked=f"amounts by {terms.category!r}",
                        hint="without it, chosen amounts tell which record is in which category",
                    ),
                )

    def limit(self, contract: Contract, step: str) -> int | None:
        for number, terms in enumerate(contract.category):
            which = f"{number}/{terms.partner}"
            joined = joined_rows(contract, [terms.partner])
            if terms.shared and step in (f"category/{which}", f"parts/{which}"):
                return FLOOR
            if terms.shared and step == f"sums/c{which}":
                return FLOOR + 2 * joined * A_ROW
            if step == f"category/{which}":
                return FLOOR + 2 * joined * (terms.key_bits // 4) * _ciphertexts(terms, joined)
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        rows = {party.name: party.rows for party in contract.parties}
        for terms in contract.category:
            both, groups = min(rows[contract.receiver], rows[terms.partner]), len(terms.categories)
            if terms.shared:
                parts = SEGMENTS if terms.segment else 1
                yield sums_estimate(rates, both, groups + 2, parts * (1 + len(terms.amounts)))
                continue
            ciphers = _ciphertexts(terms, both)
            yield aggregate_estimate(rates, both, groups + 1, ciphers, terms.key_bits)


def _check_category(terms: CategoryTerms) -> None:
    names = terms.categories
    noised = terms.noise == "laplace" and terms.epsilon > 0
    bare = terms.noise == "none" and terms.epsilon == 0 and not terms.segment
    if not (noised or bare):
        raise PeerError("the contract asks for a noise that this version does not have")
    if not 0 < len(names) <= _MOST or len(set(names)) != len(names):
        raise PeerError("the contract's list of categories is empty, too long or has repeats")
    if not all(Amount(a.column, a.low, a.high).valid for a in terms.amounts):
        raise PeerError("the contract has an amount without a range")


def _check_lanes(contract: Contract, terms: CategoryTerms) -> None:
    """Raise `PeerError` where a sum, with its noise, is wider than private sums take."""
    rows = max(contract.party(terms.partner).rows, contract.party(contract.receiver).rows)
    try:
        lanes = lanes_for(AmountSizes(amounts_of(terms), 1, rows, terms.epsilon))
    except MisuseError as error:
        raise PeerError(f"by {terms.category}: {error.message}", hint=error.hint) from None
    if lanes > MOST_LANES:
        raise PeerError(f"{lanes} numbers a row, {MOST_LANES} allowed by private sums")


def _category(contract: Contract, terms: CategoryTerms) -> list[Disclosure]:
    step, line, me = f"category {terms.partner}", "category.noise", contract.receiver
    told = f"{_words(terms)}, for {len(terms.categories)} categories that the contract "
    told += "names and all else together"
    if terms.noise == "none":
        exact = f"{told}, where {terms.minimum_group} or more, or none, are in one; exact numbers"
        chosen = f"category membership of entities of {me}'s choosing: it chooses the amounts"
        return [Disclosure(step, me, exact, line), Disclosure(step, me, chosen, line)]
    every = ", for all pairs of rows of a record together" * contract.joins(terms.partner)
    noised = f"{told}, each with noise of its own (discrete Laplace, epsilon "
    found = [Disclosure(step, me, f"{noised}{terms.epsilon / 1000:g} in all{every})", line)]
    if terms.segment:
        found.append(Disclosure(step, terms.partner, f"how many segments {me} has", line))
    return found


def _words(terms: CategoryTerms) -> str:
    """What is told of each cell: "how many shared records it has and their sum of balance"."""
    sums = " and ".join(f"their sum of {a.column} ({a.low} to {a.high})" for a in terms.amounts)
    by = f" and segment by {terms.segment}" if terms.segment else ""
    return f"by {terms.category}{by}, how many shared records{' and ' + sums if sums else ''}"


def amounts_of(terms: CategoryTerms) -> list[Amount]:
    """The receiver's columns with their ranges."""
    return [Amount(a.column, a.low, a.high) for a in terms.amounts]


def _moved(terms: CategoryTerms) -> list[int]:
    """How far noise moves a count, and a sum of each amount, in 95 of 100 cases."""
    return [3 * scale for scale in AmountSizes(amounts_of(terms), 1, 1, terms.epsilon).scales]


def _ciphertexts(terms: CategoryTerms, rows: int) -> int:
    """Ciphertexts that each of so many rows takes, at most."""
    parts = MOST_PARTS if terms.segment else 1
    return AmountSlots(amounts_of(terms), parts, rows, terms.key_bits, terms.epsilon).layout.ciphers


def _release(step: str, terms: CategoryTerms, known: bool) -> Release:
    epsilon = terms.epsilon / 1000
    whole = not epsilon and bool(terms.amounts)
    bits = math.log2(len(terms.categories) + 1) if whole else epsilon * math.log2(math.e)
    return Release(
        step=step, columns=(terms.category,), epsilon=epsilon, bits=bits, known=known, whole=whole
    )
