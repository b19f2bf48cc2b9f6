"""Keys out of keys, and streams: everything that one session draws, by a name of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from psi.kernels import aes

__all__ = ["KEY", "Session", "commitment", "derive", "fill", "run_name", "words"]

KEY = 32
"""Bytes of a coin and of a derived key."""
_STRIDE = 1 << 40
"""Blocks of a stream that belong to one chunk."""

Words = np.ndarray[Any, np.dtype[np.uint64]]


def derive(key: bytes, name: str) -> bytes:
    """A key of 32 bytes from another one, under a name."""
    return hashlib.blake2s(b"fedprofile vole v1 " + name.encode(), key=key).digest()


def words(key: bytes, chunk: int, count: int) -> Words:
    """`uint64[count]`, count even: this chunk's part of the key's stream (AES-128, counter)."""
    out = np.empty(count, np.uint64)
    fill(key[:16], chunk, out)
    return out


def fill(key: bytes, chunk: int, out: Words) -> None:
    """The same into `out: uint64[n]`, n even, for a key of 16 bytes."""
    aes.stream(key, chunk * _STRIDE, out)


def run_name(session: bytes, step: str, receiver: int, sender: int) -> bytes:
    """32 bytes that name one run: its session, its step, both sizes."""
    text = f"{len(session)} {receiver} {sender} {step} ".encode()
    return hashlib.blake2s(text + session, person=b"vole run").digest()


def commitment(coin: bytes, session: bytes) -> bytes:
    """Binds whoever sends it to a coin of 32 uniform bytes, and hides it until it is opened."""
    return hashlib.blake2s(coin, key=session[:32], person=b"vole com").digest()


@dataclass(frozen=True, repr=False)
class Session:
    """The public coin of one run, and what is drawn from it; nothing here is secret.

    It is bound to session, step and both sizes, and neither side can choose it.
    """

    coin: bytes

    @classmethod
    def toss(cls, name: bytes, receiver: bytes, sender: bytes) -> Session:
        """The coin of both sides' contributions to the run of that name."""
        return cls(hashlib.blake2s(name + receiver + sender, person=b"volecoin").digest())

    def key(self, name: str) -> bytes:
        """A public key of 32 bytes."""
        return derive(self.coin, name)
