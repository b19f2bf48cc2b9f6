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
) -> None:
    """Check key columns: rows, nulls, invalid by reason, duplicates, and what to do.

    Counts only; no value is shown and nothing is sent.
    """
    from federated.party.preflight import preflight as check
    from federated.party.source import FileSource
    from federated.party.tables import TablesFile
    from profiles.cli.screen import column_bars
    from profiles.job import Job
    from psi.protocol import JobError

    spec = Job.load(job)
    file = TablesFile.load(tables)
    repeats = spec.align.duplicates if spec.align else "collapse"
    bound = [p for p in spec.parties if p.table in file and party in ("", p.name)]
    if not bound:
        known = ", ".join(p.name for p in spec.parties)
        raise JobError(f"{tables}: no table of {party or 'any party'}", hint=f"parties: {known}")
    for found in bound:
        names = list(dict.fromkeys(column for level in found.keys for column in level))
        table = FileSource(file).load(found.table, names, keys=names)
        levels = spec.align.kinds if spec.align else ()
        kinds = {
            c: k
            for cs, ks in zip(found.keys, levels, strict=True)
            for c, k in zip(cs, ks, strict=True)
        }
        typer.echo(f"{found.name}: {found.table}")
        with column_bars() as progress:
            report = check(table, found.keys, kinds, duplicates=repeats, progress=progress)
        typer.echo(report.to_text() + "\n")
