"""Pads from hashed blocks, many at a time: of transfers, and of tables that are looked up.

H(x, i) = E(y) + y with y = s(x) + i, s(x0, x1) = (x0 + x1, x0), addition bit by bit, and E AES
under a public key, another for every `per` rows. The row's number is part of i, from bit 16 on.

Source: Guo et al. 2019 (eprint 2019/074), H.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import aes
from psi.kernels.aes import KEY_WORDS
from psi.kernels.aes_streams import BLOCKS, encrypt_blocks, expand_key
from psi.kernels.cache import kernel, part
from psi.kernels.simd import block_path, parallel_rows, readonly

__all__ = ["LOW_BITS", "hashed_blocks", "padded_tables"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Entries = np.ndarray[Any, np.dtype[np.uint32]]
Keys = np.ndarray[Any, np.dtype[np.uint8]]

LOW_BITS = 2
"""Lower bits of an entry's number: a block has pads of so many entries, 2^2."""
_PLACE = 16
_TILE = 8
"""Rows of tables that are padded at a time: their blocks stay in the first cache."""
_THREAD = 1 << 10
"""Rows of tables that are worth a thread."""
_BLOCKS = 1 << 14
"""Blocks that are."""


@part
def _hash(room, made, blocks, rounds):  # type: ignore[no-untyped-def]
    """`made` = E(room) + room, of the first `blocks`; both have room for whole steps."""
    for i in range(2 * blocks):
        made[i] = room[i]
    for at in range(0, blocks, BLOCKS):
        encrypt_blocks(made, 2 * at, rounds)
    for i in range(2 * blocks):
        made[i] ^= room[i]


@kernel
def _hash_rows(low, high, blocks, tweaks, keys, per, out):  # type: ignore[no-untyped-def]
    k = blocks.shape[1]
    room, made = np.zeros(2 * BLOCKS, np.uint64), np.zeros(2 * BLOCKS, np.uint64)
    words, rounds = np.empty(44, np.uint64), np.empty(KEY_WORDS, np.uint64)
    each = np.int64(tweaks.shape[0] > 1)  # whether rows have tweaks of their own
    last = low
    while last < high:  # to the end of a key's rows
        first, last = last, min(high, (last // per + 1) * per)
        expand_key(keys[first // per], words, rounds)
        row, column = first, np.int64(0)
        to_row, to_column = row, column
        while row < last:
            many = 0
            while many < BLOCKS and row < last:
                x0, x1 = blocks[row, column, 0], blocks[row, column, 1]
                place = np.uint64(row) << np.uint64(_PLACE)
                room[2 * many] = x0 ^ x1 ^ tweaks[row * each, column] ^ place
                room[2 * many + 1] = x0
                many, column = many + 1, column + 1
                if column == k:
                    row, column = row + 1, np.int64(0)
            _hash(room, made, many, rounds)
            for i in range(many):
                out[to_row, to_column, 0] = made[2 * i]
                out[to_row, to_column, 1] = made[2 * i + 1]
                to_column += 1
                if to_column == k:
                    to_row, to_column = to_row + 1, np.int64(0)


def hashed_blocks(blocks: Words, tweaks: Words, keys: Keys, per: int) -> Words:
    """H of blocks `uint64[n, k, 2]` under tweaks `uint64[n or 1, k or 1]`, in the same shape.

    keys: `uint8[ceil(n / per), 16]`, public. Raises `ValueError` for other shapes.
    """
    rows, count, _ = blocks.shape
    tweaks = np.broadcast_to(tweaks, (len(tweaks), count))
    if keys.shape != (-(-rows // per), 16) or len(tweaks) not in (1, rows):
        raise ValueError(f"{keys.shape} keys and {tweaks.shape} tweaks for {blocks.shape} blocks")
    out = np.empty((rows, count, 2), np.uint64)
    if block_path() != "portable":
        given = readonly(blocks), readonly(tweaks), _words(keys)
        parallel_rows(_hash_rows, rows, *given, per, out, least=max(8, _BLOCKS // max(1, count)))
        return out
    place = np.arange(rows, dtype=np.uint64)[:, None] << np.uint64(_PLACE)
    turned = np.empty_like(out)
    turned[..., 0] = blocks[..., 0] ^ blocks[..., 1] ^ tweaks ^ place
    turned[..., 1] = blocks[..., 0]
    for at, key in enumerate(keys):
        own = turned[at * per : (at + 1) * per]
        made = aes.encrypt(key.tobytes(), own.reshape(-1, 2)).reshape(own.shape)
        np.bitwise_xor(made, own, out=out[at * per : (at + 1) * per])
    return out


@part
def _summed(keys, row, first, bits, sums):  # type: ignore[no-untyped-def]
    """`sums` = of each number of so many bits the sum of its keys, those from `first` on."""
    sums[0] = sums[1] = np.uint64(0)
    size = 1
    for bit in range(bits):
        for i in range(size):
            for w in range(2):
                before = sums[2 * i + w]
                sums[2 * (size + i) + w] = before ^ keys[row, first + bit, 1, w]
                sums[2 * i + w] = before ^ keys[row, first + bit, 0, w]
        size *= 2


@kernel
def _pad_rows(first, last, keys, upper, lower, per, entries, out):  # type: ignore[no-untyped-def]
    low_bits = np.int64(LOW_BITS)
    high_bits = keys.shape[1] - low_bits
    many, few = 1 << high_bits, 1 << low_bits
    wide = many // few  # blocks of a stream over the upper numbers
    steps = (_TILE * many + BLOCKS - 1) // BLOCKS * BLOCKS
    room, blocks = np.zeros(2 * steps, np.uint64), np.zeros(2 * steps, np.uint64)
    lines = np.zeros(2 * steps, np.uint64)
    sums, words = np.empty(2 * max(many, few), np.uint64), np.empty(44, np.uint64)
    uppers, lowers = np.empty(KEY_WORDS, np.uint64), np.empty(KEY_WORDS, np.uint64)
    half = np.uint64(32)
    for low in range(first, last, _TILE):
        if low == first or low % per == 0:
            expand_key(upper[low // per], words, uppers)
            expand_key(lower[low // per], words, lowers)
        rows = min(_TILE, last - low)
        for r in range(rows):
            place, at = np.uint64(low + r) << np.uint64(_PLACE), 2 * many * r
            _summed(keys, low + r, low_bits, high_bits, sums)
            for j in range(many):
                x0, x1 = sums[2 * j], sums[2 * j + 1]
                room[at + 2 * j] = x0 ^ x1 ^ np.uint64(j) ^ place
                room[at + 2 * j + 1] = x0
        _hash(room, blocks, many * rows, uppers)
        for r in range(rows):
            place, at = np.uint64(low + r) << np.uint64(_PLACE), 2 * many * r
            _summed(keys, low + r, 0, low_bits, sums)
            for j in range(few):
                x0, x1 = sums[2 * j], sums[2 * j + 1]
                for k in range(wide):
                    room[at + 2 * (j * wide + k)] = x0 ^ x1 ^ np.uint64(k) ^ place
                    room[at + 2 * (j * wide + k) + 1] = x0
        _hash(room, lines, many * rows, lowers)
        for r in range(rows):
            at = 2 * many * r
            for u in range(many):
                for v in range(few):
                    pad = blocks[at + 2 * u + v // 2] >> (half * np.uint64(v & 1))
                    line = lines[at + (v * many + u) // 2] >> (half * np.uint64(u & 1))
                    e = few * u + v
                    out[low + r, e] = entries[low + r, e] ^ np.uint32((pad ^ line) & 0xFFFFFFFF)


def padded_tables(keys: Words, entries: Entries, upper: Keys, lower: Keys, per: int) -> Entries:
    """Entries `uint32[n, 2^bits]`, each with two pads: by its number's upper bits, by its lower.

    Not on the portable path, where callers hash sums of keys by `hashed_blocks`.

    Args:
        keys: `uint64[n, bits, 2, 2]`, both of each bit; an entry's pads are of its bits' sums.
        entries: what is padded.
        upper, lower: public keys `uint8[ceil(n / per), 16]`; `per` is a multiple of 8.
    """
    rows, bits = keys.shape[:2]
    groups = -(-rows // per)
    if entries.shape != (rows, 1 << bits) or bits < 2 * LOW_BITS or per % _TILE:
        raise ValueError(f"{entries.shape} entries of {bits} bits, {per} rows a key")
    if upper.shape != (groups, 16) or lower.shape != (groups, 16):
        raise ValueError(f"{upper.shape} and {lower.shape} keys for {groups} groups")
    out = np.empty((rows, 1 << bits), np.uint32)
    given = readonly(keys), _words(upper), _words(lower), per, readonly(entries), out
    parallel_rows(_pad_rows, rows, *given, block=_TILE, least=_THREAD)
    return out


def _words(keys: Keys) -> Words:
    return readonly(np.ascontiguousarray(keys).view("<u8").astype(np.uint64))
