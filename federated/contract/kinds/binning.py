"""What a partner's columns are worth for the receiver's label: binning by private sums."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from federated.binning import LABEL_LANES, MOST_BINNED, MOST_BINS, OWN_EPSILON, noise_scale
from federated.contract.cost import Estimate, Rates, sums_estimate
from federated.contract.few_rows import check_group
from federated.contract.kinds.kind import Kind
from federated.contract.kinds.label import class_bits
from federated.contract.kinds.scorecard import card_of
from federated.contract.parts import Disclosure, Release, Unnoised
from federated.contract.rows import FLOOR, joined_rows
from federated.sharing import SUITE
from federated.sharing.messages import MOST_DEPTH
from psi.protocol import PeerError

if TYPE_CHECKING:
    from federated.contract.terms import Contract

__all__ = ["Binning", "BinningTerms"]

_A_ROW = 20 * MOST_DEPTH + 8 * LABEL_LANES + 64
"""Bytes of a row and column: tree and transfers, numbers, check and turns."""


@dataclass(frozen=True, kw_only=True)
class BinningTerms:
    """The partner's `columns` in at most `bins` bins each, counted by the receiver's label.

    A row is positive where `label` is `positive`. No bin has fewer than `minimum_group` records, by
    the partner's own care. With `monotone` the rate of positives rises or falls over the bins of a
    number. `epsilon`, in thousandths, is of the receiver's noise on all counts; 0: exact ones.
    """

    partner: str
    columns: tuple[str, ...]
    label: str
    positive: str
    bins: int
    minimum_group: int
    monotone: bool
    epsilon: int

    @property
    def protocol(self) -> str:
        """What adds up."""
        return "sums"

    @property
    def key_bits(self) -> int:
        """Nothing is encrypted."""
        return 0

    @property
    def shared(self) -> bool:
        """Private sums add up."""
        return True


class Binning(Kind[BinningTerms]):
    """Counts of the receiver's label by the partner's bins, opened to the partner."""

    name = "binning"
    joined = True

    def terms(self, contract: Contract) -> Sequence[BinningTerms]:
        return contract.binning

    def partners(self, terms: BinningTerms) -> Sequence[str]:
        return [terms.partner]

    def check(self, contract: Contract) -> None:
        for terms in contract.binning:
            if not 2 <= terms.bins <= MOST_BINS:
                raise PeerError(f"{terms.bins} bins of a column, 2 to {MOST_BINS} allowed")
            found = len(terms.columns)
            if not 1 <= found <= MOST_BINNED or len(set(terms.columns)) < found:
                raise PeerError(f"a binning of no, too many or repeated columns, {found} found")
            if terms.minimum_group < 1:
                raise PeerError("a binning needs a minimum group")
            if contract.joins(terms.partner):
                raise PeerError("a binning needs duplicates = collapse")

    def used(self, contract: Contract, party: str) -> Iterator[tuple[str, Sequence[str]]]:
        for terms in contract.binning:
            if terms.partner == party:
                yield "binning", terms.columns
            if contract.receiver == party:
                yield "label", [terms.label]

    def completed(self, contract: Contract) -> Contract:
        for terms in contract.binning:
            check_group(contract, terms.partner, 2 * terms.minimum_group, "a binning")
        return contract

    def disclosures(self, contract: Contract) -> Iterator[Disclosure]:
        me = contract.receiver
        for terms in contract.binning:
            step, partner = f"binning {terms.partner}", terms.partner
            yield Disclosure(step, partner, _counts(terms, me), "binning.epsilon")
            told = (
                f"of each of {partner}'s {', '.join(terms.columns)} its information value for "
                f"'{terms.label}', rounded, how many bins it comes to, and how far the records "
                f"have moved between bins since the last job, all under {partner}'s noise "
                f"(discrete Laplace, epsilon {OWN_EPSILON:g} a column); before it, the power of "
                "two that its bins fill up; no bin, no count"
            )
            yield Disclosure(step, me, told, "binning.columns")

    def words(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in contract.binning:
            partner = terms.partner
            noise = "with noise" if terms.epsilon else "WITHOUT noise"
            held = card_of(contract, terms)
            yield (
                f"{partner} puts {', '.join(terms.columns)} into at most {terms.bins} bins each; "
                f"{me} sends its label '{terms.label}' under pads of which {partner} can take sums "
                f"only ({SUITE}); both then hold shares of the label's counts by bin, which {me} "
                f"opens to {partner}, {noise}; {partner} tells {me} what each column is worth"
                + "; records that a scorecard holds out count as without a label"
                * bool(held)
            )

    def guards(self, contract: Contract) -> Iterator[str]:
        me = contract.receiver
        for terms in contract.binning:
            partner = terms.partner
            if terms.epsilon:
                moved = 3 * noise_scale(len(terms.columns), terms.epsilon)
                yield (
                    f"{me}'s noise moves each count by up to {moved:,} in 95 of 100 cases; it "
                    f"hides the class of a record by epsilon {terms.epsilon / 1000:g}, however "
                    f"{partner} cuts its bins, and whether it has a label by twice that"
                )
            else:
                yield (
                    f"{me} adds no noise: {partner} reads the label of every record that it puts "
                    "into a bin of its own"
                )
            yield (
                f"that a bin has {terms.minimum_group} records or more is {partner}'s own word: "
                f"{me} sees no bin. What {partner} learns is a classifier of '{terms.label}': the "
                "sum of its weights of evidence orders records about as well as a model of its "
                "columns would (AUC .76 and .75 on two public tables, with this noise or without)"
            )
            yield (
                f"{partner} cannot check the label: a receiver that takes few, chosen records as "
                f"positive, or shares few, learns of where they lie what {partner}'s noise leaves: "
                f"a record's bin is hidden by epsilon {OWN_EPSILON:g} a column, and by as much "
                f"more in each job; the power of two of a column's bins is exact, and one record "
                f"more may double it. {partner} tells nothing of fewer than 20 positives or "
                "negatives"
            )

    def releases(self, contract: Contract, party: str) -> Iterator[Release]:
        for number, terms in enumerate(contract.binning):
            if terms.partner == party:
                yield Release(
                    step=f"binning/{number}/{party}",
                    columns=terms.columns,
                    known=contract.known,
                    rounded=True,
                )

    def given(self, contract: Contract) -> Iterator[tuple[str, Release]]:
        for number, terms in enumerate(contract.binning):
            epsilon = terms.epsilon / 1000
            yield (
                terms.partner,
                Release(
                    step=f"binning/{number}/{terms.partner}",
                    columns=(terms.label,),
                    epsilon=epsilon,
                    bits=epsilon * math.log2(math.e),
                    label_bits=class_bits(epsilon),
                    known=contract.known,
                    rounded=True,
                ),
            )

    def unnoised(self, contract: Contract, party: str) -> Iterator[tuple[int, Unnoised]]:
        for terms in contract.binning:
            if contract.receiver == party:
                yield (
                    terms.epsilon,
                    Unnoised(
                        limit="unnoised_labels",
                        asked=f"counts of {terms.label!r} by a partner's bins",
                        hint="without noise a partner reads the label of whom it puts into a bin "
                        "alone; policy: [limits] unnoised_labels",
                    ),
                )

    def limit(self, contract: Contract, step: str) -> int | None:
        for number, terms in enumerate(contract.binning):
            which = f"{number}/{terms.partner}"
            if step == f"binning/{which}":
                return FLOOR
            if step == f"sums/b{which}":
                rows = joined_rows(contract, [terms.partner])
                return FLOOR + rows * len(terms.columns) * _A_ROW
        return None

    def cost(self, contract: Contract, rates: Rates) -> Iterator[Estimate]:
        for terms in contract.binning:
            both = min(contract.party(name).rows for name in (contract.receiver, terms.partner))
            yield sums_estimate(rates, both * len(terms.columns), terms.bins, LABEL_LANES)


def _counts(terms: BinningTerms, me: str) -> str:
    noise = (
        f"each number with noise of {me}'s (discrete Laplace, epsilon {terms.epsilon / 1000:g} "
        "over all columns)"
        if terms.epsilon
        else "exact numbers"
    )
    return (
        f"for each bin of {', '.join(terms.columns)}, of its own making, how many shared records "
        f"are positive by {me}'s '{terms.label}', and how many have a label: its weight of "
        f"evidence; {noise}"
    )
