"""Notes of progress: what a party tells the proposer's screen while it works.

    any party -> whoever watches   Note   its step and the share of it that is done

Outside of the count of frames and of the ledger: a note lets a party wait longer for its sender
(`patience`) and nothing else rests on it. One that is lost or late is dropped, one that does not
open or comes again is counted (`unopened`). Notes are sealed like everything else, so a hub sees
that there was one, and no more. A party that watches learns how far another is and when, which
messages' times tell it anyway. They are few: one in two seconds at most, and fewer the longer a job
lasts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from psi.protocol import FedprofileError, Range, Text, message

__all__ = ["APPROVAL", "AWAY", "CALLED", "NOTES", "OFFLINE", "Note", "NotesIn", "NotesOut"]

NOTES = "progress"
"""The step that frames with notes name on their outside."""

CALLED, APPROVAL, AWAY, OFFLINE = "called", "approval", "away", "offline"
"""What a party may be at besides a step: it has not answered the call, its officer has not
decided, it is not connected to the hub; this party's own node does not reach the hub."""

INTERVAL = 2.0
"""Seconds between two notes, at least."""

SPARSER = 1000
"""After t seconds at least t / SPARSER: some thousands of notes in a week."""


@message(0xBE)
@dataclass(frozen=True)
class Note:
    """`number` grows with time, over restarts too; `share` is in thousandths."""

    number: Annotated[int, Range(0, 2**53)]
    step: Annotated[str, Text(64)]
    share: Annotated[int, Range(0, 1000)]


class NotesOut:
    """Sends the latest step and share now and then, on a thread of its own.

    So a party that computes or waits, for an officer too, is still heard of, and one whose steps
    are short sends hardly anything. `send` may raise what an endpoint raises; that ends it.
    """

    def __init__(self, send: Callable[[Note], None], clock: Callable[[], float]) -> None:
        self._send, self._clock = send, clock
        self._at: tuple[str, float] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, step: str, share: float) -> None:
        """This is where the party stands."""
        self._at = (step, min(max(share, 0.0), 1.0))
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._work, daemon=True, name="notes")
            self._thread.start()

    def close(self) -> None:
        """No more notes."""
        self._stop.set()

    def _work(self) -> None:
        begun, told, number = time.monotonic(), None, 0
        while not self._stop.wait(max(INTERVAL, (time.monotonic() - begun) / SPARSER)):
            at = self._at
            if at is None or at == told:
                continue
            number, told = max(number + 1, int(self._clock() * 1000)), at
            try:
                self._send(Note(number, at[0][:64], round(1000 * at[1])))
            except FedprofileError:
                return


class NotesIn:
    """Knows which note of each party is the latest."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}

    def since(self, sender: str, note: Note) -> float:
        """Seconds at its sender since the latest note, without end where there was none."""
        latest = self._latest.get(sender)
        return float("inf") if latest is None else (note.number - latest) / 1000

    def news(self, sender: str, note: Note) -> tuple[str, float] | None:
        """Step and share, cleaned for a screen; None if a later note has come before."""
        if note.number <= self._latest.get(sender, -1):
            return None
        self._latest[sender] = note.number
        return "".join(c for c in note.step if c.isalnum() or c in "/_-. "), note.share / 1000
