"""`fedprofile score`: rows scored by a model that was trained before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from profiles.cli.run import LANG

__all__ = ["score"]


def score(
    what: Annotated[
        str, typer.Argument(help="A job file with [[score]]; or a model's id, or its task.")
    ],
    tables: Annotated[Path, typer.Option("--tables", help="Binds the job's tables to data.")],
    out: Annotated[Path, typer.Option("--out", help="A folder for the outputs.")],
    table: Annotated[
        str,
        typer.Option("--table", help="The receiver's logical table; without it the training's."),
    ] = "",
    fact: Annotated[
        list[str] | None,
        typer.Option(
            "--fact",
            help="A column of the receiver's to carry into the profiles, with a model; once for "
            "each. The first names the customer.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the outputs of an earlier run in --out.")
    ] = False,
    hub: Annotated[
        Path | None,
        typer.Option(
            "--hub",
            help="The folder of this party's hub or running node: the other parties are at their "
            "own nodes, and --tables binds this party's tables only.",
        ),
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Opens this party's keys, with --hub.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0.01, help="Hours to wait for the others, with --hub.")
    ] = 24.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    lang: Annotated[str, typer.Option("--lang", help=LANG)] = "",
) -> None:
    """Score new or changed customers by a model of which each party has kept its part.

    Of a model a job file is written beside --tables, by its training's parties, keys and columns;
    change it there where something is another now, and name the file. What is told is what
    `fedprofile plan` says of that file.
    """
    from federated.cli.model import store_of
    from federated.scoring.model_file import LABEL
    from profiles.cli.run import check_lang, run
    from profiles.job import Job
    from profiles.score_job import receivers_part, score_job
    from psi.protocol import MisuseError

    check_lang(lang)  # before a file is written
    job = Path(what)
    if not job.is_file():
        if hub is None:
            part = receivers_part(tables.absolute().parent / "models", what)
        else:
            part = store_of(hub, None).find(what)
            if part.side != LABEL:
                raise MisuseError(
                    f"model {part.id}: {part.receiver} has the label, and asks for scores"
                )
        job = score_job(part, tables.absolute().parent, table, fact or ())
        typer.echo(f"{job}: scores by model {part.id}", err=True)
    elif table or fact:
        raise MisuseError(
            "--table and --fact are for a model; a job file names its tables itself, and facts "
            "in [profile]"
        )
    elif not Job.load(job).scores:  # it would train again, and tell partners' rows again
        raise MisuseError(
            f"{job}: no [[score]] found, one needed",
            hint="fedprofile run runs any job; `fedprofile score MODEL` writes one that scores",
        )
    run(
        job=job,
        tables=tables,
        out=out,
        overwrite=overwrite,
        hub=hub,
        passphrase_file=passphrase_file,
        wait=wait,
        quiet=quiet,
        lang=lang,
    )
