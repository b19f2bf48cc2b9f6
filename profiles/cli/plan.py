"""`fedprofile plan`: what a job would send, disclose and cost, before any contact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["plan"]


def plan(
    job: Annotated[Path, typer.Argument(help="The job file.")],
    tables: Annotated[
        Path | None,
        typer.Option("--tables", help="A tables.toml: row counts are read from these tables."),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="Rows a table where --tables is not given.")
    ] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say in plain words what each party will send and learn, and what it will cost.

    Nothing is sent and no key is made. With --tables the row counts are those of the tables;
    otherwise every table is taken to have --rows rows. How long it takes is worked out from a
    quarter of a second of the real kernels.
    """
    import json

    from profiles.job import Job
    from profiles.plan import planned
    from profiles.plan_text import in_text
    from profiles.tables import open_tables
    from psi.kernels.cache import compiling

    if compiling():
        typer.echo(compiling(), err=True)
    spec = Job.load(job)
    source = open_tables(tables) if tables else None
    found = planned(spec, source, rows)
    typer.echo(json.dumps(found.as_dict(), indent=1) if as_json else in_text(found))
