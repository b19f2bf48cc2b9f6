"""`fedprofile node keys` and `purge`: new keys, and what a node must forget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group

__all__ = ["app", "purge"]

app = typer.Typer(cls=Group, help="This party's keys: new ones.", no_args_is_help=True)

Home = Annotated[Path, typer.Option("--home", help="The node's folder.")]
HOME = Path("fedprofile-node")
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Opens this party's keys.")
]


@app.command()
def rotate(home: Home = HOME, passphrase_file: PassphraseFile = None) -> None:
    """Make new keys: after a suspicion, or when somebody who knew the passphrase has left.

    The fingerprint changes, so every other party has to add and confirm the new identity.json
    before the next job. Earlier ledgers stay, and are verified by the identity kept in `former`.
    Killed, it is finished when it is called again.
    """
    import secrets

    from federated.cli.passphrase import passphrase
    from federated.keys.keyfile import load_keys
    from federated.node.home import NodeHome
    from federated.node.rotation import rotate as make_new
    from federated.wire.local import ask
    from psi.protocol import EnvironmentFailed, MisuseError

    place = NodeHome.open(home)
    try:
        ask(place.path / "node.sock", op="status")
    except EnvironmentFailed:
        secret = passphrase(passphrase_file)
        made = make_new(place, load_keys(place.keys, secret), secret, secrets.token_bytes)
        typer.echo(f"new fingerprint: {made.fingerprint}")
        typer.echo(
            f"hand {place.path / 'identity.json'} to the other parties; they confirm it anew"
        )
        return
    raise MisuseError("the node is running with the present keys", hint="stop it first")


def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
    home: Home = HOME,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Remove what is older than the policy keeps it; a line in the node's ledger says what went.

    Requests with their decisions after `requests_days`, folders of ended jobs with their ledgers
    after `jobs_days`, who was in a job after `admitted_days` (policy.toml, [retention]); kept tags
    after the date in their contract; outputs of jobs that this party received after their
    contract's `retention_days`; the journals of jobs that were left, with their copies of tables,
    once their contract has expired. A running node does it by itself once an hour (`by_timer`).
    """
    import secrets
    import time

    from federated.approval.policy_file import load_policy
    from federated.cli.passphrase import passphrase
    from federated.node.home import NodeHome
    from federated.node.purge import expired, remove

    place = NodeHome.open(home)
    old = expired(place, load_policy(place.policy).retention, time.time(), secrets.token_bytes)
    would = "would go" if dry_run else "removed"
    if old and not dry_run:
        remove(place, old, place.load_keys(passphrase(passphrase_file)), time.time)
    typer.echo(f"{would}: {old.words}")
