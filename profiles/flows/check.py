"""`flows check`: what is understood of a flow's tables, with counts, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from federated.tables.spelled import ALIKE
from profiles.flows.alike import nearly
from profiles.flows.base import (
    ABSENT,
    CONFLICT,
    HALF_DAYS,
    NO_AMOUNT,
    NO_DAY,
    NO_RATE,
    UNKNOWN_CODE,
    ZONED,
    source_text,
)
from profiles.flows.beside import beside_notes
from profiles.flows.flows import Flows
from profiles.flows.money import CODE_LIKE, money_notes
from profiles.flows.settings import Bound, Source
from profiles.flows.shown import shown_codes, shown_shapes
from profiles.flows.times import COUNTED, counted_days, drops_clock
from profiles.flows.values import LONGEST
from profiles.language import Language

__all__ = ["FlowCheck", "check_flows"]

_AS = "(9 for figures, a and 字 for letters)"


@dataclass(frozen=True, kw_only=True)
class FlowCheck:
    """What was found; amounts in whole minor units."""

    flow: str
    currency: str
    bound: tuple[str, ...]
    rows: int
    read: int
    refused: dict[str, dict[str, int]]
    inward: int
    outward: int
    entities: dict[str, int]
    first: str
    last: str
    empty_months: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {**self.__dict__, "bound": list(self.bound), "notes": list(self.notes)}

    def lines(self, digits: int, t: Language) -> list[str]:
        """For people, in their language."""
        scale = 10**digits

        def money(minor: int) -> str:
            return f"{minor / scale:,.{digits}f}"

        found = [t.say("flows.check_head", flow=self.flow, currency=self.currency)]
        found += [t.told(line, "flow_bound") for line in self.bound]
        counts = {"rows": self.rows, "read": self.read, "left": self.rows - self.read}
        said = {name: f"{count:,}" for name, count in counts.items()}
        found += ["", t.say("flows.check_rows", **said)]
        for source, reasons in self.refused.items():
            for why, count in reasons.items():
                found.append(f"  {source}: {t.told(why, 'flow_reason')}: {count:,}")
        if self.read:
            found.append(t.say("flows.check_days", first=self.first, last=self.last))
            sums = {"inward": money(self.inward), "outward": money(self.outward)}
            found.append(t.say("flows.check_sums", **sums))
            kinds = ", ".join(f"{k} {n:,}" for k, n in sorted(self.entities.items()))
            found.append(t.say("flows.check_entities", kinds=kinds))
        if self.empty_months:
            months = ", ".join(self.empty_months)
            found.append(t.say("flows.check_months", months=months))
        return [*found, *(t.told(note, "flow_note") for note in self.notes)]


def check_flows(flows: Flows) -> FlowCheck:
    """Read every row once and count. Raises `InputError` where a table or column is missing."""
    base = flows.base
    rows = flows.stored(
        base.rows.select(
            "source", "entity", "kind", "way", "minor", "day", "text", "refused", "unread"
        ),
        "checked",
    )
    counts = rows.group_by(["source", "refused"]).agg(rows=rows.count()).to_pyarrow().to_pylist()
    good = rows.filter(rows.refused == "")
    total = good.agg(
        inward=good.minor.sum(where=good.way == "in").fill_null(0),
        outward=good.minor.sum(where=good.way == "out").fill_null(0),
        first=good.day.min(),
        last=good.day.max(),
        long=(good.text.length() > LONGEST).sum().fill_null(0),
    ).to_pyarrow().to_pylist()[0]  # fmt: skip
    pairs = good.select("entity", "kind").distinct()
    kinds = pairs.group_by("kind").agg(entities=pairs.count()).to_pyarrow().to_pylist()
    several = pairs.group_by("entity").agg(kinds=pairs.count())
    several = several.filter(several.kinds > 1).count().execute()
    refused: dict[str, dict[str, int]] = {}
    for one in sorted(counts, key=lambda c: (c["source"], -c["rows"], c["refused"])):
        if one["refused"]:
            refused.setdefault(one["source"], {})[one["refused"]] = one["rows"]
    notes = _notes(flows, rows, refused)
    if several:
        notes.append(
            f"{several:,} entities are of two kinds: each of their accounts counts under its own"
        )
    if total["long"]:
        notes.append(f"{total['long']:,} texts are longer than {LONGEST} characters: cut there")
    return FlowCheck(
        flow=flows.settings.name,
        currency=flows.settings.currency,
        bound=tuple(_bound_lines(flows)),
        rows=sum(one["rows"] for one in counts),
        read=sum(one["rows"] for one in counts if not one["refused"]),
        refused=refused,
        inward=int(total["inward"]),
        outward=int(total["outward"]),
        entities={one["kind"]: int(one["entities"]) for one in kinds},
        first=str(total["first"] or ""),
        last=str(total["last"] or ""),
        empty_months=tuple(_empty(good)),
        notes=tuple(notes),
    )


def _empty(good: Any) -> list[str]:
    month = good.day.year() * 12 + good.day.month() - 1
    found = good.select(month=month).distinct().to_pyarrow()["month"].to_pylist()
    if not found:
        return []
    missing = sorted(set(range(min(found), max(found) + 1)) - set(found))
    return [f"{one // 12}-{one % 12 + 1:02d}" for one in missing]


def _bound_lines(flows: Flows) -> list[str]:
    lines = []
    parts: list[tuple[str, Bound | None]] = [("transactions", s) for s in flows.settings.sources]
    parts += [("accounts", flows.settings.accounts), ("orders", flows.settings.orders)]
    parts += [("rates", flows.settings.rates), ("balances", flows.settings.balances)]
    for what, bound in parts:
        if bound is None:
            continue
        said = [f"{f} = {c}" for f, c in bound.columns.items()]
        said += [f"{f} = {' / '.join(c)}" for f, c in bound.joined.items()]
        said += [f"{f} is {v!r}" for f, v in bound.fixed.items()]
        lines.append(f"{what} {bound.table}: {', '.join(said)}")
    return lines


def _notes(flows: Flows, rows: Any, refused: dict[str, dict[str, int]]) -> list[str]:
    """What to do about what was left out, and what is odd in the tables beside."""
    notes = []
    for source in flows.settings.sources:
        found, where = refused.get(source.table, {}), source.where
        unread = rows.filter(rows.source == source.table)
        if UNKNOWN_CODE in found:
            codes = shown_codes(unread.filter(unread.refused == UNKNOWN_CODE), "unread")
            notes.append(f"{where} in, out: codes in neither: {codes}")
        if NO_RATE in found:
            codes = shown_codes(unread.filter(unread.refused == NO_RATE), "unread", short=CODE_LIKE)
            notes.append(
                f"{where} currency: no rate on their day for {codes}: [flows.NAME.rates] gives one;"
                ' where another code is meant, currencies = { "RMB yuan" = "CNY" } in [flows.NAME]'
            )
        notes += _written(flows, source, ABSENT in found)
        if NO_AMOUNT in found:
            written = shown_shapes(unread.filter(unread.refused == NO_AMOUNT), "unread")
            notes.append(f"{where} amount: what cannot be read is written {_AS} {written}")
        if NO_DAY in found:
            written = shown_shapes(unread.filter(unread.refused == NO_DAY), "unread")
            notes.append(
                f"{where} time: what {source.dates!r} does not read is written {_AS} {written}"
            )
            days = unread.filter((unread.refused == NO_DAY) & counted_days(unread.unread))
            if counted := int(days.count().to_pyarrow().as_py()):
                said = f'{{ "{source.columns["time"]}" = "excel" }}'
                notes.append(
                    f"{where} time: {counted:,} are {COUNTED}{said} in [{source.table}] reads them"
                )
        if zoned := found.get(ZONED):
            notes.append(
                f"{where} time: {zoned:,} times carry a zone: store them as timestamps with"
                " a zone (a view's cast, Parquet), or as that zone's time without its mark, with"
                " stored_zone"
            )
        if half := found.get(HALF_DAYS):
            notes.append(
                f"{where} time: {half:,} times are by a clock of twelve hours: store them as"
                " timestamps, or with hours from 00 to 23"
            )
        if other := found.get(CONFLICT):
            notes.append(
                f"{where} id: {other:,} rows have the id of another transaction, of which the first"
                " by day is kept: where an id names a transaction only together with other columns"
                " (both sides of one, parts of one), name them all, as in"
                ' id = ["serial", "account"]'
            )
        if dropped := _dropped(flows, source):
            notes.append(
                f"{where} dates: {dropped:,} times have a time of day for which"
                f" {source.dates!r} has no place (hh, mi, ss): what is read is at midnight"
            )
    return [*notes, *money_notes(flows), *beside_notes(flows)]


def _written(flows: Flows, source: Source, absent: bool) -> list[str]:
    """What to do where accounts are there but for how they are written: a spreadsheet's doing."""
    if flows.base.accounts is None:
        return []
    found, theirs = [], flows.base.accounts.select("account")
    table = flows.engine.columns_of(source)
    for key in ("account", "counterparty_account"):
        if key not in source.columns or (key == "account" and not absent):
            continue
        met, near, _ = nearly(table.select(source_text(table, source, key)), theirs)
        if near and (key == "account" or near > met):  # others' accounts may be alike by chance
            said = f'types = {{ "{source.columns[key]}" = "string" }}'
            found.append(
                f"{source.where} {key}: {near:,} more are in the table of accounts {ALIKE}: read"
                f" both as text, {said}, from files that still have them"
            )
    return found


def _dropped(flows: Flows, source: Source) -> int:
    """Rows with a time of day that is not read; only the bank knows whether that was meant."""
    table = flows.engine.columns_of(source)
    time = table[source.columns["time"]]
    kind = time.type()
    if "hh" in source.dates or not (kind.is_string() or kind.is_integer()):
        return 0
    return int(table.filter(drops_clock(time, source.dates)).count().to_pyarrow().as_py())
