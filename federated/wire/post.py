"""An endpoint over parcels: frames cut into parts, numbered, kept until taken, sent again.

Whatever carries parcels may lose, repeat or reorder them; `PostEndpoint` makes of it what a
session needs: whole frames, in order, once. A window bounds what is under way, so neither hub
nor receiver can be made to hold more than it. What a step may weigh is checked against its limit
at the first part of a frame, before the rest is taken (`incoming`).
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from federated.session.last_word import is_last_word
from federated.session.routers import FAREWELL, GOODBYE, Silence
from federated.session.sealing import frame_step
from federated.wire.incoming import WINDOW, Incoming, StepLimit
from federated.wire.parcels import PART, Kind, Parcel, Refusal
from federated.wire.watch import Watch
from federated.wire.way import Way
from psi.protocol import EnvironmentFailed, PeerError, PeerGone

__all__ = ["DIRECT", "HUB", "Carrier", "PostEndpoint", "hand_on"]

PATIENCE = 15.0
"""Seconds without progress after which the oldest part is sent again."""

AWAY_PATIENCE = 900.0
"""Seconds that a peer may be disconnected before the job ends here."""

AWAY_PROBE = 2.0
"""Seconds between two attempts to reach a peer that is not connected."""

SIGN_OF_LIFE = 30.0
"""Seconds after which a peer hears from this endpoint even if there is nothing to say."""

TAKEN_WITHIN = 3600.0
"""Seconds that a sender waits for a peer that takes nothing of what is under way to it."""

_OUTSIDE = "it may be the hub's doing; resume the job, or stop it if its sender goes on with it"

QUIET = 1.0
"""Seconds after which what was taken is told although nothing is to be sent."""

Carrier = Callable[[Parcel], None]
"""Hands a parcel on; may block while the way is full."""

HUB, DIRECT = "hub", "direct"
"""The ways that a parcel can go."""


class PostEndpoint:
    """One party's door to the others in one job, over whatever `carry` sends parcels by.

    The owner of the connection calls `deliver` for each parcel of this job, `again` after a
    reconnection and `tick` now and then. `beside` holds, by peer, ways that go before `carry` and
    say whether they took a parcel; `by_way` counts bytes of parts, by peer and way. Where there is
    a `watch`, whoever waits here reads the connections in it. A sender waits `within` seconds for
    a peer that takes nothing.
    """

    def __init__(
        self,
        name: str,
        job: bytes,
        peers: list[str],
        carry: Carrier,
        limit: StepLimit,
        within: float = TAKEN_WITHIN,
    ) -> None:
        self.name, self.job, self._within = name, job, within
        self._incoming = Incoming(limit, self._came)
        self._by_hub = carry
        self.beside: dict[str, Callable[[Parcel], bool]] = {}
        self.by_way: dict[str, dict[str, int]] = {}
        self.watch: Watch | None = None
        self._me = os.urandom(4)
        self._ways = {peer: Way() for peer in peers if peer != name}
        self._arrived: queue.SimpleQueue[tuple[str, bytes, int]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._stopped: BaseException | None = None
        self._closed = False
        self.traffic: dict[tuple[str, str], int] = {}

    def __repr__(self) -> str:
        return f"<post of {self.name}, job {self.job.hex()[:8]}>"

    # the session's side

    def send(self, receiver: str, frame: bytes) -> None:
        """Cut, number, keep and hand over; waits while the window is full.

        Frames of several threads follow each other whole. Raises `Silence`, and ends the job here,
        where the receiver takes nothing for as long as a sender waits: a hub may keep it back.
        """
        with self._ways[receiver].sending:
            self._send(receiver, frame)

    def _send(self, receiver: str, frame: bytes) -> None:
        way, step = self._ways[receiver], frame_step(frame)
        view = memoryview(frame)
        for offset in range(0, max(len(frame), 1), PART):
            data = frame if len(frame) <= PART else bytes(view[offset : offset + PART])
            with self._changed:
                self._await_room(way, receiver, len(data))
                self._check(farewell=step == FAREWELL)
                parcel = self._numbered(way, receiver, Kind.PART, step, len(frame), offset, data)
            self._carry(parcel)
        self._count(self.name, receiver, len(frame))

    def _await_room(self, way: Way, receiver: str, size: int) -> None:
        """Wait while the window is full; `_changed` is held."""
        begun = time.monotonic()
        while not self._free(way, size):
            left = max(begun, way.taken_at) + self._within - time.monotonic()
            if left <= 0:
                self._stopped = self._stopped or Silence(
                    f"{receiver} has taken nothing of what was sent to it for {self._within:.0f} s",
                    hint="run again to resume; if it rests again, ask whoever runs the hub",
                )
                self._wake()
                return
            self._changed.wait(left)

    def receive(self, timeout: float) -> tuple[str, bytes]:
        """The next frame, `GOODBYE` once a party has closed."""
        end = time.monotonic() + timeout
        sender = ""
        while not sender:
            if self._stopped is not None:
                raise self._stopped
            if self._failure is not None and self._arrived.empty():
                raise self._failure
            try:
                sender, frame, size = self._next(max(0.0, end - time.monotonic()))
            except queue.Empty:
                hint = "the other party may be down or still computing; run again to resume"
                raise Silence(f"nothing received for {timeout:.0f} s", hint=hint) from None
        with self._changed:
            way = self._ways[sender]
            before = way.waiting
            way.waiting -= size
            tell = before > WINDOW // 2 >= way.waiting
            self._incoming.grant(way)
            self._count(sender, self.name, size)
        if tell:
            self._tell(sender)
        return sender, frame

    def close(self, patience: float = 10.0) -> None:
        """Say goodbye to all, and wait until what was sent has been taken, or `patience` ends."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            byes = [
                self._numbered(way, peer, Kind.BYE, "", 0, 0, b"")
                for peer, way in self._ways.items()
            ]
        for bye in byes:
            self._carry(bye)
        with self._changed:
            self._changed.wait_for(
                lambda: self._failure or all(way.parted() for way in self._ways.values()),
                patience,
            )

    # the connection's side

    def fail(self, error: BaseException) -> None:
        """End whoever waits here with this error."""
        with self._changed:
            self._failure = self._failure or error
            self._wake()

    def stop(self, error: BaseException) -> None:
        """End the job at this party with this error; a farewell can still be said."""
        with self._changed:
            self._stopped = self._stopped or error
            self._wake()

    def leave(self, error: BaseException) -> None:
        """This process ends and will be back: whoever waits here gets `error`, others nothing."""
        with self._changed:
            self._closed = True
        self.fail(error)

    def deliver(self, parcel: Parcel, way: str = HUB) -> None:
        """Take one parcel that came for this party in this job, by the way that is named."""
        if parcel.sender not in self._ways:
            return  # somebody who has no part in this job
        self._counted(parcel.sender, way, len(parcel.data))
        self._deliver(parcel)

    def _deliver(self, parcel: Parcel) -> None:
        way = self._ways[parcel.sender]
        if parcel.receiver != self.name or self._failure is not None:
            return  # this end of the job is over
        to = parcel.taken_stream[:4]
        if parcel.kind == Kind.BYE and to not in (bytes(4), self._me):
            return  # said to this party's endpoint before this one
        urgent, resend = False, []
        try:
            with self._changed:
                if parcel.stream[:4] in way.past:
                    return  # late, from an endpoint that is gone
                if way.away_since:  # it is back: what was sent meanwhile is lost
                    way.away_since = 0.0
                    resend = [p for p in way.kept if p.number >= way.taken_there]
                if parcel.stream[:4] != way.peer:
                    self._meet(way, parcel.stream[:4])
                    resend = list(way.kept)
                way.answered |= to == self._me
                self._note_taken(way, parcel)
                if parcel.kind in (Kind.PART, Kind.BYE):
                    urgent = self._incoming.put(way, parcel)
                self._changed.notify_all()
        except PeerError as error:  # the outside of parcels is sealed by nobody: the job rests
            self.fail(EnvironmentFailed(error.message, step=error.step, hint=_OUTSIDE))
            return
        for kept in resend:
            self._carry(kept)
        if urgent:
            self._tell(parcel.sender)

    def greet(self) -> None:
        """Tell all peers that this endpoint is here: they send at once what it has not taken."""
        for peer in self._ways:
            self._tell(peer)

    def answered(self, peer: str) -> bool:
        """Whether the peer has taken something from this very endpoint."""
        return self._ways[peer].answered

    @property
    def failed(self) -> bool:
        """Whether the job has ended here with an error."""
        return self._failure is not None

    def missing(self) -> dict[str, bool]:
        """Peers that have not been heard of or are not connected, and whether it is the former."""
        with self._changed:
            return {
                peer: not way.away_since
                for peer, way in self._ways.items()
                if way.away_since or way.peer == bytes(4)
            }

    def again(self, to: str = "") -> None:
        """Send everything again that was not taken (by one peer): a way was lost, or is back."""
        with self._changed:
            if self._failure is not None:
                return
            parcels = [
                parcel
                for peer, way in self._ways.items()
                for parcel in way.kept
                if parcel.number >= way.taken_there and to in ("", peer)
            ]
        for parcel in parcels:
            self._carry(parcel)

    def tick(self, now: float | None = None) -> None:
        """Send again what has stood still; tell what was taken if nothing else goes out."""
        now = time.monotonic() if now is None else now
        stuck, tell = [], []
        with self._changed:
            if self._failure is not None:
                return
            for peer, way in self._ways.items():
                oldest = way.oldest()
                if oldest is not None and now - way.progress > PATIENCE:
                    way.progress = now
                    stuck.append(oldest)
                if way.away_since and now - way.away_since > AWAY_PATIENCE and not way.closed:
                    self._failure = self._failure or PeerGone(
                        f"{peer} is not connected to the hub",
                        hint="run again once its node is back",
                    )
                    self._wake()
                quiet = now - way.last_come > QUIET and way.granted == way.taken
                silent = now - way.last_told > SIGN_OF_LIFE and not way.closed
                if silent or (way.untold and quiet):
                    tell.append(peer)
        for parcel in stuck:
            self._by_hub(parcel)  # whatever way it went, it does not go on there
        for peer in tell:
            self._tell(peer)

    def last(self, peer: str, frame: bytes) -> None:
        """A peer has ended, its node says, and has left this frame behind: no more comes of it."""
        with self._changed:
            way = self._ways.get(peer)
            if way is None or way.closed or self._failure is not None:
                return
            way.closed, way.away_since = True, 0.0
            self._changed.notify_all()
        self._came(peer, frame, 0)
        self._came(peer, GOODBYE, 0)

    def away(self, peer: str) -> None:
        """The coordinator says that this peer is not connected."""
        with self._changed:
            way, now = self._ways.get(peer), time.monotonic()
            if way is not None:
                way.away_since = way.away_since or now
                way.progress = min(way.progress, now - PATIENCE + AWAY_PROBE)

    def parted(self, peer: str) -> bool:
        """Whether there is nothing left to say to a peer, or nobody to hear it."""
        return self._closed or self._ways[peer].closed

    # inside

    def _next(self, within: float) -> tuple[str, bytes, int]:
        if self.watch is None:
            return self._arrived.get(timeout=within)
        self.watch.wait(lambda: not self._arrived.empty(), within)
        return self._arrived.get_nowait()

    def _came(self, sender: str, frame: bytes, size: int) -> None:
        self._arrived.put((sender, frame, size))
        if self.watch is not None:
            self.watch.ring()

    def _wake(self) -> None:
        """Whoever waits here to send, or to receive, looks again; `_changed` is held."""
        self._changed.notify_all()
        self._came("", b"", 0)

    def _carry(self, parcel: Parcel) -> None:
        """By a way beside the hub where there is one, else by the hub."""
        beside = self.beside.get(parcel.receiver)
        direct = beside is not None and beside(parcel)
        if not direct:
            self._by_hub(parcel)
        self._counted(parcel.receiver, DIRECT if direct else HUB, len(parcel.data))

    def _counted(self, peer: str, way: str, size: int) -> None:
        ways = self.by_way.setdefault(peer, {HUB: 0, DIRECT: 0})
        ways[way] += size

    def _count(self, sender: str, receiver: str, size: int) -> None:
        self.traffic[sender, receiver] = self.traffic.get((sender, receiver), 0) + size

    def _check(self, *, farewell: bool = False) -> None:
        if self._failure is not None:
            raise self._failure
        if self._stopped is not None and not farewell:
            raise self._stopped

    def _free(self, way: Way, size: int) -> bool:
        return (
            bool(self._failure or self._stopped)
            or not way.kept_bytes
            or way.kept_bytes + size <= WINDOW
        )

    def _numbered(
        self,
        way: Way,
        receiver: str,
        kind: Kind,
        step: str,
        size: int,
        offset: int,
        data: bytes,
    ) -> Parcel:
        way.untold = 0
        parcel = Parcel(
            kind=kind,
            job=self.job,
            sender=self.name,
            receiver=receiver,
            step=step,
            stream=self._stream(way),
            number=way.sent,
            taken_stream=way.stream,
            taken=way.granted,
            size=size,
            offset=offset,
            data=data,
        )
        way.sent += 1
        way.progress = way.progress if way.kept_bytes else time.monotonic()
        way.kept.append(parcel)
        way.kept_bytes += len(data)
        return parcel

    def _tell(self, peer: str) -> None:
        with self._changed:
            way = self._ways[peer]
            way.untold, way.last_told = 0, time.monotonic()
            parcel = Parcel(
                kind=Kind.TAKEN,
                job=self.job,
                sender=self.name,
                receiver=peer,
                step="",
                stream=self._stream(way),
                number=0,
                taken_stream=way.stream,
                taken=way.granted,
                size=0,
                offset=0,
                data=b"",
            )
        self._carry(parcel)

    def _stream(self, way: Way) -> bytes:
        """Who sends, and how often it has begun to count anew on this way."""
        return self._me + way.epoch.to_bytes(4, "big")

    def _meet(self, way: Way, peer: bytes) -> None:
        """A peer is heard of for the first time, or has another endpoint than before."""
        if way.peer != bytes(4):
            way.past.add(way.peer)
            way.begin(bytes(8))
            way.closed = False
            self._count_anew(way)
        way.peer = peer

    def _count_anew(self, way: Way) -> None:
        """The new endpoint knows nothing: whole frames it may not have, numbered from 0."""
        way.epoch, way.sent, way.taken_there = way.epoch + 1, len(way.kept), 0
        stream = self._stream(way)
        again = [
            replace(parcel, stream=stream, number=number) for number, parcel in enumerate(way.kept)
        ]
        way.kept, way.kept_bytes = deque(again), sum(len(parcel.data) for parcel in again)

    def _note_taken(self, way: Way, parcel: Parcel) -> None:
        """Let go of frames that the peer has taken whole."""
        if parcel.taken_stream != self._stream(way) or parcel.taken <= way.taken_there:
            return
        way.taken_there, way.progress = parcel.taken, time.monotonic()
        way.taken_at = way.progress
        while way.kept and way.kept[0].number < way.taken_there:
            last = next((p for p in way.kept if p.offset + len(p.data) == p.size), way.kept[-1])
            if last.number >= way.taken_there:
                break
            while way.kept and way.kept[0].number <= last.number:
                way.kept.popleft()
        way.kept_bytes = sum(len(p.data) for p in way.kept if p.number >= way.taken_there)


def hand_on(endpoint: PostEndpoint, parcel: Parcel) -> None:
    """Give a parcel of any kind to the endpoint of its job."""
    if parcel.kind <= Kind.BYE:
        endpoint.deliver(parcel)
    elif parcel.kind == Kind.AWAY:
        endpoint.away(parcel.sender)
    elif parcel.kind == Kind.REFUSED:
        refusal = Refusal.read(parcel.step)
        if refusal is Refusal.ENDED and is_last_word(parcel.data):
            endpoint.last(parcel.sender, parcel.data)
            return
        # nobody signed it: it ends the run and takes no journal away
        over = "if its officer says so too, fedprofile job stop ends it here, and frees its keys"
        hint = over if refusal is Refusal.ENDED else "its node's log says more"
        endpoint.fail(PeerGone(f"{parcel.sender}: {refusal.words}", hint=hint))
