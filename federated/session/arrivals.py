"""Frames as they arrive: each peer's in the order of their counters, until a step wants them.

A peer that was killed and goes on sends frames again, and one that this party asks after its own
restart sends later ones before it hears the question; so repeats that were not opened yet are
dropped, and after a restart gaps are waited for. What has to wait lies on a `Shelf`.

Where a frame's seal does not hold, or one is missing, whoever carries frames may have done it. All
that was not opened is dropped then and asked for again (`again`): a true frame that was taken for
the repeat of a false one comes back so. Before there is a contract, frames that a peer has sealed
under the one to come cannot be told from false ones: they wait apart and keep nobody's place
(`doubt`), until they can.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from federated.session.sealing import SealedFrame
from federated.session.shelf import Shelf, Waiting
from psi.protocol import EnvironmentFailed

__all__ = ["Arrivals"]

MOST_AHEAD = 1 << 16

MOST_DOUBTED = 64 << 20
"""Bytes of one peer that wait for the contract: as many as parcels may bring until then."""


@dataclass(kw_only=True)
class _Peer:
    opened: int
    expected: int
    gaps: bool
    waiting: deque[Waiting] = field(default_factory=deque)
    ahead: dict[int, Waiting] = field(default_factory=dict)
    doubted: dict[int, Waiting] = field(default_factory=dict)
    doubted_bytes: int = 0
    overflowed: bool = False


class Arrivals:
    """`opened[peer]` are the frames that its channel has opened already."""

    def __init__(self, opened: dict[str, int], shelf: Shelf, *, gaps: bool) -> None:
        self._peers = {
            name: _Peer(opened=count, expected=count, gaps=gaps) for name, count in opened.items()
        }
        self._shelf = shelf

    def expected(self, peer: str) -> int:
        """The number of the next frame from this peer."""
        return self._peers[peer].expected

    def skips(self, frame: SealedFrame) -> bool:
        """Whether a frame before this one is missing, where none can be."""
        peer = self._peers[frame.sender]
        return frame.counter > peer.expected and not peer.gaps

    def again(self, name: str, opened: int) -> None:
        """Drop what waits of a peer, which is asked for all after the first `opened` frames."""
        peer = self._peers[name]
        for waiting in (*peer.waiting, *peer.ahead.values()):
            self._shelf.take(waiting)
        peer.waiting, peer.ahead, peer.opened, peer.expected = deque(), {}, opened, opened
        peer.gaps = True

    def has(self, frame: SealedFrame) -> bool:
        """Whether a frame of this number has come."""
        peer, number = self._peers[frame.sender], frame.counter
        return number < peer.expected or number in peer.ahead or number in peer.doubted

    def at_once(self, frame: SealedFrame, step: str) -> bool:
        """Whether `put` gives this frame back to a step, so that it is opened next."""
        peer, number = self._peers[frame.sender], frame.counter
        following = number == peer.expected and not peer.waiting and not peer.ahead
        return frame.step == step and (number < peer.opened or following)

    def doubt(self, frame: SealedFrame) -> bool:
        """Keep a frame of which only the contract will say whether it is true, if there is room."""
        peer, size = self._peers[frame.sender], len(frame.sealed)
        if frame.counter in peer.doubted:
            return True
        if len(peer.doubted) >= MOST_AHEAD or peer.doubted_bytes + size > MOST_DOUBTED:
            peer.overflowed = True
            return False
        peer.doubted[frame.counter] = self._shelf.put(frame)
        peer.doubted_bytes += size
        return True

    def kept(self, frame: SealedFrame) -> bool:
        """Let a frame wait in its turn; False where one before it is missing."""
        skips = self.skips(frame)
        if not skips:
            self.put(frame)
        return not skips

    def doubted(self, name: str) -> tuple[list[SealedFrame], bool]:
        """What waits so of a peer, in the order of its numbers, and whether that is all.

        It waits no more.
        """
        peer = self._peers[name]
        frames = [self._shelf.take(peer.doubted[number]) for number in sorted(peer.doubted)]
        every = not peer.overflowed
        peer.doubted, peer.doubted_bytes, peer.overflowed = {}, 0, False
        return frames, every

    def put(self, frame: SealedFrame, now: str = "") -> SealedFrame | None:
        """Take one frame; it comes back if step `now` wants it next.

        Raises `EnvironmentFailed` where too many come before one that is missing.
        """
        peer, number = self._peers[frame.sender], frame.counter
        if number < peer.opened:
            if now:
                return frame  # the channel tells a repeat from an altered one
            peer.waiting.appendleft(self._shelf.put(frame))
        elif number == peer.expected:
            first = not peer.waiting and not peer.ahead
            peer.expected += 1
            if first and frame.step == now:
                peer.opened = peer.expected
                return frame
            peer.waiting.append(self._shelf.put(frame))
            while peer.expected in peer.ahead:
                peer.waiting.append(peer.ahead.pop(peer.expected))
                peer.expected += 1
        elif number > peer.expected and number not in peer.ahead:
            if len(peer.ahead) >= MOST_AHEAD:
                raise EnvironmentFailed(f"frame #{number} found, #{peer.expected} expected")
            peer.ahead[number] = self._shelf.put(frame)
        return None

    def take(self, step: str) -> SealedFrame | None:
        """The next frame of a step, and any repeat of an opened one, whatever its step."""
        for peer in self._peers.values():
            if peer.waiting and (
                peer.waiting[0].step == step or peer.waiting[0].counter < peer.opened
            ):
                frame = self._shelf.take(peer.waiting.popleft())
                peer.opened = max(peer.opened, frame.counter + 1)
                return frame
        return None
