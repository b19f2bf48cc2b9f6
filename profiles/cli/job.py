"""`fedprofile job`: the runs that this party has proposed over a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group
from profiles.cli import asks

app = typer.Typer(
    cls=Group,
    help="Look at, resume and stop the jobs that this party has proposed over a hub.",
    no_args_is_help=True,
)

app.command()(asks.ask)
app.command()(asks.asks)
app.command()(asks.serve)

Hub = Annotated[
    Path, typer.Option("--hub", help="The folder of this party's hub or node, as `run` got it.")
]
Id = Annotated[str, typer.Argument(help="The id that `job ls` shows.")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Opens this party's keys.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("ls")
def list_runs(hub: Hub, as_json: AsJson = False) -> None:
    """List this party's runs, the last one first: state, step, and for whom they wait."""
    import json
    from dataclasses import asdict

    from federated.cli.lists import print_rows
    from profiles.remote import HubLink
    from profiles.runs import runs_in

    folders = runs_in(HubLink(hub).home.jobs)
    runs = [(folder.load(), folder.resumable) for folder in folders]
    if as_json:
        found = [
            {**asdict(run), "id": run.id, "resumable": can, "waits_for": run.waits_for()}
            for run, can in runs
        ]
        typer.echo(json.dumps(found, indent=1))
        return
    rows = []
    for run, can in runs:
        state = f"{run.state}, can resume" if can and run.state != "running" else run.state
        waits = ", ".join(run.waits_for())
        rows.append((run.id, run.job, _when(run.began), state, run.step, waits))
    print_rows(("id", "job", "began (UTC)", "state", "step", "waits for"), rows, 60)


@app.command()
def show(run_id: Id, hub: Hub) -> None:
    """Say where a run is: every party's step, for whom it waits, what to do next."""
    from federated.text import plain
    from profiles.cli.screen import STANDS
    from profiles.remote import HubLink
    from profiles.runs import find_run

    folder = find_run(HubLink(hub).home.jobs, run_id)
    run = folder.load()
    typer.echo(f"{run.id}  {plain(run.job, 80)}  (purpose: {plain(run.purpose, 80)})")
    typer.echo(f"began {_when(run.began)} UTC, {run.state}")
    if run.error:
        typer.echo(f"because: {plain(run.error, 200)}")
    if run.hint and run.state in ("failed", "refused"):
        typer.echo(f"hint: {plain(run.hint, 200)}")
    for name in run.parties:
        step, share = run.at.get(name, ("", 0.0))
        words = STANDS.get(step, f"{plain(step, 64)} {share:4.0%}" if step else "not heard of yet")
        directly = ", reached directly" if run.state == "running" and name in run.direct else ""
        typer.echo(f"  {name:<24} {words}{directly}")
    for whom in run.waits_for():
        typer.echo(f"waits for {whom}")
    typer.echo(f"outputs: {run.started.out}{'' if run.state == 'done' else ' (not yet)'}")
    if run.state != "running" and folder.resumable:
        typer.echo(f"next: fedprofile job resume {run.id} --hub {hub}, or job stop {run.id}")
    elif run.state != "running" and folder.halted:
        typer.echo(f"it does not go on: {plain(folder.halted, 200)}")
        typer.echo(f"next: fedprofile job stop {run.id} --hub {hub}")


@app.command()
def resume(
    run_id: Id,
    hub: Hub,
    passphrase_file: PassphraseFile = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0.01, help="Hours to wait for the others.")
    ] = 24.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Go on with a run whose process has ended, with the job file, tables and --out it had."""
    from dataclasses import replace

    from profiles.cli.run import frozen_columns, over_hub, say_noted, segments_beside
    from profiles.cli.screen import progress_bar
    from profiles.cli.summary import print_summary
    from profiles.job import Job
    from profiles.remote import HubLink
    from profiles.run import run_job, steps_of
    from profiles.runs import find_run
    from profiles.tables import open_tables
    from psi.protocol import MisuseError

    folder = find_run(HubLink(hub).home.jobs, run_id)
    run = folder.load()
    if run.state == "running" or not folder.resumable:
        why = folder.halted or "there is nothing to go on from"
        first = f"fedprofile job stop {run.id} --hub {hub}, then " if folder.halted else ""
        raise MisuseError(
            f"run {run.id} is {run.state}: {why}",
            hint=f"{first}propose the job again with `fedprofile run`",
        )
    spec, started = Job.load(folder.job_file), run.started
    named = Path(started.job)  # one that an earlier version began names none
    held = frozen_columns(named, accept=True) if started.job else None
    result = run_job(
        replace(spec, file=str(folder.job_file)),
        open_tables(Path(started.tables)),
        Path(started.out),
        overwrite=started.overwrite,
        progress=None if quiet else progress_bar(steps_of(spec), spec.receiver),
        over=over_hub(hub, passphrase_file, wait * 3600, started, folder, held),
        resumed=True,
        frozen=held,
        campaigns=Path(started.tables).parent / "campaigns",
        segments=segments_beside(named) if started.job else None,
    )
    print_summary(result)
    say_noted(result, named)


@app.command()
def stop(run_id: Id, hub: Hub, passphrase_file: PassphraseFile = None) -> None:
    """End a run for good; the other parties are told, and nothing can go on from it.

    A running one ends at its next message. For one whose process is gone the farewell is sent
    from here, which takes this party's keys.
    """
    from federated.cli.passphrase import passphrase
    from profiles.remote import HubLink, withdraw
    from profiles.runs import find_run
    from psi.protocol import MisuseError

    link = HubLink(hub)
    folder = find_run(link.home.jobs, run_id)
    run = folder.load()
    if run.state == "running":
        folder.stop_file.touch(mode=0o600)
        typer.echo(f"run {run.id} ends at its next message")
        return
    if not (folder.resumable or folder.halted):
        raise MisuseError(f"run {run.id} is {run.state} already", hint="there is nothing to stop")
    missed = withdraw(link, link.home.load_keys(passphrase(passphrase_file)), folder)
    typer.echo(f"run {run.id} is stopped")
    for name in missed:
        ends = "its side ends when it asks for it again, or when the contract expires"
        typer.echo(f"{name} was not reached: {ends}", err=True)


@app.command()
def logs(run_id: Id, hub: Hub) -> None:
    """Print this party's ledger of a run: who sent what when, never contents."""
    from profiles.cli import ledger
    from profiles.remote import HubLink
    from profiles.runs import find_run

    folder = find_run(HubLink(hub).home.jobs, run_id)
    ledger.show(folder.path / "ledger.jsonl", disclosures=False)


def _when(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
