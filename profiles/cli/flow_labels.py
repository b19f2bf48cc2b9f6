"""`fedprofile flows labels`: the table that a job with a label of flows trains on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from profiles.cli.flow_options import Memory, Name, Tables, Threads
from profiles.cli.flow_rows import say_reasons

__all__ = ["labels"]


def labels(
    job: Annotated[Path, typer.Argument(help="A job file with [label].")],
    tables: Tables,
    out: Annotated[
        Path, typer.Option("--out", help="A Parquet file; counts go to NAME.counts.csv beside it.")
    ],
    flows: Name = "",
    threads: Threads = 0,
    memory: Memory = "",
) -> None:
    """Write the rows that a job's [label] trains on, a row an entity and cut-off, and counts.

    What is left out is told on stderr, with counts. Bind both files in tables.toml: the rows as the
    receiver's table of the job, the counts as what `counted` names.
    """
    from federated.tables.bindings import TablesFile
    from profiles.copies import ROWS, note_copy
    from profiles.flows.export import write_parquet
    from profiles.flows.flows import Flows
    from profiles.job import Job
    from profiles.label_section import CUT_OFF
    from profiles.labelled import training_table, write_counts

    asked = Job.load(job)
    bound = TablesFile.load(tables)
    opened = Flows.load(tables, flows, threads=threads, memory=memory)
    rows, counts = training_table(asked, opened, dict(bound.tables))
    say_reasons(opened)
    written = write_parquet(rows, out)
    write_counts(counts, out.with_suffix(".counts.csv"))
    note_copy(tables.parent, ROWS, out)
    for line in counts.to_pylist():
        typer.echo(f"{line['cut_off']} {line['entities']:>12,} {line['what']}")
    typer.echo(f"{out}: {written:,} rows, label {rows.columns[rows.columns.index(CUT_OFF) + 1]!r}")
