"""`flow_behaviour`: recency, frequency, amount, trend, regularity, concentration, purposes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis

from profiles.flows.breaks import breaks_until
from profiles.flows.engine import Keep
from profiles.flows.leaks import leaks
from profiles.views.view import BLOCK, YEAR, Column, Known, View, among

__all__ = ["FLOW_BEHAVIOUR"]

LEAK_DAYS, TOLD_DAYS = 15, 180
WAYS = {"inflow": "in", "outflow": "out"}
MIX = {
    "C": {"in": ("income", "people", "debt"),
          "out": ("spending", "housing", "debt", "tax", "people", "products", "own")},
    "B": {"in": ("sales", "debt", "grants"),
          "out": ("purchases", "staff", "tax", "debt", "premises", "own")},
    "G": {"in": ("budget", "revenue"),
          "out": ("purchases", "staff", "benefits", "grants", "investment")},
}  # fmt: skip
"""Purpose groups whose share of the money each way is told."""


def _columns() -> tuple[Column, ...]:
    found = []
    for flow, way in WAYS.items():
        other = "payer" if way == "in" else "payee"
        found += [
            *(Column(name=f"{flow}_{n}d", unit="currency", window=f"{n} days", empty=0,
                     meaning=f"money that {'came' if way == 'in' else 'went'}")
              for n in (30, 90, 360)),
            Column(name=f"{flow}_count_90d", unit="rows", window="90 days", empty=0,
                   meaning=f"transactions {way}"),
            Column(name=f"{flow}_size_90d", unit="currency", window="90 days",
                   meaning=f"mean amount of a transaction {way}"),
            Column(name=f"days_since_{flow}", unit="days", window="360 days",
                   meaning=f"since the last transaction {way}; 1 is the day before the cut-off"),
            Column(name=f"{flow}_change_90d", unit="-1 to 1", window="180 days", empty=0,
                   meaning=f"money {way} of 90 days less that of the 90 before, of both together"),
            Column(name=f"{flow}_blocks", unit="0 to 12", window="360 days", empty=0,
                   meaning=f"blocks of 30 days with a transaction {way}"),
            Column(name=f"{other}s_360d", unit="counterparties", window="360 days", empty=0,
                   meaning="different accounts, else names, on the other side"),
            Column(name=f"largest_{other}_share_360d", unit="share", window="360 days",
                   meaning=f"the largest {other}'s share of money {way} that names one"),
        ]  # fmt: skip
    for way in ("in", "out"):
        for group in dict.fromkeys(g for mix in MIX.values() for g in mix[way]):
            kinds = "".join(kind for kind, mix in MIX.items() if group in mix[way])
            found.append(
                Column(name=f"{group}_share_{way}_360d", unit="share", window="360 days",
                       kinds=kinds, meaning=f"purpose {group}: share of money {way}")
            )  # fmt: skip
    return (
        *found,
        Column(name="purpose_known_360d", unit="share", window="360 days",
               meaning="money, both ways, whose purpose is known"),
        Column(name="leak_ratio_90d", unit="share", window="90 days",
               meaning="money in that left for elsewhere within 15 days, oldest money first, "
                       "counted from the window's begin"),
        Column(name="breaks_180d", unit="series", window="180 days", empty=0,
               meaning="what came month after month and stopped: told in the window, not resumed"),
    )  # fmt: skip


def build(known: Known) -> Any:
    """One group of the year's rows, one by counterparty; leaks and breaks beside."""
    rows = known.rows.filter(known.last(YEAR))
    found = _sums(known, rows)
    for beside in (_counterparties, _leaks, _breaks):
        with known.scratch() as keep:
            # narrow, kept: of what is nested PostgreSQL expects one row, and goes through all of it
            joined = known.keep(beside(known, keep), "beside").rename(of="entity")
        found = found.left_join(joined, found.entity == joined.of).drop("of")
    found = found.mutate(leak_ratio_90d=among(found.leaked, found.inflow_minor))
    return found.drop("leaked", "inflow_minor")


def _sums(known: Known, rows: Any) -> Any:
    sums: dict[str, Any] = {"known": rows.minor.sum(where=rows.known == "purpose")}
    blocks = (rows.ago - 1) // BLOCK
    for flow, way in WAYS.items():
        mine = rows.way == way
        for days in (30, 90, 360):
            sums[f"{flow}_{days}"] = rows.minor.sum(where=mine & (rows.ago <= days))
        sums[f"{flow}_180"] = rows.minor.sum(where=mine & (rows.ago <= 180))
        sums[f"{flow}_rows"] = rows.count(where=mine & (rows.ago <= 90))
        sums[f"{flow}_since"] = rows.ago.min(where=mine)
        for block in range(YEAR // BLOCK):
            sums[f"{flow}_block_{block}"] = rows.count(where=mine & (blocks == block))
        for group in MIX[known.kind][way]:
            sums[f"{group}_{way}"] = rows.minor.sum(where=mine & (rows.purpose == group))
    found = rows.group_by("entity").agg(**sums)
    whole = [name for name in sums if not name.endswith("_since")]
    found = found.mutate(**{name: found[name].fill_null(0).cast("int64") for name in whole})
    told: dict[str, Any] = {}
    for flow, way in WAYS.items():
        near, far = found[f"{flow}_90"], found[f"{flow}_180"] - found[f"{flow}_90"]
        both = found[f"{flow}_180"].cast("float64")
        seen = [ibis.ifelse(found[f"{flow}_block_{b}"] > 0, 1, 0) for b in range(YEAR // BLOCK)]
        count = found[f"{flow}_rows"]
        told |= {f"{flow}_{n}d": known.money(found[f"{flow}_{n}"]) for n in (30, 90, 360)}
        told |= {
            f"{flow}_count_90d": count.cast("float64"),
            f"{flow}_size_90d": ibis.ifelse(
                count > 0, known.money(near) / ibis.greatest(count, 1).cast("float64"),
                ibis.null("float64"),
            ),
            f"days_since_{flow}": found[f"{flow}_since"].cast("float64"),
            f"{flow}_change_90d": ibis.ifelse(
                both > 0, (near - far).cast("float64") / ibis.greatest(both, 1.0), 0.0
            ),
            f"{flow}_blocks": sum(seen[1:], seen[0]).cast("float64"),
        }  # fmt: skip
        told |= {
            f"{group}_share_{way}_360d": among(found[f"{group}_{way}"], found[f"{flow}_360"])
            for group in MIX[known.kind][way]
        }
    both_ways = found.inflow_360 + found.outflow_360
    told["purpose_known_360d"] = among(found["known"], both_ways)
    return found.select("entity", inflow_minor=found.inflow_90, **told)


def _counterparties(known: Known, keep: Keep) -> Any:
    rows = known.rows.filter(known.last(YEAR))
    name = rows.counterparty_account
    named = rows.select(
        "entity", "way", "minor", who=ibis.ifelse(name != "", name, rows.counterparty_name)
    )
    named = named.filter(named.who != "")
    each = named.group_by(["entity", "way", "who"]).agg(minor=named.minor.sum().cast("int64"))
    told: dict[str, Any] = {}
    for flow, other in (("in", "payer"), ("out", "payee")):
        mine = each.way == flow
        told |= {
            f"{other}s_360d": each.count(where=mine).cast("float64"),
            f"{other}_most": each.minor.max(where=mine),
            f"{other}_all": each.minor.sum(where=mine),
        }
    found = each.group_by("entity").agg(**told)
    return found.select(
        "entity",
        "payers_360d",
        "payees_360d",
        largest_payer_share_360d=among(found.payer_most, found.payer_all),
        largest_payee_share_360d=among(found.payee_most, found.payee_all),
    )


def _leaks(known: Known, keep: Keep) -> Any:
    near = known.rows.filter(known.last(90)).drop("ago")
    found = leaks(near, known.taxonomy, LEAK_DAYS)
    return found.group_by("entity").agg(leaked=found.minor.sum().cast("int64"))


def _breaks(known: Known, keep: Keep) -> Any:
    day = known.cut_off - dt.timedelta(days=1)
    found = breaks_until(known.base, known.rows.drop("ago"), known.taxonomy, day, keep=keep)
    recent = found.told > ibis.literal(day - dt.timedelta(days=TOLD_DAYS))
    found = found.filter(recent & found.resumed.isnull() & (found.change == "break"))
    return found.group_by("entity").agg(breaks_180d=found.count().cast("float64"))


FLOW_BEHAVIOUR = View(
    name="flow_behaviour", version=1,
    meaning="Recency, frequency, amount, trend, regularity, concentration, purposes, leaks, "
            "breaks.",
    columns=_columns(), build=build,
)  # fmt: skip
