"""Links by payroll: who pays whose wages, with the evidence.

A payer is one where at least five persons had wages in three of the four months up to the last one
looked at, all within one window of days each month. A one-off bonus is paid in one month; what an
employer gives back for expenses is of another type: neither makes a link.
"""

from __future__ import annotations

from typing import Any

import ibis

__all__ = ["payroll_links"]

STAFF = 5
MONTHS, OF_MONTHS = 3, 4
WINDOW = 7
"""Days from the first to the last wage of a payer's month, at most."""


def payroll_links(typed: Any, last_month: int, *, persons: bool = False) -> Any:
    """Payers with their staff, by the wages that persons here receive.

    Args:
        typed: the typed rows.
        last_month: 12 a year + month - 1.
        persons: whether links of natural persons are told: a row a payer and person. Otherwise a
            row a payer.

    Returns: payer (the counterparty's account, else its name), staff, months, rows, minor,
    first_day, last_day; with `persons` also entity, and all but payer and staff are that person's.
    """
    pay = typed.filter((typed.type == "C.salary") & (typed.way == "in"))
    name = pay.counterparty_account
    payer = ibis.ifelse(name != "", name, pay.counterparty_name)
    month = (pay.day.year() * 12 + pay.day.month() - 1).cast("int64")
    pay = pay.select("entity", "minor", "day", payer=payer, month=month, date=pay.day.day())
    pay = pay.filter((pay.payer != "") & pay.month.between(last_month - OF_MONTHS + 1, last_month))
    each = pay.select("payer", "entity", "month").distinct()
    each = each.group_by(["payer", "entity"]).agg(months=each.count())
    each = each.filter(each.months >= MONTHS).rename(p_payer="payer", p_entity="entity")
    kept = pay.inner_join(each, [pay.payer == each.p_payer, pay.entity == each.p_entity])
    kept = kept.drop("p_payer", "p_entity")
    span = kept.group_by(["payer", "month"]).agg(span=kept.date.max() - kept.date.min())
    wide = span.group_by("payer").agg(span=span.span.max()).filter(lambda t: t.span < WINDOW)
    size = kept.select("payer", "entity").distinct()
    size = size.group_by("payer").agg(staff=size.count()).filter(lambda t: t.staff >= STAFF)
    wide = wide.rename(w_payer="payer")
    good = size.inner_join(wide, [size.payer == wide.w_payer])
    good = good.select(g_payer="payer", staff="staff")
    kept = kept.inner_join(good, [kept.payer == good.g_payer]).drop("g_payer")
    if persons:
        keys = ["payer", "staff", "entity", "months"]
        found = kept.group_by(keys).agg(**_sums(kept))
    else:
        found = kept.group_by(["payer", "staff"]).agg(
            months=kept.month.max() - kept.month.min() + 1, **_sums(kept)
        )
    return found.mutate(minor=found.minor.cast("int64"))


def _sums(kept: Any) -> dict[str, Any]:
    return {
        "rows": kept.count(), "minor": kept.minor.sum(), "first_day": kept.day.min(),
        "last_day": kept.day.max(),
    }  # fmt: skip
