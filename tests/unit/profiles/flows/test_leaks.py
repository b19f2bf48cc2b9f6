"""Leaks by arithmetic: oldest money first, spending uses it up."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from profiles.flows.leaks import leaks, unattributed
from profiles.flows.taxonomy import Taxonomy
from tests.unit.profiles.flows.made import flows_of, rows_of

TEXTS = {
    "pay": "代发工资",
    "rent": "房租",
    "own": "本人他行转出",
    "wealth": "理财认购",
    "friend": "转账",
}


def moves(*given: tuple[int, str, float], account: str = "A") -> list[dict[str, Any]]:
    return [
        {
            "id": f"{account}{i:03d}",
            "account": account,
            "time": dt.date(2026, 3, 1) + dt.timedelta(days=day - 1),
            "amount": float(amount),
            "text": TEXTS[what],
        }
        for i, (day, what, amount) in enumerate(given)
    ]


CASE = (
    (1, "pay", 10_000), (2, "rent", -3_000), (3, "own", -6_000), (4, "wealth", -500),
    (9, "friend", 2_000), (12, "own", -5_000),
)  # fmt: skip


@pytest.fixture(scope="module")
def typed() -> Any:
    other = moves((1, "own", -100), (2, "pay", 50), (2, "own", -80), (3, "pay", 40), account="B")
    flows = flows_of([*moves(*CASE), *other])
    return flows.stored(flows.typed(), "typed")


@pytest.mark.parametrize(
    ("days", "payroll", "friend"), [(3, 6_000_00, 2_000_00), (15, 6_500_00, 2_000_00)]
)
def test_a_leak_is_the_oldest_money_within_days(
    typed: Any, days: int, payroll: int, friend: int
) -> None:
    taxonomy = Taxonomy.load()
    found = leaks(typed, taxonomy, days).filter(lambda t: t.entity == "A").to_pandas()
    assert found[found.inflow_type == "C.salary"].minor.sum() == payroll
    assert found[found.inflow_type == "C.transfer_in"].minor.sum() == friend
    assert set(found.outflow_type) == {"C.own_elsewhere_out"}
    assert set(found.month) == {2026 * 12 + 2}


def test_a_leak_belongs_to_its_inflows_month() -> None:
    later = [
        {**one, "id": f"B{one['id']}", "time": dt.date(2026, 4, 2)}
        for one in moves((1, "own", -60))
    ]
    first = [{**one, "time": dt.date(2026, 3, 31)} for one in moves((1, "pay", 100))]
    flows = flows_of([*first, *later])
    found = leaks(flows.typed(), Taxonomy.load(), 3).to_pandas()
    assert found[["month", "minor"]].to_numpy().tolist() == [[2026 * 12 + 2, 60_00]]


def test_what_no_inflow_brought_is_unattributed(typed: Any) -> None:
    left = unattributed(typed, Taxonomy.load())
    assert rows_of(left.order_by("outflow"), "outflow", "minor") == [
        ("A005", 2_500_00),
        ("B000", 100_00),
        ("B002", 30_00),
    ]
    found = leaks(typed, Taxonomy.load(), 15).filter(lambda t: t.entity == "B")
    assert rows_of(found, "inflow", "outflow", "minor", "lag") == [("B001", "B002", 50_00, 0)]
