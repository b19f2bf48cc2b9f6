"""Frames as they arrive: each peer's in the order of their counters, until a step wants them.

A peer that was killed and goes on sends frames again, and one that this party asks after its own
restart sends later ones before it hears the question; so repeats that were not opened yet are
dropped, and after a restart gaps are waited for. What has to wait lies on a `Shelf`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from federated.session.last_word import FINISH
from federated.session.sealing import SealedFrame
from federated.session.shelf import Shelf, Waiting
from psi.protocol import PeerError, PeerGone

__all__ = ["Arrivals"]

MOST_AHEAD = 1 << 16


@dataclass
class _Peer:
    opened: int
    expected: int
    waiting: deque[Waiting] = field(default_factory=deque)
    ahead: dict[int, Waiting] = field(default_factory=dict)


class Arrivals:
    """`opened[peer]` are the frames that its channel has opened already."""

    def __init__(self, opened: dict[str, int], shelf: Shelf, *, gaps: bool) -> None:
        self._peers = {name: _Peer(count, count) for name, count in opened.items()}
        self._shelf, self._gaps = shelf, gaps

    def expected(self, peer: str) -> int:
        """The number of the next frame from this peer."""
        return self._peers[peer].expected

    def put(self, frame: SealedFrame, now: str = "") -> SealedFrame | None:
        """Take one frame; it comes back if step `now` wants it next.

        Raises `PeerError` on a gap where none can be, `PeerGone` if the peer is past the job's end.
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
            if not self._gaps and frame.step == FINISH:
                raise PeerGone(f"{frame.sender}: the job has ended there")
            if not self._gaps or len(peer.ahead) >= MOST_AHEAD:
                raise PeerError(
                    f"frame #{number} found, #{peer.expected} expected", step=frame.step
                )
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
