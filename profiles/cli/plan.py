"""`fedprofile plan`: what a job would send, disclose and cost, before any contact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from profiles.cli.options import Hub

__all__ = ["plan"]


def plan(
    job: Annotated[Path, typer.Argument(help="The job file.")],
    tables: Annotated[
        Path | None,
        typer.Option("--tables", help="A tables.toml with this party's tables, or everybody's."),
    ] = None,
    rows: Annotated[
        int,
        typer.Option(
            "--rows",
            min=0,
            help="Rows of a table that --tables does not bind; 0: as many as the largest bound, or "
            "100,000.",
        ),
    ] = 0,
    accept_columns: Annotated[
        bool,
        typer.Option("--accept-columns", help="Plan for `run --accept-columns`."),
    ] = False,
    hub: Hub = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say in plain words what each party will send and learn, and what it will cost.

    Nothing is sent and no key is made. With --tables the row counts are those of the tables, and
    what each column is taken for is said; the tables of parties elsewhere, or all without it, are
    taken to have --rows rows of numbers. A column that is taken for something else than in the last
    run ends it, as it would the run. How long the steps between parties take is worked out from a
    quarter of a second of the real kernels. With --hub it is the plan of what `run --hub` would
    propose, and this party's own policy is asked, as the run asks it.
    """
    import json

    from profiles.held_columns import frozen_beside
    from profiles.job import Job
    from profiles.plan import planned
    from profiles.plan_text import in_text
    from profiles.tables import open_tables
    from psi.kernels.cache import compiling

    if compiling():
        typer.echo(compiling(), err=True)
    spec = Job.load(job)
    source = open_tables(tables) if tables else None
    own: dict[str, float] = {}
    if hub is not None:
        spec = over_this_hub(spec, source, hub)
        own["allowed"] = label_limit(hub)
    held = [] if accept_columns else frozen_beside(job, tables)
    found = planned(spec, source, rows, held, **own)
    typer.echo(json.dumps(found.as_dict(), indent=1) if as_json else in_text(found))


def label_limit(hub: Path) -> float:
    """Bits of a label that the policy of this hub's or node's party lets be told."""
    from federated.releases.limits import load_release_limits
    from profiles.remote import HubLink

    return load_release_limits(HubLink(hub).home.policy).label_bits


def over_this_hub(spec: Any, source: Any, hub: Path) -> Any:
    """The job as it would be proposed over this hub or node, whose policy is asked with tables."""
    from profiles.cli.run import ask_policy, check_folder
    from profiles.remote import HubLink, proposed_over

    check_folder(hub)
    if source is not None:
        ask_policy(spec, source, hub)
    return proposed_over(spec, HubLink(hub))
