"""`fedprofile ledger`: read and check what a party's ledger says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Read and check a party's ledger.", no_args_is_help=True)

LedgerFile = Annotated[Path, typer.Argument(help="A ledger.jsonl file.")]


@app.command()
def show(
    file: LedgerFile,
    disclosures: Annotated[
        bool, typer.Option("--disclosures", help="Only what was disclosed to whom.")
    ] = False,
) -> None:
    """Print a ledger as a table."""
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from federated.party.ledger import read_ledger
    from federated.text import plain

    table = Table("#", "time (UTC)", "kind", "step", "peer", "what", box=None, pad_edge=False)
    for line in read_ledger(file):
        body = dict(line["body"])
        if disclosures and line["kind"] != "disclosure":
            continue
        step, peer = str(body.pop("step", "")), str(body.pop("peer", ""))
        when = datetime.fromtimestamp(line["time"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        what = ", ".join(f"{key} {value}" for key, value in body.items())
        cells = (str(line["number"]), when, line["kind"], step, peer, what)
        table.add_row(*(Text(plain(str(cell), 120)) for cell in cells))
    Console().print(table)


@app.command()
def verify(
    file: LedgerFile,
    identity: Annotated[
        Path, typer.Option("--identity", help="The owner's identity.json, beside its ledger.")
    ],
) -> None:
    """Check that every line is chained and signed by the ledger's owner."""
    from federated.party.identity_file import read_identity
    from federated.party.ledger import verify_ledger

    owner = read_identity(identity)
    count = verify_ledger(file, owner)
    typer.echo(f"{count} lines, all chained and signed by {owner.name} ({owner.fingerprint})")
