"""Every proposal and job of a party, own ones too, as they are now: as data, for any screen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from federated.approval.call import caller_in
from federated.approval.inbox import Inbox
from federated.ledger.ending import told_in
from federated.node.home import MOUNTED, NodeHome
from federated.node.lives import waits_for_word
from federated.node.own_runs import GONE, OwnRun, own_run, since_words
from federated.node.states import STATES, Found, is_held, state_of
from federated.session.journal import can_resume, stop_file
from federated.session.over import told_over, why_ended, why_halted, why_over
from federated.session.reached import PUT_BACK
from federated.session.reasons import ENDED_THERE, left_words, own_words

__all__ = ["OTHER_VERSION", "UNACCEPTED", "Running", "job_rows"]

Row = dict[str, Any]
_LEFT = ("left", "interrupted", "failed")
OTHER_VERSION = (
    "begun by another version of this software: go on with that one, or stop the job and have it "
    "proposed anew"
)
"""Why a job at rest does not go on whose proposal this version cannot read."""

UNACCEPTED = "this folder is a copy that nobody has accepted, and nothing goes on in it"

_AT_REST = ("waiting", "approved", "interrupted")
_ENDED = ("left", "refused", "failed")
_OPEN = ("called", "running", *_AT_REST)


@dataclass(frozen=True)
class Running:
    """What runs at a party: its node's jobs by session; since when the hub is not reached, 0 if it
    is, and why, where that is known."""

    jobs: Mapping[str, Row] = field(default_factory=dict)
    away_since: int = 0
    away_why: str = ""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Running:
        """Of what a running node says of its status."""
        jobs = {str(job["session"]): job for job in said.get("jobs", ())}
        return cls(jobs, int(said.get("away_since", 0)), str(said.get("away_why", "")))

    @property
    def away(self) -> str:
        """That the hub is not reached, in words; "" where it is."""
        why = f" ({self.away_why})" if self.away_why else ""
        return f"the hub is not reached{since_words(self.away_since)}{why}" * bool(self.away_since)


def job_rows(inbox: Inbox, place: NodeHome, live: Running | None) -> list[Row]:
    """One row a session, oldest first: those on file, in the node's folder, and in the node.

    `why` says what has become of it, `next` what sets it going, or ends it; both may be empty.

    Args:
        inbox: the party's proposals and officers' words.
        place: its home.
        live: what runs at the party; None where no node does.
    """
    now, runs = time.time(), live.jobs if live else {}
    entries = {entry.request.session.hex(): entry for entry in inbox.all()}
    others = {file.stem for file in inbox.unread()}
    rows = []
    for session in dict.fromkeys([*entries, *_folders(place), *runs]):
        found = _found(session, entries.get(session), place, runs, session in others)
        found = replace(found, spent=inbox.spent_on(bytes.fromhex(session)))
        row = _row(session, found, runs.get(session, {}), now)
        if found.live and row["state"] in _OPEN and live and live.away and not row["why"]:
            row["why"] = live.away
        after, hint = _next(row, found, place, live), str(runs.get(session, {}).get("hint", ""))
        if hint and row["state"] in _AT_REST and not found.live:
            after = f"{hint}; {after}"  # of what keeps it at rest
        rows.append(row | {"next": after})
    return sorted(rows, key=lambda row: int(row["received"]))


def _folders(place: NodeHome) -> list[str]:
    try:
        files = [*place.jobs.glob("*/ledger.jsonl"), *place.jobs.glob("*/run.json")]
        return [f.parent.name for f in files if len(f.parent.name) == 64]
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
    halted = "" if plays else _halted(place, session)
    return Found(
        entry=entry,
        told=told,
        folder=folder,
        live=plays,
        unread=unread,
        halted=halted,
        run=own_run(folder),
    )


def _halted(place: NodeHome, session: str) -> str:
    """Why what is at rest does not go on; one put back after the job's end is known by sight."""
    folder = place.jobs / session
    try:
        lost = can_resume(folder) and not place.reached(bytes.fromhex(session)).exists()
    except (OSError, ValueError):
        lost = False  # an officer who is another user does not see jobs
    return PUT_BACK if lost else why_halted(folder)


def _row(session: str, found: Found, running: Row, now: float) -> Row:
    entry, told, own = found.entry, found.told, found.run or OwnRun()
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
        else own.me or _proposer(found, running) or over.get("proposer", ""),
        "parties": [terms.name for terms in contract.parties]
        if contract
        else running.get("parties") or list(told.parties or own.parties),
        "job": contract.job
        if contract
        else running.get("job") or told.job or over.get("job", own.job),
        "purpose": contract.purpose
        if contract
        else running.get("purpose") or told.purpose or over.get("purpose", own.purpose),
        "state": state,
        "step": running.get("step", ""),
        "share": running.get("share", 0.0),
        "received": int(entry.request.received)
        if entry
        else told.began or running.get("began", own.began),
        "changed": _changed(found, state),
        "ends": entry.ends if entry else 0,
        "by": told.by or (word.by if word else entry.rule if entry else ""),
        "why": _why(found, state, running) or (word.why if word else ""),
        "asked": bool(entry or told.asked or told.signed or over.get("job")),
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


def _changed(found: Found, state: str) -> int:
    """Since when it is as it is: no restart changes that of what stands still."""
    told, entry = found.told, found.entry
    word = entry.word if entry else None
    said = word.made if word else told.said  # the job's line of it comes once a node runs
    if state in ("called", "waiting"):
        return 0
    if state in ("approved", "denied"):
        return said or told.last
    if entry is not None and state == "expired":
        return entry.ends
    if entry is not None and state == "refused" and entry.void:
        return entry.void
    return max(told.last, told.said, said)


def _why(found: Found, state: str, running: Row) -> str:
    told, void = found.told, found.entry is not None and found.entry.void
    if not found.live and (state in _AT_REST or void) and _is_to_end(found.folder):
        return "an officer has stopped it: the others are told once the node runs"
    if void and state == "refused":
        return "this party's officer stopped it, and the yes to it counts no more"
    word = found.entry.word if found.entry is not None else None
    if state == "denied" and word is not None:
        return word.why  # whatever else has happened to its session
    if found.run is not None and found.live:
        return f"it waits for {' and '.join(found.run.waits)}" if found.run.waits else ""
    if found.halted and state == "interrupted":
        return found.halted
    if found.unread and state == "interrupted":
        return OTHER_VERSION
    if state in _ENDED and (over := why_over(found.folder)):
        return over
    if found.run is not None and state != "done" and not (told.word == "refused" and told.why):
        return GONE if found.run.state == "running" else found.run.error
    if told.left and state in _LEFT:
        return left_words(told.left, told.left_by)
    rests = state in ("approved", "interrupted") and not found.live
    ended = (told.ended_why or why_ended(found.folder)) if rests or state in _ENDED else ""
    said = str(running.get("error", "")) or told.why or ended
    return said or (own_words(told.ended) if state in _ENDED else "")


def _next(row: Row, found: Found, place: NodeHome, live: Running | None) -> str:
    """What sets a job going that stands still, or who ends it."""
    state, name, own = row["state"], row["id"], row["proposer"] == place.name
    if state in _OPEN and not found.live and waits_for_word(place.path):
        return f"{UNACCEPTED}: fedprofile node accept-copy --home {place.path} first"
    hub = place.path.parent if place.hub == MOUNTED else place.path
    ends = (
        f"fedprofile {f'job stop {name} --hub {hub}' if own else f'node stop {name} --now'} ends it"
    )
    if _is_to_end(found.folder) and not found.live:
        return ""
    if own:
        return _next_of_own(row, found, hub, ends)
    if found.live == "running":
        return f"it goes on by itself; {ends}" if row["why"] else ""
    if state == "interrupted" and (found.halted or row["why"] == OTHER_VERSION):
        return ends if found.halted else ""
    if state in ("approved", "interrupted") and ENDED_THERE in row["why"]:
        return ends
    who = row["proposer"]
    needed = f"{who} is there" if live else f"the node runs and {who} is there"
    if live and live.away:
        needed = f"the hub is reached and {who} is there"
    return {
        "called": f"its proposal comes once {needed}",
        "waiting": f"fedprofile node show {name}",
        "approved": f"it begins once {needed}",
        "interrupted": f"it goes on once {needed}; {ends}",
        "left": _of_left(found),
    }.get(state, "")


def _of_left(found: Found) -> str:
    """What becomes of a word on a proposal whose session is gone."""
    entry, here = found.entry, found.folder.name
    if entry is None or time.time() >= entry.ends:
        return ""
    if found.spent not in ("", here):
        return f"its yes has counted for {found.spent[:8]}"
    given = entry.word is not None and entry.word.approved
    words = f"the yes of {entry.word.by}" if entry.word is not None and given else "a word"
    return f"{words} counts once, if exactly the same is asked again"


def _next_of_own(row: Row, found: Found, hub: Path, ends: str) -> str:
    """The same, of a job that this party has proposed."""
    state, name = row["state"], row["id"]
    if state == "waiting":
        return f"fedprofile node show {name}"
    if found.live:
        return f"it goes on by itself; {ends}" if row["why"] else ""
    if state == "interrupted" and (found.halted or row["why"] == OTHER_VERSION):
        return ends if found.halted else ""
    if state in ("approved", "interrupted") and ENDED_THERE in row["why"]:
        return ends
    if state in ("approved", "interrupted") and _rests(found.folder):
        resume = f"fedprofile job resume {name} --hub {hub} goes on with it"
        return f"{resume}, {ends.removeprefix('fedprofile ')}"
    over = bool(told_over(found.folder))  # let go, so there is nothing left to do
    if state in _ENDED and found.run is not None and found.run.hint and not over:
        return found.run.hint
    return {
        "approved": "it counts once, when the same job is run again",
        "left": _of_left(found),
    }.get(state, "")


def _rests(folder: Path) -> bool:
    try:
        return can_resume(folder)
    except OSError:
        return False  # an officer who is another user does not see jobs
