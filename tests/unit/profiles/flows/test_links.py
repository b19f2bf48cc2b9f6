"""Links by payroll: five persons, three of four months, one window of days."""

from __future__ import annotations

from typing import Any

import pytest

from profiles.flows.links import payroll_links
from tests.unit.profiles.flows.made import flows_of, rows_of
from tests.unit.profiles.flows.test_breaks import paid

JUNE = 2026 * 12 + 5
MONTHS = [(month, 10) for month in (3, 4, 5, 6)]


@pytest.fixture(scope="module")
def typed() -> Any:
    rows = [row for i in range(5) for row in paid(f"p{i}", "FIRM", 100, *MONTHS[i % 2 :])]
    rows += paid("once", "FIRM", 5000, (6, 12))
    rows += [row for i in range(4) for row in paid(f"f{i}", "FOUR", 100, *MONTHS)]
    rows += [row for i in range(6) for row in paid(f"b{i}", "BONUS", 900, (6, 10))]
    rows += [row for i in range(6) for row in paid(f"r{i}", "TRIPS", 9, *MONTHS, text="差旅费")]
    for i in range(6):  # on any day: a lender's friends, not a payroll
        rows += paid(f"d{i}", "DAYS", 100, *((month, 1 + 5 * i) for month, _ in MONTHS))
    flows = flows_of(rows)
    return flows.stored(flows.typed(), "typed")


def test_payrolls_are_found_and_bonuses_and_expenses_are_none(typed: Any) -> None:
    found = payroll_links(typed, JUNE)
    assert rows_of(found, "payer", "staff", "months", "rows", "minor") == [
        ("FIRM", 5, 4, 18, 180_000)
    ]
    assert "entity" not in found.columns


def test_persons_are_named_where_it_is_asked_for_only(typed: Any) -> None:
    found = payroll_links(typed, JUNE, persons=True).order_by("entity")
    assert rows_of(found, "entity", "months", "minor") == [
        (f"p{i}", 4 - i % 2, 100_00 * (4 - i % 2)) for i in range(5)
    ]
