"""A party's own keys, and the public identity that others pin.

Two Ed25519 keys a party: the *organisation* key signs contracts and ledger lines, the
*sealing* key signs the handshake of each job. Neither has to do with TLS.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from psi.protocol import Length, PeerError, Text, message

__all__ = ["Identity", "PartyKeys"]


@message(0xA0)
@dataclass(frozen=True)
class Identity:
    """Who a party is to the others: its name and both public keys (32 bytes each)."""

    name: Annotated[str, Text(64)]
    organisation: Annotated[bytes, Length(32)]
    sealing: Annotated[bytes, Length(32)]

    @property
    def fingerprint(self) -> str:
        """What two officers read to each other: SHA-256 of both keys, in groups of four."""
        data = b"fedprofile identity v1" + self.name.encode() + self.organisation + self.sealing
        text = hashlib.sha256(data).hexdigest()[:40]
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))

    def check_organisation(self, signature: bytes, data: bytes, what: str) -> None:
        """Raise `PeerError` unless this party's organisation key signed `data`."""
        _check(self.organisation, signature, data, f"{what}: not signed by {self.name}")

    def check_sealing(self, signature: bytes, data: bytes, what: str) -> None:
        """Raise `PeerError` unless this party's sealing key signed `data`."""
        _check(self.sealing, signature, data, f"{what}: not signed by {self.name}")


def _check(public: bytes, signature: bytes, data: bytes, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        raise PeerError(text, hint="compare the fingerprints out of band") from None


class PartyKeys:
    """Both private keys of one party. Never printed, never sent."""

    def __init__(
        self, name: str, organisation: Ed25519PrivateKey, sealing: Ed25519PrivateKey
    ) -> None:
        self._organisation, self._sealing = organisation, sealing
        self.identity = Identity(name, _raw(organisation.public_key()), _raw(sealing.public_key()))

    @classmethod
    def generate(cls, name: str) -> PartyKeys:
        """Fresh keys from the operating system's generator."""
        return cls(name, Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())

    @classmethod
    def from_private(cls, name: str, both: bytes) -> PartyKeys:
        """The keys of `private_bytes`."""
        halves = (Ed25519PrivateKey.from_private_bytes(both[i : i + 32]) for i in (0, 32))
        return cls(name, *halves)

    def __repr__(self) -> str:
        return f"<keys of {self.identity.name}>"

    def private_bytes(self) -> bytes:
        """Both private keys, 64 bytes: for a sealed key file, or this node's process for jobs."""
        return self._organisation.private_bytes_raw() + self._sealing.private_bytes_raw()

    def sign_organisation(self, data: bytes) -> bytes:
        """64 bytes."""
        return self._organisation.sign(data)

    def sign_sealing(self, data: bytes) -> bytes:
        """64 bytes."""
        return self._sealing.sign(data)


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes_raw()
