"""The store returns what was encoded, at all small sizes, with gaps and with empty bins."""

from __future__ import annotations

import hashlib
import secrets

import numpy as np
import pytest

from psi.kernels.blake2s import Blake2s
from psi.kernels.gf128 import add_products
from psi.kernels.okvs import DENSE, LARGEST_BIN, decode, encode
from psi.kernels.okvs_rows import bins_of
from psi.kernels.okvs_tags import tags_of_items


def items(count: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Digests sorted by bin, and where each bin begins."""
    digests = np.frombuffer(secrets.token_bytes(32 * count), np.uint64).reshape(count, 4)
    found = bins_of(digests, bins)
    starts = np.concatenate([[0], np.cumsum(np.bincount(found, minlength=bins))])
    return digests[np.argsort(found, kind="stable")], starts.astype(np.int64)


def places(digest: np.ndarray, bins: int, sparse: int) -> tuple[int, set[int], int]:
    """Bin, sparse places and mask, in Python's integers."""
    w2, w3, full = int(digest[2]), int(digest[3]), 2**64 - 1
    bin_number, rest = w2 * bins >> 64, w2 * bins & full
    first, rest = rest * sparse >> 64, rest * sparse & full
    second = rest * (sparse - 1) >> 64
    third, mask = w3 * (sparse - 2) >> 64, (w3 * (sparse - 2) & full) >> 64 - DENSE
    second += second >= first
    for other in sorted((first, second)):
        third += third >= other
    return bin_number, {first, second, third}, mask


@pytest.mark.parametrize("bins", [1, 3])
def test_every_size_to_three_hundred(bins: int) -> None:
    for count in range(301):
        digests, starts = items(count, bins)
        sparse = max(12, int(1.6 * np.diff(starts).max()))
        store = encode(digests, starts, bins, sparse)
        assert store is not None
        assert (decode(digests, starts, bins, sparse, store) == digests[:, :2]).all()


def test_gaps_are_closed() -> None:
    """With fewer columns than peeling needs there is a gap nearly every time."""
    for _ in range(60):
        digests, starts = items(64, 1)
        store = encode(digests, starts, 1, 64)
        assert store is not None
        assert store[64:].any()
        assert (decode(digests, starts, 1, 64, store) == digests[:, :2]).all()


def test_what_cannot_be_solved_is_said() -> None:
    digests, starts = items(200, 1)
    assert encode(digests, starts, 1, 60) is None


def test_decoding_is_the_sum_that_the_digest_names() -> None:
    digests, starts = items(90, 3)
    sparse = 80
    store = np.frombuffer(secrets.token_bytes(16 * 3 * (sparse + DENSE)), np.uint64).reshape(-1, 2)
    found = decode(digests, starts, 3, sparse, store)
    for row, digest in zip(found, digests, strict=True):
        number, chosen, mask = places(digest, 3, sparse)
        assert len(chosen) == 3
        chosen |= {sparse + i for i in range(DENSE) if mask >> i & 1}
        part = store[number * (sparse + DENSE) :]
        assert (row == np.bitwise_xor.reduce(part[sorted(chosen)], axis=0)).all()


def test_bad_shapes_are_refused() -> None:
    digests, starts = items(10, 1)
    for bad in (np.array([0, 9]), np.array([1, 10]), np.array([0, 11, 10])):
        with pytest.raises(ValueError, match="do not fit"):
            encode(digests, bad, 1, 20)
    for sparse in (2, LARGEST_BIN + 1):
        with pytest.raises(ValueError, match="sparse columns"):
            encode(digests, starts, 1, sparse)
    with pytest.raises(ValueError, match="a store"):
        decode(digests, starts, 1, 20, np.zeros((20, 2), np.uint64))


@pytest.mark.parametrize("bits", [64, 83, 128])
@pytest.mark.parametrize("factor", [None, "drawn"])
def test_tags_are_hashes_of_what_the_store_holds(bits: int, factor: str | None) -> None:
    digests, starts = items(205, 3)
    sparse, key = 90, secrets.token_bytes(32)
    store = np.frombuffer(secrets.token_bytes(16 * 3 * (sparse + DENSE)), np.uint64).reshape(-1, 2)
    values, by = decode(digests, starts, 3, sparse, store), None
    if factor:
        by = np.frombuffer(secrets.token_bytes(16), np.uint64)
        add_products(values, digests[:, :2], by)
    given, hashed = (digests, starts, 3, sparse, store), Blake2s(key, b"tags")
    found, halves = tags_of_items(*given, hashed, bits, by, halves=True)
    for tag, half, value, item in zip(found, halves, values, digests, strict=True):
        text = value.tobytes() + item.tobytes()
        digest = hashlib.blake2s(text, key=key, person=b"tags").digest()
        assert tag[1].tobytes() == digest[8:16]
        assert int(tag[0]) == int.from_bytes(digest[:8], "little") % 2 ** (bits - 64)
        assert half.tobytes() == digest[16:]
    alone, nothing = tags_of_items(*given, hashed, bits, by)
    assert np.array_equal(alone, found)
    assert nothing.shape == (0, 2)


def test_a_store_of_another_size_is_refused() -> None:
    digests, starts = items(5, 1)
    with pytest.raises(ValueError, match="store"):
        tags_of_items(digests, starts, 1, 12, np.zeros((59, 2), np.uint64), Blake2s(b"k"), 64)
    with pytest.raises(ValueError, match="bits"):
        tags_of_items(digests, starts, 1, 12, np.zeros((60, 2), np.uint64), Blake2s(b"k"), 63)
