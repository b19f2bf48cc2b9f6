"""`fedprofile ledger`: read, check and hand on what a party's ledger says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federated.cli.group import Group

app = typer.Typer(cls=Group, help="Read and check a party's ledger.", no_args_is_help=True)

LedgerFile = Annotated[Path, typer.Argument(help="A ledger.jsonl file.")]
OnlyDisclosures = Annotated[
    bool, typer.Option("--disclosures", help="Only what was disclosed to whom.")
]


@app.command()
def show(file: LedgerFile, disclosures: OnlyDisclosures = False) -> None:
    """Print a ledger as a table."""
    from federated.cli import ledger_views

    ledger_views.show(file, ["disclosure"] if disclosures else [])


@app.command()
def verify(
    file: LedgerFile,
    identity: Annotated[
        Path, typer.Option("--identity", help="The owner's identity.json, beside its ledger.")
    ],
    against: Annotated[
        Path | None,
        typer.Option("--against", help="Another party's ledger of the same job: do they agree?"),
    ] = None,
) -> None:
    """Check that every line is chained and signed, and that two parties tell the same story.

    The other's signatures are checked with the key that the first ledger's owner had pinned for
    it. Ends with exit code 9 and one line a finding where the two accounts differ.
    """
    from federated.cli import ledger_views
    from federated.keys.identity_file import read_identity

    raise typer.Exit(ledger_views.verify(file, read_identity(identity), against, typer.echo))


@app.command()
def export(
    file: LedgerFile,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file to write; by default the terminal.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="Only lines from this UTC time on, as 2026-01-31T08:00.")
    ] = "",
    form: Annotated[str, typer.Option("--format", help="jsonl: one flat event a line.")] = "jsonl",
) -> None:
    """Write a ledger as JSON lines for a SIEM: one flat event a line, fields in docs/LEDGER.md."""
    from federated.cli import ledger_views

    ledger_views.export([file], out, since, form)
