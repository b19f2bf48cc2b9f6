"""Parts of frames that come from a peer: each once, in order, within a window and a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

from federated.session.routers import GOODBYE
from federated.session.sealing import frame_step
from federated.wire.parcels import Kind, Parcel
from federated.wire.way import Way
from psi.protocol import PeerError

__all__ = ["WINDOW", "Incoming", "StepLimit"]

WINDOW = 48 << 20
"""Bytes of one way that may be under way or wait to be read."""

MOST_AHEAD = 4096
"""Parts that may come before one that was sent before them."""

SMALL_STEPS = 8
"""How many steps with no more than that a peer has in all, whatever it calls them."""

StepLimit = Callable[[str], int]
"""The most bytes one peer may send in a step, all frames together.

Of "" it is that of any step before a contract is known."""


class Incoming:
    """What is taken of a way; its owner holds a lock meanwhile.

    Args:
        limit: of a step, asked anew each time: it is another once a contract is known.
        came: is given each whole frame, with its sender and its size.
    """

    def __init__(self, limit: StepLimit, came: Callable[[str, bytes, int], None]) -> None:
        self._limit, self._came = limit, came

    def put(self, way: Way, parcel: Parcel) -> bool:
        """Take a part in its turn; True if the sender should be told at once."""
        if parcel.stream != way.stream:
            if parcel.stream[4:] < way.stream[4:]:
                return False  # numbered before the peer began anew
            way.begin(parcel.stream)
        way.last_come = time.monotonic()
        if parcel.number < way.taken:
            return True  # a repeat: it was not told that this was taken
        if parcel.number != way.taken:
            self._keep_ahead(way, parcel)
            return False
        urgent = self._take(way, parcel)
        while way.taken in way.ahead:
            early = way.ahead.pop(way.taken)
            way.ahead_bytes -= len(early.data)
            urgent |= self._take(way, early)
        return urgent

    def _keep_ahead(self, way: Way, parcel: Parcel) -> None:
        if parcel.number in way.ahead:
            return
        if way.ahead_bytes + len(parcel.data) > 2 * WINDOW or len(way.ahead) > MOST_AHEAD:
            raise PeerError(f"{parcel.sender} sends more than the window holds", step=parcel.step)
        way.ahead[parcel.number] = parcel
        way.ahead_bytes += len(parcel.data)

    def _take(self, way: Way, parcel: Parcel) -> bool:
        if parcel.kind == Kind.BYE:
            way.taken += 1
            way.untold += 1
            way.closed = True
            self.grant(way)
            self._came(parcel.sender, GOODBYE, 0)
            return True
        if way.beyond > 2 * WINDOW:
            raise PeerError(f"{parcel.sender} sends more than the window holds", step=parcel.step)
        begun = way.building
        if begun is None:
            self._weigh(way, parcel)
            begun = bytearray()
        if parcel.offset != len(begun):
            raise PeerError("parts of a frame do not follow each other", step=parcel.step)
        whole = len(parcel.data) == parcel.size
        if not whole:
            begun += parcel.data
        way.taken += 1
        way.untold += max(len(parcel.data), 1)
        way.beyond += len(parcel.data)
        way.building = begun
        if whole or len(begun) == parcel.size:
            way.building = None
            frame = parcel.data if whole else bytes(begun)
            if frame_step(frame) != parcel.step:
                raise PeerError("a frame of another step than its parcels say", step=parcel.step)
            way.waiting += parcel.size
            self._came(parcel.sender, frame, parcel.size)
        return self.grant(way) and way.untold >= WINDOW // 4

    def grant(self, way: Way) -> bool:
        """Let the peer go on past what was taken, unless too much still waits to be read."""
        if way.waiting > WINDOW // 2:
            return False
        way.granted, way.beyond = way.taken, 0
        return True

    def _weigh(self, way: Way, parcel: Parcel) -> None:
        total = way.by_step.get(parcel.step, 0) + parcel.size
        most, least = self._limit(parcel.step), self._limit("")
        small = way.small + parcel.size * (most <= least)
        if total > most or small > SMALL_STEPS * least:
            raise PeerError(
                f"{max(total, small)} bytes from {parcel.sender}, "
                f"at most {most} allowed in this step",
                step=parcel.step,
            )
        way.by_step[parcel.step], way.small = total, small
