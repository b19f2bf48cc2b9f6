"""`fedprofile node health` and `hub health`: is all well, for a person, a monitor or a script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from federated.node.home import NodeHome
    from federated.node.measures import Health
    from federated.wire.hub_home import HubHome

__all__ = ["health_of_hub", "health_of_node", "hub_health", "node_health"]

NodeFolder = Annotated[Path, typer.Option("--home", help="The node's folder.")]
HubFolder = Annotated[Path, typer.Option("--home", help="The hub's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
UNWELL = 7


def node_health(home: NodeFolder = Path("fedprofile-node"), as_json: AsJson = False) -> None:
    """Say whether a node is well: running, connected, certificate, disk, what waits. Code 7 if not.

    The same numbers are served to Prometheus by node start --metrics-port.
    """
    from federated.node.home import NodeHome

    _say(health_of_node(NodeHome.open(home)), as_json)


def hub_health(home: HubFolder = Path("fedprofile-hub"), as_json: AsJson = False) -> None:
    """Say whether a hub is well: running, certificate, disk, who is connected. Code 7 if not."""
    from federated.wire.hub_home import HubHome

    _say(health_of_hub(HubHome(home)), as_json)


def health_of_node(place: NodeHome) -> Health:
    """A node's health, from its folder and from what runs in it."""
    from federated.cli.jobs_here import rows_at
    from federated.node.health import node_health as measured
    from federated.node.home import MOUNTED
    from federated.node.job_rows import Running
    from federated.wire.certificates import read_certificate
    from federated.wire.local import ask
    from psi.protocol import FedprofileError

    try:
        live: dict[str, Any] | None = ask(place.path / "node.sock", op="status")
    except FedprofileError:
        live = None
    expires = None
    if place.hub != MOUNTED:
        try:
            expires = read_certificate(place.certificate.read_bytes()).not_valid_after_utc
        except (OSError, FedprofileError):
            expires = None
    return measured(place, rows_at(place, Running.of(live) if live else None), live, expires)


def health_of_hub(place: HubHome) -> Health:
    """A hub's health, from its folder and from what runs in it."""
    import datetime as dt

    from federated.node.job_rows import UNACCEPTED
    from federated.node.lives import waits_for_word
    from federated.node.measures import (
        DAYS,
        LEAST_DISK,
        Health,
        Measure,
        disk_measure,
        ends_in,
    )
    from federated.wire.local import ask
    from psi.protocol import FedprofileError

    problems, found = list[str](), [disk_measure(place.path)]
    if found[0].value < LEAST_DISK:
        problems.append(f"{int(found[0].value) >> 20} MB of disk are free")
    try:
        days = round((place.expires - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1), 1)
        found.append(Measure("certificate_days", "until the hub's certificate ends", days))
        if days < DAYS:
            problems.append(f"the hub's certificate {ends_in(days)}: fedprofile hub renew")
    except (OSError, FedprofileError):
        problems.append("server.crt cannot be read")
    party = place.path / "party"
    if place.mounted and waits_for_word(party):
        problems.append(
            f"{place.mounted}: {UNACCEPTED}: fedprofile node accept-copy --home {party}"
        )
    try:
        said = ask(place.socket, op="status")
    except FedprofileError:
        problems.append("the hub is not running")
        return Health((Measure("up", "whether the hub runs", 0.0), *found), tuple(problems))
    nodes, turned = said["nodes"], sum(said["turned_away"].values())
    found += [
        Measure("up", "whether the hub runs", 1.0),
        Measure("memory_bytes", "resident memory", said["memory"]),
        Measure("queue_bytes", "waiting for nodes", sum(node["waiting"] for node in nodes)),
        Measure("turned_away", "requests since it was started", turned),
        *(
            Measure(name, what, float(node[field]), {"node": node["name"]})
            for name, what, field in (
                ("connected", "whether a node is connected", "online"),
                ("dropped", "parcels that are to be sent again", "dropped"),
            )
            for node in nodes
        ),
    ]
    return Health(tuple(found), tuple(problems))


def _say(health: Health, as_json: bool) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(health.plain(), indent=1))
    else:
        for one in health.measures:
            label = f" {next(iter(one.labels.values()))}" if one.labels else ""
            if one.value or not one.labels or one.name == "connected":
                typer.echo(f"{one.name + label:<32} {one.value:,.15g}  {one.what}")
        for problem in health.problems:
            typer.echo(f"BAD  {problem}")
        if not health.problems:
            typer.echo("well")
    if health.problems:
        raise typer.Exit(UNWELL)
