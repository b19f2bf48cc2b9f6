"""What both directions share: one side sends encrypted rows, the other adds them up by group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from federated.aggregate.layout import Layout
from federated.aggregate.messages import CHUNK, Rows
from federated.paillier import EncryptedVector, Plaintexts, PrivateKey, PublicKey
from psi.protocol import PeerError, Random

__all__ = ["add_rows", "chunks", "encrypt_rows", "no_sums", "random_numbers", "read_sums"]

Pack = Callable[[int, int, int], Plaintexts]
"""Plaintexts of rows `start` to `stop` and of the row's ciphertext of this number."""


def chunks(rows: int) -> int:
    """Messages that so many rows take."""
    return -(-rows // CHUNK)


def encrypt_rows(
    key: PrivateKey, pack: Pack, ciphers: int, rows: int, number: int, random: Random
) -> Rows:
    """The message of this number."""
    start = number * CHUNK
    stop = min(rows, start + CHUNK)
    parts = [
        EncryptedVector.encrypt(key, pack(start, stop, cipher), random=random).to_bytes()
        for cipher in range(ciphers)
    ]
    return Rows(start, b"".join(parts))


def no_sums(public: PublicKey, layout: Layout, groups: int) -> bytes:
    """Sums before any row: the ciphertext 1, a zero, for every group of every ciphertext."""
    one = (1).to_bytes(public.ciphertext_bytes, "little")
    return one * (groups * layout.ciphers)


def read_sums(public: PublicKey, layout: Layout, sums: bytes, groups: int) -> list[EncryptedVector]:
    """A vector of all groups for each ciphertext of a row.

    The slots have room for all rows and more, so one bit less than theirs bounds any sum.
    """
    size = groups * public.ciphertext_bytes
    return [
        EncryptedVector.from_bytes(
            public, sums[c * size : (c + 1) * size], groups, bound_bits=layout.bits(c) - 1
        )
        for c in range(layout.ciphers)
    ]


def add_rows(
    public: PublicKey,
    layout: Layout,
    headroom: int,
    sums: bytes,
    found: Rows,
    codes: np.ndarray,
    groups: int,
) -> bytes:
    """The sums with one more message of rows, whose groups are `codes` (-1: none).

    Raises `PeerError` if the message does not hold as many ciphertexts.
    """
    count, size = len(codes), len(codes) * public.ciphertext_bytes
    if len(found.data) != layout.ciphers * size:
        raise PeerError(f"{len(found.data)} bytes of rows, {layout.ciphers * size} expected")
    added = []
    for c, before in enumerate(read_sums(public, layout, sums, groups)):
        part = memoryview(found.data)[c * size : (c + 1) * size]
        rows = EncryptedVector.from_bytes(public, part, count, bound_bits=layout.bits(c) - headroom)
        added.append(before.add(rows.segment_sum(codes, groups)))
    return b"".join(vector.to_bytes() for vector in added)


def random_numbers(count: int, bits: int, random: Random) -> list[int]:
    """Integers uniform in [0, 2^bits)."""
    size = -(-bits // 8)
    data, spare = random(count * size), 8 * size - bits
    return [
        int.from_bytes(data[i * size : (i + 1) * size], "little") >> spare for i in range(count)
    ]
