"""Roles driven as a session drives them: what a turn says to one peer goes in few frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from federated.session.bundles import bundled, parted
from federated.session.session import together
from psi.protocol import Envelope, Outgoing, Pair, Role, decode

__all__ = ["FramedPair", "heard", "played_with_kills"]


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


def played_with_kills(
    names: Sequence[str], made: Callable[[str], Role[Any]], *, kept: bool
) -> dict[str, Any]:
    """Each party's result, where after each message its role is made again from what it saved.

    kept: killed before its state was saved: all arrays were kept, and it hears all of a frame once
    more, from before its first message. What it says then is what it would have said.
    """
    run = (FramedPair if kept else Pair)(*(made(name) for name in names))
    for name, role in run.roles.items():
        run._take(name, role.start())
    while run._queue:
        if kept:
            frame = decode(run._queue[0], Envelope)
            name = frame.receiver
            early, again = run.roles[name].save(), made(name)
            said = heard(run.roles[name], frame)
            again.restore(early)
            told = [each.payload for each in heard(again, frame).messages]
            assert told == [each.payload for each in said.messages]
            run.roles[name] = made(name)
            run.roles[name].restore(early)
        run.deliver()
        for name in [name for name in run.roles if name not in run.results]:
            saved, again = run.roles[name].save(), made(name)
            again.restore(saved)
            run.roles[name] = again
    return run.results
