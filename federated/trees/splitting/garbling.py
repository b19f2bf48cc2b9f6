"""Garbled gates: half gates with free sums, many at a time.

A wire has a label of 128 bits for 0 and one for 1, which differ by Δ; bit 0 of Δ is 1, so bit 0 of
a label, its colour, tells the two apart and says nothing of the value. Sums of wires cost nothing;
a product of two wires is two blocks. `Garbler` works on labels for 0, `Evaluator` on the one label
a wire that it has; both run the same circuit. Labels are `uint64[..., 2]`.

Source: S. Zahur, M. Rosulek, D. Evans, "Two halves make a whole", 2015 (eprint 2014/756); hash
under new keys for every few gates: C. Guo et al. 2020 (eprint 2019/1168).
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from federated.sharing.keys import public_keys
from federated.trees.splitting.transfers import PER_KEY
from psi.kernels import aes
from psi.protocol import PeerError

__all__ = ["Engine", "Evaluator", "Garbler", "coloured", "digests"]

Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]
_ONE = np.uint64(1)


class Engine(Protocol):
    """What a circuit is made of, besides sums."""

    def product(self, a: Words, b: Words) -> Words:
        """Of wires of one shape, each."""


def coloured(labels: Words) -> Bits:
    """The colour of each label."""
    return (labels[..., 0] & _ONE).astype(np.uint8)


def digests(labels: Words, nonce: bytes) -> Bits:
    """Of labels `uint64[n, 2]` what tells them without giving them away, `uint8[n, 32]`.

    An evaluating side that sends a label checks it by this first: of wrong gates it would have
    labels that no wire has, and each would tell all the inputs that led to it.
    """
    rows = np.ascontiguousarray(labels, "<u8").reshape(-1, 2)
    made = [hashlib.blake2s(row.tobytes(), key=nonce, person=b"splitend").digest() for row in rows]
    return np.frombuffer(b"".join(made), np.uint8).reshape(len(rows), 32)


class _Keys:
    """Public keys of a circuit's hashes: `PER_KEY` blocks each, none for two products."""

    def __init__(self, nonce: bytes) -> None:
        self._nonce, self._calls = nonce, 0

    def hashed(self, blocks: Words) -> Words:
        """H of blocks `uint64[k, n, 2]` of n gates: row 2j, 2j + 1 (or j) under one tweak."""
        k, n, _ = blocks.shape
        keys = public_keys(self._nonce, f"gates {self._calls}", -(-n // (PER_KEY // 4)))
        self._calls += 1
        turned = np.empty_like(blocks)
        half = np.arange(2, dtype=np.uint64).repeat(k // 2)[:, None] << np.uint64(32)
        tweaks = np.arange(n, dtype=np.uint64)[None] | half
        turned[..., 0] = blocks[..., 0] ^ blocks[..., 1] ^ tweaks
        turned[..., 1] = blocks[..., 0]
        out, step = np.empty_like(turned), PER_KEY // 4
        for at, key in enumerate(keys):
            own = np.ascontiguousarray(turned[:, at * step : (at + 1) * step])
            made = aes.encrypt(key.tobytes(), own.reshape(-1, 2)).reshape(own.shape)
            out[:, at * step : (at + 1) * step] = made ^ own
        return out


class Garbler:
    """Makes gates; `gates` has them, `uint64[n, 2]` blocks, in the order of the circuit."""

    def __init__(self, delta: Words, nonce: bytes) -> None:
        self._delta, self._keys = delta, _Keys(nonce)
        self._made: list[Words] = []

    @property
    def gates(self) -> Words:
        """All so far."""
        return np.concatenate([np.zeros((0, 2), np.uint64), *self._made])

    def product(self, a: Words, b: Words) -> Words:
        """See `Engine`."""
        first, second = a.reshape(-1, 2), b.reshape(-1, 2)
        delta = self._delta
        told = self._keys.hashed(np.stack([first, first ^ delta, second, second ^ delta]))
        on_a = (0 - (first[:, :1] & _ONE)).astype(np.uint64)
        on_b = (0 - (second[:, :1] & _ONE)).astype(np.uint64)
        garbler = told[0] ^ told[1] ^ (delta & on_b)
        evaluator = told[2] ^ told[3] ^ first
        self._made.append(np.concatenate([garbler, evaluator]))
        out = told[0] ^ (garbler & on_a) ^ told[2] ^ ((evaluator ^ first) & on_b)
        return np.asarray(out.reshape(a.shape))


class Evaluator:
    """Uses gates up, in the order of the circuit."""

    def __init__(self, gates: Words, nonce: bytes) -> None:
        self._gates, self._keys, self._at = gates, _Keys(nonce), 0

    def product(self, a: Words, b: Words) -> Words:
        """See `Engine`. Raises `PeerError` where no gates are left."""
        first, second = a.reshape(-1, 2), b.reshape(-1, 2)
        count = len(first)
        found = self._gates[self._at : self._at + 2 * count]
        if len(found) != 2 * count:
            raise PeerError("fewer gates than the circuit has")
        self._at += 2 * count
        garbler, evaluator = found[:count], found[count:]
        told = self._keys.hashed(np.stack([first, second]))
        on_a = (0 - (first[:, :1] & _ONE)).astype(np.uint64)
        on_b = (0 - (second[:, :1] & _ONE)).astype(np.uint64)
        out = told[0] ^ (garbler & on_a) ^ told[1] ^ ((evaluator ^ first) & on_b)
        return np.asarray(out.reshape(a.shape))

    def end(self) -> None:
        """Raise `PeerError` where gates are left."""
        if self._at != len(self._gates):
            raise PeerError("more gates than the circuit has")
