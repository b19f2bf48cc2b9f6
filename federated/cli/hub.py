"""`fedprofile hub`: the place in the middle that nodes connect to. It sees no contents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federated.cli import copies, health
from federated.cli.group import Group
from federated.cli.logs import LogFormat, log_to_stderr
from federated.cli.metrics import MetricsPort, Notify

app = typer.Typer(
    cls=Group,
    help="Run the hub that party nodes connect to: it relays sealed envelopes.",
    no_args_is_help=True,
)

app.command("backup")(copies.backup_hub)
app.command("restore")(copies.restore_hub)
app.command("health")(health.hub_health)

Home = Annotated[Path, typer.Option("--home", help="The hub's folder.")]
HOME = Path("fedprofile-hub")
UNCALLED = "others cannot call it: hub start --passphrase-file opens its keys"


TURNED = {
    "activate": "of nodes that had to connect anew: this hub was restarted",
    "busy": "too many at once",
    "certificate": "without a node's certificate",
    "foreign": "in another node's name",
    "invite": "by an invite that is unknown, used or expired",
    "older": "of a node that is an older copy, or of which another copy has run",
    "path": "for what no node needs: strangers at the port",
    "malformed": "by `node doctor`, which looks at clock and version so; else not understood",
    "method": "for what no node needs: strangers at the port",
    "size": "of more bytes or objects than a call may have",
    "replaced": "of a second process with one node's keys",
    "revoked": "of nodes that were revoked",
    "slow": "whose bytes did not come in time",
    "stranger": "with a certificate that is not registered",
    "version": "by another version of fedprofile: update whichever is older, hub or node",
    "void": "in answer to what had expired: sent again by itself",
}
"""What `status` says of calls that were turned away, by their code."""


@app.command()
def init(
    host: Annotated[
        list[str], typer.Option("--host", help="A name or address by which nodes reach the hub.")
    ],
    home: Home = HOME,
    port: Annotated[
        int, typer.Option("--port", help="The one port it listens at.", min=1, max=65535)
    ] = 8443,
    listen: Annotated[str, typer.Option("--listen", help="The address to listen on.")] = "0.0.0.0",  # noqa: S104
    party: Annotated[
        str, typer.Option("--party", help="Also make a party of this name, mounted in the hub.")
    ] = "",
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Seals the party's keys.")
    ] = None,
) -> None:
    """Make a hub: certificate authority, server certificate, keys (mode 0600).

    With --party the organisation that runs the hub takes part itself, without a node: `fedprofile
    run --hub` then speaks through the hub's own process.
    """
    import secrets

    from federated.cli.passphrase import passphrase
    from federated.keys.identity_file import write_identity
    from federated.keys.keyfile import save_keys
    from federated.keys.party_keys import PartyKeys
    from federated.node.home import MOUNTED, NodeHome
    from federated.wire.hub_home import HubHome

    secret = passphrase(passphrase_file, new=True) if party else b""
    made = HubHome.create(home, host, port, listen)
    typer.echo(f"a hub at {made.address}, in {home}")
    if party:
        place = NodeHome.create(home / "party", party, MOUNTED)
        keys = PartyKeys.generate(party)
        save_keys(place.keys, keys, secret, secrets.token_bytes)
        write_identity(place.path / "identity.json", keys.identity)
        typer.echo(f"party {party}: {keys.identity.fingerprint}")
        typer.echo(f"hand {place.path / 'identity.json'} to the other parties")
    own = " --passphrase-file FILE" if party else ""
    typer.echo(f"next: fedprofile hub start --home {home}{own}")


@app.command()
def start(
    home: Home = HOME,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file",
            help="Opens the keys of the mounted party: others can then call it, as a node.",
        ),
    ] = None,
    log_format: LogFormat = "text",
    metrics_port: MetricsPort = 0,
    notify: Notify = "",
) -> None:
    """Run the hub until it is stopped, and the party that is mounted in it.

    One TLS port with client certificates, for nodes; one socket file in the hub's folder, for
    commands. What nodes send is held in memory only and gone when the hub ends. A mounted party is
    asked, decides and answers by the same commands as a node, with --home HUB/party.
    """
    import logging
    import signal

    from federated.cli.metrics import notifier, serve_metrics
    from federated.cli.mounted import Mounted
    from federated.wire.flower.hub import Hub
    from federated.wire.hub_home import HubHome

    log_to_stderr(log_format)
    notifier(notify)  # a wrong address is said before anything starts
    hub, party = Hub(HubHome(home)), None
    signal.signal(signal.SIGTERM, lambda number, frame: _interrupt())
    try:
        hub.start()
        logging.getLogger("fedprofile.hub").info(
            "listening on %s, port %d; invites say %s",
            hub.home.host, hub.home.port, hub.home.address,
        )  # fmt: skip
        party = Mounted(hub, passphrase_file, notify, log_format)
        party.start()
        if metrics_port:
            serve_metrics(metrics_port, lambda: health.health_of_hub(hub.home), "fedprofile_hub")
        hub.serve()
    except KeyboardInterrupt:
        pass
    finally:
        if party is not None:
            party.stop()
        hub.stop()


@app.command()
def invite(
    name: Annotated[str, typer.Argument(help="The node's name: what contracts will call it.")],
    home: Home = HOME,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write the invite.")] = None,
    hours: Annotated[
        float, typer.Option("--hours", help="How long the invite can be used.", min=0.01, max=720)
    ] = 72.0,
) -> None:
    """Write an invite: a file that registers one node, once, within its hours.

    It holds no private key. Whoever uses it first gets the name: send it over a channel you trust,
    and compare fingerprints afterwards.
    """
    from federated.wire.hub_home import HubHome, write_invite

    path = out or Path(f"{name}.invite")
    write_invite(path, HubHome(home).invite(name, hours))
    typer.echo(f"{path}: for one node, within {hours:g} hours")
    typer.echo(f"there: fedprofile node init {path.name} --home node --passphrase-file FILE")


@app.command()
def nodes(home: Home = HOME) -> None:
    """List registered nodes: since when, revoked, connected now."""
    from datetime import UTC, datetime

    from federated.wire.hub_home import HubHome
    from federated.wire.local import ask
    from psi.protocol import EnvironmentFailed

    place = HubHome(home)
    try:
        online = {n["name"]: n["online"] for n in ask(place.socket, op="status")["nodes"]}
    except EnvironmentFailed:
        online = {}
        typer.echo("the hub is not running", err=True)
    if place.mounted:
        typer.echo(f"{place.mounted:<24} mounted")
    for entry in place.nodes().values():
        since = datetime.fromtimestamp(entry.since, UTC).strftime("%Y-%m-%d")
        state = "revoked" if not entry.active else "online" if online.get(entry.name) else "offline"
        typer.echo(f"{entry.name:<24} {state:<8} since {since}")


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The node to shut out.")], home: Home = HOME
) -> None:
    """Shut a node out, at once and for good; it needs a new invite to come back."""
    from federated.wire.hub_home import HubHome

    HubHome(home).revoke(name)
    typer.echo(f"{name} is revoked")


@app.command()
def renew(home: Home = HOME) -> None:
    """Make the hub's certificate for longer, before it ends or after; nodes need nothing new.

    Under the keys and host names it has, by the same authority, whose certificate is made for
    longer too: each node gets that with its own next invite. A hub that runs shows it at once.
    """
    from federated.wire.hub_home import HubHome

    place = HubHome(home)
    place.renew()
    typer.echo(f"the hub's certificate ends on {place.expires:%Y-%m-%d}")


@app.command()
def status(
    home: Home = HOME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a running hub is doing: nodes, bytes, what was turned away."""
    import json

    from federated.node.job_rows import UNACCEPTED
    from federated.node.lives import waits_for_word
    from federated.wire.hub_home import HubHome
    from federated.wire.local import ask

    place = HubHome(home)
    found = ask(place.socket, op="status")
    found["copy"] = bool(found.get("mounted")) and waits_for_word(place.path / "party")
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"hub at {found['address']}")
    if found.get("mounted"):
        how = "can be called" if found.get("callable") else "proposes by run --hub; " + UNCALLED
        if found["copy"]:
            how = f"{UNACCEPTED}: fedprofile node accept-copy --home {place.path / 'party'}"
        typer.echo(f"{found['mounted']:<24} mounted  {how}")
    for node in found["nodes"]:
        state = "online" if node["online"] else "offline"
        megabytes = f"{node['bytes_in'] / 1e6:.1f} MB in, {node['bytes_out'] / 1e6:.1f} MB out"
        waiting = f"{node['waiting'] / 1e6:.1f} MB waiting"
        typer.echo(f"{node['name']:<24} {state:<8} {megabytes}, {waiting}")
        if node["foreign"]:
            typer.echo(f"  {node['foreign']} times it spoke in another's name")
    for code, count in sorted(found["turned_away"].items()):
        why = TURNED.get(code, "for a reason that this version does not know")
        typer.echo(f"turned away ({code}): {count} calls, {why}")
    for name, said in sorted(found.get("other_versions", {}).items()):
        who = name or "somebody who is not registered"
        typer.echo(f"  {who} speaks version {said} of the channel, this hub {found['speaks']}")


def _interrupt() -> None:
    raise KeyboardInterrupt
