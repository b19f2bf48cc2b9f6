"""`fedprofile leads`: what managers made of their leads, for the next assignment."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group
from profiles.cli.flow_options import Lang

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
    lang: Lang = "",
) -> None:
    """Add a list's leads, and what became of them, to the history that assignment learns from.

    A lead is right where its first manager kept it and made contact within ten days.
    """
    from profiles.assignment.history import DAYS, load_leads
    from profiles.cli.run import check_lang
    from profiles.language import LANGUAGES, language

    check_lang(lang)
    t = language(lang or LANGUAGES[0])
    found = load_leads(targets, contacts, listed.date(), history, date.today())
    counts = {"leads": found.leads, "unassigned": found.unassigned, "kept": found.kept}
    typer.echo(t.say("leads.counts", **counts))
    typer.echo(t.say("leads.right", days=DAYS, right=found.right, share=f"{found.share:.1%}"))
    typer.echo(t.say("leads.outcome", outcomes=found.outcomes))
    for why, rows in found.left_out.items():
        typer.echo(t.say("effects.left", rows=rows, why=why))
    for note in found.notes:
        typer.echo(t.told(note, "set_aside"))
    typer.echo(t.say("leads.history", file=history, leads=found.history))
