"""What private sums would save in a contract that adds up by encryption."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from federated.contract.cost import Estimate, Rates
from federated.contract.kinds.by_category import ByCategory
from federated.contract.kinds.by_segment import BySegment
from federated.contract.kinds.join_sum import JoinSum
from federated.contract.kinds.kind import Kind
from federated.contract.terms import Contract

__all__ = ["sums_instead"]


def sums_instead(contract: Contract, rates: Rates) -> tuple[Estimate, Estimate] | None:
    """What its encrypted statistics take, and what they would by private sums; None without any."""
    aggregate = tuple(terms for terms in contract.aggregate if not terms.shared)
    category = tuple(terms for terms in contract.category if not terms.shared)
    joins = tuple(terms for terms in contract.join_sum if not terms.shared)
    if not aggregate and not category and not joins:
        return None
    now = replace(contract, aggregate=aggregate, category=category, join_sum=joins)
    then = replace(
        contract,
        aggregate=tuple(replace(terms, protocol="sums", key_bits=0) for terms in aggregate),
        category=tuple(replace(terms, protocol="sums", key_bits=0) for terms in category),
        join_sum=tuple(replace(terms, protocol="sums", key_bits=0) for terms in joins),
    )
    return _cost(now, rates), _cost(then, rates)


KINDS_SUMMED: tuple[Kind[Any], ...] = (BySegment(), ByCategory(), JoinSum())


def _cost(contract: Contract, rates: Rates) -> Estimate:
    costs = (cost for kind in KINDS_SUMMED for cost in kind.cost(contract, rates))
    return sum(costs, start=Estimate(0, 0, 0))
