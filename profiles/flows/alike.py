"""Accounts that meet nothing as they are written, and would but for what programs change.

A spreadsheet takes the zeros off an account's front; all of its rows are then of an account that
nobody knows. As `federated.tables.spelled` has it for columns at hand, on the engine.
"""

from __future__ import annotations

from typing import Any

from profiles.flows.values import half_width

__all__ = ["loosely", "nearly"]


def loosely(text: Any) -> Any:
    """A text without what programs change: case, width, leading zeros, .0, blanks and dashes."""
    text = half_width(text).lower()
    for pattern in ("[.]0+$", "[\\s'-]+", "^0+"):
        text = text.re_replace(pattern, "")
    return text


def nearly(mine: Any, theirs: Any) -> tuple[int, int, int]:
    """How many texts of one table another has: as they are, loosely only, and not at all.

    Args:
        mine, theirs: Ibis tables of one column of texts; each text counts once, "" not at all.
    """
    one, other = (
        table.select(name=table[table.columns[0]]).distinct().filter(lambda t: t.name != "")
        for table in (mine, theirs)
    )
    whole = int(one.count().to_pyarrow().as_py())
    lost = one.anti_join(other, "name")
    left = int(lost.count().to_pyarrow().as_py())
    if not left:
        return whole, 0, 0
    loose = other.select(loose=loosely(other.name)).distinct()
    found = lost.mutate(loose=loosely(lost.name)).filter(lambda t: t.loose != "")
    near = int(found.semi_join(loose, "loose").count().to_pyarrow().as_py())
    return whole - left, near, left - near
