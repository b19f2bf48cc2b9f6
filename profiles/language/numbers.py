"""Numbers, days and lists as a language writes them; `FORMS` are what a message may ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from math import isfinite
from typing import Any

__all__ = [
    "AMONG",
    "FORMS",
    "amount",
    "count",
    "gained",
    "money",
    "number",
    "percent",
    "signed",
    "three",
]

# a blank between two Chinese characters
AMONG = re.compile("(?<=[\u4e00-\u9fff\uff00-\uffef\u3000-\u303f]) (?=[\u4e00-\u9fff])")

Say = Callable[..., str]


def count(value: float) -> str:
    """12345 -> "12,345"."""
    return f"{value:,.0f}"


def three(value: float) -> str:
    """0.76432 -> "0.764"."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """0.0623 -> "+0.062", with a true minus sign."""
    return f"{value:+.3f}".replace("-", "−")


def gained(before: float, after: float) -> str:
    """The difference of two numbers as `three` shows them: what a reader gets who subtracts."""
    return signed(round(after, 3) - round(before, 3))


def percent(value: float) -> str:
    """0.617 -> "62%"; below 10% with one decimal; never 0 or 100% for a part of a whole."""
    if 0.9995 <= value < 1:
        return "99.9%"
    near_an_end = 0 < value < 0.0995 or 0.99 < value < 1
    return f"{100 * value:.1f}%" if near_an_end else f"{100 * value:.0f}%"


def number(value: float | None, decimals: int | None = None) -> str:
    """A measure of unknown size, in about four significant places, or with so many decimals."""
    if value is None or not isfinite(value):
        return "–"
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    size = abs(value)
    return f"{value:,.0f}" if size >= 1e4 else f"{value:,.1f}" if size >= 100 else f"{value:.3g}"


def amount(value: float | None) -> str:
    """Money of one record: 49 -> "49.00", so that a column of amounts reads alike."""
    return "–" if value is None or not isfinite(value) else f"{value:,.2f}"


def money(value: float) -> str:
    """A sum of amounts: 7200 -> "7,200", 28931.47 -> "28,931.47", so that sums add up."""
    return amount(value).removesuffix(".00")


def _size(say: Say, value: float) -> str:
    """1234567 -> "1.2 MB"."""
    if value < 1000:
        return say("form.bytes", n=f"{value:.0f}")
    for unit in ("kB", "MB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} GB"


def _duration(say: Say, seconds: float) -> str:
    """75.2 -> "1 min 15 s"."""
    whole = round(seconds)
    if seconds < 10 or whole < 60:
        return say("form.seconds", n=f"{seconds:.1f}" if seconds < 10 else str(whole))
    if whole < 3600:
        return say("form.minutes", m=whole // 60, n=whole % 60)
    return say("form.hours", h=whole // 3600, m=whole % 3600 // 60)


def _date(say: Say, value: date | str) -> str:
    """A day, with the time in UTC if there is one; a text as it is."""
    if not isinstance(value, date):
        return value
    name = say("form.months").split()[value.month - 1]
    parts = {"day": value.day, "month": name, "year": value.year}
    if isinstance(value, datetime):
        return say("form.date_time", **parts, time=f"{value:%H:%M}")
    return say("form.date", **parts)


def _list(say: Say, names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    listed = say("form.comma").join(names[:-1]) + say("form.and") + names[-1]
    return AMONG.sub("", listed)


def _noun(say: Say, group: str, entity: str) -> str:
    known = entity if entity in ("consumer", "company", "government") else "other"
    return say(f"{group}.{known}")


FORMS: Mapping[str, Callable[[Say, Any], str]] = {
    "count": lambda _, value: count(value),
    "three": lambda _, value: three(value),
    "two": lambda _, value: f"{value:.2f}",
    "one": lambda _, value: f"{value:.1f}",
    "signed": lambda _, value: signed(value),
    "percent": lambda _, value: percent(value),
    "number": lambda _, value: number(value),
    "money": lambda _, value: money(value),
    "points": lambda say, value: say("form.points", n=f"{100 * value:.1f}"),
    "size": _size,
    "duration": _duration,
    "date": _date,
    "list": _list,
    "who": lambda say, entity: _noun(say, "entity", entity),
    "Who": lambda say, entity: _noun(say, "entity", entity).capitalize(),
    "unit": lambda say, entity: _noun(say, "unit", entity),
}
"""Name to (how the language says a message, value) -> text."""
