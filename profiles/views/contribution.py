"""`contribution`: what a customer brings in a month, by the rates of `[flows.NAME.contribution]`.

200,000 taken by card x .38% = 760, scheme x .30% = -600, terminal -20,
deposits of 40,000 x 1.2% / 12 = 40: 180
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis

from profiles.flows.settings import PRODUCTS
from profiles.views.products import days_within
from profiles.views.view import Column, Known, View

__all__ = ["CONTRIBUTION"]

TAKINGS = "B.card_takings"
MONTH = "the last whole calendar month"
COLUMNS = (
    Column(name="card_takings", unit="currency", window=MONTH, kinds="B", empty=0,
           meaning="what it took by card and code"),
    Column(name="contribution_fee", unit="currency", window=MONTH, kinds="B", empty=0,
           meaning="`fee` of its takings"),
    Column(name="contribution_scheme", unit="currency", window=MONTH, kinds="B", empty=0,
           meaning="`scheme` of its takings, paid to the card schemes: below zero"),
    Column(name="contribution_terminal", unit="currency", window=MONTH, kinds="B", empty=0,
           meaning="`terminal` where it took anything: below zero"),
    Column(name="contribution_balances", unit="currency", window=MONTH, empty=0,
           meaning="a twelfth of `deposit`, `wealth` and `loan` of the means of days"),
    Column(name="contribution", unit="currency", window=MONTH, empty=0, meaning="all together"),
)  # fmt: skip


def build(known: Known) -> Any:
    """Takings of the month, and means of days of the balances."""
    end = known.cut_off.replace(day=1)
    start = (end - dt.timedelta(days=1)).replace(day=1)
    terms = known.base.settings.terms
    assert terms is not None  # noqa: S101  a view is refused without what it needs
    held = _means(known, start, end)
    told: dict[str, Any] = {}
    if known.kind == "B":
        rows = known.rows
        took = (rows.type == TAKINGS) & (rows.day >= start) & (rows.day < end)
        takings = rows.filter(took)
        takings = takings.group_by("entity").agg(minor=takings.minor.sum().cast("int64"))
        takings = takings.select(of="entity", card_takings=known.money(takings.minor))
        held = held.outer_join(takings, held.entity == takings.of)
        held = held.mutate(
            entity=held.entity.fill_null(held.of), card_takings=held.card_takings.fill_null(0.0),
            contribution_balances=held.contribution_balances.fill_null(0.0),
        ).drop("of")  # fmt: skip
        some = held.card_takings > 0
        told = {
            "contribution_fee": held.card_takings * terms.fee,
            "contribution_scheme": held.card_takings * -terms.scheme,
            "contribution_terminal": ibis.ifelse(some, -terms.terminal, 0.0),
        }
    found = held.mutate(**told) if told else held
    whole = found.contribution_balances
    for name in told:
        whole = whole + found[name]
    return found.mutate(contribution=whole)


def _means(known: Known, start: dt.date, end: dt.date) -> Any:
    """entity, contribution_balances."""
    levels, terms = known.balances, known.base.settings.terms
    order = ibis.window(group_by=["account", "product"], order_by="day")
    levels = levels.filter(levels.kind == known.kind)
    levels = levels.mutate(until=levels.day.lead().over(order).fill_null(end))
    levels = levels.filter((levels.until > start) & (levels.day < end))
    levels = levels.mutate(weighed=levels.minor * days_within(levels, start, end))
    sums = {w: levels.weighed.sum(where=levels["product"] == w) for w in PRODUCTS}
    found = levels.group_by("entity").agg(**sums)
    days = float((end - start).days)
    brought = [known.money(found[w].cast("int64")) * getattr(terms, w) / 12.0 for w in PRODUCTS]
    whole = (brought[0] + brought[1] + brought[2]) / days
    return found.select("entity", contribution_balances=whole)


CONTRIBUTION = View(
    name="contribution", version=1,
    meaning="What a customer brings in a month, by the rates of [flows.NAME.contribution].",
    columns=COLUMNS, build=build, needs=("balances", "terms"),
)  # fmt: skip
