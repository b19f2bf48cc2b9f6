"""Dates written day or month first, by a declared pattern, to year-month-day."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from psi.protocol.errors import MisuseError

__all__ = ["check_pattern", "written_dates"]

_PARTS = {
    "yyyy": r"(?P<y>\d{4})",
    "yy": r"(?P<s>\d{2})",
    "mm": r"(?P<m>\d{1,2})",
    "dd": r"(?P<d>\d{1,2})",
}
_LATEST = 30
"""Years of two digits up to this one are of this century."""


def check_pattern(pattern: str) -> str:
    """The regular expression of a pattern such as `dd.mm.yyyy`.

    Raises:
        MisuseError: no day, month or year in it, one twice, or other letters.
    """
    pieces = re.split(r"(yyyy|yy|mm|dd)", pattern.strip().lower())
    named = sorted(piece[0] for piece in pieces if piece in _PARTS)
    between = "".join(piece for piece in pieces if piece not in _PARTS)
    if named != ["d", "m", "y"] or re.search(r"[a-z0-9]", between):
        raise MisuseError(
            f"found {pattern!r}, allowed: dd, mm and yyyy (or yy) once each with marks between",
            hint='such as "dd.mm.yyyy" or "mm/dd/yyyy"',
        )
    body = "".join(_PARTS.get(piece, re.escape(piece)) for piece in pieces)
    return rf"^\s*{body}(?P<t>(?:[ T]+\d.*)?)$"


def written_dates(values: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """`yyyy-mm-dd`, with what time of day stands behind it; other text stays as it is."""
    found = pc.extract_regex(values, check_pattern(pattern))
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


def _two(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_lpad(text, width=2, padding="0")
