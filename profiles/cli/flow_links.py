"""`fedprofile flows links`: who supplies, grants, owns and pays wages, with what it rests on."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from profiles.cli.flow_options import Lang, Memory, Name, Tables, Threads
from profiles.cli.flow_rows import say_reasons

if TYPE_CHECKING:
    from profiles.flows.flows import Flows
    from profiles.language import Language

__all__ = ["links"]


class Kind(StrEnum):
    """What a link is called; `profiles.flows.ties.KINDS` has the same."""

    supplier = "supplier"
    grant = "grant"
    owner = "owner"
    payroll = "payroll"


def links(
    tables: Tables,
    entity: Annotated[
        str, typer.Argument(help="Its links, and those among whom it is linked to.")
    ] = "",
    flows: Name = "",
    kind: Annotated[Kind | None, typer.Option("--kind", help="Links of one kind.")] = None,
    month: Annotated[
        datetime | None,
        typer.Option("--month", formats=["%Y-%m"], help="The last month looked at."),
    ] = None,
    months: Annotated[
        int, typer.Option("--months", min=1, max=120, help="How many; wages take four.")
    ] = 12,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="A Parquet file: a row a link.")] = None,
    lang: Lang = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Show who pays whom: suppliers, grants, owners, wages, with the evidence of each.

    Without ENTITY: counts and sums only; `--out` has a row a link. An entity is named as the table
    of accounts does, one elsewhere by its account or name. Natural persons are told where
    `person_links = true` in [flows.NAME] alone.
    """
    import json

    from profiles.cli.run import check_lang
    from profiles.copies import ROWS, note_copy
    from profiles.flows import ties
    from profiles.flows.export import write_parquet
    from profiles.flows.flows import Flows
    from profiles.language import LANGUAGES, language
    from psi.protocol.errors import InputError, MisuseError

    check_lang(lang)
    t = language(lang or LANGUAGES[0])
    opened = Flows.load(tables, flows, threads=threads, memory=memory)
    last = opened.last_day
    if last is None:
        where = opened.settings.where
        raise InputError(f"{where}: no row can be read", hint="fedprofile flows check says why")
    day = month.date() if month else last
    if day > last:
        raise MisuseError(
            f"--month {day:%Y-%m}: the data end on {last}", hint="a month that they hold"
        )
    say_reasons(opened, lang, beside=False)
    found = ties.links(opened, day.year * 12 + day.month - 1, months)
    if kind is not None:
        found = found.filter(found["link"] == kind.value)
    if entity:
        found = ties.neighbourhood(found, entity)
    if out is not None:
        typer.echo(f"{out}: {write_parquet(found, out):,} rows")
        note_copy(tables.parent, ROWS, out)
        return
    rows = _links(found) if entity else _sums(found)
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(_line(opened, t, row))
    if not rows:
        typer.echo(_none(opened, t, entity))
    if not opened.settings.person_links:
        typer.echo(t.say("flows.no_person_links", flow=opened.settings.name))


def _none(flows: Flows, t: Language, entity: str) -> str:
    """Why nothing is shown. Raises `InputError` for a name that is nowhere in the data, where the
    bank lets links of persons be told; elsewhere a person and nobody get one answer."""
    from profiles.flows.ties import whose
    from psi.protocol.errors import InputError

    if not entity:
        return t.say("flows.no_links")
    found = whose(flows, entity)
    if found or not flows.settings.person_links:
        return t.say(f"flows.no_links_{found or 'untold'}")
    raise InputError(
        f"{flows.settings.where}: ENTITY: no entity, account or counterparty of a readable row is "
        "called so",
        hint="an entity is named as the table of accounts does; --out has all ends of links",
    )


def _links(found: Any) -> list[dict[str, Any]]:
    """Rows of `found`, the most money first within a kind."""
    import ibis

    keys = ["link", ibis.desc("minor"), "source", "target"]
    rows: list[dict[str, Any]] = found.order_by(keys).to_pyarrow().to_pylist()
    return rows


def _sums(found: Any) -> list[dict[str, Any]]:
    """Counts and sums by kind of link and of ends."""
    keys = ["link", "source_kind", "target_kind"]
    sums = found.group_by(keys).agg(
        links=found.count(), rows=found["rows"].sum().cast("int64"),
        minor=found.minor.sum().cast("int64"), first_day=found.first_day.min(),
        last_day=found.last_day.max(),
    )  # fmt: skip
    rows: list[dict[str, Any]] = sums.order_by(keys).to_pyarrow().to_pylist()
    return rows


def _line(flows: Flows, t: Language, row: dict[str, Any]) -> str:
    from federated.text import plain

    def kind_of(end: str) -> str:
        return row[f"{end}_kind"] or t.say("flows.link_elsewhere")

    digits, link = flows.settings.digits, t.say(f"flows.link_{row['link']}")
    seen = f"{row['rows']:>9,} {row['minor'] / 10**digits:>20,.{digits}f}"
    since = t.say("flows.link_days", first=row["first_day"], last=row["last_day"])
    if "links" in row:
        pair = f"{kind_of('source')} -> {kind_of('target')}"
        count = t.say("flows.link_count", links=f"{row['links']:>9,}")
        return f"{link:<9} {pair:<22} {count} {seen} {since}"
    ends = [
        f"{plain(row[end], 100) or t.say('flows.link_persons')} ({kind_of(end)})"
        for end in ("source", "target")
    ]
    months = t.say("flows.link_months", months=row["months"])
    staff = f"{row['persons']:,}" if row["persons"] else ""
    staff = t.say("flows.link_staff", persons=staff) if staff else ""
    return f"{link:<9} {' -> '.join(ends):<40} {seen} {months} {since}{staff}"
