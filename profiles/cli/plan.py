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
) -> None:
    """Say in plain words what each party will send and learn, and what it will cost.

    Nothing is sent and no key is made. With --tables the row counts are those of the tables;
    otherwise every table is taken to have --rows rows. How long it takes is worked out from a
    quarter of a second of the real kernels.
    """
    from profiles.job import Job
    from profiles.plan import describe
    from profiles.tables import open_tables
    from psi.kernels.cache import compiling

    if compiling():
        typer.echo(compiling(), err=True)
    spec = Job.load(job)
    source = open_tables(tables) if tables else None
    typer.echo(describe(spec, source, rows))
