"""The flow map: places, and what flows between them by type, month and branch.

Places are C, B, G (entities here, by kind), `product` (deposits, wealth, loans here), `inside`
(another account here of the same entity), `elsewhere` (an own account or a product at another bank)
and `outside` (all others). A row of the map is a flow from one place to another. Money between two
entities here has a row on either side: it is one flow, that of the payer's row, and of the payee's
where no row of the payer's account names the payee's.
"""

from __future__ import annotations

from typing import Any

import ibis

from profiles.flows.taxonomy import Taxonomy

__all__ = ["by_month", "flow_map"]


def flow_map(typed: Any, taxonomy: Taxonomy, accounts: Any | None = None) -> Any:
    """Columns: month (12 a year + month - 1), branch, kind, type, purpose, source, target, rows,
    minor. `type` is "" for the untyped.

    Args:
        typed: typed rows.
        taxonomy: of their types.
        accounts: those here, with account, entity, kind; without them whoever is not the row's own
            entity is outside, and every row is in it once.
    """
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
    if accounts is not None:
        rows = _between(rows, accounts)
    rows = rows.mutate(
        source=ibis.ifelse(rows.way == "in", rows.other, rows.kind),
        target=ibis.ifelse(rows.way == "in", rows.kind, rows.other),
    )
    keys = ["month", "branch", "kind", "type", "purpose", "source", "target"]
    found = rows.group_by(keys).agg(rows=rows.count(), minor=rows.minor.sum())
    return found.mutate(minor=found.minor.cast("int64"))


def _between(rows: Any, accounts: Any) -> Any:
    """With the kind of another entity here in place of "outside", each such flow once."""
    held = accounts.select(held="account", of="entity", of_kind="kind")
    rows = rows.left_join(held, rows.counterparty_account == held.held)
    here = (rows.other == "outside") & rows.held.notnull() & (rows.of != rows.entity)
    rows = rows.mutate(here=here, other=ibis.ifelse(here, rows.of_kind, rows.other))
    paid = rows.filter(rows.here & (rows.way == "out"))
    paid = paid.select(payer="account", payee="counterparty_account", told=ibis.literal(True))
    paid = paid.distinct()
    # equalities alone: with a condition of another kind an engine compares all pairs
    rows = rows.mutate(
        by=ibis.ifelse(rows.here & (rows.way == "in"), rows.counterparty_account, "")
    )
    rows = rows.left_join(paid, [rows.by == paid.payer, rows.account == paid.payee])
    return rows.filter(rows.told.isnull())


def by_month(map_: Any) -> Any:
    """The map without branches and types: month, source, target, rows, minor, in order."""
    keys = ["month", "source", "target"]
    found = map_.group_by(keys).agg(rows=map_["rows"].sum(), minor=map_.minor.sum())
    found = found.mutate(rows=found["rows"].cast("int64"), minor=found.minor.cast("int64"))
    return found.order_by(keys)
