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
from psi.kernels.half_gates import PER_KEY, evaluated, garbled
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
    """Public keys of a circuit's products: `PER_KEY` of them each, none for two calls."""

    def __init__(self, nonce: bytes) -> None:
        self._nonce, self._calls = nonce, 0

    def next(self, products: int) -> Bits:
        """Of a call with so many products."""
        self._calls += 1
        return public_keys(self._nonce, f"gates {self._calls}", -(-products // PER_KEY))


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
        out, gates = garbled(first, second, self._delta, self._keys.next(len(first)))
        self._made.append(gates)
        return out.reshape(a.shape)


class Evaluator:
    """Uses gates up, in the order of the circuit."""

    def __init__(self, gates: Words, nonce: bytes) -> None:
        self._gates, self._keys, self._at = gates, _Keys(nonce), 0

    def product(self, a: Words, b: Words) -> Words:
        """See `Engine`. Raises `PeerError` where no gates are left."""
        first, second = a.reshape(-1, 2), b.reshape(-1, 2)
        found = self._gates[self._at : self._at + 2 * len(first)]
        if len(found) != 2 * len(first):
            raise PeerError("fewer gates than the circuit has")
        self._at += len(found)
        return evaluated(first, second, found, self._keys.next(len(first))).reshape(a.shape)

    def end(self) -> None:
        """Raise `PeerError` where gates are left."""
        if self._at != len(self._gates):
            raise PeerError("more gates than the circuit has")
