"""`monthly_flows`: level and spread of what comes and goes each month, deficits, cash, penalties.

A month is a block of 30 days before the cut-off, so that each has as many days. An entity's months
are those from the block of its first row in the year on: one that came lately is not told of as one
that had nothing before. The first may be a part of a month.
"""

from __future__ import annotations

from typing import Any

import ibis

from profiles.views.view import BLOCK, YEAR, Column, Known, View, among

__all__ = ["MONTHLY_FLOWS"]

LEVELS = {"inflow": "CBG", "outflow": "CBG", "income": "C"}
"""What is told by level and spread, and of whom."""
_WHAT = {"inflow": "money that came", "outflow": "money that went", "income": "purpose income"}
_YEAR = f"{YEAR} days"


def _columns() -> tuple[Column, ...]:
    found = [
        Column(name="months_seen", unit="0 to 12", window=_YEAR, empty=0,
               meaning="blocks of 30 days from that of the first transaction on: months below")
    ]  # fmt: skip
    for flow, kinds in LEVELS.items():
        found += [
            Column(name=f"{flow}_month", unit="currency", window=_YEAR, empty=0, kinds=kinds,
                   meaning=f"{_WHAT[flow]}: mean of its months"),
            Column(name=f"{flow}_spread", unit="of the mean", window=_YEAR, kinds=kinds,
                   meaning=f"{_WHAT[flow]}: standard deviation of its months; missing where there "
                           "is one, or no money"),
        ]  # fmt: skip
    return (
        *found,
        Column(name="deficit_months_share", unit="share", window=_YEAR,
               meaning="months in which more went than came, of its months"),
        Column(name="net_share_360d", unit="-1 to 1", window=_YEAR, empty=0,
               meaning="money that came less that which went, of both together"),
        Column(name="cash_share_in_360d", unit="share", window=_YEAR, kinds="CB",
               meaning="cash paid in: share of money in"),
        Column(name="cash_share_out_360d", unit="share", window=_YEAR, kinds="CB",
               meaning="cash drawn: share of money out"),
        Column(name="interest_month", unit="currency", window=_YEAR, empty=0,
               meaning="interest earned: mean of its months"),
        Column(name="penalties_360d", unit="rows", window=_YEAR, empty=0, kinds="C",
               meaning="penalty interest and late fees"),
    )  # fmt: skip


def build(known: Known) -> Any:
    """One group of the year's rows by entity and month, one of those by entity."""
    rows = known.rows.filter(known.last(YEAR))
    rows = rows.mutate(month=(rows.ago - 1) // BLOCK)
    came, kind = rows.way == "in", known.kind
    sums = {
        "inflow": came,
        "outflow": rows.way == "out",
        "interest": rows.type == f"{kind}.interest",
    }
    if kind == "C":
        sums["income"] = came & (rows.purpose == "income")
    if kind != "G":
        sums |= {name: rows.type == f"{kind}.{name}" for name in ("cash_in", "cash_out")}
    months = rows.group_by(["entity", "month"]).agg(
        **{name: rows.minor.sum(where=mine) for name, mine in sums.items()},
        penalties=rows.count(where=rows.type == f"{kind}.penalty_interest"),
    )
    months = months.mutate(**{n: months[n].fill_null(0).cast("int64") for n in sums})
    flows = [flow for flow, kinds in LEVELS.items() if kind in kinds]
    found = months.group_by("entity").agg(
        **{name: months[name].sum().cast("float64") for name in sums},
        **{f"{f}_apart": months[f].cast("float64").var(how="pop") for f in flows},
        deficits=months.count(where=months.outflow > months.inflow).cast("float64"),
        penalties=months.penalties.sum().cast("float64"),
        there=months.count().cast("float64"),
        seen=(months.month.max() + 1).cast("float64"),
    )
    told = {"months_seen": found.seen}
    for flow in flows:
        told |= {
            f"{flow}_month": known.money(found[flow] / found.seen),
            f"{flow}_spread": _spread(found, flow),
        }
    both = found.inflow + found.outflow
    told |= {
        "deficit_months_share": found.deficits / found.seen,
        "net_share_360d": ibis.ifelse(
            both > 0, (found.inflow - found.outflow) / ibis.greatest(both, 1.0), 0.0
        ),
        "interest_month": known.money(found.interest / found.seen),
    }
    if kind != "G":
        told |= {
            "cash_share_in_360d": among(found.cash_in, found.inflow),
            "cash_share_out_360d": among(found.cash_out, found.outflow),
        }
    if kind == "C":
        told["penalties_360d"] = found.penalties
    # kept: a group a month takes memory, which is free again before other views are made
    return known.keep(found.select("entity", **told), "monthly")


def _spread(found: Any, flow: str) -> Any:
    """Of the months seen, those without a row too, which are zeros beside the ones that are there.

    Not from squares of money: what is the same each month has no spread at all, on every engine.
    """
    there, seen = found.there, found.seen
    mean = found[flow] / there
    apart = (found[f"{flow}_apart"] + mean * mean * (seen - there) / seen) * there / seen
    some = (seen > 1) & (found[flow] > 0)
    of = ibis.greatest(found[flow] / seen, 1e-9)
    return ibis.ifelse(some, ibis.greatest(apart, 0.0).sqrt() / of, ibis.null("float64"))


MONTHLY_FLOWS = View(
    name="monthly_flows", version=1,
    meaning="Month by month: level and spread of what comes and goes, deficits, cash, penalties.",
    columns=_columns(), build=build,
)  # fmt: skip
