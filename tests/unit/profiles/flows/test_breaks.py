"""Breaks: nine thousand a month on the 10th, and none in July."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from profiles.flows.breaks import breaks
from profiles.flows.flows import Flows
from psi.protocol.errors import MisuseError
from tests.unit.profiles.flows.made import flows_of, rows_of

JULY, END = 2026 * 12 + 6, dt.date(2026, 9, 30)


def paid(
    who: str, payer: str, amount: float, *days: tuple[int, int], **more: Any
) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{who}{payer}{month:02d}{day:02d}", "account": who, "amount": amount,
            "time": dt.date(2026, month, day), "counterparty_account": payer,
            "text": more.get("text", "代发工资"),
        }
        for month, day in days
    ]  # fmt: skip


def tenth(*months: int) -> list[tuple[int, int]]:
    return [(month, 10) for month in months]


@pytest.fixture(scope="module")
def flows() -> Flows:
    rows = [
        *paid("stopped", "P", 9000, *tenth(1, 2, 3, 4, 5, 6)),
        *paid("moved", "P", 9000, *tenth(1, 2, 3, 4, 5, 6)),
        *paid("moved", "Q", 9200, *tenth(8, 9)),
        *paid("back", "P", 9000, *tenth(3, 4, 5, 6, 8, 9)),
        *paid("steady", "P", 9000, *tenth(1, 2, 3, 4, 5, 6, 7, 8, 9)),
        *paid("quarter", "P", 5000, *tenth(1, 4), text="养老金"),
        *paid("festival", "P", 9000, (1, 10), (1, 28), (3, 20), *tenth(4, 5, 6, 7, 8, 9)),
        *paid("died", "P", 9000, *tenth(1, 2, 3, 4, 5, 6)),
        *paid("closed", "P", 9000, *tenth(1, 2, 3, 4, 5, 6)),
        *paid("odd", "P", 9000, *tenth(1, 2, 3, 4, 5, 7, 8, 9)),
        *paid("odd", "P", 9000, (6, 10), text="zzz 利息"),
        *paid("late", "P", 9000, *tenth(5, 6, 7), (8, 30)),
        *paid("end", "P", 1, (9, 30), text="zzz"),
    ]
    who = sorted({row["account"] for row in rows})
    accounts = pa.table({
        "account": who,
        "died": [{"died": "2026-06-20"}.get(one, "") for one in who],
        "closed": [{"closed": "2026-07-01"}.get(one, "") for one in who],
    })  # fmt: skip
    return flows_of(rows, accounts=accounts)


def test_a_break_is_the_first_missing_month_of_a_steady_series(flows: Flows) -> None:
    typed = flows.stored(flows.typed(), "typed")
    found = breaks(flows.base, typed, flows.taxonomy, END).order_by("entity")
    told = dt.date(2026, 7, 25)
    assert rows_of(found, "entity", "month", "minor", "told", "change", "resumed") == [
        ("back", JULY, 900_000, told, "break", dt.date(2026, 8, 10)),
        ("late", JULY + 1, 900_000, dt.date(2026, 8, 24), "break", dt.date(2026, 8, 30)),
        ("moved", JULY, 900_000, told, "payer changed", None),
        ("stopped", JULY, 900_000, told, "break", None),
    ]
    # the day before it is told there is none, and the new payer is not known yet on the day
    early = breaks(flows.base, typed, flows.taxonomy, dt.date(2026, 7, 24))
    assert rows_of(early, "entity") == []
    # what is computed once on the way changes nothing
    then = breaks(flows.base, typed, flows.taxonomy, told, keep=flows.stored).order_by("entity")
    assert rows_of(then, "entity", "change") == [
        ("back", "break"), ("moved", "break"), ("stopped", "break"),
    ]  # fmt: skip
    with pytest.raises(MisuseError, match="the data end on 2026-09-30"):
        breaks(flows.base, typed, flows.taxonomy, dt.date(2026, 10, 1))
