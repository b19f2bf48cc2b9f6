"""One page on a bank's money: the map, what leaves for elsewhere, what stopped, what has no type.

Counts and sums only; a text without a type is shown where five entities have it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.store.files import write_atomic
from profiles.flows.breaks import breaks
from profiles.flows.flows import Flows
from profiles.flows.leaks import events_of, leaks, unattributed
from profiles.flows.map import by_month, flow_map
from profiles.flows.sankey import sankey
from profiles.flows.summary import Untyped, shares, type_table, untyped
from profiles.language import Language, language
from profiles.report.render import page_of
from psi.protocol.errors import InputError

__all__ = ["FlowPage", "flow_page", "map_page", "write_flow_page"]

_TYPES, _TEXTS, _PAIRS = 20, 8, 6
_LOOKED_AT = (
    "id", "account", "entity", "kind", "branch", "way", "minor", "day", "second", "text",
    "counterparty_account", "counterparty_name", "type", "known", "purpose",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What came as a type: in all, and how much of it left for elsewhere, mostly as what."""

    type: str
    minor: int
    left: int
    by: str


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Series of a type that stopped, their amount a month, and those that another payer goes on
    with."""

    type: str
    breaks: int
    minor: int
    changed: int


@dataclass(frozen=True, kw_only=True)
class FlowPage:
    """All that the page says; amounts in minor units. `map`: month, source, target, minor. Leaks
    and what follows are None where the page is of the map alone.

    Attributes:
        types: kind, type, way, rows, minor.
        rows, given: those that could be read, and all.
        first, last: the days of the rows that were read; None: the map's months say it.
        as_of: the last day looked at for what stopped.
        left: what leaked by the month it had come in.
        unknown: what left and was brought by no inflow in the data.
    """

    flow: str
    currency: str
    digits: int
    version: str
    map: list[dict[str, Any]]
    first: dt.date | None = None
    last: dt.date | None = None
    as_of: dt.date | None = None
    days: int = 0
    rows: int = 0
    given: int = 0
    shares: dict[str, float] | None = None
    types: tuple[tuple[str, str, str, int, int], ...] = ()
    leaks: tuple[Leak, ...] | None = None
    left: dict[int, int] | None = None
    unknown: int = 0
    stopped: tuple[Stopped, ...] | None = None
    untyped: tuple[Untyped, ...] = ()
    names: dict[str, tuple[str, str]] | None = None


def flow_page(flows: Flows, days: int = 15, as_of: dt.date | None = None) -> FlowPage:
    """What the page says of these flows.

    Args:
        days: within how many money that leaves counts as a leak.
        as_of: the last day looked at for breaks; the data's by default.

    Raises:
        InputError: no row can be read.
        MisuseError: `as_of` lies after the data's end.
    """
    # all that follows asks these rows, each time through what says their types: once will do
    typed, taxonomy = flows.stored(flows.kept(*_LOOKED_AT), "typed"), flows.taxonomy
    first, last = (day.to_pyarrow().as_py() for day in (typed.day.min(), typed.day.max()))
    if last is None:
        where = flows.settings.where
        raise InputError(f"{where}: no row can be read", hint="fedprofile flows check says why")
    types = type_table(typed).to_pyarrow().to_pylist()
    came: dict[str, int] = {}
    for row in types:
        if row["way"] == "in":
            came[row["type"]] = came.get(row["type"], 0) + int(row["minor"])
    events = flows.stored(events_of(typed, taxonomy), "events")
    pairs = flows.stored(leaks(typed, taxonomy, days, events), "leaks")
    with flows.scratch() as keep:
        stopped = _stopped(breaks(flows.base, typed, taxonomy, as_of or last, keep=keep))
    told = shares(typed)
    names = {one.code: (one.english, one.chinese) for one in taxonomy}
    return FlowPage(
        **_head(flows, _map(flows, typed)),
        first=first,
        last=last,
        as_of=as_of or last,
        days=days,
        rows=int(told.pop("rows")),
        given=flows.given,
        shares=told,
        types=tuple(
            (row["kind"], row["type"], row["way"], int(row["rows"]), int(row["minor"]))
            for row in types[:_TYPES]
        ),
        leaks=_leaks(pairs, came),
        left=_by_month(pairs),
        unknown=int(unattributed(typed, taxonomy, events).minor.sum().to_pyarrow().as_py() or 0),
        stopped=stopped,
        untyped=tuple(untyped(typed, taxonomy, _TEXTS)),
        names=names,
    )


def map_page(flows: Flows, map_: list[dict[str, Any]]) -> FlowPage:
    """A page of the map alone.

    Args:
        map_: rows of `by_month`.
    """
    return FlowPage(**_head(flows, map_))


def write_flow_page(
    page: FlowPage,
    path: Path,
    lang: str = "en",
    synthetic: bool = False,
    made: dt.date | None = None,
) -> None:
    """Write it as one HTML file, readable by its owner alone, that needs nothing else.

    Args:
        synthetic: it says that nobody in it exists.
        made: the day that it says it was made on; today by default.
    """
    t = language(lang)
    sums: dict[tuple[str, str], int] = {}
    months: dict[int, dict[tuple[str, str], int]] = {}
    for row in page.map:
        pair, minor = (row["source"], row["target"]), int(row["minor"])
        sums[pair] = sums.get(pair, 0) + minor
        month = months.setdefault(int(row["month"]), {})
        month[pair] = month.get(pair, 0) + minor
    scale = 10**page.digits

    def named(place: str) -> str:
        return t.say(f"flows.place_{place}")

    def told(minor: int) -> str:
        return f"{t.form('count', minor / scale)} {page.currency}"

    text = page_of(
        t,
        "flows.html.j2",
        page=page,
        picture=sankey(sums, t.say("flows.map"), named, told),
        pairs=sorted(sums, key=lambda pair: (-sums[pair], pair))[:_PAIRS],
        months=sorted(months.items()),
        named=named,
        called=_called(t, page),
        scale=scale,
        synthetic=synthetic,
        made=made or dt.date.today(),
        period=_period(page, sorted(months)),
    )
    write_atomic(path, text)


def _period(page: FlowPage, months: list[int]) -> tuple[str, str] | None:
    """From when to when rows are: days, or months where only these are known."""
    if page.first is not None and page.last is not None:
        return page.first.isoformat(), page.last.isoformat()
    ends = [f"{month // 12}-{month % 12 + 1:02d}" for month in months]
    return (ends[0], ends[-1]) if ends else None


def _called(t: Language, page: FlowPage) -> Any:
    def called(code: str) -> str:
        names = (page.names or {}).get(code)
        return names[t.code == "zh"] if names else code or t.say("flows.no_type")

    return called


def _head(flows: Flows, map_: list[dict[str, Any]]) -> dict[str, Any]:
    own = flows.settings
    return {
        "flow": own.name, "currency": own.currency, "digits": own.digits,
        "version": flows.taxonomy.version, "map": map_,
    }  # fmt: skip


def _map(flows: Flows, typed: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        by_month(flow_map(typed, flows.taxonomy, flows.base.accounts)).to_pyarrow().to_pylist()
    )
    return found


def _leaks(pairs: Any, came: dict[str, int]) -> tuple[Leak, ...]:
    """By the type that money came as, the largest leak first."""
    sums = pairs.group_by(["inflow_type", "outflow_type"]).agg(minor=pairs.minor.sum())
    rows = sorted(sums.to_pyarrow().to_pylist(), key=lambda row: (-row["minor"], *row.values()))
    found: dict[str, Leak] = {}
    for row in rows:
        kind, minor = row["inflow_type"], int(row["minor"])
        one = found.get(kind)
        left = minor + (one.left if one else 0)
        by = one.by if one else row["outflow_type"]
        found[kind] = Leak(type=kind, minor=came.get(kind, 0), left=left, by=by)
    return tuple(sorted(found.values(), key=lambda one: (-one.left, one.type)))


def _by_month(pairs: Any) -> dict[int, int]:
    sums = pairs.group_by("month").agg(minor=pairs.minor.sum()).to_pyarrow().to_pylist()
    return {int(row["month"]): int(row["minor"]) for row in sums}


def _stopped(found: Any) -> tuple[Stopped, ...]:
    sums = found.group_by(["type", "change"]).agg(rows=found.count(), minor=found.minor.sum())
    by: dict[str, dict[str, tuple[int, int]]] = {}
    for row in sums.to_pyarrow().to_pylist():
        by.setdefault(row["type"], {})[row["change"]] = (int(row["rows"]), int(row["minor"]))
    lines = [
        Stopped(
            type=kind,
            breaks=each.get("break", (0, 0))[0],
            minor=each.get("break", (0, 0))[1],
            changed=each.get("payer changed", (0, 0))[0],
        )
        for kind, each in by.items()
    ]
    return tuple(sorted(lines, key=lambda one: (-one.minor, one.type)))
