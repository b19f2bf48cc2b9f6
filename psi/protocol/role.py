"""A role: one party's side of one protocol, without IO.

`start()` and `receive(envelope)` return a `Step`: the messages to send now and, at the end,
the result. A role knows no socket, file, clock or thread; keys and randomness are passed in.

A subclass declares its states as frozen dataclasses registered with the codec, and one
handler for each message it expects in a state:

    class Sender(Role[Matches]):
        transitions = {(Waiting, Blinded): "on_blinded"}

        def begin(self) -> Turn[Matches]: ...
        def on_blinded(self, state: Waiting, message: Blinded, peer: str) -> Turn[Matches]: ...

What is in the state, and in the context's store, is all that `save()` keeps and `restore()`
needs. A message that the table does not name for the present state ends the session with a
`PhaseError`. What can be done before the next message comes is done in `ahead()`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from psi.protocol.codec import Length, Text, decode, encode, message
from psi.protocol.envelope import Envelope
from psi.protocol.errors import MisuseError, PeerError, PhaseError
from psi.protocol.naming import name_of
from psi.protocol.store import MemoryStore, Store

__all__ = ["Context", "Done", "Idle", "Outgoing", "Random", "Role", "Share", "Turn"]

Random = Callable[[int], bytes]
"""Bytes from the operating system's generator: `secrets.token_bytes`, passed in."""

R = TypeVar("R")

_DIGEST = 32


@dataclass(frozen=True)
class Context:
    """What every role is given: session, step, its own name, randomness, room for large arrays.

    Attributes:
        session: 32 bytes that all parties know.
        step: the protocol run within the job, "align/bureau/0".
        party: this party's name.
        random: a function of a number of bytes that gives as many secret ones.
        store: room for arrays that are too large for a saved role.
        naming: a secret of this party's own, the same wherever a role goes on: large messages are
            named under it, in a tenth of the time. Empty: by SHA-256, as small ones.
    """

    session: bytes
    step: str
    party: str
    random: Random = field(repr=False)
    store: Store = field(default_factory=MemoryStore, repr=False)
    naming: bytes = field(default=b"", repr=False)


class Share(float):
    """The share of a step that is done, 0 to 1, and of how many items (0: they do not count)."""

    items: int

    def __new__(cls, share: float, items: int = 0) -> Share:
        made = super().__new__(cls, share)
        made.items = items
        return made


@dataclass(frozen=True)
class Outgoing(Generic[R]):
    """What a role wants done: envelopes to send now, and the result once there is one.

    Attributes:
        messages: envelopes, in their order.
        result: None until the role has ended.
        progress: the share that is done, 0 to 1; None where it is not known.
    """

    messages: tuple[Envelope, ...] = ()
    result: R | None = None
    progress: float | None = None


@dataclass(frozen=True)
class Turn(Generic[R]):
    """What a handler returns: the next state, messages with their receivers, the result.

    `progress` is the share of this step that is done, 0 to 1, for whoever shows it; a `Share`
    where the step's work is so many items.
    """

    state: Any
    messages: Sequence[tuple[str, Any]] = ()
    result: R | None = None
    progress: float | None = None


@message(2)
@dataclass(frozen=True)
class Idle:
    """The state before `start()`."""


@message(3)
@dataclass(frozen=True)
class Done:
    """The state after the result; nothing more is expected."""


@message(4)
@dataclass(frozen=True)
class _Saved:
    """A role at rest: counters of both directions, digests of what came, encoded state.

    Digests of one peer's stand one after the other: a role is saved at every turn.
    """

    step: Annotated[str, Text(128)]
    sent: Annotated[dict[str, int], Length(64)]
    seen: Annotated[dict[str, Annotated[bytes, Length(_DIGEST << 20)]], Length(64)]
    state: Annotated[bytes, Length(1 << 31)]


class Role(Generic[R]):
    """Base of all roles: numbering, repeats, phases, saving.

    Args:
        context: session, step, this party's name, its randomness and its store.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {}

    def __init__(self, context: Context) -> None:
        self.context = context
        self.state: Any = Idle()
        self.incoming = b""
        """The name (`naming`) of the message that a handler has: what is drawn under it follows
        from what a peer says, not from how its frame was sealed. Many megabytes are read once."""
        self._sent_count: dict[str, int] = {}
        self._digests: dict[str, bytearray] = {}

    def __repr__(self) -> str:
        name, state = type(self).__qualname__, type(self.state).__qualname__
        return f"<{name} at {self.context.party}, step {self.context.step}, state {state}>"

    def begin(self) -> Turn[R]:
        """The first turn; a role that only answers returns its waiting state."""
        raise NotImplementedError

    def ahead(self) -> None:
        """Work that needs no further message, for the time until the next one comes.

        Drivers call it once a step's messages are out. It only makes what a role that was restored
        makes again when it is needed, be it in memory or as parts of its store, and never changes
        the state: whether it is called makes a difference to the clock alone.
        """

    def start(self) -> Outgoing[R]:
        """Begin; raises `MisuseError` if the role has begun already."""
        if not isinstance(self.state, Idle):
            raise MisuseError("the role has started already", step=self.context.step)
        return self._take_turn(self.begin())

    def receive(self, envelope: Envelope) -> Outgoing[R]:
        """Take one envelope. An identical repeat is ignored, a differing one is an error."""
        self.incoming = name_of(envelope.payload, self.context.naming)
        digest = _digest(envelope, self.incoming)
        if not self._screen(envelope, digest):
            return Outgoing()
        try:
            handler, incoming = self._handler_for(envelope)
            turn = getattr(self, handler)(self.state, incoming, envelope.sender)
        except PeerError as error:
            error.step = error.step or self.context.step
            raise
        self._digests.setdefault(envelope.sender, bytearray()).extend(digest)
        return self._take_turn(turn)

    def save(self) -> bytes:
        """The role as bytes, secrets included: for a sealed checkpoint only."""
        seen = {peer: bytes(digests) for peer, digests in self._digests.items()}
        return encode(_Saved(self.context.step, dict(self._sent_count), seen, encode(self.state)))

    def restore(self, data: bytes) -> None:
        """Become the role that `save()` kept; the constructor's arguments must be the same."""
        saved = decode(data, _Saved)
        if saved.step != self.context.step:
            raise MisuseError(f"checkpoint of step {saved.step}", step=self.context.step)
        self.state = decode(saved.state, *self._states())
        self._sent_count = dict(saved.sent)
        self._digests = {peer: bytearray(digests) for peer, digests in saved.seen.items()}

    @classmethod
    def _states(cls) -> tuple[type, ...]:
        return (Idle, Done, *dict.fromkeys(state for state, _ in cls.transitions))

    def _handler_for(self, envelope: Envelope) -> tuple[str, Any]:
        state = type(self.state)
        allowed = tuple(m for s, m in self.transitions if s is state)
        every = tuple(dict.fromkeys(m for _, m in self.transitions))
        incoming: Any = decode(envelope.payload, *every)
        handler = self.transitions.get((state, type(incoming)))
        if handler is None:
            names = " or ".join(m.__qualname__ for m in allowed) or "nothing more"
            found = type(incoming).__qualname__
            raise PhaseError(f"{found} found, {names} expected", step=self.context.step)
        return handler, incoming

    def _screen(self, envelope: Envelope, digest: bytes) -> bool:
        mine = self.context
        if envelope.session != mine.session:
            raise PeerError("envelope of another session", step=mine.step)
        if envelope.receiver != mine.party or envelope.step != mine.step:
            raise PeerError("envelope for another role", step=mine.step)
        seen, number = self._digests.get(envelope.sender, b""), envelope.sequence
        expected = len(seen) // _DIGEST
        if number < expected:
            if seen[number * _DIGEST : (number + 1) * _DIGEST] != digest:
                raise PeerError("a repeated envelope differs from the first", step=mine.step)
            return False
        if number > expected:
            raise PeerError(f"envelope #{number} found, #{expected} expected", step=mine.step)
        return True

    def _take_turn(self, turn: Turn[R]) -> Outgoing[R]:
        self.state = turn.state
        messages = tuple(self._address(peer, encode(m)) for peer, m in turn.messages)
        return Outgoing(messages, turn.result, turn.progress)

    def _address(self, peer: str, payload: bytes) -> Envelope:
        mine = self.context
        sequence = self._sent_count.get(peer, 0)
        self._sent_count[peer] = sequence + 1
        return Envelope(mine.session, mine.step, mine.party, peer, sequence, payload)


def _digest(envelope: Envelope, payload: bytes) -> bytes:
    """Of all of it, by the hash of its payload."""
    return hashlib.sha256(encode(replace(envelope, payload=payload))).digest()
