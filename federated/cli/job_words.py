"""What commands say of a job or a proposal, in lines; what others wrote in them is cleaned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["bare", "cells_of", "described", "stands", "width_of"]


def cells_of(row: dict[str, Any]) -> tuple[str, str, str]:
    """State, proposer and the rest of a line of `jobs`."""
    from federated.text import plain

    step = f" {plain(row['step'], 60)}" if row["state"] == "running" else ""
    what = f'"{plain(row["job"], 60)}" for "{plain(row["purpose"], 40)}"' if row["job"] else ""
    what += f", directly with {plain(', '.join(row['direct']))}" if row["direct"] else ""
    said = [plain(row["why"], 200)] if row["why"] else []
    if row["state"] in ("interrupted", "approved") and row["next"]:
        said.append(plain(row["next"]))
    more = "; ".join(said)
    return row["state"] + step, plain(row["proposer"], 64), ": ".join(filter(None, (what, more)))


def width_of(text: str) -> int:
    """Columns of a terminal that it takes."""
    from rich.cells import cell_len

    return cell_len(text)


def bare(row: dict[str, Any], home: Path) -> list[str]:
    """What there is to say of a job without a proposal on file that this version can read."""
    from federated.node.job_rows import OTHER_VERSION
    from federated.text import plain

    state, named = row["state"], bool(row["job"])
    what = f' "{plain(row["job"])}" for "{plain(row["purpose"])}"' if named else ""
    does = "calls" if state == "called" else "proposed" if named else "called"
    early = state in ("refused", "failed") and not row["asked"]
    when = " before an officer was asked" if early and row["why"] != OTHER_VERSION else ""
    return [
        f"{plain(row['proposer'], 64)} {does} {row['id']}{what}",
        stands(row, when),
        f"  fedprofile node ledger {row['id']} --home {home}",
    ]


def stands(row: dict[str, Any], when: str = "") -> str:
    """A job's state, why, and what comes next; `when` is said behind the state."""
    from federated.node.states import STATES
    from federated.text import plain

    said = [plain(row[name], 400) for name in ("why", "next") if row[name]]
    return f"{row['state']}{when}: {'; '.join(said) or STATES[row['state']]}"


def described(entry: Any, place: Any, row: dict[str, Any]) -> list[str]:
    """All that `node show` says of a proposal, and what can be done with it as it is now."""
    from datetime import UTC, datetime

    from federated.node.proposal import proposal_shown
    from federated.releases.label_bits import label_words
    from federated.releases.row_bits import row_words
    from federated.text import plain

    def when(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")

    from federated.keys.officers import load_officers

    request, contract = entry.request, entry.request.contract
    shown = proposal_shown(entry, place)
    lines = [
        f"{contract.proposer} proposes {request.id}, {when(request.received)}",
        f'  job "{plain(contract.job)}", purpose '
        f'"{plain(contract.purpose)}" ({contract.purpose_class or "class not stated"})',
        f"  about: {plain(contract.entity)}; the receiver may keep the outputs for "
        f"{contract.retention_days} days",
        "",
        f"What it asks of {request.me}",
        *(f"  {line}" for line in shown.asked),
        *(f"  - {plain(line, 1000)}" for line in shown.missed),
        "",
        *shown.words,
    ]
    if shown.bits is not None:
        told = [*row_words(shown.bits), *shown.unknown]
        lines += ["", "Bits of a row", *(f"  {plain(text, 2000)}" for text in told)]
    if shown.labels:
        told = [line for one in shown.labels for line in label_words(one)]
        lines += ["", "Bits of a label", *(f"  {plain(text, 2000)}" for text in told)]
    lines += ["", "Keys"]
    for key in shown.keys:
        how = "this party" if key.own else key.confirmed or "NOT CONFIRMED"
        lines.append(f"  {key.party}: {key.fingerprint} ({plain(how)})")
    if shown.odd:
        lines += ["", "Look twice"]
        lines += [f"  {plain(odd.what)}: {odd.why}" for odd in shown.odd]
    lines.append("")
    for word in entry.words:
        said = "approved" if word.approved else "denied"
        mark = ", signed by his key" if word.signed else ""
        why = f": {plain(word.why, 200)}" if word.why else ""
        lines.append(f"{said} by {plain(word.by)}, {when(word.made)}{mark}{why}")
    lines += [plain(text, 2000) for text in shown.series]
    if entry.rule:
        lines.append(f"approved by {plain(entry.rule)}, {when(request.received)}")
    if row["state"] != "waiting":
        lines.append(stands(row))
    elif entry.word is None:
        if not row["next"].endswith(request.id):
            lines.append(row["next"])
        lines += [plain(row["why"], 400)] if row["why"] else []
        lines.append(f"waits for an officer until {when(entry.ends)}:")
        lines.append(f"  fedprofile node rehearse {request.id} --home {place.path}")
        signed = " --key FILE" * bool(load_officers(place.path))
        lines.append(f"  fedprofile node approve {request.id}{signed} --home {place.path}")
        lines.append(
            f"  fedprofile node deny {request.id} --why REASON{signed} --home {place.path}"
        )
    return lines
