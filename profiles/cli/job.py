"""`fedprofile job`: the runs that this party has proposed over a hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federated.cli.group import Group
from profiles.cli import asks

if TYPE_CHECKING:
    from profiles.remote import HubLink

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
    """List this party's runs, the last one first: state, step, why, and what comes next.

    States are those of `node jobs`.
    """
    import json
    from dataclasses import asdict

    from federated.cli.lists import print_rows
    from profiles.remote import HubLink
    from profiles.runs import runs_in

    link = HubLink(hub)
    rows, found = _rows(link), runs_in(link.home.jobs)
    runs = [(folder.load(), folder, rows.get(folder.path.name, {})) for folder in found]
    if as_json:
        listed = [
            {
                **asdict(run),
                **{name: row[name] for name in ("state", "why", "next", "changed") if name in row},
                "id": run.id,
                "resumable": folder.resumable and row.get("state") != "running",
                "waits_for": run.waits_for(),
            }
            for run, folder, row in runs
        ]
        typer.echo(json.dumps(listed, indent=1))
        return
    lines = []
    for run, _, row in runs:
        state, step = row.get("state", run.state), run.step if row.get("live") else ""
        said = "; ".join(filter(None, (row.get("why", run.error), row.get("next", ""))))
        lines.append((run.id, run.job, _when(run.began), state, step, said))
    print_rows(("id", "job", "began (UTC)", "state", "step", "why; what comes next"), lines, 400)
    _say_hub(link)


@app.command()
def show(run_id: Id, hub: Hub) -> None:
    """Say where a run is: every party's step, for whom it waits, what to do next."""
    from federated.node.states import ENDS
    from federated.text import plain
    from profiles.cli.screen import STANDS
    from profiles.remote import HubLink
    from profiles.runs import find_run

    link = HubLink(hub)
    folder = find_run(link.home.jobs, run_id)
    run = folder.load()
    row = _rows(link)[folder.path.name]
    typer.echo(f"{run.id}  {plain(run.job, 80)}  (purpose: {plain(run.purpose, 80)})")
    typer.echo(f"began {_when(run.began)} UTC, {row['state']}")
    if row["why"]:
        typer.echo(f"because: {plain(row['why'], 400)}")
    for name in run.parties:
        step, share = run.at.get(name, ("", 0.0))
        words = STANDS.get(step, f"{plain(step, 64)} {share:4.0%}" if step else "not heard of yet")
        directly = ", reached directly" if row["live"] and name in run.direct else ""
        typer.echo(f"  {name:<24} {words}{directly}")
    if row["state"] == "done" or row["state"] not in ENDS:
        typer.echo(f"outputs: {run.started.out}{'' if row['state'] == 'done' else ' (not yet)'}")
    if row["next"]:
        typer.echo(f"next: {plain(row['next'], 400)}")
    _say_hub(link)


def _rows(link: HubLink) -> dict[str, dict[str, Any]]:
    """What `node jobs` says of this party's jobs, by session."""
    from federated.cli.jobs_here import rows_at, running_at

    return {row["session"]: row for row in rows_at(link.home, running_at(link.home.path))}


def _say_hub(link: HubLink) -> None:
    """That the hub or node through which runs speak does not run, or does not reach its hub."""
    from federated.node.job_rows import Running
    from federated.text import plain
    from federated.wire.local import ask
    from psi.protocol import EnvironmentFailed

    try:
        away = Running.of(ask(link.socket, op="status")).away
    except EnvironmentFailed as error:
        typer.echo(f"{error.message}: no run goes on until it does ({error.hint})", err=True)
        return
    if away:
        typer.echo(f"{plain(away, 200)}; runs go on by themselves once it is", err=True)


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

    link = HubLink(hub)
    folder = find_run(link.home.jobs, run_id)
    run = folder.load()
    if run.state == "running" or not folder.resumable:
        row = _rows(link)[folder.path.name]
        why = folder.halted or row["why"] or "there is nothing to go on from"
        first = f"fedprofile job stop {run.id} --hub {hub}, then " if folder.halted else ""
        raise MisuseError(
            f"run {run.id} is {row['state']}: {why}",
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
        state = _rows(link)[folder.path.name]["state"]
        raise MisuseError(f"run {run.id} is {state} already", hint="there is nothing to stop")
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
