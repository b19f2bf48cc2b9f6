"""Numbers and texts as Ibis expressions that mean the same on every engine.

The subset (docs/FLOWS.md): no `round`, whose halves go three ways; no casts that fail, so a text is
looked at before it is cast; money in whole minor units. Days and zones stand in `times`.
"""

from __future__ import annotations

from typing import Any

import ibis

__all__ = [
    "BARE",
    "add_minor",
    "add_parts",
    "as_number",
    "as_text",
    "half_width",
    "is_whole",
    "plain_text",
    "searched_text",
    "shape",
]

# Ibis would write each step into the next, so that text grows with every use of a column. Engines
# fuse steps by themselves.
ibis.options.sql.fuse_selects = False

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
_NOT_PLAIN = "[^-+()0-9., '_]|^ | $"
_CHINESE = "[^ -~]+"
_OTHER_LETTERS = "[^ -~\u00a0-\u00bf\u2010-\u203a\u20ac\u3000-\u303f\uff01-\uff5e\uffe5]+"
_BESIDE = "[a-z0-9][^ -~]|[^ -~][a-z0-9]"
_FAR = 1e12
_DIGITS = "^[0-9]{1,18}$"
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


def half_width(column: Any) -> Any:
    """A text in half width, each dash and minus as "-"; as long as before."""
    dashes = "\u2010\u2011\u2012\u2013\u2014\u2212"
    return column.translate(_WIDE + dashes, _NARROW + "-" * len(dashes))


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


def shape(column: Any) -> Any:
    """How a text is written, without what it says: 9 for a figure (９ in full width), of more than
    eight `99999999…`, `a` for Latin letters, 字 for other ones; marks and blanks as they are."""
    text = as_text(column).substr(0, 60)
    for found, shown in (
        ("[0-9]", "9"), ("9{9,}", "99999999…"), ("[０-９]", "９"), ("９{9,}", "９９９９９９９９…"),
        ("[A-Za-zＡ-Ｚａ-ｚ]+", "a"), (_OTHER_LETTERS, "字"),
    ):  # fmt: skip
        text = text.re_replace(found, shown)
    return text.substr(0, 24)


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
    power: Any = ibis.literal(1, "int64")
    if not minor:
        power = ibis.cases((digits == 0, 1), (digits == 3, 1000), else_=100).cast("int64")
    if not kind.is_string():
        if kind.is_integer():
            return table.mutate(**{made: table[column].cast("int64") * power})
        table = table.mutate(_value=table[column].cast("float64"), _power=power)
        table = table.mutate(_fits=~table._value.isnan() & (table._value.abs() < 1e13))
        size = ibis.ifelse(table._fits, table._value.abs(), 0.0) * table._power.cast("float64")
        table = table.mutate(_size=(size + 0.5).floor().cast("int64"))
        signed = ibis.ifelse(table._value < 0, -1, 1).cast("int64") * table._size
        signed = ibis.ifelse(table._fits, signed, ibis.null("int64"))
        return table.mutate(**{made: signed}).drop("_value", "_power", "_fits", "_size")
    mark = "\n" if minor else decimal
    table = add_parts(table.mutate(_power=power), column, decimal=mark, thousands=thousands)
    table = table.mutate(_parts=(table._back + "0000").substr(0, 4))
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


def add_parts(table: Any, column: str, *, decimal: str = ".", thousands: str = "") -> Any:
    """`table` with what an amount in text consists of: `_below` (it is negative), `_front`, `_at`
    and `_back` (digits before the mark, its place or -1, digits behind), `_good` (a number)."""
    text = table[column].fill_null("")
    # looked for first: most amounts are figures and marks alone
    plain = text.translate(_WIDE + "\u2212", _NARROW + "-").re_replace(_CURRENCY, "")
    text = ibis.ifelse(text.re_search(_NOT_PLAIN), plain.strip(), text)
    if thousands:
        # 12,34 and 1.234,50 are amounts of another spelling: taken apart they would be other ones
        groups = f"[0-9]{{1,3}}([{thousands}][0-9]{{3}})+([{decimal}][0-9]*)?"
        grouped = text.re_search(f"^[-+( ]*{groups}[-) ]*$")
        odd = text.contains(thousands) & ~grouped
        text = ibis.ifelse(odd, "", text).replace(thousands, "")
    table = table.mutate(_text=text)
    below = table._text.startswith("-") | table._text.endswith("-") | table._text.startswith("(")
    # signs stand at the ends: a blank or a dash between digits parts two numbers, or a date's parts
    body = table._text.re_replace("^[-+( ]+|[-+) ]+$", "")
    table = table.mutate(_below=below, _body=body)
    table = table.mutate(_at=table._body.find(decimal))
    table = table.mutate(
        _front=ibis.ifelse(table._at >= 0, table._body.substr(0, table._at), table._body),
        _back=ibis.ifelse(table._at >= 0, table._body.substr(table._at + 1), ""),
    )
    good = is_whole(table._front) & (table._front.length() <= 13)
    return table.mutate(_good=good & (is_whole(table._back) | (table._back == "")))
