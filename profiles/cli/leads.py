"""`fedprofile leads`: what managers made of their leads, for the next assignment."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group

__all__ = ["app"]

app = typer.Typer(cls=Group, help="What managers made of their leads.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def load(
    targets: Annotated[Path, typer.Argument(help="targets.parquet of the run that made the list.")],
    contacts: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with a row a lead: entity, manager (who has it now), contacted "
            "(a day, or nothing); optionally product, and outcome (0 or 1)."
        ),
    ],
    listed: Annotated[
        datetime,
        typer.Option("--listed", formats=["%Y-%m-%d"], help="The day managers got the list."),
    ],
    history: Annotated[
        Path, typer.Option("--history", help="The Parquet file of all leads so far; it grows.")
    ],
) -> None:
    """Add a list's leads, and what became of them, to the history that assignment learns from.

    A lead is right where its first manager kept it and made contact within ten days.
    """
    from profiles.assignment.history import DAYS, load_leads

    found = load_leads(targets, contacts, listed.date(), history, date.today())
    typer.echo(
        f"{found.leads:,} leads, {found.unassigned:,} of them without a manager; "
        f"{found.kept:,} kept by their first manager"
    )
    typer.echo(
        f"right (kept, and contacted within {DAYS} days): {found.right:,}, {found.share:.1%}"
    )
    typer.echo(f"outcome 1: {found.outcomes:,}")
    for why, rows in found.left_out.items():
        typer.echo(f"left out: {rows:,} {why}")
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"{history}: {found.history:,} leads")
