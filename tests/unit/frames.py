"""Roles driven as a session drives them: what a turn says to one peer goes in few frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from federated.session.bundles import bundled, parted
from federated.session.session import together
from psi.protocol import Envelope, Outgoing, Pair, Role, decode

__all__ = ["FramedPair", "heard"]


class FramedPair(Pair):
    """A link of frames: `sent` are these, and a role rests after all that one brings."""

    def deliver(self) -> None:
        frame = decode(self._queue.popleft(), Envelope)
        self._take(frame.receiver, heard(self.roles[frame.receiver], frame))

    def _take(self, party: str, step: Outgoing[Any]) -> None:
        super()._take(party, replace(step, messages=tuple(bundled(step.messages))))


def heard(role: Role[Any], frame: Envelope) -> Outgoing[Any]:
    """What a role wants done after all that a frame brings."""
    return together([role.receive(each) for each in parted(frame)])
