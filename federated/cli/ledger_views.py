"""What the ledger commands print: a table for people, findings, lines for a SIEM."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from federated.cli.lists import print_rows
from federated.keys.party_keys import Identity
from federated.ledger.listing import DECISIONS, job_lines, ledger_lines, selected

__all__ = ["DECISIONS", "DIFFER", "export", "overview", "show", "verify"]

DIFFER = 9
"""Exit code where two accounts of a job differ."""

_TIME = "%Y-%m-%d %H:%M:%S"
_LONG = {"terms", "signatures", "sha256", "hmac", "head", "parties", "digest", "heads", "files"}
_LONG |= {"draft", "officers", "people", "signature"}


def show(path: Path, kinds: Iterable[str] = ()) -> None:
    """Print a ledger as a table, only lines of `kinds` where any are given."""
    rows = [
        (str(one.number), f"{one.time:{_TIME}}", one.kind, one.step, one.peer, _what(one.body))
        for one in ledger_lines(path, kinds)
    ]
    print_rows(("#", "time (UTC)", "kind", "step", "peer", "what"), rows)


def overview(paths: Iterable[Path]) -> None:
    """Print one line a ledger: job, purpose, how it ended."""
    rows = [
        (one.session[:8], f"{one.began:{_TIME}}", str(one.lines), one.end, one.job, one.purpose)
        for one in job_lines(paths)
    ]
    print_rows(("job", "began (UTC)", "lines", "end", "name", "purpose"), rows)


def export(
    paths: Iterable[Path],
    out: Path | None,
    since: str,
    form: str,
    *,
    until: str = "",
    kinds: Iterable[str] = (),
) -> None:
    """Write ledgers as JSON lines, to a file or the terminal, from a UTC time on and up to one.

    Only lines of `kinds` where any are given.
    """
    import json
    import sys

    from federated.store.files import write_atomic
    from psi.protocol import MisuseError

    if form != "jsonl":
        raise MisuseError(f"--format {form} found, jsonl allowed")
    first, last = _utc("--since", since), _utc("--until", until)
    texts = [
        json.dumps(event, ensure_ascii=False) + "\n"
        for event in selected(paths, first, last, kinds)
    ]
    if out is None:
        sys.stdout.writelines(texts)
    else:
        write_atomic(out, "".join(texts), private=True)


def _utc(option: str, text: str) -> datetime | None:
    from psi.protocol import MisuseError

    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"{option}: a time like 2026-01-31T08:00 is needed") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
    if isinstance(files := body.get("files"), dict):
        words.append(", ".join(files))
    if isinstance(body.get("words"), list):
        names = [str(word.get("officer")) for word in body["words"] if isinstance(word, dict)]
        words.append(f"signed by {', '.join(names)}")
        body = {key: value for key, value in body.items() if key != "words"}
    for key in ("digest", "sha256", "hmac"):
        if key in body:
            words.append(f"{key} {str(body[key])[:12]}")
    words += [f"{key} {_plainly(value)}" for key, value in body.items() if key not in _LONG]
    return ", ".join(words)


def _plainly(value: Any) -> str:
    """A value without a programmer's brackets and quotes."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plainly(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_plainly(inner) for inner in value)
    return str(value)


def verify(path: Path, owner: Identity, against: Path | None, echo: Callable[[str], None]) -> int:
    """Print how a ledger and another's account of the same job were found; the exit code."""
    from federated.contract.terms import VERSION
    from federated.ledger.checked import check_ledger

    found = check_ledger(path, owner, against)
    echo(
        f"{found.mine.file}: {len(found.mine.lines)} lines, all chained and signed by {owner.name}"
    )
    echo(f"  {owner.fingerprint}")
    if found.mine.other_version:
        compared = "" if against is None else "; what was disclosed is not compared"
        echo(
            f"  its contract is of version {found.mine.other_version}, {VERSION} is read here: its "
            f"signatures hold, its terms are not read{compared}; verify them with the version of "
            "this software that wrote it"
        )
    if found.theirs is None:
        return 0
    if not found.differences:
        theirs = found.theirs
        echo(f"{theirs.file}: {len(theirs.lines)} lines, signed by {theirs.name}")
        echo("the two accounts agree")
        return 0
    echo(f"the two accounts differ, {len(found.differences)} findings:")
    for finding in found.differences:
        echo(f"  {finding}" + "  (the job broke off: may be honest)" * finding.open)
    if any(finding.put_back for finding in found.differences):
        echo(
            "a party that was put back to an older copy has such a ledger too: its node's own "
            "ledger (ledger.jsonl in its home) then has a line `restored`, with the day of the copy"
        )
    return DIFFER
