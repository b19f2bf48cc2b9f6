"""Every proposal and job of a party, own ones too, as they are now: as data, for any screen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from federated.approval.inbox import Inbox
from federated.ledger.ending import told_in
from federated.node.home import NodeHome
from federated.node.states import STATES, Found, is_held, state_of
from federated.session.journal import stop_file
from federated.session.reasons import left_words

__all__ = ["OTHER_VERSION", "job_rows"]

Row = dict[str, Any]
_LEFT = ("left", "interrupted", "failed")
OTHER_VERSION = (
    "begun by another version of this software: go on with that one, or stop the job and have it "
    "proposed anew"
)
"""Why a job at rest does not go on whose proposal this version cannot read."""

_AT_REST = ("waiting", "approved", "interrupted")


def job_rows(inbox: Inbox, place: NodeHome, live: Mapping[str, Row]) -> list[Row]:
    """One row a session, oldest first: those on file, in the node's folder, and in the node.

    Args:
        inbox: the party's proposals and officers' words.
        place: its home.
        live: what the running node says of its jobs, by session; empty where none runs.
    """
    now = time.time()
    entries = {entry.request.session.hex(): entry for entry in inbox.all()}
    sessions = [*entries, *_folders(place), *live]
    rows = [
        _row(session, _found(session, entries, place, live), live.get(session, {}), now)
        for session in dict.fromkeys(sessions)
    ]
    others = {file.stem for file in inbox.unread()}
    for row in rows:
        if row["session"] in others and row["state"] == "interrupted" and not row["why"]:
            row["why"] = OTHER_VERSION
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
    session: str, entries: Mapping[str, Any], place: NodeHome, live: Mapping[str, Row]
) -> Found:
    folder = place.jobs / session
    told, plays = told_in(folder / "ledger.jsonl"), str(live.get(session, {}).get("state", ""))
    plays = plays if plays in ("waiting", "running") else ""  # what has ended is told on file
    if not plays and is_held(folder):
        plays = "running" if told.word == "approved" else "waiting"
    return Found(entries.get(session), told, folder, plays)


def _row(session: str, found: Found, running: Row, now: float) -> Row:
    entry, told = found.entry, found.told
    contract = entry.request.contract if entry else None
    word = entry.word if entry else None
    state = state_of(found, now)
    if not told.last and running.get("state") in STATES and entry is None and not found.live:
        state = running["state"]  # it ended before it had a ledger
    why = running.get("error", "") or told.why or (word.why if word else "")
    if told.left and state in _LEFT:
        why = left_words(told.left, told.left_by)
    if not found.live and state in _AT_REST and _is_to_end(found.folder):
        why = "an officer has stopped it: the others are told once the node runs"
    return {
        "id": session[:8],
        "session": session,
        "proposer": contract.proposer if contract else running.get("proposer") or told.proposer,
        "parties": [terms.name for terms in contract.parties]
        if contract
        else running.get("parties") or list(told.parties),
        "job": contract.job if contract else running.get("job") or told.job,
        "purpose": contract.purpose if contract else running.get("purpose") or told.purpose,
        "state": state,
        "step": running.get("step", ""),
        "share": running.get("share", 0.0),
        "received": int(entry.request.received) if entry else running.get("began") or told.began,
        "changed": max(told.last, word.made if word else 0),
        "ends": entry.ends if entry else 0,
        "by": told.by or (word.by if word else entry.rule if entry else ""),
        "why": why,
        "live": bool(found.live),
        "direct": running.get("direct", []) if state == "running" else [],
    }
