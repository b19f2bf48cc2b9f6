"""Links between companies, government bodies and persons, with what they rest on.

    supplier    who pays whom for goods and services, in two months at least
    grant       a government body that pays a company, or benefits to a person
    owner       a person who lends to a company here
    payroll     who pays whose wages (`profiles.flows.links`)

A row points from who pays to who is paid. Money between two accounts here has a row on either
side: that of the payer counts, the payee's only where the payer is not here. A link that has a
natural person at an end, or somebody elsewhere of whom no column says that it is a company or a
body, is told where `[flows.NAME] person_links = true` alone. Without that a payer of wages here is
told with how many persons it pays, and none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

from profiles.flows.links import payroll_links

if TYPE_CHECKING:
    from profiles.flows.flows import Flows

__all__ = ["KINDS", "links", "neighbourhood", "whose"]

KINDS = ("supplier", "grant", "owner", "payroll")
"""What links are called."""

PAID = {
    "supplier": (
        "B.supplier", "B.services_bought", "B.freight", "B.advertising", "B.import_paid",
        "G.procurement", "G.services_bought",
    ),
    "grant": ("G.grant_company", "G.benefits_paid", "G.medical_paid"),
}  # fmt: skip
RECEIVED = {
    "supplier": ("B.sales", "B.services_sold", "B.project_payment"),
    "grant": ("B.subsidy",),
    "owner": ("B.owner_in",),
}
MONTHS = {"supplier": 2, "grant": 1, "owner": 1}
"""Months with a payment from which on it is a link."""
_KEYS = ["link", "source", "source_kind", "target", "target_kind"]
_EVIDENCE = ("months", "rows", "minor", "first_day", "last_day")


def links(flows: Flows, last_month: int, months: int = 12) -> Any:
    """A row a link: link, source, source_kind, target, target_kind, persons, months, rows, minor,
    first_day, last_day.

    Args:
        flows: with a table of accounts.
        last_month: 12 a year + month - 1; rows of the `months` up to it are looked at.
        months: how many.

    `source` and `target` are entities here, else accounts, else names elsewhere, whose kind is "".
    `months` are those with a payment. `persons` is how many persons a payer of wages has here, 0
    for other links; `target` is "" where they are not to be told.
    """
    typed = flows.kept(
        "entity", "kind", "way", "minor", "day", "type", "counterparty_account",
        "counterparty_name", "counterparty_kind",
    )  # fmt: skip
    month = (typed.day.year() * 12 + typed.day.month() - 1).cast("int64")
    rows = typed.mutate(month=month)
    rows = rows.filter(rows.month.between(last_month - months + 1, last_month))
    each = _paid(flows, rows)
    each = each.group_by([*_KEYS, "month"]).agg(
        rows=each.count(), minor=each.minor.sum(), first_day=each.day.min(), last_day=each.day.max()
    )
    found = each.group_by(_KEYS).agg(
        months=each.count(), rows=each["rows"].sum().cast("int64"),
        minor=each.minor.sum().cast("int64"),
        first_day=each.first_day.min(), last_day=each.last_day.max(),
    )  # fmt: skip
    least = ibis.cases(*((found["link"] == n, m) for n, m in MONTHS.items()), else_=1)
    found = found.filter(found.months >= least).mutate(persons=ibis.literal(0, "int64"))
    persons = flows.settings.person_links
    if not persons:
        bodies = ["B", "G"]
        found = found.filter(found.source_kind.isin(bodies) & found.target_kind.isin(bodies))
    found = found.select(*_KEYS, "persons", *_EVIDENCE)
    return found.union(_payroll(flows, rows, last_month, persons=persons).select(*found.columns))


def neighbourhood(found: Any, entity: str) -> Any:
    """The links of one entity and those among the entities that it is linked to: one query.

    Args:
        found: of `links`.
        entity: here, or an account or a name elsewhere.
    """
    mine = found.filter((found.source == entity) | (found.target == entity))
    near = mine.select(near="source").union(mine.select(near="target"), distinct=True)
    found = found.semi_join(near, [("source", "near")])
    return found.semi_join(near, [("target", "near")])


def whose(flows: Flows, name: str) -> str:
    """What a name is that has no links: "entity", "account" (here), "elsewhere" or "".

    Where links of natural persons are not to be told only companies and bodies here are found:
    that a person is a customer, or is paid by one, is then told as little.
    """
    accounts, persons = flows.base.accounts, flows.settings.person_links
    if accounts is not None:
        held = accounts if persons else accounts.filter(accounts.kind.isin(["B", "G"]))
        for column in ("entity", "account"):
            if _some(held.filter(held[column] == name)):
                return column
    if not persons:
        return ""
    rows = flows.base.good
    if accounts is None and _some(rows.filter(rows.entity == name)):
        return "entity"
    named = (rows.counterparty_account == name) | (rows.counterparty_name == name)
    return "elsewhere" if _some(rows.filter(named)) else ""


def _some(table: Any) -> bool:
    return bool(table.limit(1).count().to_pyarrow().as_py())


def _paid(flows: Flows, rows: Any) -> Any:
    """Rows of links: link, source and target with their kinds, month, minor."""
    accounts = flows.base.accounts
    other = ibis.ifelse(
        rows.counterparty_account != "", rows.counterparty_account, rows.counterparty_name
    )
    rows = rows.mutate(other=other).filter(other != "")
    if accounts is None:
        rows = rows.mutate(here=ibis.literal(False), other_kind=rows.counterparty_kind)
    else:
        held = accounts.select(held="account", of="entity", of_kind="kind")
        rows = rows.left_join(held, rows.counterparty_account == held.held)
        rows = rows.mutate(
            here=rows.held.notnull(), other=rows.of.fill_null(rows.other),
            other_kind=rows.of_kind.fill_null(rows.counterparty_kind),
        )  # fmt: skip
    of_paid = ibis.cases(*((rows.type.isin(t), n) for n, t in PAID.items()), else_="")
    of_received = ibis.cases(*((rows.type.isin(t), n) for n, t in RECEIVED.items()), else_="")
    out = rows.way == "out"
    # the payer's side of money between two accounts here counts; what a person lends has one side
    seen = ibis.ifelse(rows.here & (of_received != "owner"), "", of_received)
    rows = rows.mutate(**{"link": ibis.ifelse(out, of_paid, seen)})
    rows = rows.filter(
        (rows["link"] != "") & ((rows["link"] != "owner") | (rows.other_kind == "C"))
    )
    return rows.select(
        "link", "month", "minor", "day",
        source=ibis.ifelse(rows.way == "out", rows.entity, rows.other),
        source_kind=ibis.ifelse(rows.way == "out", rows.kind, rows.other_kind),
        target=ibis.ifelse(rows.way == "out", rows.other, rows.entity),
        target_kind=ibis.ifelse(rows.way == "out", rows.other_kind, rows.kind),
    )  # fmt: skip


def _payroll(flows: Flows, rows: Any, last_month: int, *, persons: bool) -> Any:
    """Payers and the persons whose wages they pay; without `persons` payers here, and how many."""
    paid = payroll_links(rows.drop("month"), last_month, persons=persons)
    source, kind = paid.payer, ibis.literal("")
    if flows.base.accounts is not None:
        held = flows.base.accounts.select(held="account", of="entity", of_kind="kind")
        paid = paid.left_join(held, paid.payer == held.held)
        source, kind = paid.of.fill_null(paid.payer), paid.of_kind.fill_null("")
    paid = paid.mutate(
        link=ibis.literal("payroll"), source=source, source_kind=kind, persons=paid.staff,
        target=paid.entity if persons else ibis.literal(""), target_kind=ibis.literal("C"),
    )  # fmt: skip
    return paid if persons else paid.filter(paid.source_kind.isin(["B", "G"]))
