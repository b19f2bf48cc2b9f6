"""What noise a contract's steps add, and how far it moves what they tell: from the terms alone."""

from __future__ import annotations

from federated.aggregate import Amount
from federated.aggregate.amounts import AmountSlots
from federated.contract.terms import CategoryTerms, Contract, JoinSumTerms
from federated.join_sum import Noising

__all__ = ["amounts_of", "moved_by_category", "needs_noise", "noising_of", "summed_columns"]


def needs_noise(contract: Contract, party: str) -> bool:
    """Whether this party is to add noise in this contract."""
    by_category = any(t.partner == party and t.epsilon for t in contract.category)
    return by_category or any(t.partner == party and t.epsilon for t in contract.join_sum)


def amounts_of(terms: CategoryTerms) -> list[Amount]:
    """The receiver's columns with their ranges."""
    return [Amount(a.column, a.low, a.high) for a in terms.amounts]


def moved_by_category(terms: CategoryTerms) -> list[int]:
    """How far noise moves a count, and a sum of each amount, in 95 of 100 cases."""
    slots = AmountSlots(amounts_of(terms), 1, 1, terms.key_bits, terms.epsilon)
    return [3 * scale for scale in slots.scales]


def summed_columns(terms: JoinSumTerms) -> list[str]:
    """The partner's columns, each once."""
    return list(dict.fromkeys(measure.column for measure in terms.measures))


def noising_of(terms: JoinSumTerms) -> Noising | None:
    """The noise that the terms of a join and sum ask for; None without."""
    if not terms.epsilon:
        return None
    ranges = {r.column: (r.low, r.high) for r in terms.ranges}
    return Noising(summed_columns(terms), ranges, terms.epsilon)
