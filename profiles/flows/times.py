"""Days and times of day as Ibis expressions that mean the same on every engine.

Days are dates, times whole seconds of a day. Zones are written into the query by a table of their
changes, since engines bring zone tables of different years. What a text says of a zone or of a
clock of twelve hours has no place in a form: such a time is no time here, and counted by its reason
(`carries_zone`, `half_days`), since read without it it would be another hour.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import ibis
from ibis import Expr

from profiles.flows.values import as_text, half_width, is_whole

__all__ = ["COUNTED", "add_day", "carries_zone", "counted_days", "drops_clock", "half_days"]

COUNTED = (
    "whole numbers from 30,000 to 60,000: where a spreadsheet has counted days (45931 is "
    "2025-10-01), dates = "
)
"""What is said of `counted_days`, as of columns of a job."""
FIRST_YEAR, LAST_YEAR = 1970, 2060
_PLACES = ("yyyy", "yy", "mm", "dd", "hh", "mi", "ss")
_CLOCKS = (
    "[0-9]:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?",
    "[0-9][-Tt ][0-9]{2}[.][0-9]{2}[.][0-9]{2}([.][0-9]+)?",
    "[0-9]{6}[Tt ]?[0-9]{4}([0-9]{2}([.,][0-9]+)?)?",
    "[0-9][Tt][0-9]{2}([0-9]{2}([0-9]{2}([.,][0-9]+)?)?)?",
    "[0-9][时時点點][0-9]{2}分([0-9]{2}秒)?",
)
_HALF = "[AaPp][.]?[Mm][.]?$"
_PART_OF_DAY = "[上中下]午|午[前后後]|早[上晨]|清晨|傍晚|晚[上间間]|夜[里裡间間晚]|[深半]夜|凌晨"
_WEEKDAY = "([周週]|星期|[礼禮]拜)[一二三四五六日天]"
_OPEN = "(\\[|[(])"
_BRACKET = f"( *{_OPEN}.*)?"
_ZONE = (
    f"({_OPEN}?[A-Za-z]{{2}}|[Zz]{_BRACKET}$"  # EST, UTC+8, Asia/Shanghai; Z
    f"|[+-](0?[0-9]|1[0-4])(:?[0-9]{{2}})?{_BRACKET}$"
    # 北京时间, 东京, 星洲; no unit of a clock, no day of a week, no 整 of a full hour
    f"|{_OPEN}?([^ -~时時点點分秒整周週星礼禮]|星([^期]|$)"
    "|[周週][^ -~一二三四五六日天末]|[礼禮][^拜]))"
)


def add_day(table: Any, column: str, made: str, dates: str, stored: str, zone: str) -> Any:
    """`table` with `made`, the day in `zone`, and `made_second`, the second of that day.

    Both are null where there is no such time, or a text carries a zone of its own or tells half
    days (`carries_zone`, `half_days`).

    Args:
        column: dates, timestamps, or text or whole numbers written as `dates` says.
        dates: where `yyyy` (or `yy`: 1930 to 2029), `mm`, `dd`, and `hh`, `mi`, `ss` stand.
        stored: the zone in which times without one are stored.
        zone: the zone in which days are counted.
    """
    kind, second = table[column].type(), f"{made}_second"
    if kind.is_date():
        return table.mutate(**{made: table[column], second: ibis.literal(0, "int32")})
    if kind.is_timestamp():
        # an instant is UTC; what has no zone is in the one that is declared
        given = "UTC" if kind.timezone else stored
        naive = table[column].cast("timestamp('UTC')") if kind.timezone else table[column]
        table = table.mutate(_naive=naive.cast("timestamp") if kind.timezone else naive)
        return _shifted(table, given, zone, made)
    table = table.mutate(_text=as_text(table[column]))
    year = "yyyy" if "yyyy" in dates else "yy"
    marks = {year: "_year", "mm": "_month", "dd": "_day", "hh": "_hour", "mi": "_min", "ss": "_sec"}
    table = table.mutate(**{n: _part(table._text, dates, mark) for mark, n in marks.items()})
    if year == "yy":
        table = table.mutate(_year=table._year + ibis.ifelse(table._year >= 30, 1900, 2000))
    leap = ((table._year % 4 == 0) & (table._year % 100 != 0)) | (table._year % 400 == 0)
    table = table.mutate(_leap=leap)
    last = ibis.cases(
        (table._month == 2, ibis.ifelse(table._leap, 29, 28)),
        (table._month.isin([4, 6, 9, 11]), 30),
        else_=31,
    )
    inside = table._year.between(1800, 2199) & table._month.between(1, 12) & (table._day >= 1)
    inside = inside & ~_zoned(table._text, dates)
    if "hh" in dates:  # where no hour is read it does not matter
        inside = inside & ~half_days(table._text, dates)
    table = table.mutate(_good=inside & (table._day <= last))
    text = table._year.cast("string") + "-" + _two(table._month) + "-" + _two(table._day)
    table = table.mutate(_text=ibis.ifelse(table._good, text, "2000-01-01"))
    found = ibis.ifelse(table._good, table._text.cast("date"), ibis.null("date"))
    clock = table._hour * 3600 + table._min * 60 + table._sec
    table = table.mutate(
        **{made: found, second: ibis.ifelse(clock < 86400, clock, 0).cast("int32")}
    )
    table = table.drop(*marks.values(), "_leap", "_good", "_text")
    if stored == zone or "hh" not in dates:
        return table
    table = table.mutate(_naive=table[made].cast("timestamp") + table[second].as_interval("s"))
    return _shifted(table, stored, zone, made)


def carries_zone(column: Any, dates: str) -> Any:
    """Whether a text has a zone behind its time of day, which `dates` has no place for: an offset
    or Z, or letters (`+08:00`, `-0500`, `EST`, `UTC+8`, `Asia/Shanghai`, `东京`), in full width
    too. Read without it, it would be an hour of another zone, often another day."""
    return _zoned(as_text(column), dates) if column.type().is_string() else ibis.literal(False)


def half_days(column: Any, dates: str) -> Any:
    """Whether a text tells its hour by a clock of twelve (AM, PM, 下午), where the hour is read."""
    if "hh" not in dates or not column.type().is_string():
        return ibis.literal(False)
    text = as_text(column)
    # 下午 may stand before the hour, and the text then goes on by figures alone
    some = ibis.ifelse(
        text.length() > _end(dates), text.re_search("[AaPpＡａＰｐ上下中午早清傍晚夜深半凌]"), False
    )
    return ibis.ifelse(some, _half(half_width(text), dates), False)


def counted_days(text: Any) -> Any:
    """Whether a text is a day as spreadsheets count them, from 1982 to 2064."""
    return text.re_search("^([3-5][0-9]{4}|60000)([.][0-9]*)?$")


def drops_clock(column: Any, dates: str) -> Any:
    """Whether a time of day, not midnight, stands behind a form that has no place for one."""
    text, end = as_text(column), _end(dates)
    clock = text.re_search(f"^.{{{end}}}[^0-9]{{0,3}}[0-9]{{1,2}}[:.]?[0-9]{{2}}")
    clock = clock & text.re_search(f"^.{{{end}}}.*[1-9]")
    return ibis.ifelse(text.length() > end, clock & ~_zoned(text, dates), False)


def _zoned(said: Any, dates: str) -> Any:
    text = half_width(said)
    # behind the last place: in "hh:mi dd-mm-yyyy" what looks like a zone is a part of the date
    marked = text.re_search(f"^.{{{_end(dates)}}}.*{_ZONE}")
    marked = marked & text.re_search(_beside_clock(_ZONE, dates)) & ~_half(text, dates)
    return ibis.ifelse(_goes_on(said, dates), marked, False)


def _goes_on(text: Any, dates: str) -> Any:
    """Whether more than figures and marks of a clock stand behind the form: looked for first, since
    most texts end where the form ends, or in parts of a second."""
    end = _end(dates)
    odd = text.substr(end).re_search("[A-Za-z+-]|[^ -~]")
    return ibis.ifelse(text.length() > end, odd, False)


def _half(text: Any, dates: str) -> Any:
    return text.re_search(f"{_PART_OF_DAY}|{_beside_clock(_HALF, dates)}")


def _beside_clock(what: str, dates: str) -> str:
    """A pattern for `what` right behind a time of day, or behind a form that has one."""
    places = [f"({'|'.join(_CLOCKS)})"]
    if "hh" in dates:
        places.append(f"^.{{{_end(dates)}}}[时時点點分秒]?")
    return f"({'|'.join(places)})( *{_WEEKDAY})? *{what}"


def _end(dates: str) -> int:
    """Where the last place of the form ends."""
    return max(dates.find(mark) + len(mark) for mark in _PLACES if mark in dates)


def _two(part: Any) -> Any:
    return ibis.ifelse(part < 10, ibis.literal("0"), "") + part.cast("string")


def _part(text: Any, dates: str, mark: str) -> Any:
    at = dates.find(mark)
    if at < 0:
        return ibis.literal(0, "int64")
    found = text.substr(at, len(mark))
    good = is_whole(found) & (found.length() == len(mark))
    missing = "0" if mark in ("hh", "mi", "ss") else "-1"
    return ibis.ifelse(good, found, missing).cast("int64")


def _shifted(table: Any, stored: str, zone: str, made: str) -> Any:
    """`_naive` from one zone's clock to another's, as day and second."""
    if stored not in (zone, "UTC"):
        back = _offset(table._naive, stored, local=True, sign=-1)
        table = table.mutate(_naive=table._naive + back.as_interval("s"))
    if zone not in (stored, "UTC"):
        there = _offset(table._naive, zone, local=False, sign=1)
        table = table.mutate(_naive=table._naive + there.as_interval("s"))
    naive = table._naive
    second = (naive.hour() * 3600 + naive.minute() * 60 + naive.second()).cast("int32")
    return table.mutate(**{made: naive.date(), f"{made}_second": second}).drop("_naive")


def _offset(naive: Any, zone: str, *, local: bool, sign: int) -> Expr:
    """Seconds from UTC to the zone's time, times `sign`.

    An hour that a change of clocks repeats is taken for its first pass.
    """
    changes = _changes(zone)
    found: Any = ibis.literal(sign * changes[-1][1], "int32")
    if len(changes) > 1:
        cases = []
        for (_, before), (until, _) in pairwise(changes):
            shift = dt.timedelta(seconds=before if local else 0)
            cases.append((naive < ibis.timestamp(until + shift), sign * before))
        found = ibis.cases(*cases, else_=sign * changes[-1][1]).cast("int32")
    return found


@cache
def _changes(zone: str) -> tuple[tuple[dt.datetime, int], ...]:
    """`(from this UTC time on, seconds from UTC)`, in order of time."""
    there, found = ZoneInfo(zone), list[tuple[dt.datetime, int]]()

    def at(moment: dt.datetime) -> int:
        offset = moment.replace(tzinfo=dt.UTC).astimezone(there).utcoffset()
        return int(offset.total_seconds()) if offset else 0

    day = dt.datetime(FIRST_YEAR, 1, 1)
    found.append((day, at(day)))
    while day.year < LAST_YEAR:
        following = day + dt.timedelta(days=1)
        if at(following) != at(day):
            low, high = day, following
            while high - low > dt.timedelta(seconds=1):
                middle = low + (high - low) / 2
                middle = middle.replace(microsecond=0)
                low, high = (low, middle) if at(middle) != at(day) else (middle, high)
            found.append((high, at(following)))
        day = following
    return tuple(found)
