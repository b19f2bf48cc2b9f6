"""What `flows check` shows of values that it cannot use: common codes, and how others are written.

A code is shown where so many rows have it that it is one; of all else only how it is written, never
what it says: `999.99`, `字9`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import ibis

from profiles.flows.values import shape

__all__ = ["SHOWN_FROM", "shown_codes", "shown_shapes"]

SHOWN_FROM = 10
"""A code is shown where so many rows have it: what is rarer may be no code."""
_CODES, _SHAPES = 8, 5


def shown_codes(table: Any, column: str, known: Collection[str] = (), short: str = "") -> str:
    """The codes of a text column that are not known, with counts: the largest that enough rows
    have, and of the others how many there are, on how many rows, of which shapes. What `short`, a
    pattern, holds for is a code however few rows have it."""
    other = table.filter(~table[column].isin(list(known))) if known else table
    each = other.group_by(column).agg(rows=lambda t: t.count())
    coded = each["rows"] >= SHOWN_FROM
    coded = coded | each[column].re_search(short) if short else coded
    common = each.filter(coded).order_by(ibis.desc("rows"), column)
    top = common.limit(_CODES).to_pyarrow().to_pylist()
    shown = ", ".join(f"{one[column][:20]!r} {one['rows']:,}" for one in top)
    more = each.filter(~each[column].isin([one[column] for one in top])) if top else each
    left = more.agg(codes=more.count(), rows=more["rows"].sum(), most=more["rows"].max())
    (rest,) = left.to_pyarrow().to_pylist()
    if not rest["codes"]:
        return shown
    lost = other.filter(~other[column].isin([one[column] for one in top])) if top else other
    shapes = shown_shapes(lost, column)
    said = f"{rest['codes']:,} {'more' if top else 'codes'} on {rest['rows']:,} rows"
    said = f"{said}, {rest['most']:,} at most each, written {shapes}"
    return f"{shown}; {said}" if shown else said


def shown_shapes(table: Any, column: str) -> str:
    """How the texts of a column are written, with counts, the most common ways first."""
    each = table.select(shape=shape(table[column])).group_by("shape").agg(rows=lambda t: t.count())
    found = each.order_by(ibis.desc("rows"), "shape").limit(_SHAPES + 1).to_pyarrow().to_pylist()
    said = [f"{one['shape']!r} {one['rows']:,}" for one in found[:_SHAPES]]
    return ", ".join([*said, *(["…"] if len(found) > _SHAPES else [])])
