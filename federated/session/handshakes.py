"""A session's handshakes with all peers, of which a party that is killed among them loses none.

    initiator -> responder   Plain(hello)
    responder -> initiator   Plain(answer)

What a peer may have seen must not change afterwards. So ephemeral keys are kept in the journal
before the hello leaves, and the answer with its channel before the answer leaves; once there is a
channel the ephemeral keys are forgotten. A message that comes again is answered as before, one
that differs from the first and is signed is an error, and one that the peer has not signed is
`NotOpened`, which changes nothing here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from federated.keys.party_keys import Identity, PartyKeys
from federated.session.journal import HANDSHAKE, Journal
from federated.session.sealing import Channel, Handshake, NotOpened
from psi.protocol import Length, PeerError, Text, decode, encode, message

__all__ = ["Handshakes", "Plain"]


@message(0xA9)
@dataclass(frozen=True)
class Plain:
    """A handshake message: not sealed, for there is no channel yet."""

    sender: Annotated[str, Text(64)]
    receiver: Annotated[str, Text(64)]
    data: Annotated[bytes, Length(1 << 13)]


@message(0xA7)
@dataclass(frozen=True)
class _Hand:
    """One handshake at rest: the keys of a hello that is not answered, or else the channel.

    `sent` is what went to the peer, `taken` the SHA-256 of what came from it.
    """

    secret: Annotated[bytes, Length(96)]
    sent: Annotated[bytes, Length(1 << 13)]
    taken: Annotated[bytes, Length(32)]
    channel: Annotated[bytes, Length(1 << 9)]

    def __repr__(self) -> str:
        return f"<handshake at rest, {'done' if self.taken else 'begun'}>"


class Handshakes:
    """The handshakes of party `keys` with all others in `pinned`; sans-IO but for the journal.

    `channels` holds a channel for each peer whose handshake is done.
    """

    def __init__(
        self, session: bytes, keys: PartyKeys, pinned: Mapping[str, Identity], journal: Journal
    ) -> None:
        self._session, self._keys, self._journal = session, keys, journal
        self._name = keys.identity.name
        self._peers = {name: who for name, who in pinned.items() if name != self._name}
        self._hands: dict[str, _Hand] = {}
        self._begun: dict[str, Handshake] = {}
        self.channels: dict[str, Channel] = {}
        for peer, who in self._peers.items():
            data = journal.kept(HANDSHAKE + peer)
            if data is not None:
                self._hands[peer] = hand = decode(data, _Hand)
                if hand.taken:
                    self.channels[peer] = Channel.restore(self._name, peer, hand.channel)
                else:
                    self._begun[peer] = Handshake(session, keys, who, hand.secret)

    def __repr__(self) -> str:
        return f"<handshakes of {self._name}, {len(self.channels)} of {len(self._peers)} done>"

    @property
    def begun(self) -> bool:
        """Whether this party may have said something."""
        return bool(self._hands)

    def met(self, peer: str) -> bool:
        """Whether this party has said something to a peer, which may have a channel then."""
        return peer in self._hands

    @property
    def done(self) -> bool:
        """Whether there is a channel to every peer."""
        return len(self.channels) == len(self._peers)

    def begin(self) -> list[tuple[str, bytes]]:
        """What to send at the start, by peer; after a restart the same as before."""
        for peer, who in self._peers.items():
            if peer not in self._hands and self._name < peer:
                hand = self._begun[peer] = Handshake(self._session, self._keys, who)
                self._keep(peer, _Hand(hand.secret, hand.hello(), b"", b""))
        return [(peer, data) for peer in self._peers for data in self.again(peer)]

    def again(self, peer: str) -> list[bytes]:
        """What this party has sent to a peer that may not have got it."""
        hand = self._hands.get(peer)
        if hand is None or (hand.taken and self._name < peer):
            return []  # nothing was sent, or it was answered
        return [encode(Plain(self._name, peer, hand.sent))]

    def take(self, sender: str, data: bytes) -> list[bytes]:
        """Take a handshake message; what to send back. Raises `NotOpened`, `PeerError`."""
        try:
            plain = decode(data, Plain)
        except PeerError as error:
            raise NotOpened(error.message, step="handshake") from None
        who = self._peers[sender]
        if plain.sender != sender or plain.receiver != self._name:
            raise NotOpened("an unexpected handshake", step="handshake")
        digest = hashlib.sha256(plain.data).digest()
        hand = self._hands.get(sender)
        if hand is not None and hand.taken:
            if hand.taken != digest:
                Handshake(self._session, self._keys, who).check(plain.data, hand.sent)
                raise PeerError(f"another handshake than {sender}'s first", step="handshake")
            return self.again(sender)
        if hand is not None:
            channel = self._begun[sender].finish(plain.data)
            del self._begun[sender]
            self._keep(sender, _Hand(b"", hand.sent, digest, channel.save()))
        elif self._name > sender:
            answer, channel = Handshake(self._session, self._keys, who).answer(plain.data)
            self._keep(sender, _Hand(b"", answer, digest, channel.save()))
        else:
            raise NotOpened("an unexpected handshake", step="handshake")
        self.channels[sender] = channel
        return self.again(sender)

    def _keep(self, peer: str, hand: _Hand) -> None:
        self._journal.keep(HANDSHAKE + peer, encode(hand))
        self._hands[peer] = hand
