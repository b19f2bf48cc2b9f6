"""Base oblivious transfers on Curve25519 between parties that may cheat.

    giver                                   chooser, with bits c_i
      A = a·G                     ──►
                                  ◄──       R_i0, R_i1: the one beside c_i drawn at random,
                                            R_ic = x_i·G + T - H(i, 1-c, R_i(1-c))
      P_ib = R_ib + H(i, 1-b, R_i(1-b))
      k_ib = K(i, b, A, R_i0, R_i1, a·P_ib) k_ic = K(i, c, A, R_i0, R_i1, x_i·A)

H hashes to points of the curve: RFC 9380's map and a sign. T is a random one of the eight points
that eight takes to zero; as a and x_i are multiples of eight, it is seen in no key, and with it
both points of a pair are uniform on the curve.

- *A giver that cheats* sees two uniform points a pair whatever c is, and nothing else.
- *A chooser that cheats* has fixed one of R_i0, R_i1 when it asks H for the later of the two; the
  sum that this answer goes into is uniform and out of its hands. So its choice is known to whoever
  sees its questions to H, before it gets any key, and to know the other key it has to ask K for
  the Diffie-Hellman value of A and a uniform point.

Points are 32 bytes: u in little endian, and in the top bit the parity of v. What is not canonical
or not on the curve ends the session, and so does a result of low order. Multiplications take the
same time whatever the scalars; roots, sums and their inverses, of points that are sent or hashed,
by gmpy2, need not.

Source: Masny and Rindal 2019 (eprint 2019/706), from computational Diffie-Hellman with H and K
random oracles. Indices, both points and the session in H and K keep the transfers of one A apart,
which McQuoid, Rosulek and Roy 2021 (eprint 2021/682) show to be needed.
"""

from __future__ import annotations

import hashlib
from typing import Any

import gmpy2
import numpy as np

from psi.kernels.curve25519 import (
    LOW_ORDER,
    PRIME,
    canonical,
    encode_to_curve,
    is_zero,
    multiply,
    multiply_each,
)
from psi.kernels.roots25519 import root_candidates
from psi.kernels.scalars import random_scalar
from psi.protocol import PeerError, Random
from psi.vole.base_ot import KEY, buffered, offer

__all__ = ["KEY", "choose", "give", "offer"]

Points = np.ndarray[Any, np.dtype[np.uint8]]
Bits = np.ndarray[Any, np.dtype[np.uint8]]
Affine = tuple[Any, Any]
"""u and v, as integers."""

_CURVE = 486662
_DST = b"fedprofile-vole-malicious-v1-curve25519_XMD:SHA-512_ELL2_NU_"
_U = np.uint8(127)
"""Bits of a point's last byte that belong to u."""
_P = gmpy2.mpz(PRIME)
_ROOT_OF_MINUS_ONE = gmpy2.powmod(2, (_P - 1) // 4, _P)


def choose(point: bytes, bits: Bits, session: bytes, random: Random) -> tuple[Points, Points]:
    """The chooser's points, `uint8[2n, 32]`, and its keys, `uint8[n, 16]`, for `bits: uint8[n]`.

    Raises `PeerError` on a bad point.
    """
    count, draw = len(bits), buffered(random)
    if len(point) != 32:
        raise PeerError(f"a point of {len(point)} bytes in the base transfers, 32 expected")
    given = np.frombuffer(point, np.uint8).reshape(1, 32)
    if not canonical(given).all():
        raise PeerError("a point of the base transfers is not canonical")
    numbers = 2 * np.arange(count) + bits
    secret = b"".join((8 * random_scalar(draw)).to_bytes(32, "little") for _ in range(count))
    scalars = np.frombuffer(secret, np.uint8).reshape(count, 32)
    generator = np.zeros((count, 32), np.uint8)
    generator[:, 0] = 9
    mine = _lifted(multiply_each(generator, scalars), _bytes(draw(count)))
    torsion = _torsion()
    mine = [_sum(p, torsion[k & 7]) for p, k in zip(mine, draw(count), strict=True)]
    other = _encoded(_sampled(count, draw))
    hashed = _hashed(other, numbers ^ 1, session)
    chosen = _encoded([_sum(p, _minus(q)) for p, q in zip(mine, hashed, strict=True)])
    at = (bits[:, None] == np.arange(2))[:, :, None]
    pairs = np.where(at, chosen[:, None], other[:, None])
    shared = multiply_each(np.repeat(given, count, axis=0), scalars)
    _check_result(shared)
    return pairs.reshape(2 * count, 32), _keys(numbers, point, pairs, shared, session)


def give(secret: bytes, point: bytes, points: Points, session: bytes) -> Points:
    """The giver's keys, `uint8[n, 2, 16]`. Raises `PeerError` on a bad point."""
    numbers = np.arange(len(points))
    received, beside = _decoded(points), _hashed(points, numbers, session)
    sums = _encoded([_sum(p, beside[i ^ 1]) for i, p in enumerate(received)])
    sums[:, 31] &= _U
    shared = multiply(sums, secret)
    _check_result(shared)
    pairs = np.repeat(points.reshape(-1, 2, 32), 2, axis=0)
    return _keys(numbers, point, pairs, shared, session).reshape(-1, 2, KEY)


def _keys(
    numbers: np.ndarray, giver: bytes, pairs: Points, shared: Points, session: bytes
) -> Points:
    """K for each number 2i + b, with its pair of points and the Diffie-Hellman value."""
    keys = b"".join(
        hashlib.blake2s(
            int(number).to_bytes(4, "little") + giver + pair.tobytes() + value.tobytes() + session,
            digest_size=KEY,
            person=b"volemotk",
        ).digest()
        for number, pair, value in zip(numbers, pairs, shared, strict=True)
    )
    return np.frombuffer(keys, np.uint8).reshape(-1, KEY)


def _hashed(points: Points, numbers: np.ndarray, session: bytes) -> list[Affine]:
    """H of each point under the number 2i + b of its own place."""
    tag = hashlib.blake2s(session, person=b"volemotp").digest()
    texts = [
        int(number).to_bytes(4, "little") + tag + row.tobytes()
        for number, row in zip(numbers, points, strict=True)
    ]
    offsets = np.arange(len(texts) + 1, dtype=np.int64) * (4 + len(tag) + 32)
    mapped = encode_to_curve(_bytes(b"".join(texts)), offsets, _DST)
    signs = [hashlib.blake2s(text, digest_size=1, person=b"volemots").digest() for text in texts]
    return _lifted(mapped, _bytes(b"".join(signs)))


def _sampled(count: int, draw: Random) -> list[Affine]:
    """Uniform points of the curve, drawn without their logarithms."""
    found: list[bytes] = []
    while len(found) < count:
        u = int.from_bytes(draw(32), "little") >> 1
        if u < PRIME and gmpy2.jacobi(_square(u), PRIME) == 1:
            found.append(u.to_bytes(32, "little"))
    return _lifted(_bytes(b"".join(found)).reshape(count, 32), _bytes(draw(count)))


def _lifted(points: Points, signs: Bits) -> list[Affine]:
    """Points of the curve with these u-coordinates, v's parity the lowest bit of its sign.

    Raises `PeerError` if there is none.
    """
    found: list[Affine] = []
    for row, candidate, sign in zip(points, root_candidates(points), signs, strict=True):
        u, v = (gmpy2.mpz(int.from_bytes(x.tobytes(), "little")) for x in (row, candidate))
        square = _square(u)
        if v * v % _P != square:
            v = v * _ROOT_OF_MINUS_ONE % _P
            if v * v % _P != square:
                raise PeerError("a point of the base transfers is not on the curve")
        found.append((u, v if (v ^ int(sign)) & 1 == 0 else _P - v))
    return found


def _square(u: Any) -> Any:
    """v^2 of the curve's points with this u."""
    return u * (u * u + _CURVE * u + 1) % _P


def _decoded(points: Points) -> list[Affine]:
    coordinates, signs = points.copy(), points[:, 31] >> np.uint8(7)
    coordinates[:, 31] &= _U
    if not canonical(coordinates).all():
        raise PeerError("a point of the base transfers is not canonical")
    return _lifted(coordinates, signs)


def _encoded(points: list[Affine]) -> Points:
    data = b"".join((int(u) | (int(v) & 1) << 255).to_bytes(32, "little") for u, v in points)
    return _bytes(data).reshape(-1, 32).copy()


def _sum(p: Affine, q: Affine | None) -> Affine:
    """p + q. Raises `PeerError` where they share u, which they do by cheating or by no chance."""
    if q is None:
        return p
    if p[0] == q[0]:
        raise PeerError("points of the base transfers that are not independent")
    slope = (q[1] - p[1]) * gmpy2.invert(q[0] - p[0], _P) % _P
    u = (slope * slope - _CURVE - p[0] - q[0]) % _P
    return u, (slope * (p[0] - u) - p[1]) % _P


def _minus(p: Affine) -> Affine:
    return p[0], _P - p[1]


def _torsion() -> tuple[Affine | None, ...]:
    """The eight points whose eightfold is zero, in the order of a generator; None is zero."""
    one = _lifted(_bytes(LOW_ORDER[2].to_bytes(32, "little")).reshape(1, 32), _bytes(b"\0"))[0]
    u, v = one
    slope = (3 * u * u + 2 * _CURVE * u + 1) * gmpy2.invert(2 * v, _P) % _P
    double = (slope * slope - _CURVE - 2 * u) % _P
    found: list[Affine | None] = [None, one, (double, (slope * (u - double) - v) % _P)]
    while len(found) < 8:
        found.append(_sum(one, found[-1]))
    return tuple(found)


def _bytes(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(data, np.uint8)


def _check_result(points: Points) -> None:
    if is_zero(points).any():
        raise PeerError("a point of the base transfers is of low order")
