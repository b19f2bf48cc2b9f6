"""What an endpoint keeps of one peer: parcels not yet taken there, and what has come from there."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from federated.wire.parcels import Parcel

__all__ = ["Way"]


@dataclass(kw_only=True)
class Way:
    """One peer: what goes there and what comes from there."""

    # going out
    epoch: int = 0
    sent: int = 0
    taken_there: int = 0
    kept: deque[Parcel] = field(default_factory=deque)
    kept_bytes: int = 0
    progress: float = 0.0
    taken_at: float = 0.0
    peer: bytes = bytes(4)
    away_since: float = 0.0
    last_told: float = field(default_factory=time.monotonic)
    # coming in
    stream: bytes = bytes(8)
    taken: int = 0
    ahead: dict[int, Parcel] = field(default_factory=dict)
    ahead_bytes: int = 0
    building: bytearray | None = None
    past: set[bytes] = field(default_factory=set)
    waiting: int = 0
    granted: int = 0
    beyond: int = 0
    untold: int = 0
    last_come: float = 0.0
    answered: bool = False
    closed: bool = False
    by_step: dict[str, int] = field(default_factory=dict)
    small: int = 0
    sending: threading.Lock = field(default_factory=threading.Lock)

    def oldest(self) -> Parcel | None:
        """The first part that the peer has not taken."""
        return next((p for p in self.kept if p.number >= self.taken_there), None)

    def parted(self) -> bool:
        """Whether there is nobody to wait for on this way, or nothing."""
        gone = self.closed or self.away_since or self.peer == bytes(4)
        return bool(gone) or self.oldest() is None

    def begin(self, stream: bytes) -> None:
        """Read the peer's parcels anew, numbered from 0 in this stream."""
        self.stream, self.taken, self.granted, self.beyond, self.untold = stream, 0, 0, 0, 0
        self.ahead, self.ahead_bytes, self.building = {}, 0, None
