"""Base transfers between parties that may cheat."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest

from psi.kernels.curve25519 import LOW_ORDER, ORDER, PRIME, is_zero, multiply
from psi.kernels.roots25519 import root_candidates
from psi.protocol import PeerError
from psi.vole import base_ot as passive
from psi.vole_malicious import base_ot

SESSION = bytes(range(32))


def made(count: int) -> tuple[bytes, bytes, np.ndarray, np.ndarray, np.ndarray]:
    """The giver's secret and point, and the chooser's bits, points and keys."""
    bits = np.frombuffer(secrets.token_bytes(count), np.uint8) & np.uint8(1)
    secret, point = base_ot.offer(secrets.token_bytes)
    return secret, point, bits, *base_ot.choose(point, bits, SESSION, secrets.token_bytes)


def test_the_chosen_key_and_no_other() -> None:
    secret, point, bits, points, chosen = made(100)
    both, rows = base_ot.give(secret, point, points, SESSION), np.arange(100)
    assert (both[rows, bits] == chosen).all()
    assert (both[rows, 1 - bits] != chosen).any(axis=1).all()
    other = base_ot.give(secret, point, points, bytes(32))
    assert (other != both).any(axis=2).all()
    # a pair with another point beside it has other keys on both sides
    points[1] = points[3]
    assert (base_ot.give(secret, point, points, SESSION)[0] != both[0]).any(axis=1).all()


def test_points_tell_nothing_of_the_choice() -> None:
    """Parity, and what is left of either point once the giver adds the hash: alike on both sides.

    Without the additional point of low order the chosen side would never leave the prime-order
    group; without a sign of its own it would always have an even v.
    """
    _, _, bits, points, _ = made(600)
    received = base_ot._decoded(points)
    beside = base_ot._hashed(points, np.arange(1200), SESSION)
    sums = base_ot._encoded([base_ot._sum(p, beside[i ^ 1]) for i, p in enumerate(received)])
    odd = (sums[:, 31] >> 7).reshape(-1, 2)
    sums[:, 31] &= np.uint8(127)
    # zero is both the coordinate of the point of order two and what infinity comes out as
    nearly = is_zero(multiply(sums, ORDER.to_bytes(32, "little"))).reshape(-1, 2)
    rows = np.arange(600)
    for side in (bits, 1 - bits):
        assert 230 < odd[rows, side].sum() < 370
        assert 90 < nearly[rows, side].sum() < 215


BAD = [
    (PRIME + 2).to_bytes(32, "little"),
    (2).to_bytes(32, "little"),
    LOW_ORDER[4].to_bytes(32, "little"),
]


@pytest.mark.parametrize("bad", BAD)
def test_bad_points_end_the_transfers(bad: bytes) -> None:
    secret, point, _, points, _ = made(2)
    points[3] = np.frombuffer(bad, np.uint8)
    with pytest.raises(PeerError, match=r"not canonical|not on the curve"):
        base_ot.give(secret, point, points, SESSION)


@pytest.mark.parametrize("bad", [bytes(32), (PRIME + 2).to_bytes(32, "little"), b"\xff" * 32])
def test_a_bad_point_of_the_giver(bad: bytes) -> None:
    with pytest.raises(PeerError, match=r"low order|not canonical"):
        base_ot.choose(bad, np.zeros(2, np.uint8), SESSION, secrets.token_bytes)


def test_roots_are_those_of_the_curve() -> None:
    points = np.frombuffer(secrets.token_bytes(32 * 50), np.uint8).reshape(50, 32).copy()
    points[:, 31] &= 127
    for row, found in zip(points, root_candidates(points), strict=True):
        u, v = (int.from_bytes(x.tobytes(), "little") for x in (row, found))
        square = u * (u * u + 486662 * u + 1) % PRIME
        assert v == pow(square, (PRIME + 3) // 8, PRIME)
    assert root_candidates(points[:0]).shape == (0, 32)


@pytest.mark.parametrize("kind", [base_ot, passive])
def test_a_point_of_another_length_is_refused(kind: Any) -> None:
    _, point = base_ot.offer(secrets.token_bytes)
    for wrong in (point[:-1], point + b"0", b""):
        with pytest.raises(PeerError, match=f"a point of {len(wrong)} bytes"):
            kind.choose(wrong, np.zeros(2, np.uint8), SESSION, secrets.token_bytes)
