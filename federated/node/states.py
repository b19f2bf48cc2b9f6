"""In which state a proposal or job is at this party: one rule for all commands, after any restart.

It is read from what is on file (the proposal with officers' words, the job's ledger and journal,
what a run of this party's own has noted) and from what runs. docs/STATES.md has the table of states
and events.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from federated.approval.call import VALID
from federated.approval.decision import NOBODY
from federated.approval.words import Waiting
from federated.ledger.ending import RULES, Told
from federated.node.own_runs import OwnRun
from federated.session.journal import can_resume, has_signed
from psi.protocol import EnvironmentFailed

__all__ = ["ENDS", "STATES", "Found", "is_held", "state_of"]

STATES = {
    "called": "a party calls; its proposal is not here yet",
    "waiting": "an officer is to decide",
    "approved": "an officer or a rule said yes, and nothing has been signed",
    "denied": "an officer said no",
    "expired": "nobody decided in time",
    "left": "its session is gone; a word counts once if exactly the same is asked again",
    "running": "approved, and at work",
    "interrupted": "signed, and at rest: it goes on where it stopped",
    "refused": "a rule, the guard or an officer ended it, here or, of a job of this party's, there",
    "failed": "it ended without a result",
    "done": "all steps are done",
}
"""Every state, in words."""

ENDS = ("denied", "expired", "left", "refused", "failed", "done")
"""Those that no event changes, but a purge and a word on what `left`."""

_STOPS = ("", EnvironmentFailed.__name__)
"""How a job ends at a node that is killed, or stopped."""

_REFUSALS = ("Refused", "Declined", "Stopped")


@dataclass(frozen=True, kw_only=True)
class Found:
    """A job as it is: the proposal if one is on file, what its ledger says, its folder.

    `live` is "waiting" or "running" where a process plays it, "" where none does. `unread`: its
    proposal is on file, and of another version; `spent` the session in which officers' words on it
    have taken effect; `halted` why its journal does not open; `run` what
    the job has noted of itself, if this party has proposed it by `fedprofile run --hub`.
    """

    entry: Waiting | None
    told: Told
    folder: Path
    live: str = ""
    unread: bool = False
    halted: str = ""
    spent: str = ""
    run: OwnRun | None = None


def state_of(found: Found, now: float) -> str:
    """One of `STATES`."""
    told, entry = found.told, found.entry
    word = entry.state(now) if entry is not None else ""
    if found.run is not None and (state := _of_own(found, found.run, word)):
        return state
    if told.finished:
        return "done"
    if entry is not None and entry.void and not told.signed and not found.live:
        return "refused"
    if found.live == "waiting":  # for its proposer, or for an officer
        if _signed(found):
            return "interrupted"
        return "approved" if told.word == "approved" else word or "called"
    if found.live:
        return found.live
    if told.word == "refused":
        if word == "denied" or told.by not in (*RULES, NOBODY):
            return "denied"  # also once whoever said so is no officer any more
        return "expired" if told.by == NOBODY else "refused"
    if told.word == "approved":
        if told.ended in _REFUSALS:
            return "refused"
        if not _at_rest(found.folder):
            return "failed"
        return "interrupted" if _signed(found) else "approved"
    if entry is None:
        return _undecided(found, now)
    gone = told.last and not _at_rest(found.folder)
    return "left" if word in ("waiting", "approved") and gone else word


def _of_own(found: Found, run: OwnRun, word: str) -> str:
    """Of a run of this party's own, where its state is not that of any job.

    It is done when its outputs are written, and goes on from its journal until then; another
    party's no ends it as this party's own does.
    """
    told = found.told
    if found.live:
        decided = told.word or word != "waiting"
        return "running" if decided else "waiting"
    if run.state == "done":
        return "done"
    if _at_rest(found.folder):
        return "interrupted" if _signed(found) else "approved"
    over = run.state in ("refused", "stopped") and (told.word != "refused" or told.by in RULES)
    return "refused" if over and word not in ("denied", "expired", "waiting") else ""


def _undecided(found: Found, now: float) -> str:
    """Of a job whose proposal is not here: its party has called, or it is one of its own."""
    told, rests = found.told, _at_rest(found.folder)
    if rests and (found.unread or found.halted):
        return "interrupted"
    comes = os.path.exists(found.folder / "call")  # an officer may not look: no error
    if not comes:
        return "interrupted" if rests else "failed"
    stopped = rests or (told.last and told.ended in _STOPS and not told.left)
    return "called" if stopped and now < told.last + VALID else "failed"


def _signed(found: Found) -> bool:
    try:
        return found.told.signed or bool(found.halted) or has_signed(found.folder)
    except OSError:
        return False  # as below


def _at_rest(folder: Path) -> bool:
    try:
        return can_resume(folder)
    except OSError:
        return True  # an officer who is another user does not see jobs


def is_held(folder: Path) -> bool:
    """Whether a process of this party plays the job in this folder (a run of its own)."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
