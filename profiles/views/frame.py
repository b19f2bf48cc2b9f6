"""Feature views as one table: a row an entity, the columns of the views that are asked for."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import ibis

from federated.tables.view_file import VIEW_FILE
from profiles.flows.flows import Flows
from profiles.views.basic_facts import BASIC_FACTS
from profiles.views.contribution import CONTRIBUTION
from profiles.views.flow_behaviour import FLOW_BEHAVIOUR
from profiles.views.links import LINKS
from profiles.views.monthly_flows import MONTHLY_FLOWS
from profiles.views.products import PRODUCTS
from profiles.views.view import Column, Known, View
from psi.protocol.errors import JobError

LOOKED_AT = (
    "id", "account", "entity", "kind", "way", "minor", "day", "second", "counterparty_account",
    "counterparty_name", "type", "known", "purpose",
)  # fmt: skip

__all__ = ["LOOKED_AT", "VIEWS", "columns_of", "feature_frame", "named"]

VIEWS = {
    v.name: v for v in (BASIC_FACTS, PRODUCTS, FLOW_BEHAVIOUR, MONTHLY_FLOWS, LINKS, CONTRIBUTION)
}


def named(name: str, where: str = "views") -> View:
    """The view of a name, such as `flow_behaviour`, or `flow_behaviour@1` for that version only.

    Args:
        where: what asks, for messages.

    Raises:
        JobError: no such view, or another version.
    """
    bare, at, version = name.partition("@")
    if bare not in VIEWS:
        close = get_close_matches(bare, VIEWS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"views: {', '.join(VIEWS)}"
        raise JobError(f"{where}: no view {bare!r}", hint=hint)
    found = VIEWS[bare]
    if at and version != str(found.version):
        raise JobError(f"{where}: {name!r} found, {bare}@{found.version} allowed")
    return found


def columns_of(names: Sequence[str], kind: str, where: str = "views") -> tuple[Column, ...]:
    """The columns that entities of a kind have in the named views. Raises `JobError`.

    Args:
        names: of views, as `named` takes them.
        where: what asks, for messages.
    """
    return tuple(column for name in names for column in named(name, where).of(kind))


def feature_frame(flows: Flows, names: Sequence[str], cut_off: dt.date, kind: str = "C") -> Any:
    """A row an entity of a kind with an account that is open at the cut-off: an Ibis table.

    Args:
        flows: nothing of the cut-off's day or later is looked at, in any of their tables.
        names: of views, with or without a version.
        cut_off: a day after the data's first, and no later than the one after their last.
        kind: C, B or G.

    Returns: entity, then the columns of the views in their order, all float64.

    Raises:
        JobError: no such view, or a section of the flows that it needs is missing.
        InputError: no row can be read.
        MisuseError: a cut-off after the data's end, or before their begin.
    """
    views = [named(name) for name in dict.fromkeys(names)]
    _check(flows, views)
    then = flows.before(cut_off)
    some = any(view.typed for view in views)
    # the same for all views, and for the next call
    rows = then.kept(*LOOKED_AT) if some else then.base.good
    ago = ibis.literal(cut_off).delta(rows.day, unit="day").cast("int32")
    rows = rows.mutate(ago=ago)
    seen = Known(
        rows=rows.filter(rows.kind == kind), everyone=rows, base=then.base,
        accounts=then.base.accounts, balances=then.base.balances, taxonomy=then.taxonomy,
        cut_off=cut_off, kind=kind, keep=then.stored, scratch=then.scratch,
    )  # fmt: skip
    found = _entities(seen)
    for view in views:
        part = view.build(seen)
        if then.engine.connection.name != "duckdb":  # others plan badly, or long, what is nested
            part = then.stored(part, "view")
        part = part.rename(of="entity")
        found = found.left_join(part, found.entity == part.of).drop("of")
    told = {}
    for column in columns_of([view.name for view in views], kind):
        value = found[column.name]
        told[column.name] = value if column.empty is None else value.fill_null(float(column.empty))
    return found.select("entity", **told)


def said_of(flows: Flows, names: Sequence[str], cut_off: dt.date, kind: str) -> dict[str, str]:
    """What a file of views says of itself: it stands in the file's schema."""
    told = {
        "views": [f"{named(name).name}@{named(name).version}" for name in names],
        "kind": kind,
        "cut_off": cut_off.isoformat(),
        "currency": flows.settings.currency,
        "taxonomy": flows.taxonomy.version,
    }
    return {VIEW_FILE: json.dumps(told)}


def _check(flows: Flows, views: Sequence[View]) -> None:
    settings = flows.settings
    there = {"accounts": settings.accounts, "balances": settings.balances, "terms": settings.terms}
    sections = {"terms": "contribution"}
    for view in views:
        for need in view.needs:
            if there[need] is None:
                section = f"[flows.{settings.name}.{sections.get(need, need)}]"
                raise JobError(
                    f"{settings.where}: view {view.name} needs {section}",
                    hint="docs/FLOWS.md says what stands in it; or name the other views, each by "
                    "--view NAME",
                )


def _entities(known: Known) -> Any:
    """Who has an account that is open at the cut-off, and is alive."""
    held = known.accounts
    if held is None:
        return known.rows.select("entity").distinct()
    held = held.filter((held.kind == known.kind) & held.closed.isnull() & held.died.isnull())
    return held.select("entity").distinct()
