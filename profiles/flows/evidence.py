"""What rules look at beside a row's own columns: orders, own accounts, names, regularity.

Each piece is joined only where a rule of the taxonomy asks for it. Joins are equalities, counts are
groups joined back: nothing here is a window over distinct values, which PostgreSQL has not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import ibis

from profiles.flows.base import Base

__all__ = ["with_evidence"]

_BESIDE = ("age", "order", "counterparty_kind", "own", "regular", "month_end", "days", "hours")


def with_evidence(base: Base, rows: Any, asked: Collection[str]) -> Any:
    """`rows` with a column for each of the conditions asked for.

    age (years), order_category, own_here, own_name, side (the counterparty's kind), months (in
    which the counterparty came), last_day, day_of_month, hour.
    """
    added: dict[str, Any] = {}
    if "month_end" in asked:
        following = (rows.day + ibis.interval(days=1)).day()
        added["last_day"] = following == 1
    if "days" in asked:
        added["day_of_month"] = rows.day.day()
    if "hours" in asked:
        added["hour"] = rows.second // 3600
    if "age" in asked:
        before = (rows.day.month() * 100 + rows.day.day()) < (
            rows.born.month() * 100 + rows.born.day()
        )
        years = rows.day.year() - rows.born.year() - ibis.ifelse(before, 1, 0)
        added["age"] = years.fill_null(-1)
    if "own" in asked:
        name, owner = (rows[n].lower().replace(" ", "") for n in ("counterparty_name", "owner"))
        both = (rows.owner != "") & (rows.counterparty_name != "")
        added["own_name"] = ibis.ifelse(both, name == owner, False)  # looked at where it can be
    rows = rows.mutate(**added) if added else rows
    if "own" in asked or "counterparty_kind" in asked:
        rows = _beside_accounts(base, rows)
    if "order" in asked:
        rows = _beside_orders(base, rows)
    return _beside_months(rows) if "regular" in asked else rows


def _beside_accounts(base: Base, rows: Any) -> Any:
    """Whether the counterparty's account is here, whose it is, and of what kind."""
    if base.accounts is None:
        return rows.mutate(own_here=ibis.literal(False), side=rows.counterparty_kind)
    there = base.accounts.select(there="account", there_entity="entity", there_kind="kind")
    found = rows.left_join(there, rows.counterparty_account == there.there)
    here = found.there.notnull() & (found.there_entity == found.entity)
    side = ibis.ifelse(
        found.counterparty_kind != "", found.counterparty_kind, found.there_kind.fill_null("")
    )
    found = found.mutate(own_here=here & (found.there != found.account), side=side)
    return found.drop("there", "there_entity", "there_kind")


def _beside_orders(base: Base, rows: Any) -> Any:
    """The category of the standing order that a payment carries out, "" where it is none."""
    if base.orders is None:
        return rows.mutate(order_category=ibis.literal(""))
    keys = ["account", "counterparty_account", "minor"]
    orders = base.orders.group_by(keys).agg(order_category=base.orders.category.min())
    orders = orders.rename(by="account", to="counterparty_account", size="minor")
    same = [
        rows.account == orders.by,
        rows.minor == orders["size"],
        rows.counterparty_account == orders.to,
    ]
    found = rows.left_join(orders, same)
    found = found.mutate(
        order_category=ibis.ifelse(found.way == "out", found.order_category, "").fill_null("")
    )
    return found.drop("by", "to", "size")


def _beside_months(rows: Any) -> Any:
    """In how many months the account had a flow of this way with this counterparty."""
    who = ibis.cases(
        (rows.counterparty_account != "", rows.counterparty_account),
        (rows.counterparty_name != "", rows.counterparty_name),
        else_=rows.text,
    )
    rows = rows.mutate(who=who, month=rows.day.year() * 12 + rows.day.month() - 1)
    months = rows.select("account", "way", "who", "month").distinct()
    months = months.group_by(["account", "way", "who"]).agg(months=months.count())
    months = months.rename(of_account="account", of_way="way", of_who="who")
    same = [rows.account == months.of_account, rows.way == months.of_way, rows.who == months.of_who]
    found = rows.left_join(months, same)
    return found.drop("who", "month", "of_account", "of_way", "of_who")
