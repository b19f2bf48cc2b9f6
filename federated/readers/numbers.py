"""Text to numbers: plain ones by themselves, others (1,234.50 · 12% · ¥1,234) as declared.

Nothing is guessed where two readings differ: `plain_numbers` takes a column only if every value is
a number and no digit would be lost (0123 and 1.10 beside 1.1 are codes), and `spelled` reads by a
declared form. `fitting` finds the form that would read a column, for advice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "CURRENCIES",
    "FORMS",
    "NUMBER_TYPES",
    "Spelling",
    "currencies",
    "fitting",
    "plain_numbers",
    "spelled",
]

NUMBER_TYPES = ("number", "percent", "money")
"""Types of `tables.toml` that make text numbers."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_PLAIN = r"^-?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)$"
_POWER = r"^-?(?:(?:\d+\.\d*|\.\d+)[eE][+-]?\d+|\d+[eE][+-]\d+)$"
_ANY = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_SIGNS = (
    "US\\$", "HK\\$", "A\\$", "C\\$", "NT\\$", "R\\$", "[¥￥$＄€£₹₩₽₺฿₫₱₴₪]",
    "元", "圆", "円", "원",
    "CNY", "RMB", "USD", "EUR", "GBP", "JPY", "HKD", "TWD", "KRW", "INR", "SGD", "AUD", "CAD",
    "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RUB", "TRY", "BRL", "MXN", "ZAR", "THB",
    "VND", "IDR", "MYR", "PHP", "AED", "SAR", "ILS", "NZD", "zł", "Kč", "kr", "Fr\\.", "Rs\\.?",
)  # fmt: skip
_SIGN = rf"(?:{'|'.join(_SIGNS)})"
_SAME = (
    ("$", "＄", "US$", "USD"), ("$", "HK$", "HKD"), ("$", "A$", "AUD"), ("$", "C$", "CAD"),
    ("$", "NT$", "TWD", "元", "圆"), ("$", "SGD"), ("$", "NZD"), ("$", "MXN"), ("R$", "BRL"),
    ("¥", "￥", "元", "圆", "CNY", "RMB"), ("¥", "￥", "JPY", "円", "圆"), ("€", "EUR"),
    ("£", "GBP"), ("₩", "원", "KRW"), ("₹", "Rs", "Rs.", "INR"), ("₽", "RUB"), ("₺", "TRY"),
    ("฿", "THB"), ("₫", "VND"), ("₱", "PHP"), ("₪", "ILS"), ("zł", "PLN"), ("Kč", "CZK"),
    ("kr", "SEK"), ("kr", "NOK"), ("kr", "DKK"), ("Fr.", "CHF"),
)  # fmt: skip
"""Signs that may stand for one currency; a sign may stand for several."""
CURRENCIES = "convert the amounts to one currency, or give each currency a column of its own"
"""What to do where a column has several."""
_WIDE = {chr(0xFEE0 + ord(mark)): mark for mark in "0123456789+-.,%()"} | {"\u2212": "-"}
"""Characters that input methods and typesetters write for those of numbers."""
_DASHES = "\u2010\u2011\u2012\u2013\ufe63"
"""Hyphens and dashes: a sign where they stand before the first digit."""
_BLANKS = "[ \u00a0\u2009\u202f]"


@dataclass(frozen=True)
class Spelling:
    """How numbers are written: the marks before a fraction and between thousands, and a type."""

    decimal: str = "."
    thousands: str = ""
    kind: str = "number"


FORMS = (
    *(("", "."), (",", "."), ("", ","), (".", ","), (" ", "."), (" ", ","), ("'", "."), ("_", ".")),
)
"""`(thousands, decimal)` that advice tries, in this order."""


def plain_numbers(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """The numbers that text spells, int64 or float64; None unless all are and keep their digits.

    `text` is large_string. Blanks around a number are no part of it.
    """
    for given in (text, None):
        trimmed = pc.utf8_trim_whitespace(text) if given is None else given
        whole = _cast(trimmed, pa.int64())
        if whole is not None:
            same = pc.all(pc.equal(whole.cast(pa.large_string()), trimmed)).as_py()
            return whole if same is not False else None
        found = _cast(trimmed, pa.float64())
        if found is not None:
            return found if _keeps_digits(trimmed, found) else None
    return None


def _cast(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        return None


def _keeps_digits(text: pa.ChunkedArray, found: pa.ChunkedArray) -> bool:
    """Whether floats say all that was written."""
    plain = _like(text, _PLAIN)
    if not _all(plain) and not _all(_like(text.filter(pc.invert(plain)), _POWER)):
        return False
    long = pc.greater(pc.utf8_length(text), 16)  # 15 digits survive a float
    if _any(long):
        picked = pc.fill_null(long, False)
        back = found.filter(picked).cast(pa.large_string())
        if not _all(pc.equal(back, text.filter(picked))):
            return False
    # 1.10 beside 1.1 are codes or versions; 1.10 beside 2.05, and 1.0 beside 0.25, are numbers.
    zeros = _like(text, r"\.\d+0$")
    if not _any(zeros):
        return True
    places = pc.subtract(pc.utf8_length(text), pc.find_substring(text, "."))
    places = places.filter(pc.fill_null(pc.match_substring(text, "."), False))
    return bool(len(pc.unique(places)) == 1)


def spelled(text: pa.ChunkedArray, form: Spelling) -> tuple[pa.ChunkedArray, Mask]:
    """float64 or int64 by a declared form, and a mask of the rows that are no such number (null).

    Digits and marks may be full-width, a minus any of its forms. `percent` wants a percent sign and
    divides by 100; `money` drops a currency's sign or code on either side; both take (1,234.50) and
    1,234.50- for negative. Thousands stand in groups of three (two before them, as in India)
    and do not begin with 0: 0,175 is a fraction.
    """
    found = _narrow(pc.utf8_trim_whitespace(text))
    found = pc.if_else(pc.equal(found, ""), pa.scalar(None, pa.large_string()), found)
    given = pc.is_valid(found)
    if form.kind != "number":
        found = _signed(found)
    if form.kind == "percent":
        found = _only(found, _like(found, r"[%％]$"))
        found = _signed(pc.replace_substring_regex(found, r"\s*[%％]$", ""))
    if form.kind == "money":
        found = _without_currency(found)
    if form.thousands:
        mark = _BLANKS if form.thousands == " " else re.escape(form.thousands)
        whole = rf"(?:[1-9]\d{{0,2}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}|\d+)"
        grouped = rf"^[+-]?{whole}(?:{re.escape(form.decimal)}\d*)?$"
        found = _only(found, _like(found, grouped))
        found = pc.replace_substring_regex(found, mark, "")
    if form.decimal != ".":
        found = _only(found, pc.invert(pc.match_substring(found, ".")))
        found = pc.replace_substring(found, form.decimal, ".")
    found = pc.replace_substring_regex(_only(found, _like(found, _ANY)), r"^\+", "")
    wrong = pc.and_(given, pc.is_null(found)).to_numpy().astype(np.bool_)
    if form.kind == "percent":
        return pc.divide(found.cast(pa.float64()), 100.0), wrong
    counted = _cast(found, pa.int64()) if _all(pc.less(pc.utf8_length(found), 19)) else None
    return (found.cast(pa.float64()) if counted is None else counted), wrong


def _narrow(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Full-width digits and marks, and signs that are no hyphen, as those of ASCII."""
    if not _any(_like(text, f"[{''.join(_WIDE)}{_DASHES}]")):
        return text
    for wide, mark in _WIDE.items():
        text = pc.replace_substring(text, wide, mark)
    return pc.replace_substring_regex(text, rf"^(\D*)[{_DASHES}](\D*\d)", r"\1-\2")


def _signed(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Amounts in brackets, or with a minus behind them, with one before them."""
    found = pc.replace_substring_regex(text, r"^\(([^-].*)\)$", r"-\1")
    return pc.replace_substring_regex(found, r"^([^-].*)-$", r"-\1")


def _without_currency(text: pa.ChunkedArray) -> pa.ChunkedArray:
    found = pc.replace_substring_regex(text, rf"^([+-]?)\s*{_SIGN}\s*([+-]?)", r"\1\2")
    return pc.replace_substring_regex(found, rf"\s*{_SIGN}$", "")


def currencies(text: pa.ChunkedArray | pa.Array) -> list[str]:
    """The signs of amounts that cannot be of one currency (€ and $); empty where they can be."""
    found = set[str]()
    for pattern in (rf"^\(?[+-]?\s*(?P<s>{_SIGN})\s*[+-]?[\d.]", rf"\d.?\s*(?P<s>{_SIGN})\)?-?$"):
        signs = pc.extract_regex(pc.utf8_trim_whitespace(text), pattern)
        found |= set(pc.unique(pc.struct_field(signs, ["s"]).drop_null()).to_pylist())
    one = len(found) < 2 or any(found <= set(same) for same in _SAME)
    return [] if one else sorted(found)


def fitting(text: pa.Array) -> list[tuple[Spelling, int]]:
    """The forms that read most of these distinct texts, and how many they read: best first.

    Only those that read as many as the best, and more than half; forms that give the same numbers
    stand once. Empty where no form does.
    """
    column = pa.chunked_array([text])
    filled = len(column) - column.null_count
    found: list[tuple[Spelling, int]] = []
    seen: list[Any] = []
    for form in _candidates():
        values, wrong = spelled(column, form)
        read = filled - int(wrong.sum())
        if 2 * read <= filled or (found and read < found[0][1]):
            continue
        if found and read > found[0][1]:
            found, seen = [], []
        # only to tell forms apart: long whole numbers may be rounded here
        rounded = values.cast(pa.float64(), safe=False)
        numbers = np.asarray(pc.fill_null(rounded, np.nan).to_numpy())
        if not any(np.array_equal(numbers, other, equal_nan=True) for other in seen):
            found.append((form, read))
            seen.append(numbers)
    return found


@cache
def _candidates() -> tuple[Spelling, ...]:
    return tuple(
        Spelling(decimal, thousands, kind) for kind in NUMBER_TYPES for thousands, decimal in FORMS
    )


def _like(text: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    return pc.match_substring_regex(text, pattern)


def _only(text: pa.ChunkedArray, keep: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.fill_null(keep, False), text, pa.scalar(None, pa.large_string()))


def _all(flags: pa.ChunkedArray) -> bool:
    return pc.all(flags).as_py() is not False


def _any(flags: pa.ChunkedArray) -> bool:
    return bool(pc.any(flags).as_py())
