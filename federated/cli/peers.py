"""`fedprofile node peers`: whose keys this party knows, and which of them are confirmed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group

app = typer.Typer(
    cls=Group,
    help="The other parties' keys: a contract counts only if every key in it is confirmed.",
    invoke_without_command=True,
)
authority = typer.Typer(cls=Group, help="Whose signature under a key this party believes.")
app.add_typer(authority, name="authority")

Home = Annotated[
    Path,
    typer.Option("--home", help="The node's folder.", readable=False),  # 0710 for officers
]
HOME = Path("fedprofile-node")
Fingerprint = Annotated[
    list[str], typer.Argument(help="As the other officer read it out; spaces do not matter.")
]


@app.callback()
def peers(
    context: typer.Context,
    home: Home = HOME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the other parties with their fingerprints, and how each was confirmed.

    To know a party: it hands you its identity.json (`peers add`), you call its officer on a number
    that you know, and compare fingerprints (`peers confirm`). Do this for every party of a job, not
    only for the bank. Or name an authority that has done it (`peers authority add`).
    """
    import json

    from federated.keys.peers import Peers
    from federated.node.home import NodeHome

    if context.invoked_subcommand is not None:
        return
    place = NodeHome.open(home)
    mine, known = place.identity, Peers(place.path).all()
    if as_json:
        rows = [
            {"name": p.identity.name, "fingerprint": p.identity.fingerprint, "how": p.confirmed}
            for p in known
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    typer.echo(f"{mine.name:<20} {mine.fingerprint}  this party")
    for peer in known:
        how = peer.confirmed or "NOT CONFIRMED"
        typer.echo(f"{peer.identity.name:<20} {peer.identity.fingerprint}  {how}")


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="Its identity.json, or a voucher.")],
    home: Home = HOME,
) -> None:
    """Take up another party's identity file; it counts once it is confirmed."""
    from federated.keys.peers import Peers
    from federated.node.home import NodeHome

    place = NodeHome.open(home)
    before = {peer.identity.name: peer for peer in Peers(place.path).all()}
    peer = Peers(place.path).add(file, place.identity)
    name = peer.identity.name
    known = before.get(name)
    typer.echo(f"{name}: {peer.identity.fingerprint}")
    if known is not None and known.identity != peer.identity:
        was = f"{known.identity.fingerprint} ({known.confirmed or 'not confirmed'})"
        typer.echo(f"CHANGED: the key of {name} was {was}", err=True)
        typer.echo(
            "new keys are announced by telephone; if nobody has, this file is not theirs", err=True
        )
    then = f"fedprofile node peers confirm {name} FINGERPRINT --home {home}"
    typer.echo(peer.confirmed or f"next: compare by telephone, then: {then}")


@app.command()
def confirm(
    name: Annotated[str, typer.Argument(help="The party.")],
    fingerprint: Fingerprint,
    home: Home = HOME,
) -> None:
    """Say that you have compared a fingerprint with its owner, out of band.

    Type it as you heard it, do not copy it from the file: it is refused unless both agree.
    """
    import os

    from federated.approval.words import user_name
    from federated.keys.peers import Peers
    from federated.node.home import NodeHome

    place = NodeHome.open(home)
    by = user_name(os.geteuid())
    peer = Peers(place.path).confirm(name, "".join(fingerprint), by)
    typer.echo(f"{peer.identity.name} is confirmed by {by}")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The party.")], home: Home = HOME) -> None:
    """Forget a party: contracts that name it are refused from now on."""
    from federated.keys.peers import Peers
    from federated.node.home import NodeHome

    Peers(NodeHome.open(home).path).remove(name)
    typer.echo(f"{name} is forgotten")


@app.command()
def vouch(
    file: Annotated[Path, typer.Argument(help="The identity.json that you have confirmed.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the voucher.")],
    home: Home = HOME,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Opens this party's keys.")
    ] = None,
) -> None:
    """Sign another party's identity, for those who named this party an authority."""
    from federated.cli.passphrase import passphrase
    from federated.keys.identity_file import read_identity
    from federated.keys.peers import Peers
    from federated.keys.peers import vouch as sign
    from federated.node.home import NodeHome
    from psi.protocol import Refused

    place, identity = NodeHome.open(home), read_identity(file)
    if Peers(place.path).confirmed().get(identity.name) != identity:
        raise Refused(
            f"{identity.name} is not confirmed here", hint="peers add, then peers confirm"
        )
    sign(place.load_keys(passphrase(passphrase_file)), identity, out)
    typer.echo(f"{out}: {identity.name}, signed by {place.name}")


@authority.command("add")
def add_authority(
    file: Annotated[Path, typer.Argument(help="The authority's identity.json.")],
    fingerprint: Fingerprint,
    home: Home = HOME,
) -> None:
    """Name an authority: every key that it signs counts as confirmed here.

    Choose somebody who checks keys by profession, and whom the bank cannot instruct.
    """
    from federated.keys.peers import Peers
    from federated.node.home import NodeHome

    place = NodeHome.open(home)
    found = Peers(place.path).name_authority(file, "".join(fingerprint))
    typer.echo(f"{found.name} is an authority here")


@authority.command("list")
def list_authorities(home: Home = HOME) -> None:
    """List the authorities that this party has named."""
    from federated.keys.peers import Peers
    from federated.node.home import NodeHome

    for found in Peers(NodeHome.open(home).path).authorities():
        typer.echo(f"{found.name:<20} {found.fingerprint}")
