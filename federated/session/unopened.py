"""Frames that are not what the party in whose name they come has sealed or signed, or not new.

Whoever carries frames can have made them, so they end no job: each is as if it had never come, its
supposed sender is asked for what is missing, and where that goes on the job rests. What only a
party's own keys can have made may end one.

A true frame may come again where somebody asked: once for each question, of either side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from federated.ledger.lines import Ledger
from federated.session.sealing import ASIDE, Channel, NotOpened, SealedFrame
from psi.protocol import EnvironmentFailed, PeerError, decode

__all__ = ["MOST_UNOPENED", "STRANGER", "Unopened", "addressed"]

MOST_UNOPENED = 20
"""Frames in one peer's name that do not open, of which one before is missing, or that come again
though nobody asked, in one life."""

STRANGER = ""
"""Stands for all senders that have no part in the job."""

_ALTERED = "they were altered on their way"
_CARRIER = "whoever runs hub and network can tell; then resume the job, or stop it"
_AGAIN = "they were opened before, and nobody asked for them again"


class Unopened:
    """Counts them by peer; the ledger has a line of the first of each peer."""

    def __init__(self, peers: Iterable[str], ledger: Ledger) -> None:
        self._counts, self._ledger = dict.fromkeys([*peers, STRANGER], 0), ledger
        self._rounds, self._again = Counter[str](), Counter[tuple[str, int]]()
        self._asides = set[bytes]()

    def count(self, peer: str, opened: int, why: PeerError | None = None) -> None:
        """One more in a peer's name, of which `opened` true ones were.

        Raises `EnvironmentFailed` where there are too many, which says `why` of the last.
        """
        self._counts[peer] += 1
        if self._counts[peer] == 1:
            self._ledger.write("unopened", peer=peer, frame=opened)
        if self._counts[peer] > MOST_UNOPENED:
            whose = f"in {peer}'s name" if peer else "of parties that the job does not have"
            raise EnvironmentFailed(
                f"frames {whose} do not open: {why.message if why else _ALTERED}",
                hint=(why.hint if why else "") or _CARRIER,
            )

    def asked(self, peer: str) -> None:
        """A peer is asked for frames, or asks for some: true ones may come once more."""
        self._rounds[peer] += 1

    def repeat(self, peer: str, number: int, opened: int) -> None:
        """A frame that has come before: counted where it comes more often than was asked.

        Raises `EnvironmentFailed` as `count`. One more is let pass: after a restart the way
        itself brings again what the life before had.
        """
        self._again[peer, number] += 1
        if self._again[peer, number] > self._rounds[peer] + 1:
            self.count(peer, opened, NotOpened(_AGAIN))

    def aside(self, frame: SealedFrame, channel: Channel) -> bytes:
        """What a frame outside of the count says; each is heard once. Raises `NotOpened`."""
        envelope = channel.open(frame) if frame.counter == ASIDE else None
        if envelope is None:
            raise NotOpened("no frame outside of the count", step=frame.step)
        if frame.digest in self._asides:
            raise NotOpened(_AGAIN, step=frame.step)
        self._asides.add(frame.digest)
        return envelope.payload


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
