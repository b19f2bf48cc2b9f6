"""`fedprofile preflight`: each side alone looks at its keys before any cryptography."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["preflight"]


def preflight(
    job: Annotated[Path, typer.Argument(help="The job file.")],
    tables: Annotated[Path, typer.Option("--tables", help="This party's tables.toml.")],
    party: Annotated[
        str, typer.Option("--party", help="Only this party; otherwise all whose table is bound.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check key columns: rows, nulls, invalid by reason, duplicates, and what to do; say of every
    other column that the job names what it is taken for.

    Counts only; no value is shown and nothing is sent. Ends with exit code 0 where the job can
    succeed with these columns, also if there is something to mend; with 4 where a table cannot be
    read or lacks a key column, a column cannot be what the job takes it for, what it holds is in
    the way of a step (a label with three classes, a manager twice), no row has a usable key, fewer
    than [align] minimum_overlap or more than largest_set have one, no key of a party can be one of
    the receiver's where both tables are bound (how many do match is not looked at), or plan would
    refuse the job for anything else; with 3 where a file is wrong, with 7 where an optional package
    is missing.
    """
    import json

    from federated.tables.bindings import TablesFile
    from federated.tables.source import FileSource
    from profiles.cli.screen import column_bars
    from profiles.held_columns import frozen_beside
    from profiles.job import Job
    from profiles.looked import looked_at
    from psi.protocol import InputError, JobError

    spec = Job.load(job)
    file = TablesFile.load(tables)
    bound = [p for p in spec.parties if p.table in file and party in ("", p.name)]
    if not bound:
        known = ", ".join(f"{p.table} of {p.name}" for p in spec.parties)
        raise JobError(
            f"{tables}: no table of {party or 'any party'}",
            hint=f"the job has {known}; bound are {', '.join(file)}",
        )
    if not all(found.keys for found in bound):
        raise JobError(
            f"{job}: no [[party]] keys to check",
            hint="a horizontal job matches no rows: fedprofile plan --tables looks at its columns",
        )
    reports = []
    for found in looked_at(spec, FileSource(file), bound, frozen_beside(job, tables), column_bars):
        reports.append(found)
        if not as_json:
            typer.echo(found.to_text())
    if as_json:
        typer.echo(json.dumps([report.as_dict() for report in reports], indent=1))
    if not all(report.ok for report in reports):
        raise typer.Exit(InputError.exit_code)
