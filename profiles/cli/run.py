"""`fedprofile run`: a whole job on this machine, every party on its own side of the router."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


def run(
    job: Annotated[Path, typer.Argument(help="The job file.")],
    tables: Annotated[Path, typer.Option("--tables", help="Binds the job's tables to data.")],
    out: Annotated[Path, typer.Option("--out", help="A folder for the outputs.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the outputs of an earlier run in --out.")
    ] = False,
    plaintext_baseline: Annotated[
        bool,
        typer.Option(
            "--plaintext-baseline",
            help="Also fit the same model on the joined columns in one process and compare.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Run a job with all parties on this machine, over the memory router.

    Contracts, sealing, checkpoints and ledgers are those of a deployment. Outputs are written
    to --out at the end, all or none; an earlier run's outputs stay as they are if this one fails.
    """
    from profiles.cli.screen import progress_bar
    from profiles.cli.summary import print_summary
    from profiles.job import Job
    from profiles.run import run_job, steps_of
    from profiles.tables import open_tables

    spec = Job.load(job)
    result = run_job(
        spec,
        open_tables(tables),
        out,
        overwrite=overwrite,
        baseline=plaintext_baseline,
        progress=None if quiet else progress_bar(steps_of(spec), spec.receiver),
    )
    print_summary(result)
