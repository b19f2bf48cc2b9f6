"""`fedprofile job ask`, `asks` and `serve`: analysts who propose on accounts of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["ask", "asks", "serve"]

Asks = Annotated[
    Path, typer.Option("--asks", help="The folder of the party's asks: the party's service has it.")
]
POLL = 1.0


def ask(
    job: Annotated[Path, typer.Argument(help="The job file; the party is its receiver.")],
    folder: Asks,
    key: Annotated[
        Path,
        typer.Option(
            "--key", envvar="FEDPROFILE_OFFICER_KEY", help="Your own key: node officers key."
        ),
    ],
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Opens your own key.")
    ] = None,
) -> None:
    """Ask this party to propose a job, in your own name; its service runs it (`job serve`).

    Takes your own key, and nothing of the party's: neither its passphrase nor its folder. An
    officer of the party approves first, who is not you.
    """
    from federated.cli.passphrase import passphrase
    from federated.keys.officers import OfficerKey
    from profiles.asks import put_ask

    made = put_ask(folder, job, OfficerKey.load(key, passphrase(passphrase_file)))
    typer.echo(f"{made.id[:8]} is asked for by {made.said['asker']}")
    typer.echo(f"see: fedprofile job asks --asks {folder}; outputs come to {made.folder / 'out'}")


def asks(
    folder: Asks, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False
) -> None:
    """List what was asked for: by whom, when, what came of it: report, error or last words."""
    import json
    from datetime import UTC, datetime

    from federated.cli.lists import print_rows
    from profiles.asks import asks_in

    found = asks_in(folder)
    if as_json:
        rows = [{name: one.said[name] for name in ("id", "asker", "made")} | one.state
                for one in found]  # fmt: skip
        typer.echo(json.dumps(rows, indent=1))
        return
    lines = [
        (
            one.id[:8],
            str(one.said["asker"]),
            datetime.fromtimestamp(one.said["made"], UTC).strftime("%Y-%m-%d %H:%M"),
            str(one.state["state"]),
            _said(one),
        )
        for one in found
    ]
    print_rows(("id", "asked by", "when (UTC)", "state", "what it says"), lines, 100)


def serve(
    hub: Annotated[
        Path, typer.Option("--hub", help="The folder of this party's hub or running node.")
    ],
    folder: Asks,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Opens this party's keys.")
    ] = None,
    at_once: Annotated[
        int, typer.Option("--at-once", help="How many jobs run at a time.", min=1, max=16)
    ] = 2,
) -> None:
    """Run what analysts ask for, until it is stopped: the party's service, beside node or hub.

    Only asks count that a listed analyst or officer has signed (`node officers add --role
    analyst`). Tables are those that the party's own tables.toml binds. Each job is a process of
    its own; its log, state and outputs are for the group of the folder.
    """
    import signal
    import time

    from federated.keys.officers import load_officers
    from profiles.ask_runs import LeftRun, left_run
    from profiles.asks import asks_in, read_ask
    from profiles.remote import HubLink
    from psi.protocol import FedprofileError, MisuseError

    home = HubLink(hub).home
    if not folder.is_dir():
        raise MisuseError(f"{folder} is no folder", hint="make it, for the group of analysts: 3770")
    running: dict[str, tuple[Any, Any]] = {}
    signal.signal(signal.SIGTERM, lambda number, frame: _interrupt())
    typer.echo(f"waiting for asks in {folder}")
    for one in asks_in(folder):
        if one.state["state"] == "running":  # when the service was stopped, or killed
            left = left_run(home.jobs, (one.folder / "out").absolute())
            running[one.id] = one, left or _start(one, hub, home, passphrase_file)
    try:
        while True:
            for name, (one, process) in list(running.items()):
                if isinstance(process, LeftRun) and process.goes_on:
                    running[name] = one, _start(one, hub, home, passphrase_file, "--resume")
                elif process.poll() is not None:
                    _ended(one, process.returncode)
                    del running[name]
            for one in asks_in(folder):
                if len(running) >= at_once:
                    break
                if one.folder.exists():
                    continue
                one.folder.mkdir()
                one.folder.chmod(0o2750)
                try:
                    listed = load_officers(home.path)
                    if listed is None:
                        raise MisuseError("nobody is listed", hint="fedprofile node officers add")
                    process = _start(read_ask(one.file, listed), hub, home, passphrase_file)
                except FedprofileError as error:
                    one.becomes("refused", error.message)
                    typer.echo(f"{one.id[:8]} is refused: {error.message}", err=True)
                    continue
                running[one.id] = one, process
                typer.echo(f"{one.id[:8]} of {one.said['asker']} runs")
            time.sleep(POLL)
    except KeyboardInterrupt:
        for _, process in running.values():
            process.send_signal(signal.SIGINT)
        for _, process in running.values():
            process.wait(60)  # they go on when the service is started again


def _start(one: Any, hub: Path, home: Any, passphrase_file: Path | None, *more: str) -> Any:
    import shutil
    import subprocess
    import sys

    job = one.folder / "job.toml"
    job.write_text(one.said["job"], "utf-8")
    words = ["run", str(job), "--tables", str(home.tables), "--out", str(one.folder / "out")]
    words += ["--hub", str(hub), "--ask", str(one.file), *more]
    if (before := one.before) is not None:  # a month after another: what changed, same segments
        words += ["--since", str(before.folder / "out")]
        kept = before.folder / "job.segments.json"
        if kept.is_file() and not (one.folder / kept.name).exists():
            shutil.copyfile(kept, one.folder / kept.name)
    words += ["--passphrase-file", str(passphrase_file)] if passphrase_file else []
    with (one.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "profiles", *words],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    one.becomes("running")
    (one.folder / "log").chmod(0o640)
    return process


def _ended(one: Any, code: int) -> None:
    from profiles.asks import share

    why = "" if code == 0 else _last_words(one.folder / "log")
    share(one.folder)
    one.becomes("done" if code == 0 else "failed", why, code)
    typer.echo(f"{one.id[:8]} has ended with code {code}")


def _said(one: Any) -> str:
    """Where the outputs of one that is done are; of others what they say."""
    if str(one.state["state"]) == "done":
        return f"see {one.folder.name}/out/report.html"
    return str(one.state["why"]) or _last_words(one.folder / "log")


def _last_words(file: Path) -> str:
    """The error that a run ended with, or the last line of its log."""
    from federated.text import plain

    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    said = [line for line in reversed(lines) if line.strip()]
    return plain(
        next((line for line in said if line.startswith("error: ")), "".join(said[:1])), 200
    )


def _interrupt() -> None:
    raise KeyboardInterrupt
