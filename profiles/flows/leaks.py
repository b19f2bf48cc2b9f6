"""Leaks: money that came in and left for an account or a product elsewhere, by what it came as.

Oldest money first, and spending uses it up. With I the sum of an entity's inflows and O that of its
outflows up to a row, in order of time, what was spent without an inflow in the data is

    U = max(0, highest O - I so far)

so an outflow uses up the stretch of inflows from (O - U before it) to (O - U after it); the rest of
it is unattributed. An inflow stands from I before it to I after it; what both have in common is
the money of that inflow that left by that outflow. All are sums over rows in order: no loop.

Products here use money up and are no leaks; what moves between own accounts here, and reversals
with their pairs, are not looked at. Within a day what comes in stands before what goes out where
no time is known; ties go by id.
"""

from __future__ import annotations

from typing import Any

import ibis

from profiles.flows.taxonomy import Taxonomy

__all__ = ["events_of", "leaks", "unattributed"]


def leaks(typed: Any, taxonomy: Taxonomy, days: int = 15, events: Any | None = None) -> Any:
    """A row a pair of inflow and leaking outflow, at most `days` days apart, the last included.

    Columns: entity, kind, month (the inflow's, 12 a year + month - 1), inflow, inflow_type,
    inflow_day, outflow, outflow_type, outflow_day, lag (days), minor.

    Args:
        events: of `events_of`, where a caller that asks more than once has kept them.
    """
    events = events_of(typed, taxonomy) if events is None else events
    came = events.filter(events.way == "in").select(
        "entity", "kind",
        inflow="id", inflow_type="type", inflow_day="day",
        low=events.come - events.minor, high="come",
    )  # fmt: skip
    out = events.filter(events.way == "out").select(
        of="entity", outflow="id", outflow_type="type", outflow_day="day",
        start="used_before", end="used",
    )  # fmt: skip
    pairs = came.inner_join(
        out,
        [
            came.entity == out.of,
            came.low < out.end,
            out.start < came.high,
            out.outflow_day <= came.inflow_day + ibis.interval(days=days),
        ],
    )
    minor = ibis.least(pairs.high, pairs.end) - ibis.greatest(pairs.low, pairs.start)
    pairs = pairs.mutate(
        minor=minor,
        lag=pairs.outflow_day.delta(pairs.inflow_day, unit="day").cast("int64"),
        month=pairs.inflow_day.year() * 12 + pairs.inflow_day.month() - 1,
    )
    return pairs.drop("of", "low", "high", "start", "end")


def unattributed(typed: Any, taxonomy: Taxonomy, events: Any | None = None) -> Any:
    """Leaking outflows with money that no inflow in the data brought: entity, outflow, minor.

    Args:
        events: as for `leaks`.
    """
    events = events_of(typed, taxonomy) if events is None else events
    out = events.filter(events.way == "out")
    left = out.minor - (out.used - out.used_before)
    found = out.select("entity", outflow="id", outflow_day="day", minor=left)
    return found.filter(found.minor > 0)


def events_of(typed: Any, taxonomy: Taxonomy) -> Any:
    """Inflows with `come`, the sum so far; leaking outflows with what they `used` of it, up to
    `used_before` and `used`. Most of the work of both questions is to bring these in order."""
    gone = typed.filter(typed.type.isin(taxonomy.codes("leak")) & (typed.way == "out"))
    gone = gone.select(leaking="entity").distinct()
    # whose money never left for elsewhere needs no order of money
    typed = typed.semi_join(gone, typed.entity == gone.leaking)
    aside = [*taxonomy.codes("inside"), *taxonomy.codes("reversal")]
    rows = typed.filter(~typed.type.isin(aside))
    rows = rows.select("entity", "kind", "id", "type", "way", "minor", "day", "second")
    rows = rows.mutate(
        amount_in=ibis.ifelse(rows.way == "in", rows.minor, 0).cast("int64"),
        amount_out=ibis.ifelse(rows.way == "out", rows.minor, 0).cast("int64"),
    )
    order = ["day", "second", "way", "id"]
    so_far = ibis.window(group_by="entity", order_by=order, preceding=None, following=0)
    rows = rows.mutate(
        come=rows.amount_in.sum().over(so_far).cast("int64"),
        gone=rows.amount_out.sum().over(so_far).cast("int64"),
    )
    rows = rows.mutate(over=rows.gone - rows.come)
    # the same order twice: engines sort once for both
    earlier = ibis.window(group_by="entity", order_by=order, rows=(None, -1))
    most, before = rows.over.max().over(so_far), rows.over.max().over(earlier)
    rows = rows.mutate(
        most=ibis.greatest(most, 0).cast("int64"),
        most_before=ibis.greatest(before.fill_null(0), 0).cast("int64"),
    )
    rows = rows.filter((rows.way == "in") | rows.type.isin(taxonomy.codes("leak")))
    return rows.select(
        *("entity", "kind", "id", "type", "way", "minor", "day", "come"),
        used=rows.gone - rows.most,
        used_before=rows.gone - rows.amount_out - rows.most_before,
    )
