"""Dates written day or month first, by a declared pattern, to year-month-day."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from psi.protocol.errors import MisuseError

__all__ = ["EXCEL", "check_pattern", "patterns_of", "written_dates"]

EXCEL = "excel"
"""The pattern of days as a spreadsheet counts them: 45931 is 2025-10-01."""
_FIRST = -25569
"""Its day 0, 1899-12-30, in days from 1970. Up to 60 it counts a 29 February 1900 that was not."""

_PARTS = {
    "yyyy": r"(?P<y>\d{4})",
    "yy": r"(?P<s>\d{2})",
    "mm": r"(?P<m>\d{1,2})",
    "dd": r"(?P<d>\d{1,2})",
}
_ORDERS = ("dd mm yyyy", "mm dd yyyy", "dd mm yy", "mm dd yy", "yy mm dd")
_LATEST = 30
"""Years of two digits up to this one are of this century."""


def check_pattern(pattern: str) -> str:
    """The regular expression of a pattern such as `dd.mm.yyyy`, or "" of `excel`.

    Raises:
        MisuseError: no day, month or year in it, one twice, or other letters.
    """
    if pattern.strip().lower() == EXCEL:
        return ""
    pieces = re.split(r"(yyyy|yy|mm|dd)", pattern.strip().lower())
    named = sorted(piece[0] for piece in pieces if piece in _PARTS)
    between = "".join(piece for piece in pieces if piece not in _PARTS)
    if named != ["d", "m", "y"] or re.search(r"[a-z0-9]", between):
        raise MisuseError(
            f"found {pattern!r}, allowed: dd, mm and yyyy (or yy) once each with marks between",
            hint='such as "dd.mm.yyyy" or "mm/dd/yyyy"; "excel" for counts of days from 1900',
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
    month, day, time = (pc.struct_field(found, [name]).cast(pa.large_string()) for name in "mdt")
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
    mark = pc.extract_regex(known, r"^\s*\d{1,2}(?P<mark>[./ -])\d{1,2}").drop_null()
    marks = pc.unique(pc.struct_field(mark, ["mark"])).to_pylist() if len(mark) else []
    named = [order.replace(" ", one) for one in marks[:1] for order in _ORDERS]
    return tuple(pattern for pattern in (*named, EXCEL) if _all_days(known, pattern))[:2]


def _all_days(known: pa.Array, pattern: str) -> bool:
    text = written_dates(pa.chunked_array([known.cast(pa.large_string())]), pattern)
    first = pc.utf8_slice_codeunits(text, 0, 10)
    days = pc.strptime(first, "%Y-%m-%d", "s", error_is_null=True)
    return not days.null_count and bool(pc.all(pc.equal(pc.utf8_length(first), 10)).as_py())


def _serial(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days of counts from 61 to 2958465 (9999-12-31), with zeros at most behind the point."""
    whole = pc.extract_regex(values, r"^\s*(?P<n>\d{2,7})(?:\.0*)?\s*$")
    count = pc.struct_field(whole, ["n"]).cast(pa.large_string()).cast(pa.int64())
    fits = pc.fill_null(pc.and_(pc.greater(count, 60), pc.less_equal(count, 2_958_465)), False)
    days = pc.add(pc.if_else(fits, count, 0), _FIRST).cast(pa.int32()).cast(pa.date32())
    return pc.if_else(fits, days.cast(pa.large_string()), values)


def _two(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lpad(text, width=2, padding="0")
