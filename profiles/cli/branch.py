"""`fedprofile branch`: profiles of one party's rows by the model that several have trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from profiles.cli.options import Lang, Out, Overwrite

__all__ = ["branch"]


def branch(
    job: Annotated[Path, typer.Argument(help="The job file of the horizontal training.")],
    party: Annotated[str, typer.Option("--party", help="Whose rows: this party's name.")],
    model: Annotated[
        Path,
        typer.Option("--model", help="model.json of this party's job folder: the common model."),
    ],
    tables: Annotated[Path, typer.Option("--tables", help="Binds this party's tables to data.")],
    out: Out,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            help="This party's node or hub folder: who was forgotten is out, and the outputs go "
            "when the contract's time for them is over.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    lang: Lang = "",
    since: Annotated[
        Path | None,
        typer.Option("--since", help="Outputs of an earlier month: the report says what changed."),
    ] = None,
) -> None:
    """Write profiles, lists, reasons and a report of this party's own rows.

    After a horizontal job every party has the common model. This reads the party's tables and the
    model alone: nothing is sent, and no other party has to run. The same model serves each month.
    """
    import time
    from datetime import datetime

    from federated.horizontal.model_file import read_rows_model
    from federated.node.home import NodeHome, person_book
    from federated.node.outputs import note_rows
    from federated.persons.source import WithoutForgotten
    from federated.tables.source import Source
    from profiles.branch_rows import branch_job, copied, write_branch_rows
    from profiles.campaign.control import ControlGroup
    from profiles.cli.run import check_lang, in_language
    from profiles.job import Job
    from profiles.kept_segments import SegmentsFile
    from profiles.tables import open_tables
    from psi.protocol import MisuseError

    check_lang(lang)
    if since is not None and since.absolute() == out.absolute():
        raise MisuseError("--since and --out are one folder", hint="a folder for each month")
    if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
        raise MisuseError(f"{out} exists", hint="give another --out, or --overwrite")
    known = read_rows_model(model)
    mine = branch_job(in_language(Job.load(job), lang), party, known)
    group = None
    if mine.campaign is not None:
        folder, today = tables.absolute().parent / "campaigns", datetime.now().astimezone().date()
        group = ControlGroup.kept(folder, mine.campaign, today, mine.file)
    kept = SegmentsFile(out.absolute().parent / f"{job.stem}.{party}.segments.json")
    source: Source = open_tables(tables)
    place = None if home is None else NodeHome.open(home)
    if place is not None:
        source = WithoutForgotten(source, person_book(place))
    with copied(mine, source) as copy:
        made = write_branch_rows(
            mine, known, copy, out, campaign=group, segments_file=kept, earlier=since
        )
    if place is not None and not note_rows(place, known.contract, out, made.files, time.time()):
        typer.echo(
            f"no job of {place.path} made this model: `node purge` will not remove {out}", err=True
        )
    kept.note()
    scored = sum(target.total for target in made.report.targets)
    typer.echo(f"{party}: {made.profiles.num_rows:,} profiles, {scored:,} on lists")
    typer.echo(f"report: {out / 'report.html'}")
