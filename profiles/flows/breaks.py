"""Breaks: what came month after month and stopped.

A series is steady where three of the last four months had a row, about a month apart and of about
one size. A break is told when `tell` days have gone by since the last row of a steady series; its
month is the first one missing. A month in which the series paid twice (a pay day moved before the
Spring Festival) covers the next as well. A series of the same entity and type with another
counterparty and about the same amount makes it "payer changed". A death or a closed account is no
break.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import ibis

from profiles.flows.base import Base
from profiles.flows.engine import Keep, as_it_is
from profiles.flows.series import KEYS, series_of
from profiles.flows.taxonomy import Taxonomy
from psi.protocol.errors import MisuseError

__all__ = ["TELL", "breaks", "breaks_until"]

TELL = 45
"""Days after which a break is told."""
_COVERED = 30
_FOLLOWS = 75
_ON_TIME, _ABOUT = 8, 20
"""Days off the month that a steady series comes: of any size, and of one size."""
_WIDE = 4
"""So many times the least of a series' amounts is its largest, at most."""


def breaks(
    base: Base,
    typed: Any,
    taxonomy: Taxonomy,
    as_of: dt.date,
    tell: int = TELL,
    keep: Keep = as_it_is,
) -> Any:
    """A row a break that was told by the day `as_of`.

    Columns: entity, kind, way, who, type, month (the first missing; 12 a year + month - 1), minor
    (a month), last_day, told, change ("break", "payer changed"), resumed (a day, or null).

    Raises:
        MisuseError: `as_of` lies after the last day of the data: the silence would be the data's.
    """
    last = typed.day.max().to_pyarrow().as_py()
    if last is None or as_of > last:
        raise MisuseError(f"as of {as_of}: the data end on {last}", hint=f"{last} or earlier")
    return breaks_until(base, typed, taxonomy, as_of, tell, keep)


def breaks_until(
    base: Base,
    typed: Any,
    taxonomy: Taxonomy,
    as_of: dt.date,
    tell: int = TELL,
    keep: Keep = as_it_is,
) -> Any:
    """`breaks` for a caller that knows that the data reach the day `as_of`: nothing is read."""
    typed = typed.filter(typed.day <= ibis.literal(as_of))
    days = keep(series_of(typed, taxonomy, keep, lasting=True), "series")
    days = days.mutate(month=(days.day.year() * 12 + days.day.month() - 1).cast("int64"))
    gaps = _months(days)
    extra = ibis.ifelse(gaps.twice >= 2, 1, 0)
    until = gaps.resumed.fill_null(ibis.literal(as_of))
    gaps = gaps.mutate(
        gap=until.delta(gaps.day, unit="day").cast("int64"),
        wait=tell + extra * _COVERED,
        missing=gaps.month + 1 + extra,
        told=ibis.ifelse(
            gaps.twice >= 2,
            (gaps.day + ibis.interval(days=tell + _COVERED)).cast("date"),
            (gaps.day + ibis.interval(days=tell)).cast("date"),
        ),
    )
    gaps = gaps.filter(gaps.steady & (gaps.gap >= gaps.wait))
    gaps = _alive(base, days, gaps)
    return _changed(days, gaps)


def _months(days: Any) -> Any:
    """A row a month of each series: day (the last one), resumed (the first day after it, or null),
    whether the series was `steady` up to it, and how often the month paid about what is typical
    (`twice`)."""
    # a small thing given back by the same payer keeps no series alive
    days = days.filter((days.minor * _WIDE >= days.typical) & (days.minor <= days.typical * _WIDE))
    full = days.minor * 10 >= days.typical * 8
    months = days.group_by([*KEYS, "series_type", "typical", "month"]).agg(
        begin=days.day.min(), day=days.day.max(), size=days.minor.max(),
        twice=days.count(where=full).cast("int64"),
    )  # fmt: skip
    order = ibis.window(group_by=KEYS, order_by="month")
    past = {
        f"{name}_{back}": months[name].lag(back).over(order)
        for back in (1, 2)
        for name in ("month", "begin", "size")
    }
    months = months.mutate(resumed=months.begin.lead().over(order), **past)
    recent = months.month_2 >= months.month - 3
    off = [
        (
            months.begin.delta(months[f"begin_{back}"], unit="day").cast("int64") * 12
            - (months.month - months[f"month_{back}"]) * 365
        ).abs()
        for back in (1, 2)
    ]
    off_most = ibis.greatest(*off)
    sizes = [months["size"], months.size_1, months.size_2]
    least, most = ibis.least(*sizes), ibis.greatest(*sizes)
    on_time = (off_most <= 12 * _ON_TIME) & (most <= least * _WIDE)
    same_size = (off_most <= 12 * _ABOUT) & (most * 4 <= least * 5)
    steady = (recent & (on_time | same_size)).fill_null(False)
    return months.mutate(steady=steady).drop("begin", "size", *past)


def _alive(base: Base, days: Any, gaps: Any) -> Any:
    """Without those whose owner died or whose account was closed before the break was told."""
    if base.accounts is None:
        return gaps
    paid = days.select(*(days[k].name(f"a_{k}") for k in KEYS), a_day="day", account="account")
    same = [gaps[k] == paid[f"a_{k}"] for k in KEYS]
    found = gaps.inner_join(paid, [*same, gaps.day == paid.a_day])
    found = found.drop("a_day", *(f"a_{k}" for k in KEYS))
    ended = base.accounts.select(held="account", died="died", closed="closed")
    found = found.left_join(ended, found.account == ended.held)
    over = (found.died <= found.told).fill_null(False)
    over = over | (found.closed <= found.told).fill_null(False)
    return found.filter(~over).drop("held", "died", "closed")


def _changed(days: Any, gaps: Any) -> Any:
    """Each gap with whether another payer of about the same amount began in its place."""
    began = days.group_by([*KEYS, "series_type"]).agg(
        first=days.day.min(), usual=days.typical.max()
    )
    began = began.select(
        b_entity="entity", b_way="way", b_type="series_type", b_who="who",
        first="first", usual="usual",
    )  # fmt: skip
    near = gaps.left_join(
        began,
        [
            gaps.entity == began.b_entity,
            gaps.way == began.b_way,
            gaps.series_type == began.b_type,
            gaps.who != began.b_who,
            began["first"] > gaps.day,
            began["first"] <= gaps.day + ibis.interval(days=_FOLLOWS),
            began.usual * 10 >= gaps.typical * 7,
            began.usual * 10 <= gaps.typical * 13,
        ],
    )
    # a day of a series is one gap: gaps are in the query once, so that they are found once
    told = [*KEYS, "series_type", "missing", "typical", "day", "told", "resumed"]
    found = near.group_by(told).agg(others=near.b_who.count())
    return found.select(
        *KEYS,
        type=found.series_type,
        month=found.missing,
        minor=found.typical,
        last_day=found.day,
        told=found.told,
        change=ibis.ifelse(found.others > 0, "payer changed", "break"),
        resumed=found.resumed,
    )
