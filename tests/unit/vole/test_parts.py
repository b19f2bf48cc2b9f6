"""The parts of the VOLE intersection: each relation that the protocol rests on."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from psi.kernels.curve25519 import PRIME, multiply
from psi.kernels.gf128 import add_products
from psi.protocol import PeerError
from psi.vole import base_ot, extension
from psi.vole.correlation import (
    Rooms,
    helper_leaves,
    helper_vector,
    owner_leaves,
    owner_noise,
    owner_vectors,
)
from psi.vole.parameters import Vector, vector_for
from psi.vole.secrets import Session, commitment, run_name

TWEAK = bytes(range(32))


def bits_of(data: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")


def dealt() -> tuple[bytes, np.ndarray, np.ndarray]:
    """A secret of 128 bits, both keys of each pair, and those that the secret chose."""
    secret = secrets.token_bytes(16)
    both = np.frombuffer(secrets.token_bytes(128 * 32), np.uint8).reshape(128, 2, 16)
    return secret, both, both[np.arange(128), bits_of(secret)]


def test_base_transfers_give_the_chosen_key_and_no_other() -> None:
    bits = bits_of(secrets.token_bytes(8))
    secret, point = base_ot.offer(secrets.token_bytes)
    points, chosen = base_ot.choose(point, bits, TWEAK, secrets.token_bytes)
    both = base_ot.give(secret, point, points, TWEAK)
    rows = np.arange(len(bits))
    assert (both[rows, bits] == chosen).all()
    assert (both[rows, 1 - bits] != chosen).any(axis=1).all()
    other = base_ot.give(secret, point, points, bytes(32))
    assert (other != both).any(axis=2).all()
    order = (2**252 + 27742317777372353535851937790883648493).to_bytes(32, "little")
    assert not multiply(points, order).any()  # all in the group of prime order, chosen or not


@pytest.mark.parametrize("bad", [bytes(32), (PRIME + 2).to_bytes(32, "little"), b"\xff" * 32])
def test_bad_points_end_the_base_transfers(bad: bytes) -> None:
    bits = np.zeros(2, np.uint8)
    with pytest.raises(PeerError, match=r"low order|canonical"):
        base_ot.choose(bad, bits, TWEAK, secrets.token_bytes)
    secret, point = base_ot.offer(secrets.token_bytes)
    points, _ = base_ot.choose(point, bits, TWEAK, secrets.token_bytes)
    points[3] = np.frombuffer(bad, np.uint8)
    with pytest.raises(PeerError, match=r"low order|canonical"):
        base_ot.give(secret, point, points, TWEAK)


@pytest.mark.parametrize("count", [1, 127, 128, 1000])
def test_transfers_and_products(count: int) -> None:
    secret, both, chosen = dealt()
    bits = bits_of(secrets.token_bytes(count // 8 + 1))[:count]
    for chunk in (0, 3):
        message, rows = extension.owner_rows(both, chunk, extension.bit_row(bits))
        assert message.shape == (128, extension.choice_words(count))
        known = extension.owner_keys(rows, chunk, count, TWEAK)
        helped = extension.helper_rows(chosen, secret, chunk, message)
        keys = extension.helper_keys(helped, secret, chunk, count, TWEAK)
        each = np.arange(count)
        assert (keys[each, bits] == known).all()
        assert (keys[each, 1 - bits] != known).any(axis=1).all()
        inputs = np.frombuffer(secrets.token_bytes(16 * count), np.uint64).reshape(count, 2)
        message, rows = extension.owner_rows(both, chunk, inputs.reshape(-1))
        own = extension.products(rows)
        found = extension.products(extension.helper_rows(chosen, secret, chunk, message))
        add_products(own, inputs, np.frombuffer(secret, np.uint64))
        assert (own == found).all()


def used_room(vectors: int, vector: Vector) -> np.ndarray:
    """Room that another chunk has used."""
    rooms = Rooms(vectors)
    for size in (300, 2 * vector.size, 100):
        room = rooms.take(vector_for(size))
        room[:] = 7
        rooms.give(room)
    return rooms.take(vector)


@pytest.mark.parametrize("columns", [1, 60, 1500, 6000])
def test_the_correlation_holds(columns: int) -> None:
    vector, session, chunk = vector_for(columns), Session(secrets.token_bytes(32)), 2
    delta = np.frombuffer(secrets.token_bytes(16), np.uint64)
    noise = owner_noise(secrets.token_bytes(32), chunk, vector)
    leaves, room = used_room(1, vector), used_room(2, vector)
    sums = helper_leaves(secrets.token_bytes(32), session, chunk, vector, leaves)
    sides = noise.bits.reshape(vector.trees, vector.depth)
    beside = np.take_along_axis(sums, sides[:, :, None, None].astype(np.intp), 2)[:, :, 0]
    totals = sums[:, -1, 0] ^ sums[:, -1, 1]
    add_products(totals, noise.values, delta)
    owner_leaves(noise, beside, totals, session, chunk, vector, room)
    both = owner_vectors(room, session, chunk, vector)
    a, c = both[:, :2], both[:, 2:]
    b = helper_vector(leaves, session, chunk, vector)
    assert len(a) == len(b) == len(c) == vector.size >= columns
    assert len(np.unique(a[:, 0])) > 0.99 * len(a)
    add_products(b, a, delta)
    assert (b == c).all()


def test_chunks_and_sessions_draw_apart() -> None:
    vector, seed = vector_for(60), secrets.token_bytes(32)
    one, two = (owner_noise(seed, chunk, vector) for chunk in range(2))
    assert (one.values != two.values).any(axis=1).all()
    keys = {Session(bytes([i]) * 32).key(name) for i in range(3) for name in ("a", "b")}
    assert len(keys) == 6
    names = {run_name(bytes(32), step, *sizes) for step in "ab" for sizes in ((1, 2), (2, 1))}
    assert len(names) == 4
    coin = secrets.token_bytes(32)
    assert commitment(coin, b"one") != commitment(coin, b"two")
