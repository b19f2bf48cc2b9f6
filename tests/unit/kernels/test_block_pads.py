"""Hashed blocks and padded tables: the same as OpenSSL's AES says, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from psi.kernels import aes, block_pads
from psi.kernels.block_pads import hashed_blocks, padded_tables
from psi.kernels.simd import block_path

U32 = np.uint32


def drawn(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 2**64, shape, dtype=np.uint64)


def public(count: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 16), dtype=np.uint8)


def one_hash(block: Any, tweak: int, key: Any) -> Any:
    """H of one block."""
    turned = np.array([[block[0] ^ block[1] ^ np.uint64(tweak), block[0]]])
    return (aes.encrypt(key.tobytes(), turned) ^ turned)[0]


@pytest.mark.parametrize("path", ["own", "portable"])
@pytest.mark.parametrize(("rows", "count"), [(1, 1), (33, 2), (70, 5)])
def test_each_block_is_hashed_under_its_row_s_key_and_place(
    rows: int, count: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "portable":
        monkeypatch.setattr(block_pads, "block_path", lambda: "portable")
    per, blocks = 32, drawn((rows, count, 2), 1)
    keys, own = public(-(-rows // per), 2), drawn((rows, count), 3) >> np.uint64(48)
    for tweaks in (own, own[:1], np.zeros((1, 1), np.uint64)):
        found = hashed_blocks(blocks, tweaks, keys, per)
        each = np.broadcast_to(tweaks, (rows, count))
        for row in range(rows):
            for at in range(count):
                tweak = int(each[row, at]) ^ row << 16
                wanted = one_hash(blocks[row, at], tweak, keys[row // per])
                assert np.array_equal(found[row, at], wanted)


@pytest.mark.skipif(block_path() == "portable", reason="made of hashed blocks there")
@pytest.mark.parametrize("bits", [4, 6, 7])
@pytest.mark.parametrize("rows", [1, 19])
def test_each_entry_has_the_pads_of_its_number_s_bits(rows: int, bits: int) -> None:
    per = 16
    keys, upper, lower = drawn((rows, bits, 2, 2), 4), public(2, 5), public(2, 6)
    upper, lower = upper[: -(-rows // per)], lower[: -(-rows // per)]
    entries = drawn((rows, 1 << bits), 7).astype(U32)
    found = padded_tables(keys, entries, upper, lower, per)
    for row in range(rows):
        for entry in range(1 << bits):
            own = [keys[row, bit, entry >> bit & 1] for bit in range(bits)]
            up, place = entry >> 2, row << 16
            block = one_hash(np.bitwise_xor.reduce(own[2:]), up ^ place, upper[row // per])
            line = one_hash(np.bitwise_xor.reduce(own[:2]), up >> 2 ^ place, lower[row // per])
            pad = block.view(U32)[entry & 3] ^ line.view(U32)[up & 3]
            assert found[row, entry] == entries[row, entry] ^ pad


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="keys and"):
        hashed_blocks(drawn((3, 1, 2), 1), drawn((2, 1), 2), public(1, 3), 8)
    with pytest.raises(ValueError, match="entries of 6 bits"):
        padded_tables(drawn((1, 6, 2, 2), 1), np.zeros((1, 63), U32), public(1, 2), public(1, 3), 8)
    with pytest.raises(ValueError, match="for 1 groups"):
        padded_tables(drawn((1, 6, 2, 2), 1), np.zeros((1, 64), U32), public(2, 2), public(1, 3), 8)
