"""Why a job ended at another party: one table of words, for screen, log and JSON.

A farewell names the class of an error and never its text (but for what a party that declines says).
Here the class becomes a sentence that its reader can act on. A name that is not in the table is not
shown: it is another's text.
"""

from __future__ import annotations

from dataclasses import dataclass

from federated.session.farewell import Farewell
from psi.protocol import PeerGone, Refused

__all__ = [
    "ENDED_THERE",
    "PeerRefused",
    "ShutOut",
    "Stopped",
    "left_words",
    "own_words",
    "reason_of",
]

ENDED_THERE = "the job has ended there"
"""Of a party that asks for a job which the other, by its last word, its node or its hub, plays no
more: it does not go on, whoever comes back."""

_RESUME = "once it is mended there: fedprofile job resume, on the proposer's side"
_LOG = "its officer sees why: fedprofile node ledger there, and the node's log"


class Stopped(Refused):
    """A person at this party has ended the job for good."""


class ShutOut(Refused):
    """The hub takes this party no more: its owner has revoked it, or does not know it."""


class PeerRefused(PeerGone):
    """A rule or a person at another party said no: the job is over, and nobody is away."""

    exit_code = Refused.exit_code


@dataclass(frozen=True)
class _Reason:
    """What happened, after the party's name; what to do next."""

    what: str
    hint: str


_REASONS = {
    "Declined": _Reason("says no", "change the job, or talk to its officer: it has told nothing of "
                        "its table"),
    "Refused": _Reason("says no", "a rule there says no, and the reason stays there: too few "
                       "shared records, a second answer about the same columns, or a model of "
                       "which it keeps no part; its officer can tell"),
    "Stopped": _Reason("has stopped the job for good", "ask there; it is proposed anew"),
    "ShutOut": _Reason("was shut out by the hub",
                       "its hub's owner can tell why; with a new invite it comes back, and the job "
                       "is proposed anew"),
    "OtherVersion": _Reason("has another version",
                            "all parties of a job need versions with the same suites"),
    "EnvironmentFailed": _Reason("cannot go on: disk, memory, clock or network there", _RESUME),
    "PeerGone": _Reason("has lost another party of the job", _RESUME),
    "Silence": _Reason("has heard nothing for too long", _RESUME),
    "PeerRefused": _Reason("ends it, for another party of the job said no", "that one says why"),
    "PeerEnded": _Reason("ends it, for another party of the job has ended it", "that one says why"),
    "InputError": _Reason("ends it: its table does not hold what the job needs",
                          f"was a column renamed, or a file moved? {_LOG}"),
    "JobError": _Reason("ends it: the job does not fit its tables", _LOG),
    "PeerError": _Reason("ends it: a message or a table is not what was agreed",
                         f"was a table changed while the job ran? {_LOG}"),
    "KeyboardInterrupt": _Reason("was interrupted", _RESUME),
}  # fmt: skip
_UNKNOWN = _Reason("has ended the session", _LOG)
_SAME = {"CodecError": "PeerError", "PhaseError": "PeerError", "OlderCopy": "EnvironmentFailed"}
_SAME |= {"Undecided": "EnvironmentFailed", "PutBack": "EnvironmentFailed"}
_SAME |= {"OverBudget": "Declined", "NotOpened": "PeerError", "OtherFields": "PeerError"}
_SAME |= {"MisuseError": "JobError"}


def left_words(peer: str, error: str) -> str:
    """Who left a job, and why, of the class of error in a ledger's line `farewell`."""
    return f"{peer} {_found(error).what}"


def own_words(error: str) -> str:
    """Why a job ended here, of the class in a line `ended`; "" where that class says nothing."""
    if error in ("", "EnvironmentFailed", "KeyboardInterrupt", "Undecided"):
        return ""
    return f"this party {_found(error).what}"


def _found(error: str) -> _Reason:
    return _REASONS.get(_SAME.get(error, error), _UNKNOWN)


def reason_of(peer: str, word: Farewell | None) -> PeerGone:
    """The error for a peer's farewell; None where its seal does not hold."""
    if word is None:
        return PeerGone(f"{peer} {_UNKNOWN.what}", hint=_UNKNOWN.hint)
    found = _found(word.error)
    text = f"{peer} {found.what}" + (f": {word.shown}" if word.reason else "")
    kind = PeerRefused if word.code == Refused.exit_code else PeerGone
    return kind(text, hint=found.hint)
