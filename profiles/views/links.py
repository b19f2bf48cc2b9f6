"""`links`: who pays whom, where both are customers here: payroll, suppliers, buyers."""

from __future__ import annotations

from typing import Any

import ibis

from profiles.flows.links import payroll_links
from profiles.views.view import YEAR, Column, Known, View, among

__all__ = ["LINKS"]

COLUMNS = (
    Column(name="paid_by_payroll", unit="0 or 1", window="4 months", kinds="C", empty=0,
           meaning="has wages of a payer with five persons here, in 3 of 4 calendar months"),
    Column(name="payroll_staff", unit="persons", window="4 months", kinds="C", empty=0,
           meaning="how many persons here that payer pays; the largest of several"),
    Column(name="payer_is_customer", unit="0 or 1", window="4 months", kinds="C", empty=0,
           meaning="that payer's account is here"),
    Column(name="staff_here", unit="persons", window="4 months", kinds="BG", empty=0,
           meaning="persons here whom its accounts pay wages, in 3 of 4 calendar months"),
    Column(name="payroll_4m", unit="currency", window="4 months", kinds="BG", empty=0,
           meaning="wages that they had"),
    Column(name="payees_here_360d", unit="entities", window="360 days", empty=0,
           meaning="customers here that it paid"),
    Column(name="payers_here_360d", unit="entities", window="360 days", empty=0,
           meaning="customers here that paid it"),
    Column(name="paid_here_share_360d", unit="share", window="360 days",
           meaning="share of money out that went to other customers here"),
    Column(name="received_here_share_360d", unit="share", window="360 days",
           meaning="share of money in that other customers here paid"),
)  # fmt: skip


def build(known: Known) -> Any:
    """The year's rows beside the accounts here, and the links by payroll."""
    found, pay = _others(known), _payroll(known)
    pay = pay.rename(of="entity")
    both = found.outer_join(pay, found.entity == pay.of)
    return both.mutate(entity=both.entity.fill_null(both.of)).drop("of")


def _others(known: Known) -> Any:
    rows = known.rows.filter(known.last(YEAR))
    held = known.accounts.select(there="account", other="entity")
    rows = rows.select("entity", "way", "minor", "counterparty_account")
    here = rows.filter(rows.counterparty_account != "")
    here = here.inner_join(held, here.counterparty_account == held.there)
    here = here.filter(here.entity != here.other)
    each = here.group_by(["entity", "way", "other"]).agg(minor=here.minor.sum().cast("int64"))
    by = each.group_by("entity").agg(
        payees_here_360d=each.count(where=each.way == "out").cast("float64"),
        payers_here_360d=each.count(where=each.way == "in").cast("float64"),
        paid=each.minor.sum(where=each.way == "out"),
        received=each.minor.sum(where=each.way == "in"),
    )
    by = by.rename(b="entity")
    whole = rows.group_by("entity").agg(
        out=rows.minor.sum(where=rows.way == "out"), came=rows.minor.sum(where=rows.way == "in")
    )
    found = whole.left_join(by, whole.entity == by.b)
    return found.select(
        "entity", "payees_here_360d", "payers_here_360d",
        paid_here_share_360d=among(found.paid, found.out),
        received_here_share_360d=among(found.received, found.came),
    )  # fmt: skip


def _payroll(known: Known) -> Any:
    """Persons' payers, or payers' persons."""
    cut = known.cut_off
    month = cut.year * 12 + cut.month - 2  # the last whole calendar month
    rows = known.everyone.filter(known.everyone.ago <= 160)
    links = payroll_links(rows, month, persons=known.kind == "C")
    held = known.accounts.select(there="account", firm="entity", firm_kind="kind")
    links = links.left_join(held, links.payer == held.there)
    if known.kind == "C":
        return links.group_by("entity").agg(
            paid_by_payroll=links.staff.max().fill_null(0).cast("float64") * 0.0 + 1.0,
            payroll_staff=links.staff.max().cast("float64"),
            payer_is_customer=ibis.ifelse(links.there.notnull(), 1, 0).max().cast("float64"),
        )
    links = links.filter((links.firm_kind == known.kind).fill_null(False))
    found = links.group_by("firm").agg(
        staff_here=links.staff.sum().cast("float64"), pay=links.minor.sum().cast("int64")
    )
    return found.select(entity="firm", staff_here="staff_here", payroll_4m=known.money(found.pay))


LINKS = View(
    name="links", version=1,
    meaning="Who pays whom, where both are customers here: payroll, suppliers, buyers.",
    columns=COLUMNS, build=build, needs=("accounts",),
)  # fmt: skip
