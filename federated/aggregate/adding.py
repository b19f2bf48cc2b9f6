"""What both directions share: one side sends encrypted rows, the other adds them up by groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from federated.aggregate.layout import Layout
from federated.aggregate.messages import CHUNK, Rows
from federated.paillier import EncryptedVector, Plaintexts, PrivateKey, PublicKey
from psi.protocol import PeerError, Random

__all__ = [
    "Target", "add_rows", "chunks", "encrypt_rows", "no_sums", "random_numbers", "read_sums",
]  # fmt: skip

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


@dataclass(frozen=True)
class Target:
    """Where rows are added up: by `codes` (-1: nowhere) into so many `groups`.

    `ciphers` are the ciphertexts of a row that are needed there, in rising order.
    """

    ciphers: Sequence[int]
    codes: np.ndarray
    groups: int


def no_sums(public: PublicKey, target: Target) -> bytes:
    """Sums before any row: the ciphertext 1, a zero, for every group of every ciphertext."""
    one = (1).to_bytes(public.ciphertext_bytes, "little")
    return one * (target.groups * len(target.ciphers))


def read_sums(
    public: PublicKey, layout: Layout, target: Target, sums: bytes
) -> list[EncryptedVector]:
    """A vector of all groups for each ciphertext of a row that the target needs.

    The slots have room for all rows and more, so one bit less than theirs bounds any sum.
    """
    size = target.groups * public.ciphertext_bytes
    return [
        EncryptedVector.from_bytes(
            public, sums[i * size : (i + 1) * size], target.groups, bound_bits=layout.bits(c) - 1
        )
        for i, c in enumerate(target.ciphers)
    ]


def add_rows(
    public: PublicKey,
    layout: Layout,
    headroom: int,
    found: Rows,
    targets: Sequence[Target],
    sums: Sequence[bytes],
) -> list[bytes]:
    """Each target's sums with one more message of rows; `codes` are of these rows alone.

    Raises `PeerError` if the message does not hold as many ciphertexts.
    """
    count = len(targets[0].codes)
    size = count * public.ciphertext_bytes
    if len(found.data) != layout.ciphers * size:
        raise PeerError(f"{len(found.data)} bytes of rows, {layout.ciphers * size} expected")
    every = [read_sums(public, layout, *pair) for pair in zip(targets, sums, strict=True)]
    for c in range(layout.ciphers):
        part = memoryview(found.data)[c * size : (c + 1) * size]
        rows = EncryptedVector.from_bytes(public, part, count, bound_bits=layout.bits(c) - headroom)
        for target, vectors in zip(targets, every, strict=True):
            if c in target.ciphers:
                i = target.ciphers.index(c)
                vectors[i] = vectors[i].add(rows.segment_sum(target.codes, target.groups))
    return [b"".join(vector.to_bytes() for vector in vectors) for vectors in every]


def random_numbers(count: int, bits: int, random: Random) -> list[int]:
    """Integers uniform in [0, 2^bits)."""
    size = -(-bits // 8)
    data, spare = random(count * size), 8 * size - bits
    return [
        int.from_bytes(data[i * size : (i + 1) * size], "little") >> spare for i in range(count)
    ]
