"""The direct ways of one party in one job: makes them, gives them to its endpoint, loses them.

Nothing of a job rests on them. The endpoint keeps every part until the peer has taken it; where a
way is lost it sends what is left over the hub, and goes on there. Two that call each other at a
time have two ways: each reads both, sends by its newest, and has the other left where that is lost.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from federated.approval.direct import Direct, load_direct, read_address
from federated.wire.direct.link import Link, shake
from federated.wire.direct.meeting import Call, Meeting
from federated.wire.direct.offer import read_offer
from federated.wire.direct.tunnel import Tunnel, make_pass
from federated.wire.local import guest_with
from federated.wire.parcels import Parcel
from federated.wire.post import PostEndpoint
from federated.wire.watch import Watch
from psi.protocol import FedprofileError, PeerError

__all__ = ["DirectWays", "direct_ways"]

HEARS_FOR = 30.0
"""Seconds that a knock is good for."""

CALL_WITHIN, AGAIN_AFTER = 5.0, 0.5
LOOK = 0.5

_log = logging.getLogger("fedprofile.direct")


class DirectWays:
    """`await_guest(knock, within)` gives the connection of whoever comes with a knock."""

    def __init__(
        self,
        endpoint: PostEndpoint,
        peers: list[str],
        allowed: Direct,
        await_guest: Callable[[bytes, float], socket.socket | None],
    ) -> None:
        self._endpoint, self._await = endpoint, await_guest
        self._pass = make_pass()
        self._meetings = {
            peer: Meeting(
                endpoint.name,
                peer,
                self._pass.certificate,
                allowed.advertise,
                allowed.dial.get(peer, ""),
                secrets.token_bytes,
            )
            for peer in peers
            if peer != endpoint.name
        }
        self._links: dict[str, Link] = {}
        self._older: list[Link] = []
        self._watch = endpoint.watch = Watch()
        self._lock = threading.Lock()
        self._known = threading.Condition(self._lock)
        self._stop = threading.Event()
        self._tell: Callable[[str, bytes], None] | None = None
        self._early: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<direct ways of {self._endpoint.name}: {', '.join(self._links) or 'none'}>"

    def begin(self, tell: Callable[[str, bytes], None]) -> None:
        """Make offers from now on, and take those that came: the contract is signed."""
        with self._lock:
            self._tell, early = tell, dict(self._early)
        self._thread(self._offer)
        for peer, data in early.items():
            self.heard(peer, data)

    def heard(self, peer: str, data: bytes) -> None:
        """Take a peer's offer; nobody is called before `begin`."""
        with self._lock:
            if self._tell is None:
                self._early[peer] = data
                return
        try:
            offer = read_offer(data)
        except PeerError as error:
            _log.warning("%s: %s", peer, error.message)
            return
        with self._known:
            meeting = self._meetings[peer]
            before = meeting.refused
            call = meeting.heard(offer, time.monotonic())
            left = [] if meeting.met else self._left(peer)  # of a life of the peer that is over
            self._known.notify_all()
        for link in left:
            self._thread(link.close, 0.0)
        if meeting.refused != before:
            _log.info("%s hears at %s, which [direct] dial does not have", peer, meeting.refused)
        if call is not None:
            self._thread(self._call, meeting, call)

    def figures(self) -> dict[str, dict[str, int]]:
        """Bytes of frames by peer and way."""
        return {peer: dict(ways) for peer, ways in self._endpoint.by_way.items()}

    def close(self) -> None:
        """End all ways, once what waits is sent."""
        self._stop.set()
        with self._lock:
            links = [*self._links.values(), *self._older]
        for link in links:
            link.close()
        self._watch.close()

    def _left(self, peer: str) -> list[Link]:
        """The links to a peer, which are ways no more."""
        self._endpoint.beside.pop(peer, None)
        newest = self._links.pop(peer, None)
        found = [link for link in (newest, *self._older) if link is not None and link.peer == peer]
        self._older = [link for link in self._older if link.peer != peer]
        return found

    def _thread(self, work: Callable[..., None], *given: object) -> None:
        threading.Thread(target=work, args=given, daemon=True, name="direct").start()

    def _offer(self) -> None:
        while not self._stop.is_set():
            for meeting in self._meetings.values():
                with self._lock:
                    offer = meeting.offer(time.monotonic())
                if offer is None or self._tell is None:
                    continue
                if offer.knock:
                    self._thread(self._hear, meeting, offer.knock)
                try:
                    self._tell(meeting.peer, offer.to_bytes())
                except FedprofileError:
                    return  # the job ends
            self._stop.wait(LOOK)

    def _hear(self, meeting: Meeting, knock: bytes) -> None:
        try:
            guest = self._await(knock, HEARS_FOR)
        except FedprofileError as error:
            _log.info("no direct way: %s", error.message)
            return
        if guest is None:
            return
        with self._known:  # who comes may be faster than what it says over the hub
            self._known.wait_for(lambda: meeting.theirs, CALL_WITHIN)
            theirs = meeting.theirs
        if theirs:
            self._meet(meeting, guest, theirs, hears=True)
        else:
            guest.close()

    def _call(self, meeting: Meeting, call: Call) -> None:
        self._stop.wait(call.after)
        if meeting.met or self._stop.is_set():
            return
        for again in (True, False):  # its door may hear of the knock after the hub brought it here
            try:
                link = socket.create_connection(read_address(call.address), timeout=CALL_WITHIN)
                link.sendall(call.knock)
            except OSError as error:
                kind = type(error).__name__
                _log.info("%s is not reached directly (%s): over the hub", meeting.peer, kind)
                return
            met = self._meet(meeting, link, call.certificate, hears=False)
            if met or not again or self._stop.wait(AGAIN_AFTER):
                return

    def _meet(self, meeting: Meeting, guest: socket.socket, theirs: bytes, *, hears: bool) -> bool:
        """The handshake with whoever is there; whether there is a way now."""
        try:
            tunnel = Tunnel(self._pass, theirs, hears=hears)
            shake(guest, tunnel, hears=hears)
        except (OSError, PeerError) as error:
            why = error.message if isinstance(error, PeerError) else type(error).__name__
            _log.warning("no direct way with %s: %s", meeting.peer, why)
            guest.close()
            return False
        names = (self._endpoint.job, self._endpoint.name, meeting.peer)
        link = Link(guest, tunnel, names, self._came, lambda link: self._lost(meeting, link))
        with self._lock:
            meeting.opened()
            if meeting.peer in self._links:
                self._older.append(self._links[meeting.peer])
            self._use(link)
        link.start(self._watch)
        _log.info("%s is reached directly", meeting.peer)
        if self._stop.is_set():
            link.close(0.0)
        return True

    def _use(self, link: Link) -> None:
        self._links[link.peer] = link
        self._endpoint.beside[link.peer] = link.put

    def _came(self, parcel: Parcel) -> None:
        self._endpoint.deliver(parcel, way="direct")

    def _lost(self, meeting: Meeting, link: Link) -> None:
        with self._lock:
            others = [each for each in self._older if each.peer == meeting.peer]
            if link in others:
                self._older.remove(link)
            elif self._links.get(meeting.peer) is link and others:
                self._older.remove(others[-1])
                self._use(others[-1])
            elif self._links.get(meeting.peer) is link:
                meeting.lost(time.monotonic())
                self._left(meeting.peer)
            lost = meeting.peer not in self._links
        if lost and not self._stop.is_set() and not self._endpoint.parted(meeting.peer):
            _log.info("the direct way to %s is lost: over the hub", meeting.peer)
        self._thread(self._endpoint.again, meeting.peer)


def direct_ways(
    policy: Path, door: Path, endpoint: PostEndpoint, peers: list[str]
) -> DirectWays | None:
    """The ways that a party's policy allows in a job; None where it allows none.

    Args:
        policy: its policy.toml.
        door: the local socket of its node or hub, where it hears.
        endpoint: of the job.
        peers: its parties.
    """
    allowed = load_direct(policy)
    if not allowed.on:
        return None
    return DirectWays(
        endpoint, peers, allowed, lambda knock, within: guest_with(door, knock, within)
    )
