"""How far a job has come, by what its ledger says: for lists of jobs, after any restart.

Only the lines that decide are looked at, and of a long ledger its beginning and its end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["OVER", "RULE", "RULES", "Told", "begun_in", "told_in"]

RULE = "rule"
"""By whom a line `refused` is where neither policy, guard nor officer has said no, but a rule of
the contract or of a step."""

OVER = "over"
"""Beside a ledger that has no line of its job's end: why the job was let go."""

_ENDS = 1 << 18
_KINDS = ("opened", "approved", "refused", "contract", "farewell", "resumed", "ended", "finished")
RULES = ("policy", "guard", RULE)
"""Who says no without anybody asked."""

_TOLD = ("disclosure", "reserved", "result", "outputs", "finished")
_MARKS = tuple(f'"kind":"{kind}"'.encode() for kind in (*_KINDS, "outputs"))


@dataclass(kw_only=True)
class Told:
    """What a ledger says of its job; empty where it does not say.

    `word` is "approved" or "refused", with `by`, `why` and `said`, when; `asked` whether an officer
    or a rule has said yes or no. `ended` is the class of this party's last error and `ended_why`
    its words, where it has any; `left` the peer that left before it and `left_by` that one's error.
    `last` is the time of the last line that says anything: that a party is back says nothing.
    """

    began: int = 0
    last: int = 0
    parties: tuple[str, ...] = ()
    job: str = ""
    purpose: str = ""
    proposer: str = ""
    word: str = ""
    by: str = ""
    why: str = ""
    said: int = 0
    asked: bool = False
    signed: bool = False
    ended: str = ""
    ended_why: str = ""
    left: str = ""
    left_by: str = ""
    finished: bool = False


def told_in(path: Path) -> Told:
    """Of one ledger file; what cannot be read is not there."""
    told = Told()
    for line in _deciding(path):
        kind, body = str(line.get("kind")), line.get("body")
        if not isinstance(body, dict):
            continue
        when = _number(line.get("time"))
        told.last = told.last if kind == "resumed" else when
        _take(told, kind, body, when)
    return told


def begun_in(path: Path) -> bool:
    """Whether a job came to a step, and so may have told something; so too where nobody can say.

    Until then parties speak of nothing but the contract. The file is read to the first such line.
    """
    said = False
    try:
        with path.open("rb") as file:
            for text in file:
                line = json.loads(text)
                if _of_a_step(str(line["kind"]), line["body"]):
                    return True
                said = True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return True
    return not said


def _of_a_step(kind: str, body: dict[str, Any]) -> bool:
    return kind in _TOLD or (kind in ("sent", "received") and body.get("step") != "contract")


def _take(told: Told, kind: str, body: dict[str, Any], when: int) -> None:
    if kind == "opened":
        told.began, told.parties = when, tuple(body.get("parties", ()))
    elif kind in ("approved", "refused"):
        told.word, told.by, told.why = kind, str(body.get("by", "")), str(body.get("why", ""))
        told.said, told.asked = when, told.asked or told.by not in RULES
        _name(told, body)
    elif kind == "contract" and isinstance(body.get("terms"), dict):
        told.signed = True
        _name(told, body["terms"])
    elif kind == "farewell":
        told.left, told.left_by = str(body.get("peer", "")), str(body.get("error", ""))
    elif kind == "resumed":
        told.ended = told.ended_why = told.left = told.left_by = ""
    elif kind == "ended":
        told.ended, told.ended_why = str(body.get("error", "")), str(body.get("why", ""))
    elif kind == "finished":
        told.finished, told.ended, told.ended_why = True, "", ""


def _name(told: Told, body: dict[str, Any]) -> None:
    told.job = str(body.get("job", "")) or told.job
    told.purpose = str(body.get("purpose", "")) or told.purpose
    told.proposer = str(body.get("proposer", "")) or told.proposer


def _deciding(path: Path) -> list[dict[str, Any]]:
    found = []
    for text in _texts(path):
        if not any(mark in text for mark in _MARKS):
            continue
        try:
            line = json.loads(text)
        except ValueError:
            continue  # cut by where reading began, or by a power failure
        if isinstance(line, dict):
            found.append(line)
    return found


def _texts(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size <= 4 * _ENDS:
                return file.read().split(b"\n")
            head = file.read(_ENDS)
            file.seek(size - _ENDS)
            return [*head.split(b"\n"), *file.read().split(b"\n")]
    except OSError:
        return []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
