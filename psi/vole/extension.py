"""Many transfers, and products with a secret, from 128 base transfers each.

The helper (the PSI sender) chose in the base transfers by the bits of a secret of 128 bits and
holds one key of each pair; the owner (the PSI receiver) holds both. Both stretch their keys by
AES-128 in counter mode; the owner's message is the difference of its two streams plus its input.

- *Transfers* (the secret s is used for nothing else): input bits r_i; the helper gets rows
  Q_i = T_i + r_i·s, so that H(i, Q_i) and H(i, Q_i + s) are two keys of which the owner knows
  the one of its bit, H(i, T_i). Ishai, Kilian, Nissim and Petrank 2003.
- *Products*: inputs y_i in the field; the helper, whose secret is Δ, gets b_i = c_i + y_i·Δ and
  the owner c_i. Gilboa 1999, in a field of characteristic two.

Semi-honest: an owner that puts different inputs into different rows can learn bits of s or Δ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.blake2s import Blake2s
from psi.kernels.gf128 import combine
from psi.vole.secrets import fill

__all__ = [
    "BASE",
    "bit_row",
    "choice_words",
    "helper_keys",
    "helper_rows",
    "owner_keys",
    "owner_rows",
    "products",
]

BASE = 128
"""Base transfers for each of both."""

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Bits = np.ndarray[Any, np.dtype[np.uint8]]


def choice_words(transfers: int) -> int:
    """64-bit words of a row of the owner's message."""
    return -(-transfers // 128) * 2


def bit_row(bits: Bits) -> Words:
    """The owner's input of transfers as a row: `uint8[n]` to `uint64[w]`."""
    row = np.zeros(8 * choice_words(len(bits)), np.uint8)
    packed = np.packbits(bits, bitorder="little")
    row[: len(packed)] = packed
    return row.view("<u8").astype(np.uint64, copy=False)


def owner_rows(keys: Bytes, chunk: int, row: Words) -> tuple[Words, Words]:
    """The owner's message for its input `uint64[w]`, and its own rows: `uint64[128, w]` each."""
    zero, masked = (_streams(keys[:, side], chunk, len(row)) for side in range(2))
    masked ^= zero
    masked ^= row
    return masked, zero


def helper_rows(keys: Bytes, secret: bytes, chunk: int, message: Words) -> Words:
    """The owner's rows, plus its input in those where the secret's bit is set."""
    bits = np.unpackbits(np.frombuffer(secret, np.uint8), bitorder="little")
    masks = (np.uint64(0) - bits.astype(np.uint64))[:, None]
    rows = _streams(keys, chunk, message.shape[1])
    rows ^= message & masks
    return rows


def owner_keys(rows: Words, chunk: int, count: int, tweak: bytes) -> Words:
    """The owner's key of each transfer: `uint64[n, 2]`."""
    return _hashed(_transposed(rows, count), chunk, tweak)


def helper_keys(rows: Words, secret: bytes, chunk: int, count: int, tweak: bytes) -> Words:
    """Both keys of each transfer: `uint64[n, 2, 2]`."""
    plain = _transposed(rows, count)
    shifted = plain ^ np.frombuffer(secret, "<u8")
    return np.stack([_hashed(both, chunk, tweak) for both in (plain, shifted)], axis=1)


def products(rows: Words) -> Words:
    """The owner's c_i from its rows, the helper's b_i = c_i + y_i·Δ from its own.

    `uint64[128, 2n]` to `uint64[n, 2]`.
    """
    return combine(rows.reshape(BASE, -1, 2))


def _streams(keys: Bytes, chunk: int, width: int) -> Words:
    """Each key's stream of this chunk: `uint8[k, 16]` to `uint64[k, width]`, width even.

    OpenSSL's AES: a key of a base transfer makes one stream and nothing else.
    """
    rows = np.empty((len(keys), width), np.uint64)
    for key, row in zip(keys, rows, strict=True):
        fill(key.tobytes(), chunk, row)
    return rows


def _transposed(rows: Words, count: int) -> Words:
    """Bit i of all 128 rows as the two words of row i: `uint64[128, w]` to `uint64[count, 2]`."""
    bits = np.unpackbits(rows.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    packed = np.packbits(np.ascontiguousarray(bits[:, :count].T), axis=1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def _hashed(rows: Words, chunk: int, tweak: bytes) -> Words:
    """H(chunk, i, row): a key of 128 bits a row, under the session's public tweak."""
    table = np.empty((len(rows), 4), np.uint64)
    table[:, 0], table[:, 1] = chunk, np.arange(len(rows))
    table[:, 2:] = rows
    return np.ascontiguousarray(Blake2s(tweak, b"volexfer").rows(table)[:, :2])
