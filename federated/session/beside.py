"""What a session knows of ways beside its endpoint's own: it lets the parties' ends talk.

The session carries their words to each peer in the sealed channel, outside of the count of frames,
once a contract is signed; what they agree on is theirs (`federated.wire.direct`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Beside"]


class Beside(Protocol):
    """The end of such ways at one party, in one job."""

    def begin(self, tell: Callable[[str, bytes], None]) -> None:
        """From now on peers may be told things: `tell(peer, data)`."""

    def heard(self, peer: str, data: bytes) -> None:
        """What a peer has told. Never raises: nothing of the job rests on it."""

    def figures(self) -> dict[str, dict[str, int]]:
        """Bytes of frames, both ways, that went over which way, by peer."""

    def close(self) -> None:
        """The job is over."""
