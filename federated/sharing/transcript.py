"""What a role has received, and randomness that follows from it.

A one-time pad must never carry two texts. A party that is restored from an older copy of its disk
runs again what it ran before: with fresh randomness, or after other messages, it would send other
texts under the same pads. So everything that such a role draws comes from a secret seed, drawn once
from the operating system and kept in its state, and from a hash of all that it has received: equal
histories give equal bytes, others give other pads.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Annotated

from psi.protocol import Length, MisuseError, Random

__all__ = ["SEED", "Transcript"]

SEED = 32


@dataclass(frozen=True, repr=False)
class Transcript:
    """A seed of this party's own, and the hash of the messages so far."""

    seed: Annotated[bytes, Length(SEED)]
    heard: Annotated[bytes, Length(SEED)] = b""

    @classmethod
    def begin(cls, random: Random, about: bytes) -> Transcript:
        """With a seed from the operating system's generator, bound to a session and step."""
        return cls(random(SEED), hashlib.blake2s(about, person=b"sharehrd").digest())

    def hear(self, digest: bytes) -> Transcript:
        """After one message more, by its hash: `Role.incoming`. Raises `MisuseError` for none."""
        if len(digest) != SEED:
            raise MisuseError(f"a hash of {len(digest)} bytes of a message, {SEED} expected")
        text = self.heard + digest
        return replace(self, heard=hashlib.blake2s(text, person=b"sharehrd").digest())

    def draw(self, name: str, size: int) -> bytes:
        """Bytes that nobody else can know, the same for the same history and name."""
        text = self.heard + name.encode()
        key = hashlib.blake2s(text, key=self.seed, person=b"sharedrw").digest()
        return hashlib.shake_256(key).digest(size)

    def random(self, name: str) -> Random:
        """A generator for code that asks for bytes call by call."""
        calls = iter(range(1 << 62))
        return lambda size: self.draw(f"{name}/{next(calls)}", size)
