"""`backup` and `restore` of a node and of a hub, and an officer's word on a node that is a copy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["accept_copy", "backup", "backup_hub", "restore", "restore_hub"]

Home = Annotated[Path, typer.Option("--home", help="The node's folder.")]
HOME = Path("fedprofile-node")
HubHome = Annotated[Path, typer.Option("--home", help="The hub's folder.")]
HUB_HOME = Path("fedprofile-hub")
Out = Annotated[Path, typer.Argument(help="A tar file to write.")]
From = Annotated[Path, typer.Argument(help="A file that `backup` has written.")]
New = Annotated[Path, typer.Option("--home", help="A new folder.")]


def backup(out: Out, home: Home = HOME) -> None:
    """Copy all that a node is into one file (mode 0600): keys, settings, memory, jobs, ledgers.

    Keys stay sealed under the passphrase: keep that elsewhere, for whoever holds both is the party.
    The rest is as private as the folder: what was told of whom, and in jobs under way copies of
    tables. A copy of a node that is stopped can be its last state; one of a running node is older
    than what it tells afterwards.
    """
    from federated.node.copies import backup as copy
    from federated.node.home import NodeHome

    place = NodeHome.open(home)
    running = _runs(place.path / "node.sock")
    count = copy(place.path, out, place.name, running=running)
    typer.echo(f"{out}: {count} files of {place.name}")
    if running:
        typer.echo("the node is running: what it tells from now on is not in this copy", err=True)


def restore(file: From, home: New) -> None:
    """Make a node's folder of a copy. It answers nothing until its officer has accepted it.

    One node runs at a time: stop the other one first.
    """
    from federated.node.copies import restore as make

    found = make(file, home)
    typer.echo(f"{home}: as it was on {_when(found.made)}")
    typer.echo(f"next: fedprofile node accept-copy --home {home}", err=True)


def accept_copy(
    last: Annotated[
        bool,
        typer.Option(
            "--last", help="The party has not run since the copy was made: jobs under way go on."
        ),
    ] = False,
    may_have_forgotten: Annotated[
        bool,
        typer.Option(
            "--may-have-forgotten",
            help="What was told since the copy was made is not remembered, and that is accepted.",
        ),
    ] = False,
    why: Annotated[str, typer.Option("--why", help="For the ledger.")] = "",
    home: Home = HOME,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Opens this party's keys.")
    ] = None,
) -> None:
    """Take a folder that is a copy for the party from now on; without options, say what it is.

    A copy may be older than the party's last answers. Then the guard has forgotten them, and would
    answer once more what it must not. With --may-have-forgotten jobs under way end here and words
    of officers that are not spent are void; rules that count what they approve approve no more
    until they have other names. The node's ledger notes who accepted what.
    """
    import os

    from federated.approval.words import user_name
    from federated.cli.passphrase import passphrase
    from federated.node.copies import accept
    from federated.node.home import NodeHome
    from federated.node.lives import copy_of
    from federated.text import plain
    from psi.protocol import MisuseError

    place = NodeHome.open(home)
    found = copy_of(place.path)
    if found is None:
        typer.echo(f"{home} is no copy, or was accepted: it is {place.name}; nothing is to be done")
        return
    if last == may_have_forgotten:
        typer.echo(f"{found.why}; it is of {_when(found.made)}")
        typer.echo("the party was at work then, or after" if found.running else "it was stopped")
        needed = (
            "--may-have-forgotten" if found.running else "one of --last and --may-have-forgotten"
        )
        only = (
            ""
            if found.running
            else (
                "--last only if no process of this party has run since on any machine; otherwise "
            )
        )
        raise MisuseError(
            f"{needed} is needed",
            hint=f"{only}ask its receivers for their ledgers since then: they say what it has told",
        )
    keys = place.load_keys(passphrase(passphrase_file))
    who = user_name(os.geteuid())
    gone = accept(place, keys, who, last=last, why=plain(why, 200))
    typer.echo(f"{place.name} is this folder from now on, accepted by {who}")
    for session in gone:
        typer.echo(f"{session[:8]} is let go: its other parties are told when they ask")


def backup_hub(out: Out, home: HubHome = HUB_HOME) -> None:
    """Copy all that a hub is into one file (mode 0600), with the party mounted in it.

    It holds the certificate authority's key, not sealed: whoever has the file can register nodes.
    """
    from federated.node.copies import backup as copy
    from federated.wire.hub_home import HubHome as Folder

    place = Folder(home)
    running = _runs(place.socket)
    count = copy(place.path, out, "hub", running=running)
    typer.echo(f"{out}: {count} files of the hub at {place.address}")


def restore_hub(file: From, home: New) -> None:
    """Make a hub's folder of a copy. Open invites are void: make them anew.

    Nodes that were registered or revoked since are not: see the list and revoke again. A party that
    is mounted in it answers nothing until its officer has accepted the copy.
    """
    from federated.node.copies import restore as make
    from federated.wire.hub_home import HubHome as Folder
    from psi.protocol import MisuseError

    found = make(file, home)
    if not (home / "hub.toml").exists():
        raise MisuseError(f"{file.name} is the copy of a node", hint="fedprofile node restore")
    names = Folder(home).restored()
    typer.echo(f"{home}: as it was on {_when(found.made)}")
    typer.echo(f"registered: {', '.join(names) or 'none'}; revoke again who was revoked since")
    if (home / "party" / "node.toml").exists():
        typer.echo(
            "the party mounted in it answers and asks nothing until its officer accepts the copy; "
            "the hub itself can be started",
            err=True,
        )
        typer.echo(f"next: fedprofile node accept-copy --home {home / 'party'}", err=True)


def _runs(socket: Path) -> bool:
    from federated.wire.local import ask
    from psi.protocol import EnvironmentFailed

    try:
        ask(socket, op="status")
    except EnvironmentFailed:
        return False
    return True


def _when(seconds: int) -> str:
    from datetime import UTC, datetime

    if not seconds:
        return "an unknown time"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
