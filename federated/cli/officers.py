"""`fedprofile node officers`: people whose word counts, each with a key of his own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from federated.cli.group import Group

app = typer.Typer(
    cls=Group,
    help="People whose word counts, each with a key of his own; the party signs the list.",
    invoke_without_command=True,
)

Home = Annotated[Path, typer.Option("--home", help="The node's folder.", readable=False)]
HOME = Path("fedprofile-node")
NOBODY = "no officer is listed: nobody can approve until one is added"
Fingerprint = Annotated[
    list[str], typer.Argument(help="As its owner read it out; spaces do not matter.")
]
PartyPassphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Opens this party's keys: they sign.")
]


@app.callback()
def officers(
    context: typer.Context,
    home: Home = HOME,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List officers and analysts with the fingerprints of their keys, and since when they count.

    Each makes a key (`officers key`), keeps it, and hands its card to whoever holds the party's
    passphrase (`officers add`). From the first one on only signed words count: `node approve JOB
    --key FILE`.
    """
    import json
    from dataclasses import asdict
    from datetime import UTC, datetime

    if context.invoked_subcommand is not None:
        return
    listed = _listed(_place(home))
    people = listed.people if listed else ()
    if as_json:
        rows = [asdict(person) | {"fingerprint": person.fingerprint} for person in people]
        typer.echo(json.dumps(rows, indent=1))
        return
    for person in people:
        since = datetime.fromtimestamp(person.since, UTC).strftime("%Y-%m-%d")
        typer.echo(f"{person.name:<20} {person.fingerprint}  {person.role:<8} since {since}")
    if not people:
        typer.echo("nobody is listed: users of this machine decide (policy.toml, [officers] users)")
        typer.echo("next: fedprofile node officers key NAME, by each officer on his own account")


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="How the ledger is to call you.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write it; NAME.key if not given.")
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="A passphrase of your own seals it.")
    ] = None,
) -> None:
    """Make a key of your own, on your own account; its card is for the party's list.

    The key stays with you (mode 0600, under your passphrase). Hand the card NAME.card.json on, and
    read out the fingerprint to whoever adds it.
    """
    import secrets

    from federated.cli.passphrase import passphrase
    from federated.keys.officers import OfficerKey

    file = out or Path(f"{name}.key")
    made = OfficerKey.make(name, file, passphrase(passphrase_file, new=True), secrets.token_bytes)
    card = file.with_name(f"{name}.card.json")
    person = made.write_card(card)
    typer.echo(f"{file}: yours alone")
    typer.echo(f"fingerprint: {person.fingerprint}")
    typer.echo(f"next, at the node: fedprofile node officers add {card.name} FINGERPRINT")


@app.command()
def add(
    card: Annotated[Path, typer.Argument(help="The card that its owner handed over.")],
    fingerprint: Fingerprint,
    role: Annotated[
        str,
        typer.Option("--role", help="officer: approves and denies; analyst: proposes (job ask)."),
    ] = "officer",
    home: Home = HOME,
    passphrase_file: PartyPassphrase = None,
) -> None:
    """List a person's key, after its owner has read out the fingerprint; a new key replaces his.

    The list is signed by the party's organisation key, and the node's ledger notes it.
    """
    from dataclasses import replace

    from federated.keys.officers import ANALYST, OFFICER, read_card
    from psi.protocol import MisuseError, Refused

    if role not in (OFFICER, ANALYST):
        raise MisuseError(f"--role {role} found, officer or analyst allowed")
    person = replace(read_card(card), role=role)
    if "".join(fingerprint).replace(" ", "").lower() != person.fingerprint.replace(" ", ""):
        raise Refused(
            f"the fingerprint of {card.name} is {person.fingerprint}, another was read out",
            hint="it is not the card of who read it out, or was misheard",
        )
    place = _place(home)
    _change(
        place,
        passphrase_file,
        lambda people: (*(p for p in people if p.name != person.name), person),
    )
    typer.echo(f"{person.name} is {role} of {place.name}")
    if role == OFFICER:
        typer.echo(
            "from now on words count that listed officers sign: "
            f"fedprofile node approve JOB --key FILE --home {home}"
        )
    elif not any(p.role == OFFICER for p in _listed(place).people):
        typer.echo(NOBODY, err=True)


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The person.")],
    home: Home = HOME,
    passphrase_file: PartyPassphrase = None,
) -> None:
    """Take a person off the list: words of his that have not taken effect count no more."""
    from psi.protocol import InputError

    place = _place(home)
    listed = _listed(place)
    if listed is None or name not in {person.name for person in listed.people}:
        raise InputError(f"{name} is not listed", hint="fedprofile node officers lists them")
    _change(place, passphrase_file, lambda people: tuple(p for p in people if p.name != name))
    typer.echo(f"{name} is not listed any more")
    if not any(p.role == "officer" and p.name != name for p in listed.people):
        typer.echo(NOBODY, err=True)


def _place(home: Path) -> Any:
    from federated.node.home import NodeHome

    return NodeHome.open(home)


def _listed(place: Any) -> Any:
    from federated.keys.officers import load_officers

    return load_officers(place.path)


def _change(place: Any, passphrase_file: Path | None, change: Any) -> None:
    from federated.cli.passphrase import passphrase
    from federated.node.officers import change_officers

    change_officers(place, place.load_keys(passphrase(passphrase_file)), change)
