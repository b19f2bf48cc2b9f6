"""Frames as they arrive: each peer's in the order of their counters, until a step wants them.

A peer that was killed and goes on sends frames again, and one that this party asks after its own
restart sends later ones before it hears the question; so repeats that were not opened yet are
dropped, and after a restart gaps are waited for.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from federated.wire.sealing import SealedFrame
from psi.protocol import PeerError

__all__ = ["Arrivals"]

MOST_AHEAD = 1 << 16


@dataclass
class _Peer:
    opened: int
    expected: int
    waiting: deque[SealedFrame] = field(default_factory=deque)
    ahead: dict[int, SealedFrame] = field(default_factory=dict)


class Arrivals:
    """`opened[peer]` are the frames that its channel has opened already."""

    def __init__(self, opened: dict[str, int], *, gaps: bool) -> None:
        self._peers = {name: _Peer(count, count) for name, count in opened.items()}
        self._gaps = gaps

    def expected(self, peer: str) -> int:
        """The number of the next frame from this peer."""
        return self._peers[peer].expected

    def put(self, frame: SealedFrame) -> None:
        """Take one frame. Raises `PeerError` on a gap where none can be."""
        peer, number = self._peers[frame.sender], frame.counter
        if number < peer.opened:
            peer.waiting.appendleft(frame)  # the channel tells a repeat from an altered one
        elif number == peer.expected:
            self._accept(peer, frame)
            while peer.expected in peer.ahead:
                self._accept(peer, peer.ahead.pop(peer.expected))
        elif number > peer.expected:
            if not self._gaps or len(peer.ahead) >= MOST_AHEAD:
                raise PeerError(
                    f"frame #{number} found, #{peer.expected} expected", step=frame.step
                )
            peer.ahead[number] = frame

    def take(self, step: str) -> SealedFrame | None:
        """The next frame of a step, and any repeat of an opened one, whatever its step."""
        for peer in self._peers.values():
            if peer.waiting and (
                peer.waiting[0].step == step or peer.waiting[0].counter < peer.opened
            ):
                frame = peer.waiting.popleft()
                peer.opened = max(peer.opened, frame.counter + 1)
                return frame
        return None

    @staticmethod
    def _accept(peer: _Peer, frame: SealedFrame) -> None:
        peer.waiting.append(frame)
        peer.expected += 1
