"""Links between companies, bodies and persons: who supplies, grants, owns, pays wages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from profiles.flows.flows import Flows
from profiles.flows.ties import links, neighbourhood
from tests.unit.profiles.flows.made import flows_of, rows_of
from tests.unit.profiles.flows.test_breaks import paid

JUNE = 2026 * 12 + 5
MONTHS = [(month, 10) for month in (3, 4, 5, 6)]
KEYS = ("link", "source", "target", "months", "minor")
OPEN = [
    ("grant", "town", "maker", 1, 700_00),
    ("supplier", "maker", "mill", 2, 60_00),
    ("supplier", "shop", "maker", 4, 200_00),
]


def moved(payer: str, payee: str, amount: float, text: str, *days: Any, both: bool = True) -> Any:
    """Money between two accounts, on both sides of it."""
    rows = paid(payer, payee, -amount, *days, text=text)
    return [*rows, *(paid(payee, payer, amount, *days, text="货款") if both else [])]


@pytest.fixture(scope="module")
def flows() -> Flows:
    rows = [
        *moved("SHOP", "MAKER", 50, "采购款", *MONTHS),
        *moved("MAKER", "MILL", 30, "采购款", *MONTHS[:2]),
        *moved("MILL", "SHOP", 30, "采购款", MONTHS[0]),  # once is no supplier
        *moved("TOWN", "MAKER", 700, "稳岗返还", MONTHS[1], both=False),
        *moved("SHOP", "elsewhere", 9, "采购款", *MONTHS, both=False),
        *paid("SHOP", "P0", 5000, MONTHS[0], text="股东借款"),
    ]
    rows += [row for i in range(5) for row in paid(f"P{i}", "SHOP", 100, *MONTHS)]
    kinds = {"SHOP": "B", "MAKER": "B", "MILL": "B", "TOWN": "G"} | {f"P{i}": "C" for i in range(5)}
    accounts = pa.table({
        "account": list(kinds), "entity": [one.lower() for one in kinds],
        "kind": list(kinds.values()),
    })  # fmt: skip
    return flows_of(rows, accounts=accounts)


def test_companies_and_bodies_are_linked_by_what_they_pay(flows: Flows) -> None:
    found = links(flows, JUNE).order_by(KEYS)
    assert rows_of(found, *KEYS) == OPEN
    # months before are not looked at
    assert rows_of(links(flows, JUNE, 1), *KEYS) == []


def test_links_of_persons_are_told_where_the_bank_says_so(flows: Flows) -> None:
    asked = Flows(replace(flows.settings, person_links=True), flows.engine)
    found = links(asked, JUNE).order_by(KEYS)
    told = rows_of(found, *KEYS)
    assert [one for one in told if one[0] == "payroll"] == [
        ("payroll", "shop", f"p{i}", 4, 400_00) for i in range(5)
    ]
    assert ("owner", "p0", "shop", 1, 5000_00) in told
    assert ("supplier", "shop", "elsewhere", 4, 36_00) in told
    assert set(OPEN) < set(told)
    near = neighbourhood(found, "mill")
    assert rows_of(near.order_by(KEYS), *KEYS) == [OPEN[1]]
