"""32 bytes that stand for a message at the party that has it, and are told nobody.

A small message's name is its SHA-256. That of a large one is made of two values of GMAC, each under
a key that follows from a secret of this party's: with the keys unknown, two messages of at most
2^26 blocks have one name with probability 2^-200 at most (GHASH is a polynomial's value at a secret
point), whatever whoever makes them has seen drawn under names. No name leaves this party but
hashed with its seed, so nobody learns of the keys by it.

Source: NIST SP 800-38D; McGrew, Viega, "The security and performance of the Galois/Counter mode",
2004: the collision bound of GHASH.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["LARGE", "name_of"]

LARGE = 1 << 16
"""Bytes of a message from which on its name is made under the secret."""
_NONCE = bytes(12)


def name_of(payload: bytes, secret: bytes) -> bytes:
    """A message's name: the same for the same message and secret, 32 bytes.

    secret: of this party's own, or empty: then SHA-256 names all.
    """
    if not secret or len(payload) < LARGE:
        return hashlib.sha256(payload).digest()
    found = hashlib.sha256()
    for which in range(2):
        key = hashlib.blake2s(bytes([which]), key=secret, person=b"msg name").digest()
        found.update(AESGCM(key).encrypt(_NONCE, b"", payload))
    return found.digest()
