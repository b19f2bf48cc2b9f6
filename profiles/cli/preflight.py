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
    """Check key columns: rows, nulls, invalid by reason, duplicates, and what to do.

    Counts only; no value is shown and nothing is sent. Ends with exit code 0 where the job can
    succeed with these keys, also if there is something to mend; with 4 where a table cannot be
    read or lacks a key column, no row has a usable key, or fewer than [align] minimum_overlap
    or more than largest_set have one; with 3 where a file is wrong.
    """
    import json

    from federated.party.preflight import preflight as check
    from federated.party.source import FileSource
    from federated.party.tables import TablesFile
    from profiles.cli.screen import column_bars
    from profiles.job import AlignSpec, Job
    from psi.protocol import InputError, JobError

    spec = Job.load(job)
    file = TablesFile.load(tables)
    align = spec.align or AlignSpec(minimum_overlap=0)
    bound = [p for p in spec.parties if p.table in file and party in ("", p.name)]
    if not bound:
        known = ", ".join(p.name for p in spec.parties)
        raise JobError(f"{tables}: no table of {party or 'any party'}", hint=f"parties: {known}")
    if not all(found.keys for found in bound):
        raise JobError(
            f"{job}: no [[party]] keys to check", hint="a horizontal job matches no rows"
        )
    reports = []
    for found in bound:
        names = list(dict.fromkeys(column for level in found.keys for column in level))
        table = FileSource(file).load(found.table, names, keys=names)
        kinds = {
            c: k
            for cs, ks in zip(found.keys, align.kinds, strict=False)
            for c, k in zip(cs, ks, strict=True)
        }
        with column_bars() as progress:
            report = check(
                table, found.keys, kinds, duplicates=align.duplicates, progress=progress,
                minimum=align.minimum_overlap, largest=align.largest_set,
            )  # fmt: skip
        reports.append({"party": found.name, "table": found.table, **report.as_dict()})
        if not as_json:
            typer.echo(f"{found.name}: {found.table}\n{report.to_text()}\n")
    if as_json:
        typer.echo(json.dumps(reports, indent=1))
    if not all(report["ok"] for report in reports):
        raise typer.Exit(InputError.exit_code)
