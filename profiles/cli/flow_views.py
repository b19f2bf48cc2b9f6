"""`fedprofile flows views`: what views say of entities as of a cut-off, in a file for tables."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from profiles.cli.flow_options import Memory, Name, Threads
from profiles.cli.flow_rows import say_reasons

__all__ = ["views"]


def views(
    tables: Annotated[
        Path | None, typer.Option("--tables", help="A tables.toml with [flows.NAME].")
    ] = None,
    flows: Name = "",
    view: Annotated[
        list[str] | None, typer.Option("--view", help="A view, several times; all by default.")
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="C (consumers), B (companies) or G (government bodies).")
    ] = "C",
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Cut-off: nothing from that day on."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A Parquet file for them.")] = None,
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Write feature views, a row an entity, or list what columns they have.

    The file is one that `views` of a [party.table] names, so that a job can ask for view:NAME.
    What is left out is told on stderr, with counts.
    """
    from federated.text import plain
    from profiles.views import VIEWS, columns_of, feature_frame
    from psi.protocol.errors import MisuseError

    names = view or list(VIEWS)
    if kind not in ("C", "B", "G"):
        raise MisuseError(f"--kind: {kind!r} found, C, B or G allowed")
    columns = columns_of(names, kind, "--view")
    if out is None:
        for column in columns:
            line = f"{column.name:<30} {column.unit:<14} {column.window:<16} {column.meaning}"
            typer.echo(plain(line, 300))
        return
    if tables is None or as_of is None:
        raise MisuseError("--out: --tables and --as-of are needed beside it")
    from profiles.copies import ROWS, note_copy
    from profiles.flows.export import write_parquet
    from profiles.flows.flows import Flows
    from profiles.views.frame import said_of

    opened = Flows.load(tables, flows, threads=threads, memory=memory)
    day = as_of.date()
    frame = feature_frame(opened, names, day, kind)
    say_reasons(opened)
    written = write_parquet(frame, out, said_of(opened, names, day, kind))
    note_copy(tables.parent, ROWS, out)
    typer.echo(f"{out}: {written:,} entities, {len(columns)} columns, as of {day}")
    if not written:
        typer.echo(f"nobody of kind {kind} has an account that is open on {day}")
