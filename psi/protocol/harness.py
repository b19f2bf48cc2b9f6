"""Run the roles of one protocol in one process: executable documentation, and tests.

    results = Pair(receiver, sender).run()

Every envelope goes through its bytes. `wire` is called with each one and may return other
bytes, to play a network that alters, repeats or drops.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from psi.protocol.codec import decode, encode
from psi.protocol.envelope import Envelope
from psi.protocol.errors import PeerGone
from psi.protocol.role import Outgoing, Role

__all__ = ["Pair"]

Wire = Callable[[bytes], Iterable[bytes]]


class Pair:
    """Two or more roles on an in-memory link.

    Args:
        roles: one for each party, of one session and step.
        wire: carries envelopes; None for one that loses nothing.
    """

    def __init__(self, *roles: Role[Any], wire: Wire | None = None) -> None:
        self.roles = {role.context.party: role for role in roles}
        self.results: dict[str, Any] = {}
        self.sent: list[Envelope] = []
        self._wire: Wire = wire or (lambda data: (data,))
        self._queue: deque[bytes] = deque()

    def run(self) -> dict[str, Any]:
        """Each party's result, by name. Raises `PeerGone` if the link falls silent first."""
        for party, role in self.roles.items():
            self._take(party, role.start())
        while self._queue:
            self.deliver()
        missing = sorted(set(self.roles) - set(self.results))
        if missing:
            raise PeerGone(f"no messages left, no result at {', '.join(missing)}")
        return self.results

    def deliver(self) -> None:
        """Hand over the oldest envelope on the link."""
        envelope = decode(self._queue.popleft(), Envelope)
        self._take(envelope.receiver, self.roles[envelope.receiver].receive(envelope))

    def _take(self, party: str, step: Outgoing[Any]) -> None:
        for envelope in step.messages:
            self.sent.append(envelope)
            self._queue.extend(self._wire(encode(envelope)))
        if step.result is not None:
            self.results[party] = step.result
        else:
            self.roles[party].ahead()
