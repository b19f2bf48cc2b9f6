"""A session: one party's part of one job, from handshake to the last signed ledger heads.

It owns the channels and drives one role after another: open what comes, hand it to the role,
seal what the role wants sent with this party's ledger head, write it into the journal and the
ledger, send. It is the only
place where protocol meets router, disk and clock. It runs only the steps it is told to by the
party (see `steps`), which takes them from the signed contract.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from federated.party.arrivals import Arrivals
from federated.party.farewell import Farewell, farewell, may_go_on
from federated.party.finish import Finish
from federated.party.handshakes import Handshakes, Plain
from federated.party.journal import CONTRACT, Journal, Point
from federated.party.keys import Identity, PartyKeys
from federated.party.ledger import Head, Ledger, check_head
from federated.party.negotiation import Agreed
from federated.party.notes import NOTES, Note, NotesIn, NotesOut
from federated.party.plain import to_plain
from federated.party.records import pack
from federated.party.results import RESULTS
from federated.wire.routers import FAREWELL, GOODBYE, Endpoint
from federated.wire.sealing import ASIDE, NO_CONTRACT, Channel, SealedFrame, frame_step
from psi.protocol import (
    Context,
    Envelope,
    FedprofileError,
    InputError,
    PeerError,
    PeerGone,
    Random,
    Range,
    Role,
    Step,
    Text,
    decode,
    encode,
    message,
)
from psi.protocol.codec import peek

__all__ = ["Progress", "Session", "StepRecord"]

R = TypeVar("R")
Progress = Callable[[str, str, float], None]
"""Called with party, step and the share of the step that is done (0 to 1)."""

TIMEOUT = 3600.0
_HANDSHAKE, _RESUME = "handshake", "resume"
_FINISH, _CONTRACT = "finish", "contract"
_RESULTS_KEY = b"fedprofile result key v1\n"
ENDED = "ended"
"""The journal's mark of a job whose last step is done."""

MOST_RESENDS = 100
"""Restarts of one peer in one job."""


@message(0xA6)
@dataclass(frozen=True)
class _Again:
    """A party that was killed is back: the other sends its frames again from `received` on.

    With `asks` it is to say what it has received too.
    """

    sender: Annotated[str, Text(64)]
    receiver: Annotated[str, Text(64)]
    received: Annotated[int, Range(0, 2**40)]
    asks: Annotated[int, Range(0, 1)]


@dataclass
class StepRecord:
    """What one step took at this party: seconds, bytes each way, messages."""

    step: str
    seconds: float = 0.0
    sent: int = 0
    received: int = 0
    messages: int = 0


class Session:
    """One party in one job. `session` is the job's 32-byte nonce, known to all parties.

    Where `home` holds the journal of this session, the party was killed: `connect` and `run`
    go on from its last point instead of beginning. `watchers` are parties that are told of
    this one's progress. With `hold` the journal stays until `forget`, so that a party that is
    killed between the job's end and its outputs loses nothing.
    """

    def __init__(
        self,
        session: bytes,
        keys: PartyKeys,
        pinned: dict[str, Identity],
        endpoint: Endpoint,
        home: Path,
        *,
        random: Random = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
        progress: Progress | None = None,
        timeout: float = TIMEOUT,
        watchers: Collection[str] = (),
        hold: bool = False,
    ) -> None:
        self.id, self.keys, self.pinned = session, keys, pinned
        self.name = keys.identity.name
        self.peers = [name for name in pinned if name != self.name]
        self._home = home
        self.ledger = Ledger(home / "ledger.jsonl", keys, clock, session, pinned)
        self.records: list[StepRecord] = []
        self.clock, self.random, self.timeout = clock, random, timeout
        self._endpoint = endpoint
        self._channels: dict[str, Channel] = {}
        self._journal = Journal(home, session, random, RESULTS)
        self._contract = NO_CONTRACT
        self._arrivals = Arrivals(dict.fromkeys(self.peers, 0), gaps=False)
        self._resends = dict.fromkeys(self.peers, 0)
        self._unanswered = set(self.peers)
        self._gone_peer: PeerGone | None = None
        self._progress = progress or (lambda party, step, share: None)
        self._watchers, self._hold, self._final = watchers, hold, False
        self._notes_out, self._notes_in = NotesOut(self._send_note, clock), NotesIn()
        self._point = self._journal.point
        self._hands = Handshakes(session, keys, pinned, self._journal)
        self._back = self.resumable

    def __repr__(self) -> str:
        return f"<session of {self.name} with {', '.join(self.peers)}>"

    @property
    def resumable(self) -> bool:
        """Whether a later session could go on from here."""
        return self._journal.point is not None or self._hands.begun

    @property
    def resumed(self) -> bool:
        """Whether this session goes on from an earlier one's journal."""
        return self._back

    @property
    def unanswered(self) -> set[str]:
        """After `connect` of a session that goes on: peers that have not said where they are."""
        return set(self._unanswered)

    def tell(self, step: str, share: float) -> None:
        """Show this party's progress here and, now and then, to those who watch."""
        self._progress(self.name, step, share)
        if self._watchers and self._channels:
            self._notes_out.tell(step, share)

    def _send_note(self, note: Note) -> None:
        for peer in self._watchers:
            envelope = Envelope(self.id, NOTES, self.name, peer, 0, encode(note))
            aside = self._channels[peer].seal_aside(envelope, self.random)
            self._endpoint.send(peer, encode(aside))

    def connect(self) -> None:
        """Handshake with every peer, or go on. Raises `PeerError` on a wrong key."""
        if self._point is not None:
            self._restore(self._point)
        else:
            self._shake_hands()
        if self._back:
            self._reconnect()

    def _shake_hands(self) -> None:
        self._channels = self._hands.channels
        if self._back:
            self.ledger.write("resumed", step=_HANDSHAKE, finished=0)
        for peer, data in self._hands.begin():
            self._endpoint.send(peer, data)
        if self.ledger.reopened:  # what came to an earlier life of this party is lost
            self._ask(0)
        self._arrivals = Arrivals(dict.fromkeys(self.peers, 0), gaps=self.ledger.reopened)
        while not self._hands.done:
            sender, data = self._receive(_HANDSHAKE)
            if peek(data) is SealedFrame:
                self._arrive(sender, data)
        self.ledger.once("handshake", peers={p: self.pinned[p].fingerprint for p in self.peers})
        self._save("", b"")  # a proposal may wait for an officer for days from here on

    def _restore(self, point: Point) -> None:
        """The channels as they were."""
        if sorted(point.channels) != sorted(self.peers):
            raise InputError("the journal is of other parties", hint="run the job again")
        self._contract = point.contract
        for peer, saved in point.channels.items():
            self._channels[peer] = Channel.restore(self.name, peer, saved)
            self._note_forgotten(peer)
        opened = {peer: channel.opened for peer, channel in self._channels.items()}
        self._arrivals = Arrivals(opened, gaps=True)
        self.ledger.write("resumed", step=point.step, finished=point.finished)

    def _reconnect(self) -> None:
        """What is missing on either side is sent again."""
        if self._journal.kept(ENDED) is not None:
            return  # there is nothing left to hear
        self._ask(1)
        try:
            while self._unanswered:
                sender, data = self._receive(_RESUME)
                if data == GOODBYE:
                    self._unanswered.discard(sender)
                    self._gone_peer = PeerGone(f"{sender} has closed its connection")
                elif (
                    peek(data) is not _Again
                    and (frame := self._checked(sender, data)).step != FAREWELL
                ):
                    self._arrivals.put(frame)  # a farewell is from before
        except PeerGone as error:
            self._gone_peer = error  # where only the heads are missing, `finish` does without

    def _ask(self, asks: int) -> None:
        for peer in self.peers:
            known = self._channels.get(peer)
            again = _Again(self.name, peer, known.opened if known else 0, asks)
            self._endpoint.send(peer, encode(again))

    def context(self, step: str) -> Context:
        """What a role of this session is built with."""
        return Context(self.id, step, self.name, self.random, self._journal.spool(step))

    def keep(self, name: str, make: Callable[[], bytes]) -> bytes:
        """A value that must be the same after a restart: kept, or made now and kept."""
        value = self._journal.kept(name)
        if value is None:
            value = make()
            self._journal.keep(name, value)
        return value

    def bind(self, agreed: Agreed) -> None:
        """From now on every frame is bound to this contract."""
        if self._contract == agreed.contract.digest:
            return  # bound before it was killed
        agreed.contract.check_time(self.clock())
        self._journal.keep(CONTRACT, agreed.contract.to_bytes())
        self._contract = agreed.contract.digest
        for channel in self._channels.values():
            channel.contract = self._contract
        self.ledger.once(
            "contract",
            digest=self._contract.hex(),
            terms=to_plain(agreed.contract),
            signatures={name: sig.hex() for name, sig in agreed.signatures.items()},
        )

    def shared_secret(self, peer: str, label: str) -> bytes:
        """32 bytes known to this party and `peer` only, bound to the contract and `label`."""
        return self._channels[peer].export(label)

    def run(self, step: str, role: Role[R]) -> R:
        """Drive one role to its result; a step that was finished before gives it at once."""
        record, begun = StepRecord(step), time.monotonic()
        self.records.append(record)
        try:
            kept: R = self._journal.result(step)
            self._note_result(step, kept)
            self.tell(step, 1.0)
            return kept
        except LookupError:
            pass
        self.tell(step, 0.0)
        if self._point is not None and self._point.step == step:
            role.restore(self._point.role)
            turn: Step[R] = Step()
        else:
            turn = role.start()
        self._point = None
        self._emit(step, role, turn, record)
        while turn.result is None:
            role.ahead()
            envelope = self._next(step, record)
            if envelope is None:
                continue
            turn = role.receive(envelope)
            self._emit(step, role, turn, record)
        record.seconds = time.monotonic() - begun
        self.tell(step, 1.0)
        return turn.result

    def finish(self) -> None:
        """Hear the others' last heads, note what is held of each, remove the journal.

        A party that comes back after the others have ended has all results, and of them the
        heads of the frames that it has read.
        """
        role, unheard = Finish(self.context(_FINISH), self.peers), list[str]()
        if self.peers:
            try:
                self.run(_FINISH, role)
            except PeerGone:
                if not self.resumed:
                    raise
                unheard = role.unheard
        heads = {peer: [head.number, head.digest] for peer, head in self.ledger.heads.items()}
        self.ledger.once("finished", heads=heads, unheard=unheard)
        if self._hold:
            self._journal.keep(ENDED, b"")
        self.close()
        if not self._hold:
            self.forget()

    def note_outputs(self, files: dict[str, str]) -> None:
        """After the end: names and SHA-256 of the files that were made of the results."""
        ledger = Ledger(self._home / "ledger.jsonl", self.keys, self.clock, self.id, self.pinned)
        ledger.once("outputs", files=files)
        ledger.close()

    def forget(self) -> None:
        """Remove the journal: nothing can go on from here any more."""
        self._journal.destroy()

    def abort(self, error: BaseException) -> None:
        """Tell the peers that this party ends, by class and code only; note it; close.

        The journal stays where nobody is to blame: the job can go on later.
        """
        word = farewell(error)
        with contextlib.suppress(FedprofileError):  # a full disk: the others are told all the same
            self.ledger.write("ended", error=type(error).__name__)
            self.ledger.sync()
        head = self.ledger.head().to_bytes()
        for peer, channel in self._channels.items():
            envelope = Envelope(self.id, FAREWELL, self.name, peer, 0, encode(word))
            try:
                self._endpoint.send(peer, encode(channel.seal_aside(envelope, self.random, head)))
            except FedprofileError:
                continue
        with contextlib.suppress(FedprofileError):
            self.close()
        if self._final or not may_go_on(error) or not self.resumable:
            self.forget()

    def close(self) -> None:
        """Close ledger, journal and endpoint."""
        self._notes_out.close()
        try:
            self.ledger.close()
        finally:
            self._journal.close()
            self._endpoint.close()

    def _emit(self, step: str, role: Role[R], turn: Step[R], record: StepRecord) -> None:
        """Keep what came of a turn, then send it: a kill in between sends it again."""
        if turn.progress is not None:
            self.tell(step, turn.progress)
        head = self.ledger.head().to_bytes()
        frames = [self._channels[e.receiver].seal(e, head) for e in turn.messages]
        sealed = [encode(frame) for frame in frames]
        for frame, data in zip(frames, sealed, strict=True):
            self._journal.log(frame.receiver, data)
        if turn.result is not None:
            self._journal.finish(step, turn.result)
        if frames or turn.result is not None:
            self.ledger.sync()  # what a head or a point stands on does not get lost
            self._save(*(("", b"") if turn.result is not None else (step, role.save())))
        for frame, data, envelope in zip(frames, sealed, turn.messages, strict=True):
            self._note("sent", frame.receiver, frame, envelope.payload)
            record.sent += len(data)
            record.messages += 1
            self._endpoint.send(frame.receiver, data)
        if turn.result is not None:
            self._note_result(step, turn.result)

    def _save(self, step: str, role: bytes) -> None:
        channels = {peer: channel.save() for peer, channel in self._channels.items()}
        self._journal.save(step, role, self._contract, channels)

    def _next(self, step: str, record: StepRecord) -> Envelope | None:
        frame = self._arrivals.take(step)
        while frame is None:
            if self._gone_peer is not None:
                raise self._gone_peer
            sender, data = self._receive(step)
            if data == GOODBYE:
                continue
            self._arrive(sender, data)
            frame = self._arrivals.take(step)
        envelope = self._channels[frame.sender].open(frame)
        if envelope is not None:
            record.received += len(frame.sealed)
            head = self._peer_head(frame.sender)
            self._note("received", frame.sender, frame, envelope.payload, head=head.plain())
        return envelope

    def _peer_head(self, peer: str) -> Head:
        """The head that the last frame brought; it may not fall behind one kept before."""
        head, before = Head.from_bytes(self._channels[peer].peer_head), self.ledger.heads.get(peer)
        check_head(head, self.pinned[peer], self.id)
        if before and head.number <= before.number and head.digest != before.digest:
            raise PeerError(f"{peer} has rewritten its ledger", hint="keep both ledgers")
        return head

    def _resend(self, sender: str, asked: _Again) -> None:
        """A peer is back, or answers: it gets the frames that it lacks, as they were."""
        if asked.sender != sender or sender not in self.peers or asked.receiver != self.name:
            raise PeerError("a question in another's name")
        self._resends[sender] += 1
        if self._resends[sender] > MOST_RESENDS:
            raise PeerError(f"{sender} asks for its frames too often")
        if asked.asks:
            mine = _Again(self.name, sender, self._arrivals.expected(sender), 0)
            self._endpoint.send(sender, encode(mine))
        for plain in self._hands.again(sender) if asked.received == 0 else ():
            self._endpoint.send(sender, plain)
        for frame in self._journal.frames(sender, asked.received):
            self._endpoint.send(sender, frame)
        self._unanswered.discard(sender)

    def _receive(self, step: str) -> tuple[str, bytes]:
        """The next frame; a goodbye is an error unless this party is at its end too."""
        while True:
            sender, data = self._endpoint.receive(self.timeout)
            if data == GOODBYE:
                if step not in (_FINISH, _RESUME):
                    raise PeerGone(f"{sender} has closed its connection", step=step)
                return sender, data
            if frame_step(data) == NOTES:
                self._noted(sender, data)
                continue
            if peek(data) is Plain:
                for answer in self._hands.take(sender, data):
                    self._endpoint.send(sender, answer)
                if step == _HANDSHAKE:
                    return sender, data
                continue
            if peek(data) is not _Again:
                return sender, data
            self._resend(sender, decode(data, _Again))
            if step == _RESUME and not self._unanswered:
                return sender, data

    def _noted(self, sender: str, data: bytes) -> None:
        """A peer's progress, for the screen; what does not open is dropped."""
        try:
            frame = self._checked(sender, data)
            if frame.counter != ASIDE or sender not in self._channels:
                return
            envelope = self._channels[sender].open(frame)
            found = (
                self._notes_in.news(sender, decode(envelope.payload, Note)) if envelope else None
            )
        except PeerError:
            return
        if found is not None:
            self._progress(sender, *found)

    def _arrive(self, sender: str, data: bytes) -> None:
        arrived = self._checked(sender, data)
        if arrived.step == FAREWELL:
            raise self._gone(arrived)
        self._arrivals.put(arrived)

    def _checked(self, sender: str, data: bytes) -> SealedFrame:
        frame = decode(data, SealedFrame)
        if frame.sender != sender or frame.sender not in self.peers:
            raise PeerError("a frame names another sender than its connection", step=frame.step)
        if frame.session != self.id or frame.receiver != self.name:
            raise PeerError("a frame of another session", step=frame.step)
        return frame

    def _gone(self, frame: SealedFrame) -> PeerGone:
        """The error for a peer's goodbye; its reason is told only if the seal holds."""
        text = f"{frame.sender} has ended the session"
        try:
            envelope = self._channels[frame.sender].open(frame)
            if envelope is not None:
                word = decode(envelope.payload, Farewell)
                text += f" with {word}"
                self._final = not word.returns
                head = self._peer_head(frame.sender)
                self.ledger.write(
                    "farewell", peer=frame.sender, error=word.error, head=head.plain()
                )
        except (PeerError, KeyError):
            pass
        return PeerGone(text, hint=f"its own log and ledger at {frame.sender} say why")

    def _note(self, way: str, peer: str, frame: SealedFrame, payload: bytes, **more: Any) -> None:
        kind = peek(payload)
        self.ledger.frame(
            way,
            peer,
            frame.counter,
            step=frame.step,
            message=kind.__qualname__.lstrip("_") if kind else "unknown",
            bytes=len(frame.sealed),
            sha256=frame.digest.hex(),
            **more,
        )

    def _note_forgotten(self, peer: str) -> None:
        """Frames that the last point stands on, where a kill came before their lines."""
        for data in self._journal.frames(peer, self.ledger.frames.get(("sent", peer), 0)):
            frame = decode(data, SealedFrame)
            self._note("sent", peer, frame, self._channels[peer].recall(frame))

    def _note_result(self, step: str, result: object) -> None:
        """A hash of a step's result that only this party can make again."""
        if step not in (_FINISH, _CONTRACT):
            key = hashlib.sha256(self.keys.sign_organisation(_RESULTS_KEY + self.id)).digest()
            found = hmac.digest(key, pack(result, RESULTS), "sha256")
            self.ledger.once("result", step=step, hmac=found.hex())
