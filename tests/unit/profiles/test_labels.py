"""Churn and payroll by arithmetic: means of days, windows that do not overlap, all counted."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from federated.readers import arrow_expression, duckdb_connection
from profiles.flows.breaks import breaks
from profiles.flows.series import series_of
from profiles.labels import churn, months_from, payroll_moved
from psi.protocol.errors import MisuseError
from tests.unit.profiles.flows.made import flows_of, rows_of
from tests.unit.profiles.flows.test_breaks import paid, tenth

CUT = dt.date(2026, 7, 1)
KNOWN = dt.date(2026, 10, 31)
JANUARY = dt.date(2026, 1, 1)


def month_ends(entity: str, low: int, high: int) -> list[tuple[str, dt.date, int]]:
    """A balance of `low` with `high` on the last day of each month of the base."""
    found = [(entity, JANUARY, low)]
    for month in (4, 5, 6):
        first = dt.date(2026, month + 1, 1)
        found += [(entity, first - dt.timedelta(days=1), high), (entity, first, low)]
    return found


LEVELS = [
    ("gone", JANUARY, 50_000),
    ("gone", dt.date(2026, 8, 1), 20_000),
    ("half", JANUARY, 50_000),
    ("half", dt.date(2026, 8, 1), 25_000),
    ("stays", JANUARY, 50_000),
    ("acting", JANUARY, 50_000),  # away in the month for acting, and back
    ("acting", dt.date(2026, 7, 2), 0),
    ("acting", dt.date(2026, 8, 1), 50_000),
    *month_ends("window dresser", 5_650, 200_000),
    ("window dresser", dt.date(2026, 7, 2), 12_000),
    ("small", JANUARY, 9_999),
    ("new", dt.date(2026, 5, 2), 50_000),
    ("two months", dt.date(2026, 5, 1), 50_000),
    ("dead", JANUARY, 50_000),
    ("dead", dt.date(2026, 8, 1), 0),
    ("shut", JANUARY, 50_000),
    ("shut", dt.date(2026, 8, 1), 0),
    ("repaid", JANUARY, 50_000),
    ("repaid", dt.date(2026, 8, 1), 0),
]


def test_churn_is_half_of_the_mean_day_and_who_cannot_be_judged_is_counted() -> None:
    connection = duckdb_connection()
    names, days, levels = zip(*LEVELS, strict=True)
    assets = pa.table({"entity": names, "day": days, "minor": [100 * one for one in levels]})
    day = dt.date(2026, 8, 1)
    people = pa.table({
        "entity": ["dead", "shut", "repaid", "stays"],
        "died": pa.array([day, None, None, None], pa.date32()),
        "closed_by_bank": pa.array([None, day, None, None], pa.date32()),
        "loan_repaid": pa.array([None, None, day, dt.date(2020, 1, 1)], pa.date32()),
    })  # fmt: skip
    found = churn(
        arrow_expression(connection, "assets", assets), CUT, KNOWN,
        people=arrow_expression(connection, "people", people),
    ).order_by("entity")  # fmt: skip
    assert rows_of(found, "entity", "label", "excluded") == [
        ("acting", 0, ""),
        ("dead", None, "died"),
        ("gone", 1, ""),
        ("half", 1, ""),
        ("new", None, "less than two months of history"),
        ("repaid", None, "the loan is repaid"),
        ("shut", None, "closed by the bank"),
        ("small", None, "a base too small"),
        ("stays", 0, ""),
        ("two months", 0, ""),
        ("window dresser", 0, ""),
    ]
    means = {name: (base, outcome) for name, base, outcome in rows_of(
        found, "entity", "base", "outcome"
    )}  # fmt: skip
    assert means["gone"] == (5_000_000, 2_000_000)
    base, outcome = means["window dresser"]
    assert 1_200_000 < base < 1_220_000
    assert outcome == 1_200_000


def test_windows_do_not_overlap_and_end_within_the_data() -> None:
    assert [months_from(CUT, n) for n in (-3, 1, 4)] == [
        dt.date(2026, 4, 1), dt.date(2026, 8, 1), dt.date(2026, 11, 1),
    ]  # fmt: skip
    assets = arrow_expression(
        duckdb_connection(), "assets", pa.table({"entity": ["a"], "day": [JANUARY], "minor": [1]})
    )
    with pytest.raises(MisuseError, match="its outcome ends on 2026-10-31"):
        churn(assets, CUT, dt.date(2026, 10, 30))
    with pytest.raises(MisuseError, match="first day of a month"):
        churn(assets, dt.date(2026, 7, 2), KNOWN)


def test_a_payers_staff_that_leaves_together_is_the_payers_label() -> None:
    whole, until = tenth(*range(1, 12)), tenth(*range(1, 8))
    rows = [row for i in range(5) for row in paid(f"p{i}", "P", 100, *(until if i < 3 else whole))]
    rows += [row for i in range(5) for row in paid(f"q{i}", "Q", 100, *(until if i < 2 else whole))]
    rows += paid("early", "R", 100, *tenth(1, 2, 3, 4, 5, 6))
    rows += [
        *paid("other job", "R", 100, *until),
        *paid("other job", "S", 101, *tenth(8, 9, 10, 11)),
    ]
    flows = flows_of([*rows, *paid("end", "X", 1, (12, 31), text="zzz")])
    typed = flows.stored(flows.typed(), "typed")
    gone = breaks(flows.base, typed, flows.taxonomy, dt.date(2026, 12, 31))
    gone = gone.filter(gone.month < 2026 * 12 + 11)
    persons, payers = payroll_moved(series_of(typed, flows.taxonomy), gone, CUT)
    assert rows_of(payers.order_by("who"), "who", "staff", "gone", "label") == [
        ("P", 5, 3, 1), ("Q", 5, 2, 0),
    ]  # fmt: skip
    together = "the payer's staff left together"
    assert rows_of(persons.order_by("entity"), "entity", "label", "excluded") == [
        ("early", None, "the pay stopped before the outcome"), ("other job", 0, ""),
        *((f"p{i}", None, together) for i in range(3)), ("p3", 0, ""), ("p4", 0, ""),
        ("q0", 1, ""), ("q1", 1, ""), *((f"q{i}", 0, "") for i in (2, 3, 4)),
    ]  # fmt: skip
