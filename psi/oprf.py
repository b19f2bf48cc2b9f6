"""The oblivious pseudorandom function under the set intersection: blind, evaluate, finalize.

F(k, x) = 512k · E(x), by u-coordinate, with E the RFC 9380 encoding to Curve25519 (Elligator 2,
one preimage: its fibres can be sampled, so the simulation goes through without a second). All
that is tagged is eight times something, and all that a received point is multiplied by: torsion
dies, and what is of low order becomes zero, which is refused.

Two blinds, for two ways that answers come back:

- in order: one blind an item, added. The receiver sends 8E(x) + R with R uniform in the
  prime-order group, which says nothing of x whatever one assumes; the sender answers with 8k
  times that; the receiver takes 8k R off, which is R's multiplier on the sender's public key
  8k G. Both R are multiples of a known point: a quarter of a multiplication each.
- shuffled: the receiver cannot know which blind an answer needs, so one r serves all. It sends
  8r · E(x), which Decisional Diffie-Hellman hides for all x together as for each alone.

A sender that lies about its public key makes the receiver's values wrong, a different way for
each item, which is no more than it can do by lying in its answers; it learns nothing by it.
Structure as in RFC 9497, whose suites are other ones. Sources: Jarecki and Liu 2010 (one blind
for all); Jarecki, Krawczyk and Xu 2021, "On the (In)Security of the Diffie-Hellman Oblivious
PRF with Multiplicative Blinding" (added blinds, in multiplicative writing, and lying keys).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import scalars
from psi.kernels.blinding25519 import BASE, DIGIT_WORDS, blind_items, unblind
from psi.kernels.curve25519 import canonical, encode_to_curve, is_zero, low_order, multiply
from psi.protocol.errors import MisuseError, PeerError
from psi.shuffling import stream

__all__ = [
    "DST",
    "blind",
    "blind_all",
    "blinds",
    "encode",
    "evaluate",
    "finalize",
    "finalize_all",
    "own",
    "public_key",
]

DST = b"fedprofile-v1-curve25519_XMD:SHA-512_ELL2_NU_"
Points = np.ndarray[Any, np.dtype[np.uint8]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Offsets = np.ndarray[Any, np.dtype[np.int64]]


def encode(data: Points, offsets: Offsets) -> Points:
    """E(x) for every string of an Arrow buffer: `uint8[n, 32]`."""
    return encode_to_curve(data, offsets, DST)


def blinds(seed: bytes, number: int, count: int) -> Words:
    """The blinds of part `number` of a set, by ChaCha20 from a secret seed: `uint64[count, 5]`."""
    return stream(count * DIGIT_WORDS, seed, number).reshape(count, DIGIT_WORDS)


def blind(data: Points, offsets: Offsets, chosen: Words) -> Points:
    """The receiver's message with a blind an item: 8E(x) + R for every string."""
    return _nonzero(blind_items(data, offsets, DST, chosen), MisuseError)


def blind_all(encoded: Points, r: int) -> Points:
    """The receiver's message with one blind for all: 8r times its encoded items."""
    return _nonzero(multiply(encoded, scalars.blinding(r)), MisuseError)


def public_key(k: int) -> bytes:
    """8k times the base point, by u-coordinate: 32 bytes."""
    base = np.frombuffer(BASE.to_bytes(32, "little"), np.uint8).reshape(1, 32)
    return bytes(multiply(base, scalars.evaluation(k))[0])


def evaluate(received: Points, k: int) -> Points:
    """The sender's answer: 8k times what came. Raises `PeerError` on a bad point."""
    return _nonzero(multiply(_checked(received), scalars.evaluation(k)), PeerError)


def finalize(received: Points, public: bytes, chosen: Words) -> tuple[Points, Points]:
    """The receiver's values with the blinds taken off, and as many strangers, pair by pair.

    A coordinate does not tell a point from its negative, so that each answer gives two values;
    one of both is F(k, x). Raises `PeerError` on a bad point or public key.
    """
    bad = int(low_order(received).sum())
    if bad:
        raise PeerError(f"{bad} of {len(received)} points are of low order")
    key = np.frombuffer(public, np.uint8).reshape(1, -1)
    if key.shape[1] != 32 or not canonical(key)[0]:
        raise PeerError("the sender's public key is not canonical")
    try:
        found = unblind(_checked(received), int.from_bytes(public, "little"), chosen)
    except ValueError:
        raise PeerError("the sender's public key is no point of the curve's prime order") from None
    return _nonzero(found[0], PeerError), _nonzero(found[1], PeerError)


def finalize_all(received: Points, r: int) -> Points:
    """The receiver's values where one blind served all. Raises `PeerError` on a bad point."""
    return _nonzero(multiply(_checked(received), scalars.unblinding(r)), PeerError)


def own(encoded: Points, k: int) -> Points:
    """The sender's values of its own items."""
    return _nonzero(multiply(encoded, scalars.own_items(k)), MisuseError)


def _checked(points: Points) -> Points:
    bad = int((~canonical(points)).sum())
    if bad:
        raise PeerError(f"{bad} of {len(points)} points are not canonical")
    return points


def _nonzero(points: Points, error: type[PeerError] | type[MisuseError]) -> Points:
    bad = int(is_zero(points).sum())
    if bad:
        raise error(f"{bad} of {len(points)} points are of low order, or not on the curve")
    return points
