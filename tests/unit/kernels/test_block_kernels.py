"""BLAKE2s, the field of 2^128, AES and trees against slow references."""

from __future__ import annotations

import hashlib
import secrets

import numpy as np
import pytest

from psi.kernels import aes, ggm
from psi.kernels.blake2s import Blake2s
from psi.kernels.gf128 import add_products, combine
from psi.kernels.simd import block_path

MODULUS = 1 << 128 | 0x87


def words(*shape: int) -> np.ndarray:
    data = secrets.token_bytes(8 * int(np.prod(shape)))
    return np.frombuffer(data, np.uint64).reshape(shape).copy()


def number(row: np.ndarray) -> int:
    return int(row[0]) | int(row[1]) << 64


def product(x: int, y: int) -> int:
    total = 0
    for bit in range(128):
        total ^= (x << bit) if y >> bit & 1 else 0
    for bit in range(254, 127, -1):
        total ^= (MODULUS << bit - 128) if total >> bit & 1 else 0
    return total


def test_blake2s_equals_hashlib_at_every_length() -> None:
    texts = [secrets.token_bytes(n) for n in (*range(200), 1000)]
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    hashed = Blake2s(b"key" * 5, b"person")
    wanted = [hashlib.blake2s(t, key=b"key" * 5, person=b"person").digest() for t in texts]
    found = hashed.strings(data, offsets)
    assert [row.tobytes() for row in found] == wanted
    rows = np.random.default_rng(1).permutation(len(texts))[:57]
    assert (hashed.strings(data, offsets, rows) == found[rows]).all()
    table = words(33, 6)
    assert [row.tobytes() for row in hashed.rows(table)] == [
        hashlib.blake2s(row.tobytes(), key=b"key" * 5, person=b"person").digest() for row in table
    ]
    assert hashed.rows(table[:0]).shape == (0, 4)
    short = Blake2s(b"k", b"p", 16).rows(table)[:, :2]
    assert [row.tobytes() for row in short] == [
        hashlib.blake2s(row.tobytes(), digest_size=16, key=b"k", person=b"p").digest()
        for row in table
    ]


def test_blake2s_refuses_what_leaves_the_buffer() -> None:
    data, hashed = np.zeros(10, np.uint8), Blake2s(b"k")
    for offsets in ([0, 11], [-1, 5], [5, 3]):
        with pytest.raises(ValueError, match="leave a buffer"):
            hashed.strings(data, np.array(offsets, np.int64))
    with pytest.raises(ValueError, match="rows"):
        hashed.strings(data, np.array([0, 5], np.int64), np.array([1], np.int64))
    with pytest.raises(ValueError, match="key"):
        Blake2s(b"")


def test_products_equal_polynomials() -> None:
    factors, by, start = words(40, 2), words(2), words(40, 2)
    factors[0], factors[1] = 0, 2**64 - 1
    out = start.copy()
    add_products(out, factors, by)
    for row, factor, before in zip(out, factors, start, strict=True):
        assert number(row) == number(before) ^ product(number(factor), number(by))


def test_combine_is_a_sum_of_powers() -> None:
    rows = words(128, 3, 2)
    for i, found in enumerate(combine(rows)):
        wanted = 0
        for j in range(128):
            wanted ^= product(number(rows[j, i]), 1 << j)
        assert number(found) == wanted


def test_aes_vectors_of_fips_197() -> None:
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    found = aes.expand(np.frombuffer(key, np.uint8).reshape(1, 16))
    assert found[0, 10].astype("<u8").tobytes().hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"
    block = np.frombuffer(bytes.fromhex("3243f6a8885a308d313198a2e0370734"), "<u8")
    cipher = aes.encrypt(key, block.astype(np.uint64).reshape(1, 2))
    assert cipher.astype("<u8").tobytes().hex() == "3925841d02dc09fbdc118597196a0b32"


def test_streams_continue() -> None:
    whole, part = np.empty(400, np.uint64), np.empty(100, np.uint64)
    aes.stream(bytes(16), 7, whole)
    aes.stream(bytes(16), 7 + 150, part)
    assert (whole[300:] == part).all()


@pytest.mark.parametrize(("trees", "depth"), [(1, 1), (3, 2), (2, 4), (5, 5), (3, 8)])
def test_trees_and_their_punctured_twins(trees: int, depth: int) -> None:
    seeds = words(trees, 2)
    keys = np.frombuffer(secrets.token_bytes(32 * trees), np.uint8).reshape(trees, 2, 16)
    leaves, sums = ggm.expand_trees(seeds, keys, depth)
    slow = np.zeros_like(leaves)
    slow[:: 1 << depth] = seeds
    assert (ggm._portable(depth, keys, slow, None, None) == sums).all()
    assert (slow == leaves).all()
    for missing in range(1 << depth) if depth < 6 else (0, 100, 255):
        paths = (missing + np.arange(trees)) % (1 << depth)
        bits = paths[:, None] >> np.arange(depth) & 1
        beside = np.take_along_axis(sums, (1 - bits)[:, :, None, None], 2)[:, :, 0]
        room, whole = np.zeros((len(leaves) + 1, 4), np.uint64), sums[:, -1, 0] ^ sums[:, -1, 1]
        ggm.punctured_trees(paths, beside, whole, keys, depth, room)
        assert (room[:-1, 2:] == leaves).all()
        other = whole ^ words(trees, 2)
        ggm.punctured_trees(paths, beside, other, keys, depth, room)
        differ = (room[:-1, 2:] != leaves).any(axis=1)
        assert np.flatnonzero(differ).tolist() == ((np.arange(trees) << depth) + paths).tolist()
        assert not room[:, :2].any()
        assert not room[-1].any()


def test_the_path_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDPROFILE_KERNELS", "portable")
    assert block_path.__wrapped__() == "portable"
