"""The flow map: places, and what flows between them by type, month and branch.

Places are C, B, G (entities here, by kind), `product` (deposits, wealth, loans here), `inside`
(another account here of the same entity), `elsewhere` (an own account or a product at another bank)
and `outside` (all others). A row of the map is a flow from one place to another.
"""

from __future__ import annotations

from typing import Any

import ibis

from profiles.flows.taxonomy import Taxonomy

__all__ = ["by_month", "flow_map"]


def flow_map(typed: Any, taxonomy: Taxonomy) -> Any:
    """Columns: month (12 a year + month - 1), branch, kind, type, purpose, source, target, rows,
    minor. Every typed and untyped row is in it once; `type` is "" for the untyped."""
    sides = (
        ("inside", "inside"),
        ("product", "product"),
        ("leak", "elsewhere"),
    )
    other = ibis.cases(
        *((typed.type.isin(taxonomy.codes(flag)), place) for flag, place in sides),
        (typed.purpose == "own", "elsewhere"),
        else_="outside",
    )
    rows = typed.mutate(
        other=other, month=(typed.day.year() * 12 + typed.day.month() - 1).cast("int64")
    )
    rows = rows.mutate(
        source=ibis.ifelse(rows.way == "in", rows.other, rows.kind),
        target=ibis.ifelse(rows.way == "in", rows.kind, rows.other),
    )
    keys = ["month", "branch", "kind", "type", "purpose", "source", "target"]
    found = rows.group_by(keys).agg(rows=rows.count(), minor=rows.minor.sum())
    return found.mutate(minor=found.minor.cast("int64"))


def by_month(map_: Any) -> Any:
    """The map without branches and types: month, source, target, rows, minor, in order."""
    keys = ["month", "source", "target"]
    found = map_.group_by(keys).agg(rows=map_["rows"].sum(), minor=map_.minor.sum())
    found = found.mutate(rows=found["rows"].cast("int64"), minor=found.minor.cast("int64"))
    return found.order_by(keys)
