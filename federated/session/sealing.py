"""Sealed channels between two parties: what the coordinator relays and cannot read.

Handshake, once a job and pair (the name that sorts first is the initiator):

    initiator -> responder   Hello   X25519 and ML-KEM-768 public keys, signed
    responder -> initiator   Answer  X25519 public key, ML-KEM ciphertext, signed over both

Both signatures are by the pinned sealing keys and cover the session and both names; the
responder's covers the whole transcript. Keys come from HKDF-SHA256 over both shared secrets,
with the transcript's hash as salt: one root key a direction, and an exporter. Frames of the count
are sealed by AES-256-GCM with counter nonces, under a key of the life of the party that seals
them: from the root and a random salt that goes with each frame. So a party that goes on from an
older copy of itself uses no key and nonce for two texts, whatever it is told. A farewell or a note
of progress has a key of its own, from the root and a salt as well. A recording is safe unless
X25519 *and* ML-KEM-768 both fall; signatures are Ed25519 alone, so a quantum computer of the future
forges nothing about the past.

Every frame's associated data binds session, contract hash, step, sequence, counter, sender
and receiver. Beside the payload a frame carries that salt and a head of its sender's ledger, sealed
under the same key with nonces of its own, so that a large payload is not copied for it.

Sources: SIGMA (Krawczyk 2003), FIPS 203, RFC 7748, RFC 5869, NIST SP 800-38D.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Annotated, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federated.keys.party_keys import Identity, PartyKeys
from psi.protocol import Envelope, Length, PeerError, Random, Range, Text, decode, encode, message
from psi.protocol.codec import peek
from psi.protocol.envelope import LARGEST_PAYLOAD

__all__ = [
    "ASIDE",
    "NO_CONTRACT",
    "Channel",
    "Handshake",
    "NotOpened",
    "Sealed",
    "SealedFrame",
    "frame_step",
]

NO_CONTRACT = bytes(32)
"""Stands for the contract's hash while the contract is still being agreed."""


ASIDE = 2**40
"""The number of frames that are outside of the count."""

_M = TypeVar("_M")

_SALT = _DIGEST = 32
_ASIDE_LABEL = b"fedprofile aside v2"
_LIFE_LABEL = b"fedprofile life v2"
_LARGE = 1 << 18
"""Bytes that are worth a thread."""
_AHEAD = "_ahead"
_MOST_LIVES = 64
"""Of which a key is kept; more are derived again."""


@message(0xA1)
@dataclass(frozen=True)
class _Hello:
    session: Annotated[bytes, Length(32)]
    x25519: Annotated[bytes, Length(32)]
    mlkem: Annotated[bytes, Length(1184)]
    signature: Annotated[bytes, Length(64)]


@message(0xA2)
@dataclass(frozen=True)
class _Answer:
    x25519: Annotated[bytes, Length(32)]
    mlkem: Annotated[bytes, Length(1088)]
    signature: Annotated[bytes, Length(64)]


@message(0xA3)
@dataclass(frozen=True, kw_only=True)
class SealedFrame:
    """What a router carries: the way and number in clear, payload and ledger head sealed."""

    session: Annotated[bytes, Length(32)]
    step: Annotated[str, Text(128)]
    sender: Annotated[str, Text(64)]
    receiver: Annotated[str, Text(64)]
    sequence: Annotated[int, Range(0, 2**40)]
    counter: Annotated[int, Range(0, 2**40)]
    sealed: Annotated[bytes, Length(LARGEST_PAYLOAD + 64)]
    head: Annotated[bytes, Length(256)] = b""

    def __repr__(self) -> str:
        return f"<sealed {self.step} {self.sender}->{self.receiver} #{self.counter}>"

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of what is sealed: 32 bytes that both ends know it by."""
        ahead: Future[bytes] | None = self.__dict__.get(_AHEAD)
        return self._hashed() if ahead is None else ahead.result()

    def hash_ahead(self) -> None:
        """Begin to hash a large frame, by another thread: whoever needs its digest waits for it."""
        if len(self.sealed) >= _LARGE and not self.__dict__.keys() & {_AHEAD, "digest"}:
            self.__dict__[_AHEAD] = _hashing(os.getpid()).submit(self._hashed)

    def _hashed(self) -> bytes:
        found = hashlib.sha256(self.sealed)
        found.update(self.head)
        return found.digest()


@message(0xA4)
@dataclass(frozen=True)
class _ChannelState:
    """A channel at rest, for a sealed checkpoint; `received` are digests, one after the other."""

    key_out: Annotated[bytes, Length(32)]
    key_in: Annotated[bytes, Length(32)]
    exporter: Annotated[bytes, Length(32)]
    sent: Annotated[int, Range()]
    received: Annotated[bytes, Length(_DIGEST << 22)]
    contract: Annotated[bytes, Length(32)]


@dataclass(frozen=True)
class Sealed:
    """An envelope, its frame and the bytes of the frame."""

    envelope: Envelope
    frame: SealedFrame
    data: bytes

    def __repr__(self) -> str:
        return f"<sealed {self.envelope!r}>"


class NotOpened(PeerError):
    """What no key of the peer's has sealed or signed: whoever carries frames can have made it."""


class Handshake:
    """One party's side of the handshake with one peer; ephemeral keys live here only."""

    def __init__(
        self, session: bytes, keys: PartyKeys, peer: Identity, secret: bytes = b""
    ) -> None:
        self._session, self._keys, self._peer = session, keys, peer
        if secret:
            self._x25519 = X25519PrivateKey.from_private_bytes(secret[:32])
            self._mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[32:])
        else:
            self._x25519 = X25519PrivateKey.generate()
            self._mlkem = MLKEM768PrivateKey.generate()
        self.initiator = keys.identity.name < peer.name

    def __repr__(self) -> str:
        return f"<handshake of {self._keys.identity.name} with {self._peer.name}>"

    @property
    def secret(self) -> bytes:
        """96 bytes of which this very handshake can be made again."""
        return self._x25519.private_bytes_raw() + self._mlkem.private_bytes_raw()

    def hello(self) -> bytes:
        """The initiator's message."""
        x25519, mlkem = self._public()
        signature = self._keys.sign_sealing(self._bind(b"hello", x25519, mlkem))
        return encode(_Hello(self._session, x25519, mlkem, signature))

    def answer(self, data: bytes) -> tuple[bytes, Channel]:
        """The responder's message and its channel. Raises `NotOpened` unless the peer signed."""
        hello, begun = self._heard(data)
        secret, ciphertext = _kem_public(hello.mlkem).encapsulate()
        shared = _exchange(self._x25519, hello.x25519) + secret
        x25519 = self._x25519.public_key().public_bytes_raw()
        transcript = self._bind(b"answer", begun, hello.signature, x25519, ciphertext)
        signature = self._keys.sign_sealing(transcript)
        return encode(_Answer(x25519, ciphertext, signature)), self._channel(shared, transcript)

    def finish(self, data: bytes) -> Channel:
        """The initiator's channel, from the responder's answer. Raises `NotOpened`, as `answer`."""
        answer, transcript = self._answered(data, self.hello())  # Ed25519 signs the same twice
        try:
            secret = self._mlkem.decapsulate(answer.mlkem)
        except ValueError:
            raise PeerError("malformed key encapsulation", step="handshake") from None
        return self._channel(_exchange(self._x25519, answer.x25519) + secret, transcript)

    def check(self, data: bytes, hello: bytes) -> None:
        """Raise `NotOpened` unless the peer signed: a hello, or the answer to this party's."""
        if self.initiator:
            self._answered(data, hello)
        else:
            self._heard(data)

    def _heard(self, data: bytes) -> tuple[_Hello, bytes]:
        """A hello, and what its signature covers."""
        hello = _read(data, _Hello)
        if hello.session != self._session:
            raise NotOpened("handshake of another session", step="handshake")
        begun = self._bind(b"hello", hello.x25519, hello.mlkem)
        self._check(hello.signature, begun)
        return hello, begun

    def _answered(self, data: bytes, hello: bytes) -> tuple[_Answer, bytes]:
        """An answer to this party's hello, and what its signature covers."""
        answer, mine = _read(data, _Answer), decode(hello, _Hello)
        begun = self._bind(b"hello", mine.x25519, mine.mlkem)
        transcript = self._bind(b"answer", begun, mine.signature, answer.x25519, answer.mlkem)
        self._check(answer.signature, transcript)
        return answer, transcript

    def _check(self, signature: bytes, signed: bytes) -> None:
        try:
            self._peer.check_sealing(signature, signed, "handshake")
        except PeerError as error:
            raise NotOpened(error.message, step="handshake", hint=error.hint) from None

    def _public(self) -> tuple[bytes, bytes]:
        x25519, mlkem = self._x25519.public_key(), self._mlkem.public_key()
        return x25519.public_bytes_raw(), mlkem.public_bytes_raw()

    def _bind(self, label: bytes, *parts: bytes) -> bytes:
        names = sorted((self._keys.identity.name, self._peer.name))
        fields = [b"fedprofile handshake v1", label, self._session]
        fields += [name.encode() for name in names] + list(parts)
        digest = hashlib.sha256()
        for field in fields:
            digest.update(len(field).to_bytes(4, "big") + field)
        return digest.digest()

    def _channel(self, shared: bytes, transcript: bytes) -> Channel:
        names = (self._keys.identity.name, self._peer.name)
        material = HKDF(SHA256(), 96, transcript, b"fedprofile channel v1").derive(shared)
        first, second, exporter = material[:32], material[32:64], material[64:]
        out, into = (first, second) if self.initiator else (second, first)
        return Channel(*names, _ChannelState(out, into, exporter, 0, b"", NO_CONTRACT))


def _read(data: bytes, kind: type[_M]) -> _M:
    try:
        return decode(data, kind)
    except PeerError as error:
        raise NotOpened(error.message, step="handshake") from None


def _exchange(mine: X25519PrivateKey, theirs: bytes) -> bytes:
    try:
        return mine.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError:
        raise PeerError("low-order key in the handshake", step="handshake") from None


def _kem_public(data: bytes) -> MLKEM768PublicKey:
    try:
        return MLKEM768PublicKey.from_public_bytes(data)
    except ValueError:
        raise PeerError("malformed ML-KEM key", step="handshake") from None


class Channel:
    """Seals what goes to one peer and opens what comes from it, in order.

    A frame that repeats an earlier one byte for byte opens to None; one that its peer has sealed
    otherwise than the first of its number, or that skips a number, raises `PeerError`, and one
    whose seal does not hold `NotOpened`, which changes nothing here. `peer_head` is the ledger
    head in the frame that was opened last. Each object seals as a life of its own.
    """

    def __init__(self, me: str, peer: str, state: _ChannelState) -> None:
        self.me, self.peer = me, peer
        self._keys = (state.key_out, state.key_in, state.exporter)
        self._salt = secrets.token_bytes(_SALT)
        self._out = AESGCM(_salted(state.key_out, self._salt, _LIFE_LABEL))
        self._lives: dict[bytes, AESGCM] = {}
        self._sent = state.sent
        self._received = bytearray(state.received)  # saved whole at every point: no list of them
        self.contract = state.contract
        self.peer_head = b""

    def __repr__(self) -> str:
        return f"<channel {self.me}<->{self.peer}, {self._sent} sent, {self.opened} read>"

    @property
    def opened(self) -> int:
        """How many frames of the peer's were opened."""
        return len(self._received) // _DIGEST

    @property
    def sent(self) -> int:
        """How many frames were sealed, those aside left out."""
        return self._sent

    def seal(self, envelope: Envelope, head: bytes = b"") -> SealedFrame:
        """The frame for one envelope, with a ledger head; each call uses the next counter."""
        counter = self._sent
        self._sent += 1
        return self._seal(envelope, counter, head)

    def seal_aside(self, envelope: Envelope, random: Random, head: bytes = b"") -> SealedFrame:
        """A frame outside of the count, for a farewell or a note of progress.

        A party may come back with the counters of its last point, so such a frame uses none of
        them: it is sealed under a key of its own, made from 32 random bytes that go with it. It
        binds the session but no contract, so that it opens before and after one is signed.
        """
        salt = random(_SALT)
        cipher = AESGCM(_salted(self._keys[0], salt, _ASIDE_LABEL))
        frame = _sealed(cipher, 0, _header(envelope, ASIDE), envelope.payload, head, _ASIDE_LABEL)
        return replace(frame, sealed=salt + frame.sealed)

    def _seal(self, envelope: Envelope, counter: int, head: bytes) -> SealedFrame:
        header = _header(envelope, counter)
        frame = _sealed(self._out, counter, header, envelope.payload, head, self._label())
        return replace(frame, head=self._salt + frame.head)

    def open(self, frame: SealedFrame) -> Envelope | None:
        """The envelope in a frame; None for an identical repeat."""
        if frame.sender != self.peer or frame.receiver != self.me:
            raise PeerError("frame for another channel", step=frame.step)
        if frame.counter == ASIDE:
            salt, inner = frame.sealed[:_SALT], replace(frame, sealed=frame.sealed[_SALT:])
            cipher = AESGCM(_salted(self._keys[1], salt, _ASIDE_LABEL))
            return self._opened(inner, *_decrypted(inner, cipher, 0, _ASIDE_LABEL))
        if frame.counter < self.opened:
            at = frame.counter * _DIGEST
            if self._received[at : at + _DIGEST] != frame.digest:
                self._read(frame)
                raise PeerError("a repeated frame differs from the first", step=frame.step)
            return None
        if frame.counter > self.opened:
            found, expected = frame.counter, self.opened
            raise PeerError(f"frame #{found} found, #{expected} expected", step=frame.step)
        frame.hash_ahead()
        envelope = self._opened(frame, *self._read(frame))
        self._received += frame.digest
        return envelope

    def holds(self, frame: SealedFrame) -> bool:
        """Whether the peer has sealed this frame of the count, whatever its turn."""
        try:
            self._read(frame)
        except NotOpened:
            return False
        return True

    def recall(self, frame: SealedFrame) -> bytes:
        """The payload of a frame that this end has sealed under the present contract."""
        key = _salted(self._keys[0], frame.head[:_SALT], _LIFE_LABEL)  # of this life or another
        cipher, nonce = AESGCM(key), _nonce(frame.counter)
        return _decrypt(cipher, nonce, frame.sealed, frame, self._label())

    def _opened(self, frame: SealedFrame, payload: bytes, head: bytes) -> Envelope:
        self.peer_head = head
        return Envelope(
            frame.session, frame.step, frame.sender, frame.receiver, frame.sequence, payload
        )

    def _read(self, frame: SealedFrame) -> tuple[bytes, bytes]:
        """Payload and head of a frame of the count, under its life's key. Raises `NotOpened`."""
        salt, inner = frame.head[:_SALT], replace(frame, head=frame.head[_SALT:])
        cipher = self._lives.get(salt)
        if cipher is not None:
            return _decrypted(inner, cipher, frame.counter, self._label())
        cipher = AESGCM(_salted(self._keys[1], salt, _LIFE_LABEL))
        found = _decrypted(inner, cipher, frame.counter, self._label())
        if len(self._lives) < _MOST_LIVES:  # of lives that there are, not of salts made up
            self._lives[salt] = cipher
        return found

    def export(self, label: str) -> bytes:
        """32 bytes that both ends share and nobody else, for the protocol named `label`."""
        info = b"fedprofile export v1" + self.contract + label.encode()
        return HKDF(SHA256(), 32, None, info).derive(self._keys[2])

    def save(self) -> bytes:
        """The channel with its keys: for a sealed checkpoint only."""
        received = bytes(self._received)
        return encode(_ChannelState(*self._keys, self._sent, received, self.contract))

    @classmethod
    def restore(cls, me: str, peer: str, data: bytes) -> Channel:
        """The channel that `save()` kept."""
        return cls(me, peer, decode(data, _ChannelState))

    def _label(self) -> bytes:
        return b"fedprofile frame v1" + self.contract


@cache
def _hashing(process: int) -> ThreadPoolExecutor:
    del process  # a forked child has none of its parent's threads
    return ThreadPoolExecutor(1, thread_name_prefix="digest")


def frame_step(data: bytes) -> str:
    """The step that a frame names on its outside; "handshake" where nothing is sealed yet."""
    if peek(data) is not SealedFrame:
        return "handshake"
    at = 2 + 8 + 32  # version and type, length of the session, the session
    size = int.from_bytes(data[at : at + 8], "little")
    return data[at + 8 : at + 8 + size].decode("utf-8", "replace")


def _header(envelope: Envelope, counter: int) -> SealedFrame:
    return SealedFrame(
        session=envelope.session,
        step=envelope.step,
        sender=envelope.sender,
        receiver=envelope.receiver,
        sequence=envelope.sequence,
        counter=counter,
        sealed=b"",
    )


def _sealed(
    cipher: AESGCM,
    number: int,
    header: SealedFrame,
    payload: bytes,
    head: bytes,
    label: bytes,
) -> SealedFrame:
    bound = label + encode(header)
    sealed = cipher.encrypt(_nonce(number), payload, bound)
    return replace(header, sealed=sealed, head=cipher.encrypt(_head_nonce(number), head, bound))


def _decrypt(cipher: AESGCM, nonce: bytes, data: bytes, frame: SealedFrame, label: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, data, label + encode(replace(frame, sealed=b"", head=b"")))
    except InvalidTag:
        raise NotOpened("a frame was altered or sealed otherwise", step=frame.step) from None


def _decrypted(
    frame: SealedFrame, cipher: AESGCM, number: int, label: bytes
) -> tuple[bytes, bytes]:
    """Payload and head of a frame without its salt. Raises `NotOpened`."""
    payload = _decrypt(cipher, _nonce(number), frame.sealed, frame, label)
    return payload, _decrypt(cipher, _head_nonce(number), frame.head, frame, label)


def _salted(root: bytes, salt: bytes, label: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, label).derive(root)


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(12, "big")


def _head_nonce(counter: int) -> bytes:
    """Counters take five bytes of a nonce; those of heads begin with a one."""
    return (1 << 88 | counter).to_bytes(12, "big")
