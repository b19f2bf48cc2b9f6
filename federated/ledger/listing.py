"""What a ledger says, line by line, and what many of them say, job by job: data for any screen.

Nothing is checked here: `account` and `compare` do that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from federated.ledger.ending import OVER
from federated.ledger.export import Event, events
from federated.ledger.lines import read_ledger

__all__ = [
    "DECISIONS",
    "JobLine",
    "LedgerLine",
    "job_lines",
    "ledger_lines",
    "messages_of",
    "releases_of",
    "selected",
]

DECISIONS = ("approved", "refused", "let_go", "officers", "restored", "rotated")
"""Kinds of lines that say yes or no, by a rule, an officer, the guard or the policy; and of those
of a node's own ledger, that say whose word counts, or what an officer ended or accepted."""

_ENDS = {"finished": "finished", "ended": "ended", "resumed": "open"}


@dataclass(frozen=True)
class LedgerLine:
    """One line: its number from 1, time in UTC, kind, step and peer ("" for none), and the rest."""

    number: int
    time: datetime
    kind: str
    step: str
    peer: str
    body: dict[str, Any]


@dataclass(frozen=True)
class JobLine:
    """One ledger: the job's folder, when it began, how many lines, how it ended, what it was."""

    session: str
    began: datetime
    lines: int
    end: str
    job: str
    purpose: str


def ledger_lines(path: Path, kinds: Iterable[str] = ()) -> list[LedgerLine]:
    """The lines of a ledger, only those of `kinds` where any are given.

    Args:
        path: a party's `ledger.jsonl`.
        kinds: as docs/LEDGER.md names them.

    Raises:
        InputError: it cannot be read, with the line.
    """
    wanted, found = set(kinds), []
    for line in read_ledger(path):
        if wanted and line["kind"] not in wanted:
            continue
        body = dict(line["body"])
        step, peer = str(body.pop("step", "")), str(body.pop("peer", body.pop("to", "")))
        when = datetime.fromtimestamp(line["time"], UTC)
        found.append(LedgerLine(line["number"] + 1, when, line["kind"], step, peer, body))
    return found


def releases_of(path: Path, model: str) -> list[dict[str, Any]]:
    """What officers signed of a model by which a job scores; none where no policy asked for it.

    Args:
        path: the job's ledger.
        model: its ID.

    Raises:
        InputError: it cannot be read.
    """
    found = (line.body.get("releases", []) for line in ledger_lines(path, ["approved"]))
    return [one for each in found for one in each if one["model"] == model]


def job_lines(paths: Iterable[Path]) -> list[JobLine]:
    """One entry a ledger, in the order of `paths`. Raises as `ledger_lines`."""
    return [_job_line(path) for path in paths]


def _job_line(path: Path) -> JobLine:
    lines = read_ledger(path)
    terms: dict[str, Any] = next(
        (line["body"]["terms"] for line in lines if line["kind"] == "contract"), {}
    ) or next((line["body"] for line in lines if line["kind"] in DECISIONS), {})
    ends = [_ENDS[line["kind"]] for line in lines if line["kind"] in _ENDS]
    if (path.parent / OVER).exists() and "finished" not in ends:
        ends.append("let go")
    return JobLine(
        path.parent.name,
        datetime.fromtimestamp(lines[0]["time"], UTC),
        len(lines),
        ends[-1] if ends else "open",
        str(terms.get("job", "")),
        str(terms.get("purpose", "")),
    )


def selected(
    paths: Iterable[Path],
    since: datetime | None = None,
    until: datetime | None = None,
    kinds: Iterable[str] = (),
) -> Iterator[Event]:
    """Flat events of ledgers, for a SIEM.

    Args:
        paths: ledgers, one after the other.
        since: only lines from this time on.
        until: only lines before this one.
        kinds: only lines of these kinds, where any are given, and all in order of time; with
            `refused` also the end of a job that an officer stopped.

    Raises:
        InputError: a ledger that cannot be read.
    """
    wanted = set(kinds)
    if wanted:
        yield from sorted(_selected(paths, since, until, wanted), key=lambda one: str(one["time"]))
    else:
        yield from _selected(paths, since, until, wanted)


def _selected(
    paths: Iterable[Path], since: datetime | None, until: datetime | None, wanted: set[str]
) -> Iterator[Event]:
    for path in paths:
        for event in events(read_ledger(path)):
            when = datetime.fromisoformat(str(event["time"]))
            inside = (since is None or when >= since) and (until is None or when < until)
            stopped = "refused" in wanted and event.get("error") == "Stopped"
            mine = event["event"] in wanted or (stopped and event["event"] == "ended")
            if inside and (not wanted or mine):
                yield event


def messages_of(body: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """What a line on a frame tells of messages: of each kind their number and bytes.

    The bytes are the frame's: what a bundle has beside its messages counts for its first kind.
    """
    kinds = {kind: (count, size) for kind, (count, size) in body.get("messages", {}).items()}
    if not kinds:
        return {body["message"]: (1, body["bytes"])}
    first, rest = next(iter(kinds)), body["bytes"] - sum(size for _, size in kinds.values())
    return kinds | {first: (kinds[first][0], kinds[first][1] + rest)}
