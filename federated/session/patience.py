"""How long a party waits for the others: `timeout` seconds since one of them was truly heard.

Only what a peer has sealed or signed and has not come before lets a wait begin anew. Whoever
carries frames cannot make that; it can hold it back, and bring it late. So a note of progress
gives no more time than has passed at its sender since the note before; and a question, which
nobody seals, counts a few times only until its sender is truly heard.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from federated.session.routers import Silence

__all__ = ["MOST_QUESTIONS", "Patience"]

MOST_QUESTIONS = 3
"""Questions in one peer's name that let a wait begin anew, until that peer is truly heard."""

_LEAST = 0.001
"""Seconds that anything which comes takes off a wait: what comes in a flood ends too."""


class Patience:
    """What is left of a wait. Time in which this party itself works does not count."""

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout = self._left = timeout
        self._clock = clock
        self._questions: Counter[str] = Counter()
        self._newest: dict[str, int] = {}

    def receive(self, come: Callable[[float], tuple[str, bytes]]) -> tuple[str, bytes]:
        """What `come` has within the seconds that are left. Raises `Silence`."""
        begun = self._clock()
        try:
            if self._left > 0:
                return come(self._left)
        except Silence as silence:
            if self._left == self._timeout:
                raise
            raise self._silence(silence.hint) from None
        finally:
            self._left -= max(self._clock() - begun, _LEAST)
        raise self._silence()

    def heard(self, peer: str, waits: int | None = None) -> None:
        """Something new of a peer's own was opened; or is kept, as frame number `waits`.

        What is kept may be dropped and come again: only numbers above all before count.
        """
        if waits is not None and waits <= self._newest.get(peer, -1):
            return
        self._newest[peer] = self._newest.get(peer, -1) if waits is None else waits
        self._left = self._timeout
        del self._questions[peer]

    def noted(self, seconds: float) -> None:
        """A peer has told that it works, `seconds` after it told so before."""
        self._left = min(self._left + max(seconds, 0.0), self._timeout)

    def asked(self, peer: str) -> None:
        """A question has come in a peer's name: it may be back, and has to catch up."""
        self._questions[peer] += 1
        if self._questions[peer] <= MOST_QUESTIONS:
            self._left = self._timeout

    def _silence(self, hint: str = "") -> Silence:
        return Silence(
            f"nothing received for {self._timeout:.0f} s that is new and a party's own",
            hint=hint or "run again to resume; if it rests again, ask whoever runs the hub",
        )
