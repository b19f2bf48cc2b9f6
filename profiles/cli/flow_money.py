"""`fedprofile flows map`, `leaks` and `breaks`: where money comes from, goes and stays away."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from profiles.cli.flow_options import Lang, Memory, Name, Tables, Threads
from profiles.cli.flow_rows import say_left_out, typed_rows

if TYPE_CHECKING:
    from profiles.flows.flows import Flows

__all__ = ["breaks", "leaks", "map_", "report", "score"]

Out = Annotated[Path | None, typer.Option("--out", help="A Parquet file for all rows.")]


def map_(
    tables: Tables,
    flows: Name = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="A new DuckDB file: tables flows and flow_map.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="A page with the picture.")] = None,
    lang: Lang = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Show what flows between places, month by month: counts and sums only.

    Places are entities here by kind, products here, own accounts here, elsewhere, and outside.
    """
    from profiles.cli.flow_shown import show_map
    from profiles.cli.run import check_lang
    from profiles.copies import MAP, note_copy
    from profiles.flows.export import write_duckdb
    from profiles.flows.map import by_month, flow_map
    from profiles.flows.page import map_page, write_flow_page

    check_lang(lang)
    opened, typed = _typed(tables, flows, threads, memory, lang)
    found = opened.stored(flow_map(typed, opened.taxonomy, opened.base.accounts), "map")
    rows = by_month(found).to_pyarrow().to_pylist()
    show_map(opened, lang, rows)
    if html is not None:
        write_flow_page(map_page(opened, rows), html, lang or "en")
    if out is not None:
        write_duckdb({"flows": typed, "flow_map": found}, out)
        note_copy(tables.parent, MAP, out)


def report(
    tables: Tables,
    out: Annotated[Path, typer.Option("--out", help="The HTML file.")] = Path("flows.html"),
    flows: Name = "",
    days: Annotated[
        int, typer.Option("--days", min=0, max=400, help="Money that leaves within so many days.")
    ] = 15,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The last day looked at for breaks."),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="The page's language, en or zh.")] = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Write one page: the map, leaks, breaks, the largest types and texts without one.

    Counts and sums only.
    """
    from profiles.cli.run import check_lang
    from profiles.flows.engine import seldom_collected
    from profiles.flows.flows import Flows
    from profiles.flows.page import flow_page, write_flow_page
    from profiles.language import LANGUAGES

    check_lang(lang)
    opened = Flows.load(tables, flows, threads=threads, memory=memory)
    with seldom_collected():
        page = flow_page(opened, days, as_of.date() if as_of else None)
    say_left_out(opened, page.rows, lang)
    write_flow_page(page, out, lang or LANGUAGES[0])
    typer.echo(str(out))


def leaks(
    tables: Tables,
    flows: Name = "",
    days: Annotated[
        int, typer.Option("--days", min=0, max=400, help="Money that leaves within so many days.")
    ] = 15,
    out: Out = None,
    lang: Lang = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Show what money left for elsewhere, by what it came as: oldest money first.

    Counts and sums a month; `--out` has a row a pair of inflow and outflow.
    """
    import ibis

    from profiles.cli.flow_shown import show_leaks
    from profiles.cli.run import check_lang
    from profiles.copies import ROWS, note_copy
    from profiles.flows import leaks as arithmetic
    from profiles.flows.export import write_parquet

    check_lang(lang)
    opened, typed = _typed(tables, flows, threads, memory, lang)
    events = opened.stored(arithmetic.events_of(typed, opened.taxonomy), "events")
    found = arithmetic.leaks(typed, opened.taxonomy, days, events)
    if out is not None:
        typer.echo(f"{out}: {write_parquet(found, out):,} rows")
        note_copy(tables.parent, ROWS, out)
        return
    keys = ["month", "inflow_type", "outflow_type"]
    sums = found.group_by(keys).agg(rows=found.count(), minor=found.minor.sum())
    rows = sums.order_by("month", ibis.desc("minor"), *keys[1:]).to_pyarrow().to_pylist()
    left = arithmetic.unattributed(typed, opened.taxonomy, events)
    show_leaks(opened, lang, rows, int(left.minor.sum().execute() or 0), days)


def breaks(
    tables: Tables,
    flows: Name = "",
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The last day looked at."),
    ] = None,
    out: Out = None,
    lang: Lang = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Show what came month after month and stopped; told 45 days after it last came.

    Counts and sums a month; `--out` has a row a break.
    """
    from profiles.cli.flow_shown import show_breaks
    from profiles.cli.run import check_lang
    from profiles.copies import ROWS, note_copy
    from profiles.flows import breaks as arithmetic
    from profiles.flows.export import write_parquet

    check_lang(lang)
    opened, typed = _typed(tables, flows, threads, memory, lang)
    day = as_of.date() if as_of else typed.day.max().to_pyarrow().as_py()
    found = arithmetic.breaks(opened.base, typed, opened.taxonomy, day, keep=opened.stored)
    if out is not None:
        typer.echo(f"{out}: {write_parquet(found, out):,} rows")
        note_copy(tables.parent, ROWS, out)
        return
    keys = ["month", "type", "change"]
    sums = found.group_by(keys).agg(rows=found.count(), minor=found.minor.sum())
    show_breaks(opened, lang, sums.order_by(keys).to_pyarrow().to_pylist(), day)


def score(
    truth: Annotated[Path, typer.Argument(help="CSV or Parquet with columns id and type.")],
    tables: Tables,
    flows: Name = "",
    leaks: Annotated[
        Path | None, typer.Option("--leaks", help="Leaks: ids, columns inflow and outflow.")
    ] = None,
    breaks: Annotated[
        Path | None, typer.Option("--breaks", help="Breaks: columns entity and month, as 2026-03.")
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=0, max=400, help="Of leaks: as for flows leaks.")
    ] = 15,
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Hold types against a table of what they really are: "" where nobody could say.

    Precision of a type: of the rows that got it, the share whose truth it is. Recall: of the rows
    whose truth it is, the share that got it. F1 is their harmonic mean. With --leaks and --breaks
    those are held against what there is too, once found from the types of the truth (given) and
    once from own ones.
    """
    from federated.tables.spelled import ALIKE
    from profiles.flows import breaks as of_breaks
    from profiles.flows import leaks as of_leaks
    from profiles.flows.alike import nearly
    from profiles.flows.score import PairScore, score_pairs, score_types, typed_as
    from psi.protocol.errors import InputError

    opened, typed = _typed(tables, flows, threads, memory)
    real = _beside(opened, truth, "types", ("id", "type"))
    given = real.select("type").distinct().to_pyarrow().column("type")
    opened.taxonomy.check_codes(given.drop_null().to_pylist(), str(truth))
    found = score_types(typed, real)
    if found.twice:
        raise InputError(
            f"{truth}: id: {found.twice:,} ids stand in several rows",
            hint="one row an id is needed",
        )
    if not found.rows:
        _, near, _ = nearly(real.select("id"), typed.select("id"))
        said = f", {near:,} are {ALIKE}" if near else ""
        raise InputError(
            f"{truth}: id: none of {found.unknown:,} is the id of a readable row{said}",
            hint="ids as the tables write them; with several sources an id is TABLE/ID",
        )
    for code, (rows, precision, recall, both) in found.types.items():
        typer.echo(
            f"{code:<28} {rows:>9,} precision {precision:.3f} recall {recall:.3f} F1 {both:.3f}"
        )
    for what, share, none in (
        ("mean F1 over types with 50 rows or more in the truth", found.macro, "no type has them"),
        ("precision of typed rows", found.precision, "no row of the truth has a type"),
        ("undecidable rows left untyped", found.undecided, "the truth has no undecidable row"),
    ):
        typer.echo(f"{what}: {none if share is None else f'{share:.3f}'}")
    typer.echo(
        f"rows of the truth compared: {found.rows:,}; not compared, since no readable row has "
        f"their id: {found.unknown:,}"
    )

    def told(what: str, whose: str, pairs: PairScore) -> None:
        typer.echo(
            f"{what} from {whose} types: precision {pairs.precision:.3f} recall {pairs.recall:.3f} "
            f"F1 {pairs.both:.3f}"
        )

    for whose, rows in (("given", typed_as(typed, real)), ("own", typed)):
        if leaks is not None:
            there = _beside(opened, leaks, "leaks", ("inflow", "outflow"))
            pairs = of_leaks.leaks(rows, opened.taxonomy, days)
            told("leaks", whose, score_pairs(pairs, there, ("inflow", "outflow")))
        if breaks is not None:
            there = _beside(opened, breaks, "breaks", ("entity", "month"))
            last = typed.day.max().to_pyarrow().as_py()
            with opened.scratch() as keep:
                stopped = of_breaks.breaks(opened.base, rows, opened.taxonomy, last, keep=keep)
                stopped = opened.stored(stopped, "breaks")
            stopped = stopped.filter(stopped.change == "break")
            number = stopped.month % 12 + 1
            month = (stopped.month // 12).cast("string") + "-" + number.cast("string").lpad(2, "0")
            found_ones = stopped.select("entity", month=month)
            told("breaks", whose, score_pairs(found_ones, there, ("entity", "month")))


def _beside(flows: Flows, path: Path, what: str, columns: tuple[str, str]) -> Any:
    """A small table of the truth on the engine of the flows."""
    import ibis

    from federated.readers import arrow_expression
    from federated.tables.bindings import table_of
    from psi.protocol import InputError

    if not path.exists():
        raise InputError(
            f"{path}: no file of what is true of {what}",
            hint=f"paths of a command are relative to the folder that it is given in: {Path.cwd()}",
        )
    given = table_of(f"truth.{what}", {"path": str(path.resolve())}, path)
    table = given.load(list(columns), keys=list(columns))
    if flows.engine.connection.name == "duckdb":
        return arrow_expression(flows.engine.connection, f"truth_{what}", table)
    return ibis.memtable(table)


def _typed(tables: Path, name: str, threads: int, memory: str, lang: str = "") -> tuple[Flows, Any]:
    from profiles.flows.flows import Flows

    opened = Flows.load(tables, name, threads=threads, memory=memory)
    return opened, typed_rows(opened, lang=lang)
