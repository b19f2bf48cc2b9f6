"""When two parties of a job try the direct way, and when they leave it at the hub; without IO.

Whoever hears (`advertise`) makes an offer with a fresh knock; whoever may call there (`dial`) calls
once for each offer. An address is called only if this party's own policy has it for this very peer:
nobody can have a node connect to a place that its officer has not written down. Where both hear,
the one whose name sorts first calls, and the other only after `TURN`. A way that is lost, or does
not come about, is offered anew after a pause that doubles; the job goes on over the hub meanwhile.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from federated.wire.direct.offer import KNOCK, Offer
from psi.protocol import Random

__all__ = ["MOST_OFFERS", "Call", "Meeting"]

TURN = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
MOST_OFFERS = 12
"""Offers in a row that nobody came by; a peer whose firewall lets nobody out ends with it."""

MOST_HEARD = 200
"""Offers that one peer may make in the life of a process; later ones are not read."""


@dataclass(frozen=True)
class Call:
    """Call this address after `after` seconds, show `knock`, expect `certificate`."""

    address: str
    knock: bytes
    certificate: bytes
    after: float


class Meeting:
    """One peer of one job, seen from one party; `met` while there is a direct way.

    Args:
        me: this party's name.
        peer: the other's.
        certificate: what this party shows in the job (DER).
        hears: where this party hears, "" for nowhere.
        dial: where its policy lets it call this peer, "" for nowhere.
        random: makes knocks.
    """

    def __init__(
        self, me: str, peer: str, certificate: bytes, hears: str, dial: str, random: Random
    ) -> None:
        self._first, self._mine, self._hears, self._dial = me < peer, certificate, hears, dial
        self._random, self.peer = random, peer
        self._next, self._pause, self._unmet = 0.0, FIRST_PAUSE, 0
        self._words: set[bytes] = set()
        self.met = False
        self.theirs = b""
        self.knock = b""
        self.refused = ""

    def __repr__(self) -> str:
        return f"<meeting with {self.peer}, {'direct' if self.met else 'over the hub'}>"

    def offer(self, now: float) -> Offer | None:
        """What to tell the peer now, at the beginning, after a loss, or when nobody came."""
        if self.met or now < self._next or self._unmet >= MOST_OFFERS:
            return None
        if not self._hears:
            self._next = float("inf")  # said once: this party's certificate
            return Offer(self._mine, "", b"")
        self._next, self._pause = now + self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self._unmet += 1
        self.knock = self._random(KNOCK)
        return Offer(self._mine, self._hears, self.knock)

    def heard(self, offer: Offer, now: float) -> Call | None:
        """Take an offer; whom to call by it, if anybody.

        One that was heard before is not taken: the hub, which carries offers, could end a way with
        one of an earlier life of the peer's, or have this party call till it calls no more.
        """
        word = hashlib.sha256(offer.to_bytes()).digest()
        if word in self._words or len(self._words) >= MOST_HEARD:
            return None
        self._words.add(word)
        if self.theirs and offer.certificate != self.theirs:  # it was restarted, and knows nothing
            self._next, self._pause, self._unmet, self.met = now, FIRST_PAUSE, 0, False
        self.theirs = offer.certificate
        if not offer.address or self.met:
            return None
        if offer.address != self._dial:
            self.refused = offer.address
            return None
        waits = bool(self._hears) and not self._first
        return Call(offer.address, offer.knock, offer.certificate, TURN if waits else 0.0)

    def opened(self) -> None:
        """A direct way is there."""
        self.met, self._unmet, self._pause = True, 0, FIRST_PAUSE

    def lost(self, now: float) -> None:
        """The direct way is gone."""
        self.met = False
        if self._hears:
            self._next = now + self._pause
