"""How fast a step goes and how long it still takes, from the shares that a party reports."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from psi.protocol import Share

__all__ = ["Pace"]

_RECENT = 6
"""Reports that the speed is taken from: old ones tell of other load."""
_FIRST = 2.0
"""Seconds before anything is said."""


class Pace:
    """The speed of the present step; told of reports, it says rate and time left in words."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._step = clock, ""
        self._begun = clock()
        self._reports: deque[tuple[float, float]] = deque(maxlen=_RECENT)
        self._items = 0

    def note(self, step: str, share: float) -> None:
        """A party has done this share of a step; items are known where it is a `Share`."""
        now = self._clock()
        if step != self._step:
            self._step, self._begun, self._items = step, now, 0
            self._reports.clear()
        if isinstance(share, Share):
            self._items = share.items
        self._reports.append((now, float(share)))

    @property
    def speed(self) -> float:
        """Shares of the step a second; 0 if there is no telling yet."""
        (first, low), (last, high) = self._reports[0], self._reports[-1]
        return (high - low) / (last - first) if last > first else 0.0

    def words(self) -> str:
        """Such as "213,000 items/s, 42 s left"; empty where there is no telling yet."""
        if not self._reports or self._clock() - self._begun < _FIRST or self.speed <= 0:
            return ""
        last, share = self._reports[-1]
        left = (1.0 - share) / self.speed - (self._clock() - last)
        told = f"{_duration(left)} left" if left >= 1.0 else "nothing heard for longer than usual"
        told = told if share < 1.0 else ""
        rate = self.speed * self._items
        digits = 10 ** max(0, len(str(int(rate))) - 3)
        items = f"{int(rate) // digits * digits:,} items/s" if rate >= 1 else ""
        return ", ".join(part for part in (items, told) if part)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
