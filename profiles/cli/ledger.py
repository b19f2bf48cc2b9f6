"""`fedprofile ledger`: read, check and hand on what a party's ledger says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Read and check a party's ledger.", no_args_is_help=True)

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
    from federated.party.identity_file import read_identity

    raise typer.Exit(ledger_views.verify(file, read_identity(identity), against, typer.echo))
