"""What `flows check` says of the tables beside transactions: what they hold that cannot be used.

Nothing there is refused, since a row of theirs is no transaction; a day that cannot be read is
taken for none, say. So each is counted here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ibis

from federated.tables.spelled import ALIKE
from profiles.flows.alike import nearly
from profiles.flows.currencies import code_of
from profiles.flows.flows import Flows
from profiles.flows.settings import KINDS, PRODUCTS, Bound
from profiles.flows.shown import shown_codes, shown_shapes
from profiles.flows.times import COUNTED, add_day, carries_zone, counted_days
from profiles.flows.values import add_minor, as_number, as_text

__all__ = ["beside_notes"]


def beside_notes(flows: Flows) -> list[str]:
    """A sentence for each thing that is odd in the tables of accounts, rates, balances, orders."""
    settings = flows.settings
    found = list[str]()
    for bound, said in (
        (settings.accounts, _accounts),
        (settings.rates, _rates),
        (settings.balances, _balances),
        (settings.orders, _orders),
    ):
        if bound is not None:
            found += [f"{bound.where}{one}" for one in said(flows, bound)]
    return found


def _accounts(flows: Flows, bound: Bound) -> Iterator[str]:
    table = _with_days(flows, bound, ("opened", "closed", "died", "born"))
    if "account" in bound.columns:
        table = table.mutate(_account=as_text(table[bound.columns["account"]]))
        times = table.group_by("_account").agg(n=lambda t: t.count())
        if twice := _count(times, times.n > 1):
            yield f": {twice:,} accounts stand in several rows: the first by entity is taken"
    if "kind" in bound.columns:
        table = table.mutate(_kind=as_text(table[bound.columns["kind"]]))
        known = list(flows.settings.account_kinds or KINDS)
        if other := _count(table, ~table._kind.isin(known)):
            codes = shown_codes(table, "_kind", known)
            yield f" kind: {other:,} accounts of no known kind are taken for consumers: {codes}"
    yield from _unread_days(table, bound, "taken for none")
    if {"opened", "closed"} <= bound.columns.keys():
        turned = _count(table, table._day_closed < table._day_opened)
        if turned:
            yield f" closed: {turned:,} accounts before they were opened: no row of them is read"


def _rates(flows: Flows, bound: Bound) -> Iterator[str]:
    table = _with_days(flows, bound, ("since",))
    table = table.mutate(_rate=as_number(table[bound.columns["rate"]]))
    if wrong := _count(table, table._rate <= 0):
        yield f" rate: {wrong:,} are no number above zero: left out"
    yield from _unread_days(table, bound, "left out")
    said = as_text(table[bound.columns["currency"]])
    table = table.mutate(_code=code_of(said, "", flows.settings.currencies))
    keys = ["_code", *([bound.columns["since"]] if "since" in bound.columns else [])]
    good = table.filter(table._rate > 0)
    times = good.group_by(keys).agg(n=good.count())
    if twice := _count(times, times.n > 1):
        yield f": {twice:,} times two rates of a currency hold from one day: the lower is taken"


def _balances(flows: Flows, bound: Bound) -> Iterator[str]:
    table = _with_amount(flows, _with_days(flows, bound, ("day",)), bound)
    yield from _unread_days(table, bound, "left out")
    if wrong := _count(table, table._minor.isnull()):
        yield f" amount: {wrong:,} cannot be read: left out; {_written(table, bound)}"
    if "product" in bound.columns:
        known = list(flows.settings.balance_products or PRODUCTS)
        table = table.mutate(_product=as_text(table[bound.columns["product"]]))
        if other := _count(table, ~table._product.isin(known)):
            codes = shown_codes(table, "_product", known)
            yield f" product: {other:,} levels of no known product are left out: {codes}"
    yield from _absent(flows, table, bound, "levels", "left out")


def _orders(flows: Flows, bound: Bound) -> Iterator[str]:
    table = _with_amount(flows, _with_days(flows, bound, ("since",)), bound)
    if wrong := _count(table, table._minor.isnull()):
        yield (
            f" amount: {wrong:,} cannot be read: no payment is known by them; "
            f"{_written(table, bound)}"
        )
    yield from _unread_days(table, bound, "left out of what looks at the past")
    yield from _absent(flows, table, bound, "orders", "no payment is known by them")
    asked = sorted({one for rule in flows.taxonomy.rules for one in rule.order or ()})
    if not asked:
        yield ": no rule asks for an order's category, so they say nothing yet"
    elif "category" in bound.columns:
        table = table.mutate(_category=as_text(table[bound.columns["category"]]))
        if other := _count(table, ~table._category.isin(asked)):
            codes = shown_codes(table, "_category", asked)
            yield f" category: {other:,} orders of one that no rule asks for: {codes}"


def _absent(flows: Flows, table: Any, bound: Bound, what: str, so: str) -> Iterator[str]:
    """Rows of accounts that nobody knows, and whether they would be known written otherwise."""
    accounts = flows.base.accounts
    if accounts is None or "account" not in bound.columns:
        return
    table = table.select(account=as_text(table[bound.columns["account"]]))
    theirs = accounts.select("account")
    if lost := _count(table.anti_join(theirs, "account")):
        _, near, _ = nearly(table, theirs)
        why = f"; {near:,} of these accounts are there {ALIKE}" if near else ""
        yield f" account: {lost:,} {what} of accounts that are not in theirs: {so}{why}"


def _with_days(flows: Flows, bound: Bound, names: tuple[str, ...]) -> Any:
    table, zone = flows.engine.columns_of(bound), flows.settings.zone
    for name in names:
        if name in bound.columns:
            table = add_day(table, bound.columns[name], f"_day_{name}", "yyyy-mm-dd", zone, zone)
            table = table.mutate(**{f"_said_{name}": as_text(table[bound.columns[name]])})
    return table


def _with_amount(flows: Flows, table: Any, bound: Bound) -> Any:
    table = table.mutate(digits=ibis.literal(flows.settings.digits, "int64"))
    return add_minor(table, bound.columns["amount"], "_minor")


def _written(table: Any, bound: Bound) -> str:
    """How amounts that cannot be read are written."""
    lost = table.filter(table._minor.isnull())
    lost = lost.select(said=as_text(lost[bound.columns["amount"]]))
    return f"they are written {shown_shapes(lost, 'said')}"


def _unread_days(table: Any, bound: Bound, so: str) -> Iterator[str]:
    for name in ("opened", "closed", "died", "born", "since", "day"):
        if f"_said_{name}" in table.columns and name in bound.columns:
            wrong = (table[f"_said_{name}"] != "") & table[f"_day_{name}"].isnull()
            if count := _count(table, wrong):
                zoned = _count(table, wrong & carries_zone(table[f"_said_{name}"], "yyyy-mm-dd"))
                why = f" ({zoned:,} carry a zone)" if zoned else ""
                yield f" {name}: {count:,} days cannot be read{why}: {so}"
            if serial := _count(table, wrong & counted_days(table[f"_said_{name}"])):
                said = f'{{ "{bound.columns[name]}" = "excel" }} in [{bound.table}]'
                yield f" {name}: {serial:,} are {COUNTED}{said} reads them"


def _count(table: Any, condition: Any = None) -> int:
    kept = table if condition is None else table.filter(condition)
    return int(kept.count().to_pyarrow().as_py())
