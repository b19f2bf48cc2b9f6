"""Base oblivious transfers on Curve25519: pairs of keys at one side, one of each at the other.

    giver                                   chooser, with bits c_i
      A = a·G                     ──►
                                  ◄──       B_i0, B_i1: at c_i a point x_i·G, at the other one a
      k_ib = H(i, b, A, B_ib, a·B_ib)       point that nobody knows the logarithm of
                                            k_ic = H(i, c, A, B_ic, x_i·A)

Both points are uniform in the group of prime order, so the giver sees nothing of c, whatever it
sends. The chooser knows one key a pair by computational Diffie-Hellman with H a random oracle,
if it samples the other point honestly: a u-coordinate drawn until it is on the curve, times the
cofactor. This is the semi-honest setting: a chooser that cheats can know both keys. All scalars
are multiples of eight; points that are not canonical or of low order end the session.

Sources: Bellare and Micali 1989; Naor and Pinkas 2001 (one a for all pairs).
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import gmpy2
import numpy as np

from psi.kernels.curve25519 import (
    PRIME,
    canonical,
    is_zero,
    multiply,
    multiply_each,
)
from psi.kernels.scalars import random_scalar
from psi.protocol import PeerError, Random

__all__ = ["KEY", "BaseTransfers", "buffered", "choose", "give", "offer"]

KEY = 16
"""Bytes of a transferred key."""
_CURVE = 486662
_P = gmpy2.mpz(PRIME)
_DRAWN = 1 << 12

Points = np.ndarray[Any, np.dtype[np.uint8]]
Bits = np.ndarray[Any, np.dtype[np.uint8]]


class BaseTransfers(Protocol):
    """What this module gives: a role can take another way to make base transfers."""

    def offer(self, random: Random, /) -> tuple[bytes, bytes]: ...
    def choose(
        self, point: bytes, bits: Bits, session: bytes, random: Random, /
    ) -> tuple[Points, Points]: ...
    def give(self, secret: bytes, point: bytes, points: Points, session: bytes, /) -> Points: ...


def offer(random: Random) -> tuple[bytes, bytes]:
    """The giver's secret and its point A, 32 bytes each."""
    secret = _scalar(random)
    return secret, multiply(_generator(1), secret)[0].tobytes()


def choose(point: bytes, bits: Bits, session: bytes, random: Random) -> tuple[Points, Points]:
    """The chooser's points, `uint8[2n, 32]`, and its keys, `uint8[n, 16]`, for `bits: uint8[n]`.

    Raises `PeerError` on a bad point.
    """
    count, random = len(bits), buffered(random)
    if len(point) != 32:
        raise PeerError(f"a point of {len(point)} bytes in the base transfers, 32 expected")
    given = np.frombuffer(point, np.uint8).reshape(1, 32)
    _check(given)
    scalars = np.frombuffer(b"".join(_scalar(random) for _ in range(count)), np.uint8)
    mine = multiply_each(_generator(count), scalars.reshape(count, 32))
    chosen, other = bits[:, None] == np.arange(2), _sampled(count, random)
    pairs = np.where(chosen[:, :, None], mine[:, None], other[:, None])
    shared = multiply_each(np.repeat(given, count, axis=0), scalars.reshape(count, 32))
    _check_result(shared)
    keys = b"".join(
        _hash(session, 2 * i + int(bits[i]), point, mine[i], shared[i]) for i in range(count)
    )
    return pairs.reshape(2 * count, 32), np.frombuffer(keys, np.uint8).reshape(count, KEY)


def give(secret: bytes, point: bytes, points: Points, session: bytes) -> Points:
    """The giver's keys, `uint8[n, 2, 16]`. Raises `PeerError` on a bad point."""
    _check(points)
    shared = multiply(points, secret)
    _check_result(shared)
    keys = (_hash(session, i, point, points[i], shared[i]) for i in range(len(points)))
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 2, KEY)


def _scalar(random: Random) -> bytes:
    """Eight times a uniform scalar, as an integer."""
    return (8 * random_scalar(random)).to_bytes(32, "little")


def _generator(count: int) -> Points:
    out = np.zeros((count, 32), np.uint8)
    out[:, 0] = 9
    return out


def _sampled(count: int, random: Random) -> Points:
    """Uniform points of the prime-order group, drawn without their logarithms.

    They are sent, so that their making need not take the same time whatever they are.
    """
    found: list[bytes] = []
    while len(found) < count:
        u = gmpy2.mpz(int.from_bytes(random(32), "little") >> 1)
        if u < _P and gmpy2.jacobi(u * (u * u + _CURVE * u + 1), _P) == 1:
            found += _times_eight(u)
    return np.frombuffer(b"".join(found), np.uint8).reshape(count, 32)


def _times_eight(u: Any) -> list[bytes]:
    """Eight times the point with this u, or nothing where that is the neutral element.

    Three doublings of RFC 7748's ladder.
    """
    x, z = u, gmpy2.mpz(1)
    for _ in range(3):
        aa, bb = (x + z) ** 2 % _P, (x - z) ** 2 % _P
        x, z = aa * bb % _P, (aa - bb) * (aa + 121665 * (aa - bb)) % _P
    return [int(x * gmpy2.invert(z, _P) % _P).to_bytes(32, "little")] if z else []


def buffered(random: Random) -> Random:
    """The same generator, asked for many bytes at a time."""
    left = bytearray()

    def draw(size: int) -> bytes:
        while len(left) < size:
            left.extend(random(_DRAWN))
        taken = bytes(left[:size])
        del left[:size]
        return taken

    return draw


def _hash(session: bytes, number: int, giver: bytes, mine: Points, shared: Points) -> bytes:
    text = number.to_bytes(4, "little") + giver + mine.tobytes() + shared.tobytes() + session
    return hashlib.blake2s(text, digest_size=KEY, person=b"voleotk1").digest()


def _check(points: Points) -> None:
    if not canonical(points).all():
        raise PeerError("a point of the base transfers is not canonical")


def _check_result(points: Points) -> None:
    if is_zero(points).any():
        raise PeerError("a point of the base transfers is of low order")
