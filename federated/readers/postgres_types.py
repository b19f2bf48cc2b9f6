"""PostgreSQL's types as they come out: with all digits, or as the text that PostgreSQL writes.

Ibis reads numbers with a fraction as floats or by a fixed scale, cuts the zone off a time of day,
and knows no text of a UUID, a domain, a range or money. So the catalogue is asked for what each
column is (documentation, 53 System Catalogs; a domain is what it is made of), and

    numeric, money      travel as text and become decimals of as many places as there are
    what has no place   in Arrow (uuid, enum, inet, ranges, intervals, times with a zone) is text
    arrays              keep elements of the plain types; others are text
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Column", "decimals", "postgres_columns"]

_CATALOGUE = """
WITH RECURSIVE held(place, name, kind, modifier) AS (
  SELECT attnum, attname, atttypid, atttypmod FROM pg_catalog.pg_attribute
  WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT place, name, typbasetype, typtypmod FROM held JOIN pg_catalog.pg_type t ON t.oid = kind
  WHERE typtype = 'd')
SELECT name, pg_catalog.format_type(kind, modifier) FROM held
JOIN pg_catalog.pg_type t ON t.oid = kind WHERE typtype <> 'd' ORDER BY place
"""
_PLAIN = frozenset(
    {
        "smallint", "integer", "bigint", "oid", "real", "double precision", "boolean", "date",
        "timestamp without time zone", "timestamp with time zone", "time without time zone",
        "bytea",
    }
)  # fmt: skip
_ELEMENTS = _PLAIN - {"bytea", "oid", "time without time zone"}
_WIDEST = ((38, pa.decimal128), (76, pa.decimal256))


@dataclass(frozen=True)
class Column:
    """How a column is asked for.

    Attributes:
        casts: types that it is cast to on the way, one after the other.
        comes: the type that it has then, as PostgreSQL names it.
        exact: whether its text spells decimals.
    """

    casts: tuple[str, ...]
    comes: str
    exact: bool = False


def postgres_columns(connection: Any, table: str) -> dict[str, Column]:
    """The columns of a table by name.

    Args:
        connection: an Ibis connection.
        table: its quoted name.
    """
    with connection.con.cursor() as cursor:
        rows = cursor.execute(_CATALOGUE, (table,)).fetchall()
    return {str(name): _column(str(kind)) for name, kind in rows}


def _column(kind: str) -> Column:
    base = re.sub(r"\([^)]*\)", "", kind)
    if base in _PLAIN:
        return Column((kind,), kind)  # of a domain, too
    if base.endswith("[]"):
        return Column((), kind) if base[:-2] in _ELEMENTS else Column(("text[]",), "text[]")
    if base in ("numeric", "money"):
        return Column(("numeric", "text") if base == "money" else ("text",), "text", exact=True)
    return Column(("text",), "text")


def decimals(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """What `numeric` writes, as decimals of as many places as there are.

    Floats where some are NaN or infinite, which decimals cannot be; text beyond 76 digits.
    """
    text = text.cast(pa.large_string())
    if pc.any(pc.match_substring_regex(text, "[a-zA-Z]")).as_py():
        return text.cast(pa.float64())
    whole = pc.utf8_length(pc.replace_substring_regex(text, r"^-|\..*$", ""))
    places = pc.utf8_length(pc.replace_substring_regex(text, r"^[^.]*\.?", ""))
    scale = pc.max(places).as_py() or 0
    digits = (pc.max(whole).as_py() or 1) + scale
    for widest, kind in _WIDEST:
        if digits <= widest:
            return text.cast(kind(max(digits, scale + 1), scale))
    return text
