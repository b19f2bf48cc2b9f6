"""More labels, parametric: default within a horizon, a product bought or dropped; cut-offs stacked.

What is seen lies before the cut-off; `gap` months after it are for acting; the outcome is the
`months` after these. The two windows cannot overlap, and an outcome that is not over by the data's
end is refused. Everybody who cannot be judged is excluded, with the reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import ibis

from profiles.labels import outcome_of
from psi.protocol.errors import MisuseError

__all__ = ["assets_of", "default", "product_moved", "stacked"]

ASSETS = ("deposit", "wealth")


def assets_of(balances: Any) -> Any:
    """What deposits and wealth here come to: entity, day, minor, a level from that day on.

    Args:
        balances: of the base model: account, product, day, minor, entity, one row a day at most.

    Money that moves from a deposit into wealth here changes nothing.
    """
    levels = balances.filter(balances["product"].isin(ASSETS))
    order = ibis.window(group_by=["account", "product"], order_by="day")
    levels = levels.mutate(step=levels.minor - levels.minor.lag().over(order).fill_null(0))
    days = levels.group_by(["entity", "day"]).agg(step=levels.step.sum().cast("int64"))
    so_far = ibis.window(group_by="entity", order_by="day", preceding=None, following=0)
    days = days.mutate(minor=days.step.sum().over(so_far).cast("int64"))
    return days.select("entity", "day", "minor")


def default(
    arrears: Any, cut_off: dt.date, known_until: dt.date, *,
    past_due: int = 90, gap: int = 0, months: int = 12,
) -> Any:  # fmt: skip
    """Who is `past_due` days behind in the outcome: entity, label, excluded.

    Args:
        arrears: Ibis table with entity, day, past_due: how many days behind its worst loan was, for
            each day on which that is known.
        cut_off, known_until, gap, months: as `outcome_of` has them.
        past_due: days from which on it is a default.

    Excluded: no loan is known before the cut-off, or in default at its last day before it; no day
    of the outcome is known. Those who only begin to owe later are not in the table.
    """
    begin, end = outcome_of(cut_off, known_until, gap=gap, months=months)
    cut = ibis.literal(cut_off)
    before = arrears.filter(arrears.day < cut)
    order = ibis.window(group_by="entity", order_by=[ibis.desc("day"), ibis.desc("past_due")])
    last = before.mutate(place=ibis.row_number().over(order))
    last = last.filter(last.place == 0).select("entity", behind="past_due")
    inside = (arrears.day >= ibis.literal(begin)) & (arrears.day < ibis.literal(end))
    worst = arrears.filter(inside)
    worst = worst.group_by("entity").agg(worst=worst.past_due.max()).rename(of="entity")
    found = last.left_join(worst, last.entity == worst.of)
    return _labelled(
        found,
        [
            (found.behind >= past_due, "in default already"),
            (found.worst.isnull(), "no day of the outcome is known"),
        ],
        found.worst >= past_due,
    )


def product_moved(
    balances: Any, product: str, cut_off: dt.date, known_until: dt.date, *,
    dropped: bool = False, gap: int = 1, months: int = 3,
) -> Any:  # fmt: skip
    """Who buys a product in the outcome, or drops it: entity, label, excluded.

    Args:
        balances: of the base model.
        product: deposit, wealth or loan. It is held where its level is above zero.
        cut_off, known_until, gap, months: as `outcome_of` has them.
        dropped: whether the question is who holds it and ends with nothing, in place of who does
            not and comes to hold it.

    Judged is who has any balance before the cut-off. Excluded: has it already (or has it not, where
    `dropped`); moved in the months for acting, which are nobody's outcome.
    """
    begin, end = outcome_of(cut_off, known_until, gap=gap, months=months)
    people = balances.filter(balances.day < ibis.literal(cut_off)).select("entity").distinct()
    of = balances.filter(balances["product"] == product)
    held = {"then": cut_off, "acted": begin, "after": end}
    found = people
    for name, day in held.items():
        level = _level(of, day).select(of="entity", **{name: "minor"})
        found = found.left_join(level, found.entity == level.of).drop("of")
    then, acted, after = (found[name].fill_null(0) > 0 for name in held)
    if dropped:
        reasons = [(~then, "does not have it"), (~acted, "dropped before the outcome")]
        return _labelled(found, reasons, ~after)
    reasons = [(then, "has it already"), (acted, "bought before the outcome")]
    return _labelled(found, reasons, after)


def _level(of: Any, day: dt.date) -> Any:
    """The sum of each entity's last levels before a day."""
    known = of.filter(of.day < ibis.literal(day))
    order = ibis.window(group_by=["account", "product"], order_by=ibis.desc("day"))
    known = known.mutate(place=ibis.row_number().over(order))
    known = known.filter(known.place == 0)
    return known.group_by("entity").agg(minor=known.minor.sum().cast("int64"))


def _labelled(found: Any, reasons: Sequence[Any], happened: Any) -> Any:
    excluded = ibis.cases(*((which.fill_null(False), why) for which, why in reasons), else_="")
    found = found.mutate(excluded=excluded, happened=ibis.ifelse(happened, 1, 0).cast("int8"))
    label = ibis.ifelse(found.excluded == "", found.happened, ibis.null("int8"))
    return found.select("entity", label=label, excluded=found.excluded)


def stacked(labels: Callable[[dt.date], Any], cut_offs: Sequence[dt.date]) -> Any:
    """One table of several cut-offs: what `labels` gives, and cut_off.

    Args:
        labels: gives the labels as of a cut-off: entity, label, excluded and what else it has.
        cut_offs: first days of months, each once. Outcomes may overlap each other; each lies after
            its own cut-off.

    Rows of one entity belong in one fold: `entity` is what to deal folds by.

    Raises:
        MisuseError: none, or one twice.
    """
    if not cut_offs or len(set(cut_offs)) < len(cut_offs):
        raise MisuseError(f"{len(cut_offs)} cut-offs found, one or more needed, each once")
    parts = [labels(day).mutate(cut_off=ibis.literal(day)) for day in sorted(cut_offs)]
    return reduce(lambda a, b: a.union(b), parts)
