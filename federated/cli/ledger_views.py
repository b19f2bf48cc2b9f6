"""What the ledger commands print: a table for people, findings, lines for a SIEM."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from federated.party.keys import Identity

__all__ = ["DIFFER", "show", "verify"]

DIFFER = 9
"""Exit code where two accounts of a job differ."""

_LONG = {"terms", "signatures", "sha256", "hmac", "head", "parties", "digest", "heads"}


def show(path: Path, kinds: Iterable[str] = ()) -> None:
    """Print a ledger as a table, only lines of `kinds` where any are given."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from federated.party.ledger import read_ledger
    from federated.text import plain

    wanted = set(kinds)
    table = Table("#", "time (UTC)", "kind", "step", "peer", "what", box=None, pad_edge=False)
    for line in read_ledger(path):
        if wanted and line["kind"] not in wanted:
            continue
        body = dict(line["body"])
        step, peer = str(body.pop("step", "")), str(body.pop("peer", body.pop("to", "")))
        when = datetime.fromtimestamp(line["time"], UTC).strftime("%Y-%m-%d %H:%M:%S")
        cells = (str(line["number"] + 1), when, line["kind"], step, peer, _what(body))
        table.add_row(*(Text(plain(cell, 160)) for cell in cells))
    Console().print(table)


def _what(body: dict[str, Any]) -> str:
    """A line's body in short: hashes by their beginnings, contracts by job and purpose."""
    words = []
    if "digest" in body and isinstance(terms := body.get("terms"), dict):
        words.append(f'"{terms.get("job")}" for "{terms.get("purpose")}"')
        words.append(f"signed by {', '.join(body.get('signatures', ()))}")
    if isinstance(parties := body.get("parties"), dict):
        words.append(", ".join(parties))
    if isinstance(head := body.get("head"), list):
        words.append(f"its line {head[0] + 1}")
    if isinstance(heads := body.get("heads"), dict):
        words += [f"holds {name} up to its line {kept[0] + 1}" for name, kept in heads.items()]
    for key in ("digest", "sha256", "hmac"):
        if key in body:
            words.append(f"{key} {str(body[key])[:12]}")
    words += [f"{key} {value}" for key, value in body.items() if key not in _LONG]
    return ", ".join(words)


def verify(path: Path, owner: Identity, against: Path | None, echo: Callable[[str], None]) -> int:
    """Check a ledger, and another's account of the same job against it; the exit code."""
    from federated.party.account import read_account
    from federated.party.compare import compare
    from psi.protocol import InputError

    names = (path.name, against.name) if against and against.name != path.name else ()
    mine = read_account(path, owner, names[0] if names else str(path))
    for finding in mine.findings:
        raise InputError(str(finding), hint="get the ledger again from where it was written")
    echo(f"{mine.file}: {len(mine.lines)} lines, all chained and signed by {owner.name}")
    echo(f"  {owner.fingerprint}")
    if against is None:
        return 0
    theirs = read_account(against, name=names[1] if names else str(against))
    findings = compare(mine, theirs)
    if not findings:
        echo(f"{theirs.file}: {len(theirs.lines)} lines, signed by {theirs.name}")
        echo("the two accounts agree")
        return 0
    echo(f"the two accounts differ, {len(findings)} findings:")
    for finding in findings:
        echo(f"  {finding}" + "  (the job broke off: may be honest)" * finding.open)
    return DIFFER
