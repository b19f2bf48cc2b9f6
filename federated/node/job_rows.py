"""Every proposal and job of a party, own ones too, as they are now: as data, for any screen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from federated.approval.call import caller_in
from federated.approval.inbox import Inbox
from federated.ledger.ending import told_in
from federated.node.home import NodeHome
from federated.node.states import STATES, Found, is_held, state_of
from federated.session.journal import can_resume, stop_file
from federated.session.over import told_over, why_halted, why_over
from federated.session.reached import PUT_BACK
from federated.session.reasons import left_words, own_words

__all__ = ["OTHER_VERSION", "job_rows"]

Row = dict[str, Any]
_LEFT = ("left", "interrupted", "failed")
OTHER_VERSION = (
    "begun by another version of this software: go on with that one, or stop the job and have it "
    "proposed anew"
)
"""Why a job at rest does not go on whose proposal this version cannot read."""

_AT_REST = ("waiting", "approved", "interrupted")
_ENDED = ("left", "refused", "failed")


def job_rows(inbox: Inbox, place: NodeHome, live: Mapping[str, Row] | None) -> list[Row]:
    """One row a session, oldest first: those on file, in the node's folder, and in the node.

    `why` says what has become of it, `next` what sets it going, or ends it; both may be empty.

    Args:
        inbox: the party's proposals and officers' words.
        place: its home.
        live: what the running node says of its jobs, by session; None where none runs.
    """
    now, runs = time.time(), live or {}
    entries = {entry.request.session.hex(): entry for entry in inbox.all()}
    others = {file.stem for file in inbox.unread()}
    rows = []
    for session in dict.fromkeys([*entries, *_folders(place), *runs]):
        found = _found(session, entries.get(session), place, runs, session in others)
        row = _row(session, found, runs.get(session, {}), now)
        rows.append(row | {"next": _next(row, found, place.name, live is not None)})
    return sorted(rows, key=lambda row: int(row["received"]))


def _folders(place: NodeHome) -> list[str]:
    try:
        return [
            f.parent.name for f in place.jobs.glob("*/ledger.jsonl") if len(f.parent.name) == 64
        ]
    except OSError:
        return []  # an officer who is another user reads proposals only


def _is_to_end(folder: Path) -> bool:
    try:
        return stop_file(folder).exists()
    except OSError:
        return False  # as above


def _found(
    session: str, entry: Any, place: NodeHome, live: Mapping[str, Row], unread: bool
) -> Found:
    folder = place.jobs / session
    told, plays = told_in(folder / "ledger.jsonl"), str(live.get(session, {}).get("state", ""))
    plays = plays if plays in ("waiting", "running") else ""  # what has ended is told on file
    if not plays and is_held(folder):
        plays = "running" if told.word == "approved" else "waiting"
    return Found(entry, told, folder, plays, unread, "" if plays else _halted(place, session))


def _halted(place: NodeHome, session: str) -> str:
    """Why what is at rest does not go on; one put back after the job's end is known by sight."""
    folder = place.jobs / session
    try:
        lost = can_resume(folder) and not place.reached(bytes.fromhex(session)).exists()
    except (OSError, ValueError):
        lost = False  # an officer who is another user does not see jobs
    return PUT_BACK if lost else why_halted(folder)


def _row(session: str, found: Found, running: Row, now: float) -> Row:
    entry, told = found.entry, found.told
    contract = entry.request.contract if entry else None
    word = entry.word if entry else None
    state, over = state_of(found, now), told_over(found.folder)
    if not told.last and running.get("state") in STATES and entry is None and not found.live:
        state = running["state"]  # it ended before it had a ledger
    return {
        "id": session[:8],
        "session": session,
        "proposer": contract.proposer
        if contract
        else _proposer(found, running) or over.get("proposer", ""),
        "parties": [terms.name for terms in contract.parties]
        if contract
        else running.get("parties") or list(told.parties),
        "job": contract.job if contract else running.get("job") or told.job or over.get("job", ""),
        "purpose": contract.purpose
        if contract
        else running.get("purpose") or told.purpose or over.get("purpose", ""),
        "state": state,
        "step": running.get("step", ""),
        "share": running.get("share", 0.0),
        "received": int(entry.request.received) if entry else told.began or running.get("began", 0),
        "changed": max(told.last, word.made if word else 0),
        "ends": entry.ends if entry else 0,
        "by": told.by or (word.by if word else entry.rule if entry else ""),
        "why": _why(found, state, running) or (word.why if word else ""),
        "live": bool(found.live),
        "direct": running.get("direct", []) if state == "running" else [],
    }


def _proposer(found: Found, running: Row) -> str:
    if name := running.get("proposer") or found.told.proposer:
        return str(name)
    try:
        return caller_in((found.folder / "call").read_bytes())
    except OSError:
        return ""


def _why(found: Found, state: str, running: Row) -> str:
    told, void = found.told, found.entry is not None and found.entry.void
    if not found.live and (state in _AT_REST or void) and _is_to_end(found.folder):
        return "an officer has stopped it: the others are told once the node runs"
    if void and state == "refused":
        return "this party's officer stopped it, and the yes to it counts no more"
    if told.left and state in _LEFT:
        return left_words(told.left, told.left_by)
    if found.halted and state == "interrupted":
        return found.halted
    if found.unread and state == "interrupted":
        return OTHER_VERSION
    if state in _ENDED and (over := why_over(found.folder)):
        return over
    said = str(running.get("error", "")) or told.why
    return said or (own_words(told.ended) if state in _ENDED else "")


def _next(row: Row, found: Found, me: str, runs: bool) -> str:
    """What sets a job going that stands still, or who ends it."""
    state, name = row["state"], row["id"]
    if found.live == "running" or (_is_to_end(found.folder) and not found.live):
        return ""
    own = row["proposer"] == me
    ends = (
        f"fedprofile {'job stop' if own else 'node stop'} {name}{'' if own else ' --now'} ends it"
    )
    if state == "interrupted" and (found.halted or row["why"] == OTHER_VERSION):
        return ends if found.halted else ""
    if own and state == "interrupted":
        return f"fedprofile job resume {name} goes on with it, {ends.removeprefix('fedprofile ')}"
    needed = (
        row["proposer"] + " is there" if runs else f"the node runs and {row['proposer']} is there"
    )
    if own and state == "approved":
        return "it counts once, when the same job is run again"
    return {
        "called": f"its proposal comes once {needed}",
        "waiting": f"fedprofile node show {name}",
        "approved": f"it begins once {needed}",
        "interrupted": f"it goes on once {needed}; {ends}",
        "left": "a word counts once, if exactly the same is asked again",
    }.get(state, "")
