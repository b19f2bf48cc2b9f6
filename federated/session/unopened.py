"""Frames that are not what the party in whose name they come has sealed or signed.

Whoever carries frames can have made them, so they end no job: each is as if it had never come, its
supposed sender is asked for what is missing, and where that goes on the job rests. What only a
party's own keys can have made may end one.
"""

from __future__ import annotations

from collections.abc import Iterable

from federated.ledger.lines import Ledger
from federated.session.sealing import NotOpened, SealedFrame
from psi.protocol import EnvironmentFailed, PeerError, decode

__all__ = ["MOST_UNOPENED", "Unopened", "addressed"]

MOST_UNOPENED = 20
"""Frames in one peer's name that do not open, or of which one before is missing, in one life."""

_ALTERED = "they were altered on their way"
_CARRIER = "whoever runs hub and network can tell; then resume the job, or stop it"


class Unopened:
    """Counts them by peer; the ledger has a line of the first of each peer."""

    def __init__(self, peers: Iterable[str], ledger: Ledger) -> None:
        self._counts, self._ledger = dict.fromkeys(peers, 0), ledger

    def count(self, peer: str, opened: int, why: PeerError | None = None) -> None:
        """One more in a peer's name, of which `opened` true ones were.

        Raises `EnvironmentFailed` where there are too many, which says `why` of the last.
        """
        self._counts[peer] += 1
        if self._counts[peer] == 1:
            self._ledger.write("unopened", peer=peer, frame=opened)
        if self._counts[peer] > MOST_UNOPENED:
            raise EnvironmentFailed(
                f"frames in {peer}'s name do not open: {why.message if why else _ALTERED}",
                hint=(why.hint if why else "") or _CARRIER,
            )


def addressed(data: bytes, session: bytes, sender: str, me: str) -> SealedFrame:
    """The frame in `data`, from `sender` to `me` in this session. Raises `NotOpened`.

    What it says outside of its seal is held to the seal later.
    """
    try:
        frame = decode(data, SealedFrame)
    except PeerError as error:
        raise NotOpened(error.message) from None
    if frame.sender != sender:
        raise NotOpened("a frame names another sender than its connection", step=frame.step)
    if frame.session != session or frame.receiver != me:
        raise NotOpened("a frame of another session", step=frame.step)
    return frame
