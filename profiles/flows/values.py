"""Numbers, days and texts as Ibis expressions that mean the same on every engine.

The subset (docs/FLOWS.md): no `round`, whose halves go three ways; no casts that fail, so a text is
looked at before it is cast; money in whole minor units; days as dates, times as seconds of a day;
zones by a table of their changes, since engines bring zone tables of different years.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import ibis
from ibis import Expr

__all__ = [
    "BARE",
    "add_day",
    "add_minor",
    "as_number",
    "as_text",
    "carries_zone",
    "drops_clock",
    "is_whole",
    "plain_text",
    "searched_text",
]

# Ibis would write each step into the next, so that text grows with every use of a column. Engines
# fuse steps by themselves.
ibis.options.sql.fuse_selects = False

FIRST_YEAR, LAST_YEAR = 1970, 2060
LONGEST = 256
"""Characters of a text that are looked at."""
_WIDE = "".join(chr(0xFF01 + i) for i in range(94)) + "\u3000"
_NARROW = "".join(chr(0x21 + i) for i in range(94)) + " "
_ANY_WIDE = "[\uff01-\uff5e\u3000]"
_BETWEEN = r"[\s!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~，。、；：？！“”‘’（）【】《》·—…]+"
_OUTER = [form for blank in " \t\n\r\v\f" for form in (f"{blank}%", f"%{blank}")]
_WAYS = (
    "消费 快捷 支付 网上 线上 在线 网联 协议 银联 云闪付 闪付 扫码 扫 二维码 条码 刷卡 刷脸 "
    "无卡 有卡 付款 付 交易 财付通 支付宝 微信 京东 抖音 钱包 平台 商户 商家 商品 手机 电子 "
    "银行 跨行 本行 他行 境外 境内 订单 单号 编号 流水 购物 代扣 批扣 一网通 第三方 签约 免密 "
    "认证 机构 特约 超网 网银 客户 自助 终端 机 卡 人民币 元 成功 款 支 pos upp upop cup card "
    "purchase payment pay quick quickpass unionpay tn no id sn xiaofei gouwu shuaka"
)
BARE = f"^( |[a-z]*[0-9][a-z0-9]*|{'|'.join(_WAYS.split())})*$"
"""A plain text that says nothing but a way of paying: no shop is named in it."""
_CURRENCY = "[¥$€£￥]"
_CHINESE = "[^ -~]+"
_BESIDE = "[a-z0-9][^ -~]|[^ -~][a-z0-9]"
_FAR = 1e12
_DIGITS = "^[0-9]{1,18}$"
_PLACES = ("yyyy", "yy", "mm", "dd", "hh", "mi", "ss")
_ZONE = "([Zz]|UTC|GMT|(UTC|GMT)?[+-](0?[0-9]|1[0-4])(:?[0-9]{2})?)( *\\[[A-Za-z0-9_/+-]+\\])?$"
_CLOCKS = (
    "[0-9]:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?",
    "[0-9][-Tt ][0-9]{2}[.][0-9]{2}[.][0-9]{2}([.][0-9]+)?",
    "[0-9]{6}[Tt ]?[0-9]{4}([0-9]{2}([.,][0-9]+)?)?",
    "[0-9][Tt][0-9]{2}([0-9]{2}([0-9]{2}([.,][0-9]+)?)?)?",
)
_AMOUNT = (
    "_text",
    "_power",
    "_below",
    "_body",
    "_at",
    "_front",
    "_back",
    "_good",
    "_parts",
    "_whole",
    "_size",
)


def as_text(column: Any) -> Any:
    """Text without outer blanks, "" where there is none: engines differ in null and blank."""
    if not column.type().is_string():
        return column.cast("string").fill_null("")
    text = column.fill_null("")
    # looked for first: taking blanks off every text costs seven times as much
    return ibis.ifelse(text.like(_OUTER), text.strip(), text)


def plain_text(column: Any) -> Any:
    """A text as rules see it: half width, lower case, marks as blanks, one blank around each word.

    Patterns of words can then be literals: " fee " is in " bank fee march ", not in " coffee ".
    """
    found = column.substr(0, LONGEST)
    # looked for first: translating every text would cost more than all patterns together
    found = ibis.ifelse(found.re_search(_ANY_WIDE), found.translate(_WIDE, _NARROW), found)
    found = found.lower().re_replace(_BETWEEN, " ").strip()
    return ibis.literal(" ") + found + " "


def searched_text(column: Any) -> Any:
    """A plain text, and behind it once more the words of Latin letters that stand in Chinese ones.

    "高速ETC代扣" has the word " etc " then, and no pattern has to know what stands around it.
    """
    plain = plain_text(column)
    latin = plain.re_replace(_CHINESE, " ").re_replace("^ +", " ")
    return ibis.ifelse(plain.re_search(_BESIDE), plain + latin, plain)


def as_number(column: Any) -> Any:
    """A column of numbers, or of texts that spell them with a point; 0 where there is none."""
    if column.type().is_string():
        text = as_text(column)
        column = ibis.ifelse(text.re_search(r"^[0-9]{1,12}([.][0-9]{1,12})?$"), text, "0")
    value = column.cast("float64").fill_null(0.0)
    return ibis.ifelse(value.between(-_FAR, _FAR), value, 0.0)


def is_whole(text: Any) -> Any:
    """Whether a text is digits only, up to 18 of them."""
    return text.re_search(_DIGITS)


def add_minor(
    table: Any,
    column: str,
    made: str,
    *,
    decimal: str = ".",
    thousands: str = "",
    minor: bool = False,
) -> Any:
    """`table` with `made`: signed whole minor units; null where the amount is no number.

    Args:
        table: has `digits`, the decimal digits of each row's currency.
        column: numbers, or text that spells them with the two marks.
        minor: amounts are whole minor units already.
    """
    kind, digits = table[column].type(), table.digits
    power = ibis.cases((digits == 0, 1), (digits == 3, 1000), else_=100).cast("int64")
    if not kind.is_string():
        if minor:
            return table.mutate(**{made: table[column].cast("int64")})
        if kind.is_integer():
            return table.mutate(**{made: table[column].cast("int64") * power})
        table = table.mutate(_value=table[column].cast("float64"), _power=power)
        table = table.mutate(_fits=~table._value.isnan() & (table._value.abs() < 1e13))
        size = ibis.ifelse(table._fits, table._value.abs(), 0.0) * table._power.cast("float64")
        table = table.mutate(_size=(size + 0.5).floor().cast("int64"))
        signed = ibis.ifelse(table._value < 0, -1, 1).cast("int64") * table._size
        signed = ibis.ifelse(table._fits, signed, ibis.null("int64"))
        return table.mutate(**{made: signed}).drop("_value", "_power", "_fits", "_size")
    text = table[column].fill_null("").re_replace(_CURRENCY, "").strip()
    if thousands:
        # 12,34 and 1.234,50 are amounts of another spelling: taken apart they would be other ones
        groups = f"[0-9]{{1,3}}([{thousands}][0-9]{{3}})+([{decimal}][0-9]*)?"
        grouped = text.re_search(f"^[-+( ]*{groups}[-) ]*$")
        odd = text.contains(thousands) & ~grouped
        text = ibis.ifelse(odd, "", text).replace(thousands, "")
    table = table.mutate(_text=text, _power=power)
    below = table._text.startswith("-") | table._text.endswith("-") | table._text.startswith("(")
    # signs stand at the ends: a blank or a dash between digits parts two numbers, or a date's parts
    body = table._text.re_replace("^[-+( ]+|[-+) ]+$", "")
    table = table.mutate(_below=below, _body=body)
    table = table.mutate(_at=table._body.find("\n" if minor else decimal))
    table = table.mutate(
        _front=ibis.ifelse(table._at >= 0, table._body.substr(0, table._at), table._body),
        _back=ibis.ifelse(table._at >= 0, table._body.substr(table._at + 1), ""),
    )
    good = is_whole(table._front) & (table._front.length() <= 13)
    table = table.mutate(
        _good=good & (is_whole(table._back) | (table._back == "")),
        _parts=(table._back + "0000").substr(0, 4),
    )
    table = table.mutate(
        _whole=ibis.ifelse(table._good, table._front, "0").cast("int64"),
        _parts=ibis.ifelse(table._good, table._parts, "0").cast("int64"),
    )
    if minor:
        size = table._whole
    else:
        step = ibis.cases((table.digits == 0, 10000), (table.digits == 3, 10), else_=100)
        table = table.mutate(_step=step.cast("int64"))
        parts = ((table._parts + table._step // 2) / table._step).floor().cast("int64")
        size = table._whole * table._power + parts
        table = table.mutate(_size=size).drop("_step")
        size = table._size
    signed = ibis.ifelse(table._below, -1, 1).cast("int64") * size
    table = table.mutate(**{made: ibis.ifelse(table._good, signed, ibis.null("int64"))})
    return table.drop(*(name for name in table.columns if name in _AMOUNT))


def add_day(table: Any, column: str, made: str, dates: str, stored: str, zone: str) -> Any:
    """`table` with `made`, the day in `zone`, and `made_second`, the second of that day.

    Both are null where there is no such time, or a text carries its own zone (`carries_zone`).

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
    """Whether a text ends with a time of day and its zone (Z, +08:00, -0500, +08), which `dates`
    has no place for. Read without it, it would be an hour of another zone, often another day."""
    return _zoned(as_text(column), dates) if column.type().is_string() else ibis.literal(False)


def _zoned(text: Any, dates: str) -> Any:
    end = _end(dates)
    # behind the last place: in "hh:mi dd-mm-yyyy" what looks like a zone is a part of the date
    marked = text.re_search(f"^.{{{end}}}.*{_ZONE}")
    marked = marked & text.re_search(f"({'|'.join(_CLOCKS)}) *{_ZONE}")
    # looked for first: most texts end where the form ends
    return ibis.ifelse(text.length() > end, marked, False)


def drops_clock(column: Any, dates: str) -> Any:
    """Whether a time of day, not midnight, stands behind a form that has no place for one."""
    text, end = as_text(column), _end(dates)
    clock = text.re_search(f"^.{{{end}}}[^0-9]{{0,3}}[0-9]{{1,2}}[:.]?[0-9]{{2}}")
    clock = clock & text.re_search(f"^.{{{end}}}.*[1-9]")
    return ibis.ifelse(text.length() > end, clock & ~_zoned(text, dates), False)


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
