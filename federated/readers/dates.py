"""Dates written day or month first, by a declared pattern, to year-month-day."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.protocol.errors import MisuseError

__all__ = ["EXCEL", "MONTH", "check_pattern", "days_in", "patterns_of", "undated", "written_dates"]

EXCEL = "excel"
"""The pattern of days as a spreadsheet counts them: 45931 is 2025-10-01."""
_FIRST = -25569
"""Its day 0, 1899-12-30, in days from 1970. Up to 60 it counts a 29 February 1900 that was not."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHORT = f"(?i:{'|'.join(_MONTHS)})"
MONTH = rf"{_SHORT}[a-zA-Z]*\.?"
"""The pattern of a month's English name, or the beginning of it."""
_PARTS = {
    "yyyy": r"(?P<y>\d{4})",
    "yy": r"(?P<s>\d{2})",
    "mm": r"(?P<m>\d{1,2})",
    "mon": rf"(?P<n>{_SHORT})[a-zA-Z]*\.?",
    "dd": r"(?P<d>\d{1,2})",
}
_ORDERS = ("dd mm yyyy", "mm dd yyyy", "dd mm yy", "mm dd yy", "yy mm dd")
_FOUR = ("yyyy/mm/dd", "yyyy.mm.dd", "yyyymmdd", "yyyy年mm月dd日")
_NAMED = ("dd mon yyyy", "dd mon yy")
_LATEST = 30
"""Years of two digits up to this one are of this century."""


def check_pattern(pattern: str) -> str:
    """The regular expression of a pattern such as `dd.mm.yyyy`, or "" of `excel`.

    Raises:
        MisuseError: no day, month or year in it, one twice, or other letters.
    """
    if pattern.strip().lower() == EXCEL:
        return ""
    pieces = re.split(r"(yyyy|yy|mon|mm|dd)", pattern.strip().lower())
    named = sorted(piece[0] for piece in pieces if piece in _PARTS)
    between = "".join(piece for piece in pieces if piece not in _PARTS)
    if named != ["d", "m", "y"] or re.search(r"[a-z0-9]", between):
        raise MisuseError(
            f"found {pattern!r}, allowed: dd, mm (Jan: mon) and yyyy (or yy), with marks between",
            hint='such as "dd.mm.yyyy" or "dd-mon-yy"; "excel" for counts of days from 1900',
        )
    body = "".join(_PARTS.get(piece, re.escape(piece)) for piece in pieces)
    return rf"^\s*{body}(?P<t>(?:[ T]+\d.*)?)$"


def written_dates(values: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """`yyyy-mm-dd`, with what time of day stands behind it; other text stays as it is."""
    body = check_pattern(pattern)
    if not body:
        return _serial(values)
    found = pc.extract_regex(values, body)
    fits = pc.is_valid(found)
    if not pc.any(fits).as_py():
        return values
    names = {found.type.field(i).name for i in range(found.type.num_fields)}
    day, time = (pc.struct_field(found, [name]).cast(pa.large_string()) for name in "dt")
    if "n" in names:
        named = pc.utf8_lower(pc.struct_field(found, ["n"]).cast(pa.large_string()))
        place = pc.index_in(named, value_set=pa.array(_MONTHS, pa.large_string()))
        month = pc.add(place, 1).cast(pa.large_string())
    else:
        month = pc.struct_field(found, ["m"]).cast(pa.large_string())
    if "y" in names:
        year = pc.struct_field(found, ["y"]).cast(pa.large_string())
    else:
        short = pc.struct_field(found, ["s"]).cast(pa.int64())
        century = pc.if_else(pc.greater(short, _LATEST), 1900, 2000)
        year = pc.add(short, century).cast(pa.large_string())
    dash, nothing = pa.scalar("-", pa.large_string()), pa.scalar("", pa.large_string())
    date = pc.binary_join_element_wise(year, _two(month), _two(day), dash)
    return pc.if_else(fits, pc.binary_join_element_wise(date, time, nothing), values)


def patterns_of(text: pa.Array | pa.ChunkedArray) -> tuple[str, ...]:
    """The patterns that read all of these texts as days, of those that people write; at most two.

    Two where days and months may be either: 03/04/1980.
    """
    known = pc.unique(text).drop_null()
    if not len(known):
        return ()
    mark = pc.extract_regex(known, r"^\s*\d{1,2}(?P<mark>[./ -])(?:\d{1,2}|(?P<n>[A-Za-z]))")
    mark = mark.drop_null()
    marks = pc.unique(pc.struct_field(mark, ["mark"])).to_pylist() if len(mark) else []
    spelled = pc.any(pc.not_equal(pc.struct_field(mark, ["n"]), "")).as_py() if len(mark) else False
    orders = _NAMED if spelled else _ORDERS
    named = [order.replace(" ", one) for one in marks[:1] for order in orders]
    return tuple(pattern for pattern in (*named, *_FOUR, EXCEL) if _all_days(known, pattern))[:2]


def days_in(text: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """The day that each text begins with (2026-07-31), null where there is none.

    Arrow alone takes 31 February for 3 March.
    """
    first = pc.utf8_slice_codeunits(text, 0, 10)
    days = pc.strptime(first, "%Y-%m-%d", "s", error_is_null=True)
    written = pc.struct_field(pc.extract_regex(first, r"^\d{4}-\d{1,2}-(?P<d>\d{1,2})"), ["d"])
    real = pc.equal(pc.day(days), pc.if_else(pc.is_valid(days), written, "0").cast(pa.int64()))
    return pc.if_else(real, days, pa.scalar(None, days.type))


def undated(values: pa.ChunkedArray) -> tuple[int, int]:
    """How many texts begin with no day, and the first one's row."""
    wrong = pc.and_(pc.is_valid(values), pc.is_null(days_in(values)))
    found = np.flatnonzero(np.asarray(wrong.to_numpy(), dtype=np.bool_))
    return (len(found), int(found[0]) + 1) if len(found) else (0, 0)


def _all_days(known: pa.Array, pattern: str) -> bool:
    text = written_dates(pa.chunked_array([known.cast(pa.large_string())]), pattern)
    return not days_in(text).null_count


def _serial(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days of counts from 61 to 2958465 (9999-12-31), with zeros at most behind the point."""
    whole = pc.extract_regex(values, r"^\s*(?P<n>\d{2,7})(?:\.0*)?\s*$")
    count = pc.struct_field(whole, ["n"]).cast(pa.large_string()).cast(pa.int64())
    fits = pc.fill_null(pc.and_(pc.greater(count, 60), pc.less_equal(count, 2_958_465)), False)
    days = pc.add(pc.if_else(fits, count, 0), _FIRST).cast(pa.int32()).cast(pa.date32())
    return pc.if_else(fits, days.cast(pa.large_string()), values)


def _two(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lpad(text, width=2, padding="0")
