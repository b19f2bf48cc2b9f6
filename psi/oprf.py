"""The oblivious pseudorandom function under the set intersection: blind, evaluate, finalize.

F(k, x) = 64k · E(x), by u-coordinate, with E the RFC 9380 encoding to Curve25519 (Elligator 2,
one preimage: its fibres can be sampled, so the simulation goes through without a second). The
receiver sends 8r · E(x), the sender answers with 8k times that, the receiver takes r off. All
scalars on received points are multiples of eight: torsion dies and low-order points become
zero, which is refused. Structure as in RFC 9497, whose suites are other ones; the protocol is
that of Jarecki and Liu 2010 with one blind a job instead of one an item: the sender sees
8r · E(x) for all x under one r, which Decisional Diffie-Hellman hides as it hides each alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import scalars
from psi.kernels.curve25519 import canonical, encode_to_curve, is_zero, multiply
from psi.protocol.errors import MisuseError, PeerError

__all__ = ["DST", "blind", "encode", "evaluate", "finalize", "own"]

DST = b"fedprofile-v1-curve25519_XMD:SHA-512_ELL2_NU_"
Points = np.ndarray[Any, np.dtype[np.uint8]]


def encode(data: Points, offsets: np.ndarray[Any, np.dtype[np.int64]]) -> Points:
    """E(x) for every string of an Arrow buffer: `uint8[n, 32]`."""
    return encode_to_curve(data, offsets, DST)


def blind(encoded: Points, r: int) -> Points:
    """The receiver's message: 8r times its encoded items."""
    return _nonzero(multiply(encoded, scalars.blinding(r)), MisuseError)


def evaluate(received: Points, k: int) -> Points:
    """The sender's answer: 8k times what came. Raises `PeerError` on a bad point."""
    return _nonzero(multiply(_checked(received), scalars.evaluation(k)), PeerError)


def finalize(received: Points, r: int) -> Points:
    """The receiver's values: the blind taken off what came. Raises `PeerError` on a bad point."""
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
        raise error(f"{bad} of {len(points)} points are of low order")
    return points
