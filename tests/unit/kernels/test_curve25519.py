"""Kernels against RFC 7748, hashlib, libsodium and a big-integer ladder.

The suite runs on the path that the CPU gets and again with FEDPROFILE_KERNELS=portable.
"""

from __future__ import annotations

import hashlib
import secrets

import numpy as np
import pytest

from psi.kernels import curve25519, hashing, scalars
from psi.kernels.curve25519 import LOW_ORDER, ORDER, PRIME
from psi.kernels.selfcheck import reference_multiply, selfcheck

NU = b"QUUX-V01-CS02-with-curve25519_XMD:SHA-512_ELL2_NU_"


def buffer(items: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, items)]).astype(np.int64)
    return np.frombuffer(b"".join(items), np.uint8), offsets


def points(*values: int) -> np.ndarray:
    data = b"".join(value.to_bytes(32, "little") for value in values)
    return np.frombuffer(data, np.uint8).reshape(-1, 32)


def numbers(found: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in found]


def clamp(scalar: bytes) -> bytes:
    value = bytearray(scalar)
    value[0] &= 248
    value[31] = value[31] & 127 | 64
    return bytes(value)


def test_sha512_equals_hashlib_at_every_length() -> None:
    items = [secrets.token_bytes(n) for n in range(301)]
    found = hashing.sha512(*buffer(items), prefix=b"pre", suffix=b"post")
    assert [f.tobytes() for f in found] == [
        hashlib.sha512(b"pre" + i + b"post").digest() for i in items
    ]


@pytest.mark.parametrize(
    ("scalar", "u", "out"),
    [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ],
)
def test_rfc_7748_vectors(scalar: str, u: str, out: str) -> None:
    point = np.frombuffer(bytes.fromhex(u), np.uint8).reshape(1, 32)
    assert curve25519.multiply(point, clamp(bytes.fromhex(scalar)))[0].tobytes().hex() == out


def test_libsodium_agrees_on_clamped_scalars() -> None:
    nacl = pytest.importorskip("nacl.bindings")
    scalar = clamp(secrets.token_bytes(32))
    given_points = np.frombuffer(secrets.token_bytes(32 * 300), np.uint8).reshape(-1, 32)
    found = curve25519.multiply(given_points, scalar)
    wanted = [nacl.crypto_scalarmult(scalar, point.tobytes()) for point in given_points]
    assert [row.tobytes() for row in found] == wanted


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 64, 130])
def test_any_scalar_equals_the_reference(count: int) -> None:
    scalar = secrets.token_bytes(32)
    us = [int.from_bytes(secrets.token_bytes(32), "little") % PRIME for _ in range(count)]
    us[0] = PRIME - 2
    found = curve25519.multiply(points(*us), scalar)
    assert numbers(found) == [reference_multiply(int.from_bytes(scalar, "little"), u) for u in us]


def test_low_order_points_become_zero_and_leave_their_neighbours_alone() -> None:
    us = [9, *LOW_ORDER, 9]
    found = numbers(curve25519.multiply(points(*us), (8 * 12345).to_bytes(32, "little")))
    assert found[1:-1] == [0] * len(LOW_ORDER)
    assert found[0] == found[-1] == reference_multiply(8 * 12345, 9)


def test_an_empty_batch() -> None:
    assert len(curve25519.multiply(np.empty((0, 32), np.uint8), bytes(32))) == 0
    assert len(curve25519.encode_to_curve(*buffer([]), b"dst")) == 0


@pytest.mark.parametrize(
    ("u", "good"),
    [(0, True), (PRIME - 1, True), (PRIME, False), (2**255 - 1, False), (2**255, False)],
)
def test_canonical(u: int, good: bool) -> None:
    assert bool(curve25519.canonical(points(u))[0]) is good


def reference_encode(item: bytes, dst: bytes) -> int:
    """RFC 9380 by big integers: expand_message_xmd, hash_to_field, Elligator 2."""
    dst_prime = dst + bytes([len(dst)])
    first = hashlib.sha512(bytes(128) + item + b"\0\x30\0" + dst_prime).digest()
    uniform = hashlib.sha512(first + b"\x01" + dst_prime).digest()[:48]
    u, j = int.from_bytes(uniform, "big") % PRIME, 486662
    x = -j * pow(1 + 2 * u * u, PRIME - 2, PRIME) % PRIME
    square = pow(x**3 + j * x * x + x, (PRIME - 1) // 2, PRIME) in (0, 1)
    return x if square else (-x - j) % PRIME


def test_hashing_to_the_curve_equals_the_reference() -> None:
    items = [b"", b"abc", *(secrets.token_bytes(n) for n in range(1, 200))]
    found = curve25519.encode_to_curve(*buffer(items), NU)
    assert numbers(found) == [reference_encode(item, NU) for item in items]


def test_the_receivers_and_the_senders_way_give_the_same_value() -> None:
    r, k = (scalars.random_scalar(secrets.token_bytes) for _ in range(2))
    items = [b"a", b"b", *(bytes([i]) * 20 for i in range(50))]
    encoded = curve25519.encode_to_curve(*buffer(items), NU)
    blinded = curve25519.multiply(encoded, scalars.blinding(r))
    evaluated = curve25519.multiply(blinded, scalars.evaluation(k))
    final = curve25519.multiply(evaluated, scalars.unblinding(r))
    own = curve25519.multiply(encoded, scalars.own_items(k))
    assert (final == own).all()
    assert len({row.tobytes() for row in final}) == len(items)
    for value in (scalars.blinding(r), scalars.evaluation(k), scalars.unblinding(r)):
        assert int.from_bytes(value, "little") % 8 == 0
    assert 0 < r < ORDER


def test_tags_bind_prefix_item_and_point() -> None:
    data, offsets = buffer([b"a", b"b"])
    us = points(5, 5)
    bound = hashing.tag_hash(b"session", data, offsets, us)
    wanted = hashlib.sha512(b"session" + b"\0\0\0\1a" + us[0].tobytes()).digest()[:16]
    assert bound[0].astype(">u8").tobytes() == wanted
    assert bound[0].tolist() != bound[1].tolist()
    free = hashing.tag_hash(b"session", None, None, us)
    assert free[0].tolist() == free[1].tolist()
    assert free[0].tolist() != hashing.tag_hash(b"other", None, None, us)[0].tolist()


def test_the_selfcheck_passes() -> None:
    assert all(good for name, good, _ in selfcheck() if name != "compile cache")
