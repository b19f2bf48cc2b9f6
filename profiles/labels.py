"""Labels by arithmetic: who took their assets away, whose payroll moved.

A cut-off is the first day of a month. The three months before it are the base; the `gap` months
after it are for acting; the `months` after these are the outcome, +2 to +4 where nothing else is
said. The windows do not overlap by construction, and a cut-off whose outcome is not over by the
data's end is refused.

    churn   mean daily assets of the outcome at or below half of those of the base

Means are over days, so that a month-end balance says nothing. Who cannot be judged is excluded,
with the reason; nobody drops out uncounted.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis

from psi.protocol.errors import MisuseError

__all__ = ["churn", "months_from", "outcome_of", "payroll_moved"]

SMALLEST = 1_000_000
"""Base in minor units below which nobody is judged: 10,000."""
STAFF = 5
"""Persons paid by one payer from which on it is judged as one."""
TOGETHER = 60
"""Percent of a payer's staff whose pay goes in one month: then the payer moved, not they."""
_ENDS = (
    ("died", "died"),
    ("closed_by_bank", "closed by the bank"),
    ("loan_repaid", "the loan is repaid"),
)


def months_from(cut_off: dt.date, months: int) -> dt.date:
    """The first day of a month, so many months from the cut-off's. Raises `MisuseError`."""
    if cut_off.day != 1:
        raise MisuseError(f"cut-off {cut_off}: the first day of a month allowed")
    count = cut_off.year * 12 + cut_off.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def outcome_of(
    cut_off: dt.date, known_until: dt.date, *, gap: int = 1, months: int = 3
) -> tuple[dt.date, dt.date]:
    """The outcome's first day, and the day after its last.

    Args:
        cut_off: the first day of a month.
        known_until: the last day of which the data tell.
        gap: whole months after the cut-off that are for acting, 0 or more.
        months: of the outcome, 1 or more.

    Raises:
        MisuseError: another day, windows that overlap, or an outcome that is not over.
    """
    if gap < 0 or months < 1:
        raise MisuseError(
            f"gap {gap}, months {months}: the outcome begins at the cut-off or later and lasts a "
            "month or more: gap 0 or more, months 1 or more allowed"
        )
    begin, end = months_from(cut_off, gap), months_from(cut_off, gap + months)
    if known_until < end - dt.timedelta(days=1):
        raise MisuseError(
            f"cut-off {cut_off}: its outcome ends on {end - dt.timedelta(days=1)}, the data on "
            f"{known_until}",
            hint="an earlier cut-off",
        )
    return begin, end


def churn(
    assets: Any,
    cut_off: dt.date,
    known_until: dt.date,
    *,
    people: Any | None = None,
    smallest: int = SMALLEST,
    gap: int = 1,
    months: int = 3,
) -> Any:
    """A row an entity of `assets`: entity, base, outcome (means of days, float64), label, excluded.

    Args:
        assets: Ibis table with entity, day, minor: what deposits and wealth here come to from that
            day on until the entity's next row, in whole minor units. One row a day at most.
        cut_off: the first day of a month.
        known_until: the last day that `assets` tell of.
        people: Ibis table with entity and, as far as known, the days died, closed_by_bank,
            loan_repaid.
        smallest: of the base, in minor units.
        gap, months: as `outcome_of` has them.

    `label` is 1, 0, or null where `excluded` is not "".

    Raises:
        MisuseError: no first day of a month, or an outcome that is not over by `known_until`.
    """
    start, second = months_from(cut_off, -3), months_from(cut_off, -2)
    begin, end = outcome_of(cut_off, known_until, gap=gap, months=months)
    order = ibis.window(group_by="entity", order_by="day")
    held = assets.select("entity", "day", minor=assets.minor.cast("int64"))
    held = held.mutate(until=held.day.lead().over(order).fill_null(ibis.literal(end)))
    held = held.mutate(
        base_days=_overlap(held, start, cut_off), outcome_days=_overlap(held, begin, end)
    )
    found = held.group_by("entity").agg(
        first=held.day.min(),
        base_sum=(held.minor * held.base_days).sum().cast("float64"),
        base_days=held.base_days.sum().cast("float64"),
        outcome_sum=(held.minor * held.outcome_days).sum().cast("float64"),
        outcome_days=held.outcome_days.sum().cast("float64"),
    )
    found = found.mutate(
        base=found.base_sum / ibis.greatest(found.base_days, 1.0),
        outcome=found.outcome_sum / ibis.greatest(found.outcome_days, 1.0),
    )
    reasons = [
        (found["first"] > ibis.literal(second), "less than two months of history"),
        (found.base < smallest, "a base too small"),
    ]
    if people is not None:
        found, ended = _ended(found, people, start, end)
        reasons = [*ended, *reasons]
    excluded = ibis.cases(*reasons, else_="")
    found = found.mutate(excluded=excluded)
    gone = ibis.ifelse(found.outcome * 2 <= found.base, 1, 0).cast("int8")
    label = ibis.ifelse(found.excluded == "", gone, ibis.null("int8"))
    return found.select("entity", "base", "outcome", label=label, excluded=found.excluded)


def _overlap(held: Any, start: dt.date, end: dt.date) -> Any:
    """Days of a row's time within [start, end)."""
    low = ibis.greatest(held.day, ibis.literal(start))
    high = ibis.least(held.until, ibis.literal(end))
    return ibis.greatest(high.delta(low, unit="day"), 0).cast("int64")


def _ended(found: Any, people: Any, start: dt.date, end: dt.date) -> tuple[Any, list[Any]]:
    """Who ended between the base's begin and the outcome's end, for a reason that is not theirs."""
    known = [(name, why) for name, why in _ENDS if name in people.columns]
    ends = people.group_by("entity").agg(**{name: people[name].min() for name, _ in known})
    ends = ends.rename(of="entity")
    joined = found.left_join(ends, found.entity == ends.of)
    inside = [
        (((joined[n] >= ibis.literal(start)) & (joined[n] < ibis.literal(end))).fill_null(False), w)
        for n, w in known
    ]
    return joined, inside


def payroll_moved(
    series: Any, breaks: Any, cut_off: dt.date, *, gap: int = 1, months: int = 3
) -> tuple[Any, Any]:
    """Whose pay stopped in the outcome: persons, and payers whose staff left together.

    Args:
        series: of `profiles.flows.series.series_of`.
        breaks: of `profiles.flows.breaks.breaks`, as of a day after the outcome.
        cut_off: the first day of a month.
        gap, months: as `outcome_of` has them.

    Returns: persons (entity, label, excluded): all that one of salary's series paid in the base.
    Payers (who, staff, gone, label): those with five persons at least; `gone` is the most that
    stopped in one month.

    A person whom another payer pays instead has moved nothing. One is excluded where its payer's
    staff left together (the company is 1 then, not it), or its pay stopped before the outcome.
    """
    start, begin, end = (months_from(cut_off, n) for n in (-3, gap, gap + months))
    pay = series.filter((series.series_type == "C.salary") & (series.way == "in"))
    paid = pay.filter((pay.day >= ibis.literal(start)) & (pay.day < ibis.literal(cut_off)))
    staff = paid.select("entity", "who").distinct()
    first = begin.year * 12 + begin.month - 1
    last = end.year * 12 + end.month - 2
    gone = breaks.filter((breaks.type == "C.salary") & (breaks.way == "in"))
    gone = gone.filter((gone.month <= last) & gone.resumed.isnull())
    gone = gone.select(
        g_entity="entity", g_who="who", month="month", g_alone=gone.change == "break"
    ).distinct()
    left = staff.inner_join(gone, [staff.entity == gone.g_entity, staff.who == gone.g_who])
    left = left.drop("g_entity", "g_who")
    early = left.filter(left.month < first).select(e_entity="entity").distinct()
    left = left.filter(left.month >= first)
    size = staff.group_by("who").agg(staff=staff.count())
    by_month = left.group_by(["who", "month"]).agg(gone=left.count())
    most = by_month.group_by("who").agg(gone=by_month.gone.max()).rename(m_who="who")
    payers = size.filter(size.staff >= STAFF)
    payers = payers.left_join(most, payers.who == most.m_who)
    payers = payers.select("who", "staff", gone=payers.gone.fill_null(0))
    moved = payers.gone * 100 >= payers.staff * TOGETHER
    payers = payers.mutate(label=ibis.ifelse(moved, 1, 0).cast("int8"))
    crowd = payers.filter(payers.label == 1).select(c_who="who")
    flagged = left.left_join(crowd, left.who == crowd.c_who)
    flagged = flagged.group_by("entity").agg(
        alone=flagged.count(where=flagged.c_who.isnull() & flagged.g_alone),
        crowd=flagged.c_who.count(),
    )
    flagged = flagged.rename(f_entity="entity")
    persons = staff.select("entity").distinct()
    persons = persons.left_join(flagged, persons.entity == flagged.f_entity)
    persons = persons.left_join(early, persons.entity == early.e_entity)
    apart, together = persons.alone.fill_null(0) > 0, persons.crowd.fill_null(0) > 0
    excluded = ibis.cases(
        (persons.e_entity.notnull(), "the pay stopped before the outcome"),
        (together & ~apart, "the payer's staff left together"),
        else_="",
    )
    persons = persons.select("entity", excluded=excluded, apart=ibis.ifelse(apart, 1, 0))
    label = ibis.ifelse(persons.excluded == "", persons.apart.cast("int8"), ibis.null("int8"))
    return persons.select("entity", label=label, excluded=persons.excluded), payers
