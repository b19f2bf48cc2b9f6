"""`basic_facts`: how old, how long a customer, how many accounts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis

from profiles.views.view import YEAR, Column, Known, View

__all__ = ["BASIC_FACTS"]

COLUMNS = (
    Column(name="age", unit="years", window="at the cut-off", kinds="C",
           meaning="whole years since the owner's birth; missing where no account says it"),
    Column(name="customer_days", unit="days", window="all time",
           meaning="since the first account was opened"),
    Column(name="history_days", unit="days", window="all time",
           meaning="since the first transaction in the data"),
    Column(name="accounts_open", unit="accounts", window="at the cut-off", empty=0,
           meaning="neither closed nor of a dead owner"),
    Column(name="accounts_opened_360d", unit="accounts", window="360 days", empty=0,
           meaning="opened"),
    Column(name="accounts_closed_360d", unit="accounts", window="360 days", empty=0,
           meaning="closed"),
)  # fmt: skip


def build(known: Known) -> Any:
    """One group of the accounts, one of the rows."""
    held, cut = known.accounts, ibis.literal(known.cut_off)
    year = ibis.literal(known.cut_off - dt.timedelta(days=YEAR))
    held = held.filter(held.kind == known.kind)
    years = known.cut_off.year - held.born.year()
    late = (held.born.month() * 100 + held.born.day()) > (
        known.cut_off.month * 100 + known.cut_off.day
    )
    held = held.mutate(
        years=years - ibis.ifelse(late, 1, 0),
        since=cut.delta(held.opened, unit="day"),
        new=(held.opened >= year).fill_null(False),
        gone=(held.closed >= year).fill_null(False),
        open=held.closed.isnull() & held.died.isnull(),
    )
    facts = held.group_by("entity").agg(
        age=held.years.max().cast("float64"),
        customer_days=held.since.max().cast("float64"),
        accounts_open=held.count(where=held.open).cast("float64"),
        accounts_opened_360d=held.count(where=held.new).cast("float64"),
        accounts_closed_360d=held.count(where=held.gone).cast("float64"),
    )
    rows = known.rows.group_by("entity").agg(history_days=known.rows.ago.max().cast("float64"))
    rows = rows.rename(of="entity")
    return facts.left_join(rows, facts.entity == rows.of).drop("of")


BASIC_FACTS = View(
    name="basic_facts", version=1, meaning="How old, how long a customer, how many accounts.",
    columns=COLUMNS, build=build, needs=("accounts",),
)  # fmt: skip
