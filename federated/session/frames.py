"""A session's frames: sealed, numbered, kept to be sent again, each with its sender's ledger head.

What comes is opened in its sender's order, its head checked and kept, and both noted in the ledger.
What no key of its sender's has sealed or signed is as if it had never come (`unopened`), and no
wait begins anew with it (`patience`).
A party that was killed asks for what it lacks, and its peers for what they lack.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from federated.keys.party_keys import Identity, PartyKeys
from federated.ledger.lines import Head, Ledger, check_head
from federated.session.again import Again, question
from federated.session.arrivals import Arrivals
from federated.session.bundles import bundled, kinds_of, parted
from federated.session.farewell import Farewell
from federated.session.handshakes import Handshakes, Plain
from federated.session.journal import ANEW, Journal, Point
from federated.session.last_word import FINISH
from federated.session.patience import Patience
from federated.session.progress import NOTES, Note, NotesIn
from federated.session.reasons import ENDED_THERE, reason_of
from federated.session.routers import FAREWELL, GOODBYE, Endpoint, Silence
from federated.session.sealing import (
    NO_CONTRACT,
    Channel,
    NotOpened,
    Sealed,
    SealedFrame,
    frame_step,
)
from federated.session.unopened import STRANGER, Unopened, addressed
from psi.protocol import (
    Envelope,
    EnvironmentFailed,
    FedprofileError,
    InputError,
    PeerError,
    PeerGone,
    Random,
    decode,
    encode,
)
from psi.protocol.codec import peek

__all__ = ["FINISH", "NEGOTIATION", "Frames", "Progress", "StepRecord"]

Progress = Callable[[str, str, float], None]
"""Called with party, step and the share of the step that is done (0 to 1)."""

LISTEN = 0.5
"""Seconds between two looks at what comes while a person decides."""

MOST_RESENDS = 100
"""Restarts of one peer in one job."""

NEGOTIATION = "contract"
"""The step before there is a contract."""

_HANDSHAKE, _RESUME = "handshake", "resume"
_FIRST = -1
"""Stands for the number of a handshake, which comes before the count."""


@dataclass
class StepRecord:
    """What one step took at this party: seconds, bytes each way, messages."""

    step: str
    seconds: float = 0.0
    sent: int = 0
    received: int = 0
    messages: int = 0


class Frames:
    """The frames of one party in one session, over `endpoint`.

    `progress` hears what others say of theirs; nothing of theirs for `timeout` seconds is an error.
    `final` says that a peer has left for good, `unanswered` which peers have not said where they
    are since this party came back. `on_aside` hears what comes beside notes, and raises nothing.
    """

    def __init__(
        self,
        session: bytes,
        keys: PartyKeys,
        pinned: dict[str, Identity],
        endpoint: Endpoint,
        journal: Journal,
        ledger: Ledger,
        *,
        random: Random,
        timeout: float,
        progress: Progress,
    ) -> None:
        self._session, self._pinned, self._name = session, pinned, keys.identity.name
        self._endpoint, self._journal, self._ledger = endpoint, journal, ledger
        self._random, self._patience, self._progress = random, Patience(timeout), progress
        self._peers = [name for name in pinned if name != self._name]
        self._hands = Handshakes(session, keys, pinned, journal)
        self._shelf, nothing = journal.shelf(), dict.fromkeys(self._peers, 0)
        self._arrivals = Arrivals(nothing, self._shelf, gaps=ledger.reopened)
        self._resends = dict.fromkeys(self._peers, 0)
        self._unopened = Unopened(self._peers, ledger)
        self._gone_peer: PeerGone | None = None
        self._notes = NotesIn()
        self.contract, self.final, self.unanswered = NO_CONTRACT, False, set(self._peers)
        self.channels: dict[str, Channel] = {}
        self.on_aside: Callable[[str, bytes], None] | None = None

    def __repr__(self) -> str:
        return f"<frames of {self._name} with {', '.join(self._peers)}>"

    @property
    def begun(self) -> bool:
        """Whether this party may have said something to a peer, in this life or an earlier one."""
        return self._hands.begun

    # channels

    def shake_hands(self) -> None:
        """Handshake with every peer. Raises `PeerError` on a wrong key."""
        self.channels = self._hands.channels
        self._check_sent()
        for peer, data in self._hands.begin():
            self._endpoint.send(peer, data)
        if self._ledger.reopened:  # what came to an earlier life of this party is lost
            self._ask(0)
        while not self._hands.done:
            sender, data = self._receive(_HANDSHAKE)
            if peek(data) is SealedFrame:
                self._arrive(sender, data)

    def restore(self, point: Point) -> None:
        """The channels as they were at a point. Raises `InputError` where a newer one was lost."""
        if sorted(point.channels) != sorted(self._peers):
            raise InputError("the journal is of other parties", hint="run the job again")
        self.contract = point.contract
        for peer, saved in point.channels.items():
            self.channels[peer] = Channel.restore(self._name, peer, saved)
        self._check_sent()
        for peer in self._peers:
            self._note_forgotten(peer)
        opened = {peer: channel.opened for peer, channel in self.channels.items()}
        self._arrivals = Arrivals(opened, self._shelf, gaps=True)

    def reconnect(self) -> None:
        """What is missing on either side is sent again."""
        try:
            self._ask(1)
            while self.unanswered:
                sender, data = self._receive(_RESUME)
                if data == GOODBYE:
                    self.unanswered.discard(sender)
                    self._gone_peer = PeerGone(f"{sender} has closed its connection")
                    continue
                frame = self._checked(sender, data)
                if frame is None or frame.step != FAREWELL:
                    self._put(frame)
                elif (word := self._word(frame)) is not None and not word.returns:
                    raise self._gone(frame)  # one of a peer that returns is from before
        except PeerGone as error:
            self._gone_peer = error  # where only the heads are missing, `last_round` does without

    def _ask(self, asks: int) -> None:
        for peer in self._peers:
            known = self.channels.get(peer)
            self._ask_one(peer, known.opened if known else 0, asks)

    def _ask_one(self, peer: str, received: int, asks: int = 0) -> None:
        self._unopened.asked(peer)
        self._endpoint.send(peer, encode(Again(self._name, peer, received, asks)))

    def bind(self, contract: bytes) -> None:
        """From now on every frame is bound to the contract with this hash."""
        self.contract = contract
        for peer, channel in self.channels.items():
            channel.contract = contract
            doubted, every = self._arrivals.doubted(peer)
            kept = [channel.holds(frame) and self._arrivals.kept(frame) for frame in doubted]
            if not (every and all(kept)):
                self._lost(peer)

    def save(self) -> dict[str, bytes]:
        """The channels with their keys, by peer: for a sealed checkpoint only."""
        return {peer: channel.save() for peer, channel in self.channels.items()}

    # out

    def seal(self, envelopes: Iterable[Envelope]) -> list[Sealed]:
        """Seal with the present ledger head, and keep: a kill afterwards sends them again."""
        head, sealed = self._ledger.head().to_bytes(), []
        for envelope in bundled(envelopes):
            frame = self.channels[envelope.receiver].seal(envelope, head)
            frame.hash_ahead()
            sealed.append(Sealed(envelope, frame, encode(frame)))
        for one in sealed:
            self._journal.log(one.frame.receiver, one.data, one.frame)
        return sealed

    def send(self, sealed: Iterable[Sealed], record: StepRecord) -> None:
        """Send what was sealed, once the point that stands on it is written."""
        for one in sealed:
            self._note("sent", one.frame.receiver, one.frame, one.envelope.payload)
            record.sent += len(one.data)
            record.messages += 1
            self._endpoint.send(one.frame.receiver, one.data)

    def send_aside(self, peer: str, step: str, payload: bytes) -> None:
        """Send outside of the count, to a peer there is a channel to."""
        self._endpoint.send(peer, self._aside(peer, step, payload))

    def _aside(self, peer: str, step: str, payload: bytes, head: bytes = b"") -> bytes:
        envelope = Envelope(self._session, step, self._name, peer, 0, payload)
        return encode(self.channels[peer].seal_aside(envelope, self._random, head))

    def part(self, word: Farewell) -> dict[str, bytes]:
        """Say farewell to every peer that can be reached; the frame for each of them."""
        head, said = self._ledger.head().to_bytes(), {}
        for peer in self.channels:
            said[peer] = self._aside(peer, FAREWELL, encode(word), head)
            with contextlib.suppress(FedprofileError):
                self._endpoint.send(peer, said[peer])
        return said

    def last(self, peer: str) -> bytes:
        """The last frame in the count to a peer, as it went."""
        return next(iter(self._journal.frames(peer, self.channels[peer].sent - 1)))

    # in

    def next(self, step: str, record: StepRecord) -> list[Envelope]:
        """What the next frame of a step brings, nothing for a repeat.

        Raises `PeerGone` if a peer has left.
        """
        frame = self._arrivals.take(step)
        while frame is None:
            if self._gone_peer is not None:
                raise self._gone_peer
            sender, data = self._receive(step)
            if data == GOODBYE:
                continue
            frame = self._arrive(sender, data, step) or self._arrivals.take(step)
        try:
            envelope = self.channels[frame.sender].open(frame)
        except NotOpened:
            self._lost(frame.sender)
            return []
        if envelope is not None:
            self._patience.heard(frame.sender)
            record.received += len(frame.sealed)
            if frame.counter < self._ledger.frames.get(("received", frame.sender), 0):
                # heard before a restart: the very bytes again, with the head of that time
                self._note("received", frame.sender, frame, envelope.payload)
            else:
                head = self._peer_head(frame.sender)
                self._note("received", frame.sender, frame, envelope.payload, head=head.plain())
        return [] if envelope is None else parted(envelope)

    def listen(self, over: threading.Event, gone: Callable[[FedprofileError], None]) -> None:
        """Until `over`, for a party that waits for a person: answer who comes back, keep the rest.

        A peer that may come back has not left. Nothing else may use these frames meanwhile.
        """
        while not over.wait(LISTEN):  # a rule decides at once, and then nobody listens
            try:
                sender, data = self._receive(_RESUME, LISTEN)
                frame = None if data == GOODBYE else self._checked(sender, data)
                if frame is None or frame.step != FAREWELL:
                    self._put(frame)
                    continue
                error: FedprofileError = self._gone(frame)
                if not self.final:
                    continue
            except Silence:
                continue
            except FedprofileError as failed:
                error = failed
            gone(error)
            return

    def _receive(self, step: str, timeout: float | None = None) -> tuple[str, bytes]:
        """The next frame; a goodbye is an error unless this party is at its end too."""
        while True:
            if timeout is None:
                sender, data = self._patience.receive(self._endpoint.receive)
            else:
                sender, data = self._endpoint.receive(timeout)
            if sender not in self._peers:
                self._unopened.count(STRANGER, 0, NotOpened("no such party has a part in it"))
                continue
            if data == GOODBYE:
                if step not in (FINISH, _RESUME):
                    raise PeerGone(f"{sender} has closed its connection", step=step)
                return sender, data
            if frame_step(data) == NOTES:
                self._noted(sender, data)
                continue
            if peek(data) is SealedFrame:
                return sender, data
            try:
                self._unsealed(sender, data)
            except NotOpened as false:
                self._lost(sender, false)
            if step == _HANDSHAKE or (step == _RESUME and not self.unanswered):
                return sender, data

    def _unsealed(self, sender: str, data: bytes) -> None:
        """Take a handshake or a question for frames. Raises `NotOpened`."""
        if peek(data) is Plain:
            met = sender in self._hands.channels
            for answer in self._hands.take(sender, data):
                self._endpoint.send(sender, answer)
            if met:
                self._unopened.repeat(sender, _FIRST, 0)
            else:
                self._patience.heard(sender)
            return
        self._resend(sender, question(data, sender, self._name))

    def _arrive(self, sender: str, data: bytes, step: str = "") -> SealedFrame | None:
        """Take a frame in; it comes back if `step` wants it next, and otherwise waits."""
        arrived = self._checked(sender, data)
        if arrived is None or arrived.step != FAREWELL:
            return self._put(arrived, step)
        lost = self._hands.met(sender) and sender not in self.channels  # its answer, before
        if not lost and self._word(arrived) is None:
            self._false(sender)
            return None
        raise self._gone(arrived)

    def _put(self, frame: SealedFrame | None, step: str = "") -> SealedFrame | None:
        """Let a frame wait, or have it back where `step` wants it next.

        One that has to wait is opened before: a false one would keep its place from the true one,
        and wait for a step of its own choosing. What may be sealed under a contract that is not
        known yet waits apart until it is.
        """
        if frame is None:
            return None
        known, bound = self.channels.get(frame.sender), self.contract != NO_CONTRACT
        if self._arrivals.has(frame):
            self._unopened.repeat(frame.sender, frame.counter, known.opened if known else 0)
        if bound and self._arrivals.at_once(frame, step):
            return self._arrivals.put(frame, step)
        if known is not None and known.holds(frame):
            if not self._arrivals.skips(frame):
                self._patience.heard(frame.sender, frame.counter)
                return self._arrivals.put(frame, step)
            if frame.step == FINISH:
                raise PeerGone(f"{frame.sender}: {ENDED_THERE}")
        elif known is None and frame.step == FINISH and self._hands.met(frame.sender):
            # an answer was lost, and no channel could hold it to its seal
            raise PeerGone(f"{frame.sender}: {ENDED_THERE}, says who carries its frames")
        elif not bound and frame.step not in (NEGOTIATION, step):
            if not self._arrivals.doubt(frame):
                self._false(frame.sender, NotOpened("more came than waits for a contract"))
            return None
        self._lost(frame.sender)
        return None

    def _lost(self, peer: str, why: NotOpened | None = None) -> None:
        """A frame of a peer's is not what it sealed, or is missing: it is asked for again."""
        opened = self._false(peer, why)
        self._arrivals.again(peer, opened)
        self._ask_one(peer, opened)

    def _false(self, peer: str, why: NotOpened | None = None) -> int:
        """Count a frame that is not a peer's; how many true ones were opened."""
        known = self.channels.get(peer)
        opened = known.opened if known else 0
        self._unopened.count(peer, opened, why)
        return opened

    def _checked(self, sender: str, data: bytes) -> SealedFrame | None:
        """The frame in `data`; None where it is none, or was heard without a seal."""
        if peek(data) is not SealedFrame:
            return None
        try:
            return addressed(data, self._session, sender, self._name)
        except NotOpened as false:
            self._lost(sender, false)
            return None

    def _peer_head(self, peer: str) -> Head:
        """The head that the last frame brought; it may not fall behind one kept before."""
        head, before = Head.from_bytes(self.channels[peer].peer_head), self._ledger.heads.get(peer)
        check_head(head, self._pinned[peer], self._session)
        if before and head.number <= before.number and head.digest != before.digest:
            raise PeerError(f"{peer} has rewritten its ledger", hint="keep both ledgers")
        return head

    def _resend(self, sender: str, asked: Again) -> None:
        """A peer is back, or answers: it gets the frames that it lacks, as they were."""
        self._resends[sender] += 1
        if self._resends[sender] > MOST_RESENDS:
            raise EnvironmentFailed(
                f"{sender} asks for its frames too often, or whoever carries them does"
            )
        self._patience.asked(sender)
        self._unopened.asked(sender)
        known = self.channels.get(sender)
        if asked.received > (known.sent if known else 0):
            raise EnvironmentFailed(  # no key has signed it, but to go on could use a number twice
                f"{sender} says it has frame #{asked.received - 1} of this party, which has not "
                "sealed it: what this party keeps of the job is older than what it said, or "
                f"{sender} is wrong, or whoever carries its words",
                hint=f"resume the job; if it says so again: {ANEW}",
            )
        if asked.asks:
            self._ask_one(sender, self._arrivals.expected(sender))
        for plain in self._hands.again(sender) if asked.received == 0 else ():
            self._endpoint.send(sender, plain)
        for frame in self._journal.frames(sender, asked.received):
            self._endpoint.send(sender, frame)
        self.unanswered.discard(sender)

    def _noted(self, sender: str, data: bytes) -> None:
        """A peer's progress, for the screen, or a word on ways; only what its channel opens."""
        channel = self.channels.get(sender)
        if channel is None:
            return  # the peer's answer to the handshake was lost
        try:
            frame = addressed(data, self._session, sender, self._name)
            payload = self._unopened.aside(frame, channel)
        except NotOpened as false:
            self._false(sender, false)
            return
        if peek(payload) is not Note and self.on_aside is not None:
            self.on_aside(sender, payload)
            return
        with contextlib.suppress(PeerError):
            note = decode(payload, Note)
            seconds, found = self._notes.since(sender, note), self._notes.news(sender, note)
            if found is not None:
                self._patience.noted(seconds)
                self._progress(sender, *found)

    def _gone(self, frame: SealedFrame) -> PeerGone:
        """The error for a peer's goodbye; its reason is told only if the seal holds."""
        word = self._word(frame)
        if word is not None:
            self.final = not word.returns
            with contextlib.suppress(PeerError):
                head = self._peer_head(frame.sender).plain()
                self._ledger.write("farewell", peer=frame.sender, error=word.error, head=head)
        return reason_of(frame.sender, word)

    def _word(self, frame: SealedFrame) -> Farewell | None:
        """What a farewell says; None where its seal does not hold."""
        try:
            envelope = self.channels[frame.sender].open(frame)
            return None if envelope is None else decode(envelope.payload, Farewell)
        except (PeerError, KeyError):
            return None

    def _note(self, way: str, peer: str, frame: SealedFrame, payload: bytes, **more: Any) -> None:
        kind, kinds = peek(payload), kinds_of(payload)
        if kinds:
            more["messages"] = kinds
        self._ledger.frame(
            way,
            peer,
            frame.counter,
            step=frame.step,
            message=kind.__qualname__.lstrip("_") if kind else "unknown",
            bytes=len(frame.sealed),
            sha256=frame.digest.hex(),
            **more,
        )

    def _check_sent(self) -> None:
        """A point whose frames were sent and that is gone: their numbers may not be sealed again.

        A line of the ledger is written once the point is on the disk, and before its frame leaves.
        """
        for peer in self._peers:
            known, noted = self.channels.get(peer), self._ledger.frames.get(("sent", peer), 0)
            if noted > (known.sent if known else 0):
                raise InputError(
                    f"the ledger has sent frame #{noted - 1} to {peer}, and no point of the "
                    "journal that is whole knows it: the newest one is damaged or lost",
                    hint=ANEW,
                )

    def _note_forgotten(self, peer: str) -> None:
        """Frames that the last point stands on, where a kill came before their lines."""
        for data in self._journal.frames(peer, self._ledger.frames.get(("sent", peer), 0)):
            frame = decode(data, SealedFrame)
            self._note("sent", peer, frame, self.channels[peer].recall(frame))
