"""`fedprofile node releases`: what was disclosed of this party's columns; forgetting a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from federated.releases.memory import Releases

HOME = Path("fedprofile-node")


def releases(
    home: Annotated[Path, typer.Option("--home", help="The node's folder.")] = HOME,
    forget: Annotated[
        str,
        typer.Option(
            "--forget",
            help="Drop this job (its id or session): the next one about the same records is "
            "answered again. Leaves a line in the job's ledger.",
        ),
    ] = "",
    why: Annotated[str, typer.Option("--why", help="The reason, for the ledger.")] = "",
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", help="A file of mode 0600 that opens this party's keys."),
    ] = None,
) -> None:
    """Print which jobs disclosed something of which columns: what the guard compares with.

    A job that broke off after it was counted stands in the way of the same job until it is
    resumed, has expired, or is forgotten. Whoever forgets a job that was answered lets its
    receiver compare two answers.
    """
    import secrets
    import time

    from federated.approval.policy_file import load_policy
    from federated.approval.series import series_lines
    from federated.cli.passphrase import passphrase
    from federated.ledger.lines import Ledger
    from federated.node.home import NodeHome
    from federated.releases.limits import load_release_limits
    from federated.releases.memory import Releases
    from federated.text import plain
    from psi.protocol import MisuseError

    node = NodeHome.open(home)
    book = Releases(node.releases, load_release_limits(node.policy), secrets.token_bytes, time.time)
    if not forget:
        _print(book)
        for text in series_lines(node.path, load_policy(node.policy)):
            typer.echo(plain(text, 2000))
        return
    sessions = {str(line["session"]) for line in book.lines()}
    found = [session for session in sessions if session.startswith(forget.lower())]
    if len(found) != 1:
        raise MisuseError(
            f"{len(found)} jobs with that id in the book", hint="fedprofile node releases"
        )
    session = bytes.fromhex(found[0])
    keys = node.load_keys(passphrase(passphrase_file, new=False))
    ledger = Ledger(node.job(session) / "ledger.jsonl", keys, time.time, session, {})
    ledger.write("forgotten", by="officer", why=why)
    ledger.close()
    book.forget(session)
    typer.echo(f"job {found[0][:8]} is forgotten")


def _print(book: Releases) -> None:
    from datetime import UTC, datetime

    from federated.cli.lists import print_rows
    from federated.releases.label_bits import label_totals
    from federated.releases.row_bits import told_words
    from federated.text import plain

    heads = (
        "job", "to", "purpose", "table", "columns", "step", "bits of a row", "of a label",
        "thresholds", "epsilon", "made", "until",
    )  # fmt: skip
    rows = []
    for line in book.lines():
        days = [
            datetime.fromtimestamp(int(line[key]), UTC).strftime("%Y-%m-%d")
            for key in ("made", "expires")
        ]
        noise = f"{int(line['micro_epsilon']) / 1e6:g}" if line["micro_epsilon"] else "exact"
        names = [str(line[key]) for key in ("receiver", "purpose", "table", "columns", "step")]
        bits = f"{int(line['micro_bits']) / 1e6:.1f}"
        label = f"{int(line['micro_label']) / 1e6:.2f}" if line["micro_label"] else "-"
        edges = str(line["thresholds"] or "-")
        rows.append((str(line["session"])[:8], *names, bits, label, edges, noise, *days))
    print_rows(heads, rows)
    for row in book.so_far():
        typer.echo(plain(told_words(row), 2000))
    for told in label_totals(book):
        typer.echo(plain(told, 2000))
