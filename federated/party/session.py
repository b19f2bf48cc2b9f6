"""A session: one party's part of one job, from handshake to signed ledger heads.

It owns the channels and drives one role after another: open what comes, hand it to the role,
seal what the role wants sent, save a checkpoint, send, write the ledger. It is the only place
where protocol meets router, disk and clock. It runs only the steps it is told to by the party
(see `steps`), which takes them from the signed contract.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

from federated.party.checkpoint import Checkpoint, CheckpointStore
from federated.party.keys import Identity, PartyKeys
from federated.party.ledger import Head, Ledger, check_head
from federated.party.negotiation import Agreed
from federated.party.plain import canonical, from_canonical
from federated.wire.routers import GOODBYE, Endpoint
from federated.wire.sealing import NO_CONTRACT, Channel, Handshake, SealedFrame
from psi.protocol import (
    Context,
    Done,
    Envelope,
    FedprofileError,
    Length,
    PeerError,
    PeerGone,
    Random,
    Role,
    Step,
    Text,
    Turn,
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
_ABORT, _FINISH = "abort", "finish"


@message(0xA9)
@dataclass(frozen=True)
class _Plain:
    """A handshake message: not sealed, for there is no channel yet."""

    sender: Annotated[str, Text(64)]
    receiver: Annotated[str, Text(64)]
    data: Annotated[bytes, Length(1 << 13)]


@message(0xAA)
@dataclass(frozen=True)
class _Abort:
    """Why a party ends the session: the error's class and exit code, never its text."""

    kind: Annotated[str, Text(64)]
    code: int


@message(0xAB)
@dataclass(frozen=True)
class _Head:
    head: Annotated[bytes, Length(1 << 10)]


@message(0xAC)
@dataclass(frozen=True)
class _Heads:
    heads: Annotated[dict[str, Annotated[bytes, Length(1 << 10)]], Length(64)]


class ExchangeHeads(Role[dict[str, Head]]):
    """Every party sends every other its signed ledger head."""

    transitions = {(_Heads, _Head): "on_head"}  # noqa: RUF012

    def __init__(self, context: Context, peers: list[str], head: Head) -> None:
        super().__init__(context)
        self._peers, self._head = peers, head

    def begin(self) -> Turn[dict[str, Head]]:
        mine = _Head(canonical(self._head))
        return Turn(_Heads({}), [(peer, mine) for peer in self._peers])

    def on_head(self, state: _Heads, incoming: _Head, peer: str) -> Turn[dict[str, Head]]:
        heads = state.heads | {peer: incoming.head}
        if len(heads) < len(self._peers):
            return Turn(_Heads(heads))
        found = {name: from_canonical(Head, data) for name, data in heads.items()}
        return Turn(Done(), result=found)


@dataclass
class StepRecord:
    """What one step took at this party: seconds, bytes each way, messages."""

    step: str
    seconds: float = 0.0
    sent: int = 0
    received: int = 0
    messages: int = 0


@dataclass
class _Inbox:
    """Frames that arrived before their step began, in order, for each peer."""

    frames: dict[str, deque[SealedFrame]] = field(default_factory=dict)

    def put(self, frame: SealedFrame) -> None:
        self.frames.setdefault(frame.sender, deque()).append(frame)

    def take(self, step: str) -> SealedFrame | None:
        for waiting in self.frames.values():
            if waiting and waiting[0].step == step:
                return waiting.popleft()
        return None


class Session:
    """One party in one job. `session` is the job's 32-byte nonce, known to all parties."""

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
    ) -> None:
        self.id, self.keys, self.pinned = session, keys, pinned
        self.name = keys.identity.name
        self.peers = [name for name in pinned if name != self.name]
        self.ledger = Ledger(home / "ledger.jsonl", keys, clock)
        self.records: list[StepRecord] = []
        self.clock, self.random, self.timeout = clock, random, timeout
        self._endpoint = endpoint
        self._channels: dict[str, Channel] = {}
        self._checkpoints = CheckpointStore(home, random)
        self._contract = NO_CONTRACT
        self._inbox = _Inbox()
        self._progress = progress or (lambda party, step, share: None)

    def __repr__(self) -> str:
        return f"<session of {self.name} with {', '.join(self.peers)}>"

    def connect(self) -> None:
        """Handshake with every peer. Raises `PeerError` on a wrong key."""
        hands = {p: Handshake(self.id, self.keys, self.pinned[p]) for p in self.peers}
        for peer, hand in hands.items():
            if hand.initiator:
                self._send_plain(peer, hand.hello())
        while len(self._channels) < len(hands):
            sender, data = self._receive("handshake")
            if peek(data) is SealedFrame:
                self._inbox.put(self._checked(sender, data))
                continue
            plain = decode(data, _Plain)
            waiting = hands.get(plain.sender)
            if waiting is None or plain.receiver != self.name or plain.sender in self._channels:
                raise PeerError("an unexpected handshake", step="handshake")
            if waiting.initiator:
                self._channels[plain.sender] = waiting.finish(plain.data)
            else:
                answer, self._channels[plain.sender] = waiting.answer(plain.data)
                self._send_plain(plain.sender, answer)
        self.ledger.write("handshake", peers={p: self.pinned[p].fingerprint for p in self.peers})

    def context(self, step: str) -> Context:
        """What a role of this session is built with."""
        return Context(self.id, step, self.name, self.random)

    def bind(self, agreed: Agreed) -> None:
        """From now on every frame is bound to this contract."""
        agreed.contract.check_time(self.clock())
        self._contract = agreed.contract.digest
        for channel in self._channels.values():
            channel.contract = self._contract
        self.ledger.write(
            "contract",
            digest=self._contract.hex(),
            job=agreed.contract.job,
            purpose=agreed.contract.purpose,
            signatures={name: sig.hex() for name, sig in agreed.signatures.items()},
        )

    def shared_secret(self, peer: str, label: str) -> bytes:
        """32 bytes known to this party and `peer` only, bound to the contract and `label`."""
        return self._channels[peer].export(label)

    def run(self, step: str, role: Role[R]) -> R:
        """Drive one role to its result."""
        record, begun = StepRecord(step), time.monotonic()
        self.records.append(record)
        self._progress(self.name, step, 0.0)
        turn = role.start()
        self._emit(step, role, turn, record)
        while turn.result is None:
            envelope = self._next(step, record)
            if envelope is None:
                continue
            turn = role.receive(envelope)
            self._emit(step, role, turn, record)
        record.seconds = time.monotonic() - begun
        self._progress(self.name, step, 1.0)
        return turn.result

    def finish(self) -> None:
        """Exchange signed ledger heads, keep the others', remove the checkpoint."""
        role = ExchangeHeads(self.context(_FINISH), self.peers, self.ledger.head())
        heads = self.run(_FINISH, role) if self.peers else {}
        for peer, head in heads.items():
            check_head(head, self.pinned[peer])
        self.ledger.write("heads", heads={p: [h.number, h.digest] for p, h in heads.items()})
        self.close()
        self._checkpoints.destroy()

    def abort(self, error: BaseException) -> None:
        """Tell the peers that this party ends, by class and code only; note it; close."""
        code = error.exit_code if isinstance(error, FedprofileError) else 1
        kind = type(error).__name__
        self.ledger.write("ended", error=kind)
        for peer, channel in self._channels.items():
            payload = encode(_Abort(kind[:64], code))
            envelope = Envelope(self.id, _ABORT, self.name, peer, 0, payload)
            try:
                self._endpoint.send(peer, channel.seal(envelope))
            except FedprofileError:
                continue
        self.close()

    def close(self) -> None:
        """Close ledger and endpoint."""
        self.ledger.close()
        self._endpoint.close()

    def _emit(self, step: str, role: Role[R], turn: Step[R], record: StepRecord) -> None:
        if turn.progress is not None:
            self._progress(self.name, step, turn.progress)
        frames = [(e, self._channels[e.receiver].seal(e)) for e in turn.messages]
        if not frames:
            return
        self._save(step, role, [frame for _, frame in frames])
        for envelope, frame in frames:
            self._note("sent", envelope, len(frame))
            record.sent += len(frame)
            record.messages += 1
            self._endpoint.send(envelope.receiver, frame)

    def _save(self, step: str, role: Role[R], outbox: list[bytes]) -> None:
        channels = {peer: channel.save() for peer, channel in self._channels.items()}
        saved = Checkpoint(step, role.save(), channels, tuple(outbox))
        self._checkpoints.save(self._contract, saved)

    def _next(self, step: str, record: StepRecord) -> Envelope | None:
        frame = self._inbox.take(step)
        while frame is None:
            sender, data = self._receive(step)
            if data == GOODBYE:
                continue
            arrived = self._checked(sender, data)
            if arrived.step == _ABORT:
                raise self._gone(arrived)
            self._inbox.put(arrived)
            frame = self._inbox.take(step)
        envelope = self._channels[frame.sender].open(frame)
        if envelope is not None:
            record.received += len(frame.sealed)
            self._note("received", envelope, len(frame.sealed))
        return envelope

    def _receive(self, step: str) -> tuple[str, bytes]:
        """The next frame; a goodbye is an error unless this party is at its end too."""
        sender, data = self._endpoint.receive(self.timeout)
        if data == GOODBYE and step != _FINISH:
            raise PeerGone(f"{sender} has closed its connection", step=step)
        return sender, data

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
                reason = decode(envelope.payload, _Abort)
                text += f" with {''.join(c for c in reason.kind if c.isalnum())}"
        except (PeerError, KeyError):
            pass
        return PeerGone(text, hint=f"its own log and ledger at {frame.sender} say why")

    def _note(self, way: str, envelope: Envelope, size: int) -> None:
        kind = peek(envelope.payload)
        peer = envelope.receiver if way == "sent" else envelope.sender
        name = kind.__qualname__.lstrip("_") if kind else "unknown"
        self.ledger.write(way, step=envelope.step, peer=peer, message=name, bytes=size)

    def _send_plain(self, peer: str, data: bytes) -> None:
        self._endpoint.send(peer, encode(_Plain(self.name, peer, data)))
