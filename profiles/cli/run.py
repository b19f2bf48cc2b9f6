"""`fedprofile run`: a whole job on this machine, every party on its own side of the router."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from profiles.cli.options import Hub, Lang, Out, Overwrite, PassphraseFile, Quiet, Tables, Wait

__all__ = ["check_lang", "in_language", "run"]


def run(
    job: Annotated[Path, typer.Argument(help="The job file.")],
    tables: Tables,
    out: Out,
    overwrite: Overwrite = False,
    plaintext_baseline: Annotated[
        bool,
        typer.Option(
            "--plaintext-baseline",
            help="Also fit the same model on the joined columns in one process and compare.",
        ),
    ] = False,
    hub: Hub = None,
    passphrase_file: PassphraseFile = None,
    wait: Wait = 24.0,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with an unfinished run of this job, with --hub."),
    ] = False,
    accept_columns: Annotated[
        bool,
        typer.Option(
            "--accept-columns",
            help="Take columns for what they are now, where that is not what the last run of this "
            "job took them for.",
        ),
    ] = False,
    ask: Annotated[
        Path | None,
        typer.Option("--ask", help="The signed ask that this run answers (`job serve`)."),
    ] = None,
    quiet: Quiet = False,
    lang: Lang = "",
    since: Annotated[
        Path | None,
        typer.Option("--since", help="Outputs of an earlier run: the report says what changed."),
    ] = None,
    every: Annotated[
        str,
        typer.Option(
            "--every",
            help="month: --out has a folder for each. This month's is made, with what changed "
            "since the last, unless it is there: a timer may call as often as it likes.",
        ),
    ] = "",
) -> None:
    """Run a job with all parties on this machine, or with --hub with the others at their nodes.

    Contracts, sealing, journals and ledgers are those of a deployment. Outputs are written
    to --out at the end, all or none; an earlier run's outputs stay as they are if this one fails.
    """
    if hub is not None:
        check_folder(hub)  # before a second is spent on anything else
    if every:
        given = locals() | {"every": ""}
        _of_this_month(every, given)
        return
    from profiles.cli.screen import progress_bar
    from profiles.cli.summary import print_summary
    from profiles.job import Job
    from profiles.run import run_job, steps_of
    from profiles.runs import Started
    from profiles.tables import open_tables
    from psi.protocol import MisuseError

    spec, sources = in_language(Job.load(job), lang), open_tables(tables)
    if hub and plaintext_baseline:
        raise MisuseError(
            "--plaintext-baseline needs everyone's tables in one place",
            hint="leave it out with --hub",
        )
    if resume and not hub:
        raise MisuseError("--resume needs --hub", hint="a run on one machine begins again")
    held = frozen_columns(job, accept_columns or resume)  # what goes on was held to it before
    started = Started(str(tables.absolute()), str(out.absolute()), overwrite, str(job.absolute()))
    if hub and not resume:
        ask_policy(spec, sources, hub)
    result = run_job(
        spec,
        sources,
        out,
        overwrite=overwrite,
        baseline=plaintext_baseline,
        progress=None if quiet else progress_bar(steps_of(spec), spec.receiver),
        over=over_hub(hub, passphrase_file, wait * 3600, started, resume, held, ask)
        if hub
        else None,
        resumed=resume,
        frozen=held,
        campaigns=tables.absolute().parent / "campaigns",
        models=tables.absolute().parent / "models",
        segments=segments_beside(job),
        earlier=since,
    )
    print_summary(result)
    say_noted(result, job)


def _of_this_month(every: str, given: dict[str, Any]) -> None:
    """`run` with what was `given`, for the folder of this month in its --out."""
    from datetime import date

    from profiles.months import month_of
    from psi.protocol import MisuseError

    if every != "month":
        raise MisuseError(
            f"--every: {every!r} found, 'month' allowed",
            hint="another rhythm is a timer that names its own --out, with --since the last one's",
        )
    if given["since"] is not None:
        raise MisuseError(
            "--since found beside --every, one of them allowed",
            hint="--every compares with the last month's run by itself",
        )
    with month_of(given["out"], date.today()) as month:
        if month.done and not given["overwrite"]:
            typer.echo(f"{month.folder} is there: this month's run is done")
            return
        begun = given["hub"] is not None and _begun_here(given["hub"], given["job"], month.folder)
        more = {"out": month.folder, "since": month.last, "resume": given["resume"] or begun}
        run(**given | more)


def _begun_here(hub: Path, job: Path, out: Path) -> bool:
    """Whether a run of this job file into this folder was interrupted."""
    from profiles.remote import HubLink
    from profiles.runs import runs_in

    last = next((r for r in runs_in(HubLink(hub).home.jobs) if r.resumable and r.of_job(job)), None)
    return last is not None and last.load().started.out == str(out.absolute())


def in_language(job: Any, lang: str) -> Any:
    """The job with its report in this language, "" for the job file's own."""
    from dataclasses import replace

    check_lang(lang)
    return replace(job, lang=lang) if lang else job


def check_lang(lang: str) -> None:
    """Raise `MisuseError` for a language that no catalogue has; "" is none."""
    from profiles.language import LANGUAGES
    from psi.protocol import MisuseError

    if lang and lang not in LANGUAGES:
        raise MisuseError(f"--lang: {lang!r} found, {' or '.join(LANGUAGES)} allowed")


def say_noted(result: Any, job: Path) -> None:
    """Say where what columns were taken for could not be written down."""
    if not result.columns_noted:
        typer.echo(
            f"{job.with_suffix('.columns.json')} cannot be written: the next run will not notice "
            "where a column is taken for something else",
            err=True,
        )
    if not result.segments_noted:
        typer.echo(
            f"{segments_beside(job)} cannot be written: the next run numbers segments anew",
            err=True,
        )


def segments_beside(job: Path) -> Path:
    """What the last run of this job file called its segments: NAME.segments.json beside it."""
    return job.with_suffix(".segments.json")


def frozen_columns(job: Path, accept: bool) -> Any:
    """What the last run of this job file took columns for: NAME.columns.json beside it."""
    import time

    from federated.tables.frozen import FrozenColumns

    return FrozenColumns(
        job.with_suffix(".columns.json"),
        time.time,
        accept=accept,
        how="fedprofile run --accept-columns takes them for what they are now",
    )


def check_folder(hub: Path) -> None:
    """Raise `InputError` unless this is the folder of a hub or of a node."""
    from psi.protocol.errors import InputError

    if not (hub / "hub.toml").exists() and not (hub / "node.toml").exists():
        raise InputError(
            f"{hub}: no hub's folder, and no node's",
            hint="--hub is the folder of this party's own hub, or of its running node",
        )


def ask_policy(job: Any, sources: Any, hub: Path) -> None:
    """Raise `Declined` where this party's own policy says no to its job, or its book.

    At most the key of its own table is read, to count rows.
    """
    from federated.cli.deciding import make_decider
    from profiles.remote import HubLink, check_allowed

    link = HubLink(hub)
    check_allowed(job, make_decider(link.home, sources), link, sources)


def over_hub(
    hub: Path,
    passphrase_file: Path | None,
    wait: float,
    started: Any,
    resume: Any,
    frozen: Any = None,
    ask: Path | None = None,
) -> Any:
    """Run the federation over this hub or node; `resume` is a run, or whether to find one."""
    from federated.cli.deciding import make_decider
    from federated.cli.passphrase import passphrase
    from profiles.remote import HubLink, federate_remote, unfinished

    link = HubLink(hub)
    keys = link.home.load_keys(passphrase(passphrase_file))

    def over(job: Any, sources: Any, folder: Path, progress: Any) -> Any:
        source = sources[job.receiver]
        asker = _asker(ask, link.home, Path(job.file)) if ask else None
        return federate_remote(
            job,
            source,
            link,
            keys,
            folder,
            started,
            decider=make_decider(link.home, source, _waits(link.home.path), asker),
            progress=progress,
            wait=wait,
            frozen=frozen,
            resume=unfinished(job, link) if resume is True else resume or None,
        )

    return over


def _asker(ask: Path, home: Any, job: Path) -> Any:
    """Who signed the ask, by the party's list. The run is of the job file that he signed."""
    from federated.keys.officers import load_officers
    from profiles.asks import read_ask
    from psi.protocol import MisuseError

    listed = load_officers(home.path)
    if listed is None:
        raise MisuseError(f"{home.name} lists no analysts", hint="fedprofile node officers add")
    found = read_ask(ask, listed, new=False)
    if job.read_text("utf-8") != found.said["job"]:
        raise MisuseError(f"{job} is not the job that {ask.name} asks for")
    return found.asker


def _waits(home: Path) -> Any:
    """Says on the screen that this party's own officer is to decide."""

    def tell(request: Any, why: str) -> None:
        from federated.keys.officers import load_officers

        key = " --key FILE" * bool(load_officers(home))
        typer.echo(f"proposal {request.id} {why}; there:", err=True)
        typer.echo(f"  fedprofile node show {request.id} --home {home}", err=True)
        typer.echo(f"  fedprofile node approve {request.id}{key} --home {home}", err=True)

    return tell
