"""What a run that this party has proposed notes of itself, as every screen reads it.

jobs/SESSION/run.json   written by `fedprofile run --hub` (`profiles.runs`)
jobs/SESSION/lock       held by the process that runs it
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from federated.session.progress import APPROVAL, AWAY, CALLED, OFFLINE

__all__ = ["GONE", "OwnRun", "own_run", "since_words", "waits_for"]

GONE = "its process has ended"
"""Of a run that says it runs, and whose process is gone."""

_WAITS = {
    CALLED: "{}'s node to answer",
    APPROVAL: "{}'s officer",
    AWAY: "{} to connect to the hub",
    OFFLINE: "the hub, which {}'s node does not reach",
}


@dataclass(frozen=True, kw_only=True)
class OwnRun:
    """One run. `state` is running, done, failed, refused or stopped, as its process said last;
    `waits` for whom everybody waits, and since when, in words."""

    state: str = ""
    error: str = ""
    hint: str = ""
    waits: tuple[str, ...] = ()
    me: str = ""
    job: str = ""
    purpose: str = ""
    parties: tuple[str, ...] = ()
    began: int = 0


def waits_for(parties: Sequence[str], at: Mapping[str, str]) -> dict[str, str]:
    """For whom everybody waits, in words by party, of the step that each is at."""
    found = {name: at.get(name, "") for name in parties}
    return {name: _WAITS[step].format(name) for name, step in found.items() if step in _WAITS}


def since_words(seconds: float) -> str:
    """Since when, for a screen; "" where nobody knows."""
    if not seconds:
        return ""
    return f" since {dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%d %H:%M} UTC"


def own_run(folder: Path) -> OwnRun | None:
    """What `run.json` says; None where the job is not this party's own, or nobody may look."""
    try:
        data = json.loads((folder / "run.json").read_text("utf-8"))
        at = {str(name): str(step) for name, (step, _) in data["at"].items()}
        since = {str(name): int(when) for name, when in data.get("since", {}).items()}
        parties = tuple(str(name) for name in data["parties"])
        whom = waits_for(parties, at)
        waits = tuple(text + since_words(since.get(name, 0)) for name, text in whom.items())
        texts = {n: str(data[n]) for n in ("state", "error", "hint", "me", "job", "purpose")}
        return OwnRun(**texts, waits=waits, parties=parties, began=int(data["began"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
