"""Labels by arithmetic: assets of balances, default, products, several cut-offs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from federated.readers import arrow_expression, duckdb_connection
from profiles.label_tasks import assets_of, default, product_moved, stacked
from profiles.labels import churn, outcome_of
from psi.protocol.errors import MisuseError
from tests.unit.profiles.flows.made import rows_of

CUT, KNOWN = dt.date(2026, 7, 1), dt.date(2026, 10, 31)
JANUARY, AUGUST = dt.date(2026, 1, 1), dt.date(2026, 8, 1)
LEVELS = [
    ("gone", "deposit", JANUARY, 50_000), ("gone", "deposit", AUGUST, 20_000),
    ("into wealth", "deposit", JANUARY, 50_000), ("into wealth", "deposit", AUGUST, 20_000),
    ("into wealth", "wealth", AUGUST, 30_000),
    ("has wealth", "wealth", JANUARY, 40_000),
    ("sells", "wealth", JANUARY, 40_000), ("sells", "wealth", dt.date(2026, 9, 9), 0),
    ("acted", "deposit", JANUARY, 40_000), ("acted", "wealth", dt.date(2026, 7, 9), 1),
    ("owes", "loan", JANUARY, 90_000), ("owes", "deposit", JANUARY, 11_000),
    ("late", "deposit", AUGUST, 5),
]  # fmt: skip


@pytest.fixture(scope="module")
def balances() -> Any:
    who, product, day, level = zip(*LEVELS, strict=True)
    table = pa.table({
        "account": [f"a {one}" for one in who], "entity": who, "product": product, "day": day,
        "minor": [100 * one for one in level],
    })  # fmt: skip
    return arrow_expression(duckdb_connection(), "balances", table)


def test_deposits_that_go_into_wealth_here_are_no_churn(balances: Any) -> None:
    found = churn(assets_of(balances), CUT, KNOWN).order_by("entity")
    labels = dict(rows_of(found, "entity", "label"))
    assert labels == {
        "acted": 0, "gone": 1, "has wealth": 0, "into wealth": 0, "late": None, "owes": 0,
        "sells": 1,
    }  # fmt: skip
    steps = assets_of(balances).filter(lambda t: t.entity == "into wealth").order_by("day")
    assert rows_of(steps, "day", "minor") == [(JANUARY, 5_000_000), (AUGUST, 5_000_000)]


def test_products_are_bought_and_dropped_in_the_outcome_only(balances: Any) -> None:
    bought = product_moved(balances, "wealth", CUT, KNOWN).order_by("entity")
    assert rows_of(bought, "entity", "label", "excluded") == [
        ("acted", None, "bought before the outcome"), ("gone", 0, ""),
        ("has wealth", None, "has it already"), ("into wealth", 1, ""), ("owes", 0, ""),
        ("sells", None, "has it already"),
    ]  # fmt: skip
    dropped = product_moved(balances, "wealth", CUT, KNOWN, dropped=True).order_by("entity")
    assert dict(rows_of(dropped, "entity", "label")) == {
        "acted": None, "gone": None, "has wealth": 0, "into wealth": None, "owes": None, "sells": 1,
    }  # fmt: skip


def test_default_is_days_past_due_within_the_horizon() -> None:
    days = [
        ("pays", dt.date(2026, 6, 30), 0), ("pays", dt.date(2026, 9, 1), 89),
        ("falls behind", dt.date(2026, 6, 30), 10), ("falls behind", dt.date(2026, 9, 30), 90),
        ("too late", dt.date(2026, 6, 30), 0), ("too late", dt.date(2026, 10, 1), 120),
        ("already", dt.date(2026, 6, 30), 95), ("already", dt.date(2026, 8, 1), 120),
        ("cured", dt.date(2026, 5, 1), 99), ("cured", dt.date(2026, 6, 1), 0),
        ("cured", dt.date(2026, 7, 1), 30), ("silent", dt.date(2026, 6, 1), 3),
        ("new", dt.date(2026, 7, 1), 200),
    ]  # fmt: skip
    who, day, behind = zip(*days, strict=True)
    table = pa.table({"entity": who, "day": day, "past_due": behind})
    arrears = arrow_expression(duckdb_connection(), "arrears", table)
    found = default(arrears, CUT, dt.date(2026, 10, 5), months=3).order_by("entity")
    assert rows_of(found, "entity", "label", "excluded") == [
        ("already", None, "in default already"), ("cured", 0, ""), ("falls behind", 1, ""),
        ("pays", 0, ""), ("silent", None, "no day of the outcome is known"),
        ("too late", None, "no day of the outcome is known"),
    ]  # fmt: skip


def test_windows_do_not_overlap_and_cut_offs_are_stacked(balances: Any) -> None:
    assert outcome_of(CUT, KNOWN) == (AUGUST, dt.date(2026, 11, 1))
    for wrong in ({"gap": -1}, {"months": 0}):
        with pytest.raises(MisuseError, match="gap 0 or more, months 1 or more allowed"):
            outcome_of(CUT, KNOWN, **wrong)
    with pytest.raises(MisuseError, match="its outcome ends on 2026-10-31"):
        outcome_of(CUT, dt.date(2026, 10, 30))

    def labels(cut_off: dt.date) -> Any:
        return product_moved(balances, "wealth", cut_off, KNOWN)

    both = stacked(labels, [CUT, dt.date(2026, 6, 1)]).order_by("cut_off", "entity")
    found = rows_of(both.filter(both.entity == "into wealth"), "cut_off", "label")
    assert found == [(dt.date(2026, 6, 1), 1), (CUT, 1)]
    with pytest.raises(MisuseError, match="each once"):
        stacked(labels, [CUT, CUT])
