"""`fedprofile node`: a party's own side: keys, tables, a daemon that hears proposals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federated.cli import (
    assess,
    copies,
    health,
    node_ledger,
    node_releases,
    officer,
    officers,
    peers,
    persons,
    policy,
    table,
)
from federated.cli import keys as node_keys
from federated.cli.group import Group
from federated.cli.logs import LogFormat, log_to_stderr
from federated.cli.metrics import MetricsPort, Notify

app = typer.Typer(
    cls=Group,
    help="Run a party node: it keeps this party's data at home and decides on jobs.",
    no_args_is_help=True,
)
app.add_typer(node_ledger.app, name="ledger")
app.command("releases")(node_releases.releases)

for _command in (
    officer.jobs,
    officer.show,
    officer.approve,
    officer.deny,
    officer.pause,
    officer.unpause,
    officer.stop,
):
    app.command()(_command)
app.add_typer(officers.app, name="officers")
app.add_typer(peers.app, name="peers")
app.add_typer(policy.app, name="policy")
app.add_typer(table.app, name="table")
app.add_typer(node_keys.app, name="keys")
app.command("health")(health.node_health)
app.command("purge")(node_keys.purge)
app.command("assess")(assess.assess)
app.command("year")(persons.year)
app.command("answer")(persons.answer)
app.command("backup")(copies.backup)
app.command("restore")(copies.restore)
app.command("accept-copy")(copies.accept_copy)

Home = Annotated[Path, typer.Option("--home", help="The node's folder.")]
HOME = Path("fedprofile-node")
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="A file of mode 0600 that opens this party's keys."),
]


@app.command()
def init(
    invite: Annotated[Path, typer.Argument(help="The invite file from the hub's owner.")],
    home: Home = HOME,
    passphrase_file: PassphraseFile = None,
    renew: Annotated[
        bool,
        typer.Option(
            "--renew", help="Keep this party's keys and make only its certificate for the hub anew."
        ),
    ] = False,
) -> None:
    """Make this party's keys and register at the hub that the invite names.

    Keys are made here, encrypted at rest, and never leave. Prints the fingerprint that the other
    parties' officers compare with what reaches them.
    """
    import secrets

    from federated.cli.passphrase import passphrase
    from federated.keys.identity_file import write_identity
    from federated.keys.keyfile import save_keys
    from federated.keys.party_keys import PartyKeys
    from federated.node.home import MOUNTED, NodeHome
    from federated.store.files import check_room, write_atomic
    from federated.wire.certificates import make_key, write_key
    from federated.wire.enrolment import enrol
    from federated.wire.hub_home import read_invite
    from psi.protocol import MisuseError

    asked = read_invite(invite)
    secret = passphrase(passphrase_file, new=not renew)
    if renew:
        if NodeHome.open(home).hub == MOUNTED:
            raise MisuseError(
                f"{home} is of a party that is mounted in its hub: it has no certificate",
                hint="a node of its own gets another --home, without --renew",
            )
        keys = NodeHome.open(home).load_keys(secret)
        if keys.identity.name != asked.name:
            raise MisuseError(f"the invite is for {asked.name}, this is {keys.identity.name}")
    else:
        NodeHome.refuse_existing(home)
        keys = PartyKeys.generate(asked.name)
    key = make_key()
    check_room(home, 1 << 18)  # an invite is used once
    certificate = enrol(asked, key)
    place = NodeHome.create(home, asked.name, asked.hub, again=renew)
    if not renew:
        save_keys(place.keys, keys, secret, secrets.token_bytes)
    write_atomic(place.certificate_key, write_key(key, secret), private=True)
    write_atomic(place.certificate, certificate)
    write_atomic(place.authority, asked.authority)
    write_identity(place.path / "identity.json", keys.identity)
    typer.echo(f"node {asked.name}, registered at {asked.hub}")
    typer.echo(f"fingerprint: {keys.identity.fingerprint}")
    typer.echo(f"hand {place.path / 'identity.json'} to the other parties; they compare the print")
    typer.echo(f"what it allows: {place.policy}; at first every proposal waits for your word")


@app.command()
def start(
    home: Home = HOME,
    passphrase_file: PassphraseFile = None,
    log_format: LogFormat = "text",
    metrics_port: MetricsPort = 0,
    notify: Notify = "",
) -> None:
    """Run the node until it is stopped: hear proposals, run approved jobs.

    Connects to the hub only, and outwards only.
    """
    import logging
    import signal

    from federated.cli.metrics import notifier, serve_metrics
    from federated.cli.passphrase import passphrase
    from federated.node.home import MOUNTED, NodeHome
    from federated.node.lives import check_is_last
    from federated.store.files import locked
    from federated.wire.flower.front import NodeFront
    from psi.protocol import MisuseError

    place = NodeHome.open(home)
    check_is_last(place.path)
    if place.hub == MOUNTED:
        raise MisuseError(
            f"{place.name} is mounted in its hub and needs no node",
            hint=f"fedprofile hub start --home {home.parent} --passphrase-file FILE runs both; "
            f"jobs are proposed by run --hub {home.parent}",
        )
    log_to_stderr(log_format)
    notifier(notify)  # a wrong address is said before anything starts
    taken = f"a node runs in {place.path} already: each has a folder of its own"
    with locked(place.path / ".node.lock", taken=taken):  # a second start would end the first one
        secret = passphrase(passphrase_file)
        node = NodeFront(place, secret, notify=notify, log_format=log_format)
        if metrics_port:
            serve_metrics(metrics_port, lambda: health.health_of_node(place), "fedprofile_node")
        signal.signal(signal.SIGTERM, lambda number, frame: _interrupt())
        try:
            node.start()
            logging.getLogger("fedprofile.node").info("%s waits for proposals", place.name)
            node.serve()
        except KeyboardInterrupt:
            pass
        finally:
            node.stop()


@app.command()
def doctor(home: Home = HOME, passphrase_file: PassphraseFile = None) -> None:
    """Check what a node needs: files, modes, keys, clock, hub, tables. Changes nothing."""
    from federated.cli.doctor import examine
    from federated.cli.passphrase import passphrase
    from federated.node.home import NodeHome

    place = NodeHome.open(home)
    bad = 0
    for what, problem in examine(place, lambda: passphrase(passphrase_file)):
        typer.echo(f"{'ok ' if not problem else 'BAD'}  {what}{': ' + problem if problem else ''}")
        bad += bool(problem)
    if bad:
        raise typer.Exit(7)


def _interrupt() -> None:
    raise KeyboardInterrupt
