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
from psi.kernels.half_gates import PER_KEY, evaluated, evaluated_chain, garbled, garbled_chain
from psi.protocol import PeerError

__all__ = ["Engine", "Evaluator", "Garbler", "coloured", "digests"]

Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]
_ONE = np.uint64(1)


class Engine(Protocol):
    """What a circuit is made of, besides sums."""

    def product(self, a: Words, b: Words) -> Words:
        """Of wires of one shape, each."""

    def chain(self, a: Words, b: Words, *, both: bool) -> Words:
        """c after each bit of `uint64[bits, ..., 2]`: first 0, and more by the product of a and b.

        c is added to b before, and to a where it is `both`.
        """


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

    def of_chain(self, bits: int, products: int) -> Bits:
        """Of a call with so many products of each bit, `uint8[bits, k, 16]`."""
        self._calls += 1
        each = -(-products // PER_KEY)
        return public_keys(self._nonce, f"gates {self._calls}", bits * each).reshape(bits, each, 16)


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

    def chain(self, a: Words, b: Words, *, both: bool) -> Words:
        """See `Engine`."""
        first, second = _wires(a, a.shape), _wires(b, a.shape)
        keys = self._keys.of_chain(*first.shape[:2])
        out, gates = garbled_chain(first, second, self._delta, keys, both=both)
        self._made.append(gates.reshape(-1, 2))
        return out.reshape(a.shape)


class Evaluator:
    """Uses gates up, in the order of the circuit."""

    def __init__(self, gates: Words, nonce: bytes) -> None:
        self._gates, self._keys, self._at = gates, _Keys(nonce), 0

    def product(self, a: Words, b: Words) -> Words:
        """See `Engine`. Raises `PeerError` where no gates are left."""
        first, second = a.reshape(-1, 2), b.reshape(-1, 2)
        found = self._next(len(first))
        return evaluated(first, second, found, self._keys.next(len(first))).reshape(a.shape)

    def chain(self, a: Words, b: Words, *, both: bool) -> Words:
        """See `Engine`. Raises `PeerError` where no gates are left."""
        first, second = _wires(a, a.shape), _wires(b, a.shape)
        bits, count, _ = first.shape
        found = self._next(bits * count).reshape(bits, 2 * count, 2)
        keys = self._keys.of_chain(bits, count)
        return evaluated_chain(first, second, found, keys, both=both).reshape(a.shape)

    def _next(self, products: int) -> Words:
        found = self._gates[self._at : self._at + 2 * products]
        if len(found) != 2 * products:
            raise PeerError("fewer gates than the circuit has")
        self._at += len(found)
        return found

    def end(self) -> None:
        """Raise `PeerError` where gates are left."""
        if self._at != len(self._gates):
            raise PeerError("more gates than the circuit has")


def _wires(labels: Words, shape: tuple[int, ...]) -> Words:
    """`uint64[bits, n, 2]` of labels that may lack an axis' length."""
    count = int(np.prod(shape[1:-1]))
    return np.broadcast_to(labels, shape).reshape(shape[0], count, 2)
