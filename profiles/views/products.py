"""`products`: deposits, wealth and loans here: level, share and trend, by days."""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis

from profiles.flows.settings import PRODUCTS as KINDS_OF_BALANCE
from profiles.views.view import Column, Known, View, among

__all__ = ["PRODUCTS", "days_within"]

QUARTER = 90


def _columns() -> tuple[Column, ...]:
    found = []
    for what in KINDS_OF_BALANCE:
        found += [
            Column(name=what, unit="currency", window="at the cut-off", empty=0,
                   meaning=f"what its {what} accounts hold at the end of the day before"),
            Column(name=f"{what}_mean_90d", unit="currency", window="90 days", empty=0,
                   meaning=f"mean of days of its {what} accounts"),
        ]  # fmt: skip
    return (
        *found,
        Column(name="wealth_share_90d", unit="share", window="90 days",
               meaning="wealth of deposits and wealth, by their means of days"),
        Column(name="assets_change_90d", unit="-1 to 1", window="180 days", empty=0,
               meaning="deposits and wealth: mean of 90 days less that of the 90 before, of both"),
        Column(name="products_held", unit="products", window="at the cut-off", empty=0,
               meaning="deposits, wealth and loans with a level above zero"),
    )  # fmt: skip


def days_within(levels: Any, start: dt.date, end: dt.date) -> Any:
    """Days of a level's time, `day` to `until`, within [start, end): int64."""
    low = ibis.greatest(levels.day, ibis.literal(start))
    high = ibis.least(levels.until, ibis.literal(end))
    return ibis.greatest(high.delta(low, unit="day"), 0).cast("int64")


def build(known: Known) -> Any:
    """Each level holds until the account's next one, the last until the cut-off."""
    levels, cut = known.balances, known.cut_off
    levels = levels.filter(levels.kind == known.kind)
    order = ibis.window(group_by=["account", "product"], order_by="day")
    levels = levels.mutate(until=levels.day.lead().over(order))
    levels = levels.mutate(last=levels.until.isnull(), until=levels.until.fill_null(cut))
    near, far = (cut - dt.timedelta(days=n * QUARTER) for n in (1, 2))
    levels = levels.mutate(
        near=levels.minor * days_within(levels, near, cut),
        far=levels.minor * days_within(levels, far, near),
    )
    sums: dict[str, Any] = {}
    for what in KINDS_OF_BALANCE:
        of = levels["product"] == what
        sums |= {
            f"{what}_level": levels.minor.sum(where=of & levels["last"]).fill_null(0),
            f"{what}_near": levels.near.sum(where=of).fill_null(0),
            f"{what}_far": levels.far.sum(where=of).fill_null(0),
        }
    found = levels.group_by("entity").agg(**sums)
    found = found.mutate(**{name: found[name].cast("int64") for name in sums})
    near_assets = (found.deposit_near + found.wealth_near).cast("float64")
    far_assets = (found.deposit_far + found.wealth_far).cast("float64")
    both = near_assets.abs() + far_assets.abs()
    change = ibis.ifelse(both > 0, (near_assets - far_assets) / ibis.greatest(both, 1.0), 0.0)
    held = [ibis.ifelse(found[f"{what}_level"] > 0, 1, 0) for what in KINDS_OF_BALANCE]
    return found.select(
        "entity",
        **{what: known.money(found[f"{what}_level"]) for what in KINDS_OF_BALANCE},
        **{
            f"{what}_mean_90d": known.money(found[f"{what}_near"]) / float(QUARTER)
            for what in KINDS_OF_BALANCE
        },
        wealth_share_90d=among(found.wealth_near, found.deposit_near + found.wealth_near),
        assets_change_90d=change,
        products_held=(held[0] + held[1] + held[2]).cast("float64"),
    )


PRODUCTS = View(
    name="products", version=1,
    meaning="Deposits, wealth and loans here: level, share and trend. A loan is above zero.",
    columns=_columns(), build=build, needs=("balances",), typed=False,
)  # fmt: skip
