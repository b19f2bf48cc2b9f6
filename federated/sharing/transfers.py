"""Correlated transfers: rows T at the choosing side, Q = T + choice·Δ at the side with Δ.

After 128 base transfers (see `seeds`) any number of transfers are made, four bytes each way once:
for every group of four bits of Δ the choosing side stretches its 16 seeds, sends the sum of all of
them plus its choice bits, and keeps weighted sums as its rows; the other side, which lacks one
seed, forms the same sums around it and adds the message where a bit of Δ is set (SoftSpoken).

- The side with Δ learns nothing of the choices: the message is masked by a stream that it lacks.
- The choosing side learns nothing of Δ, if it uses the same choices in all groups. One that does
  not could learn bits of Δ: the *row check* stops it, but for guesses of bits at the price of the
  session where one is wrong.

*Row check.* Choices end in two random elements of GF(2^128). With weights from a random oracle over
the message, the choosing side sends z, the weighted sum of its choices plus a random element, and a
hash of the same sums of its 128 rows; the other side compares it with that of its own rows plus
Δ_j·z.

*Streams* are AES-128 in counter mode. A seed of the set-up makes none itself: each connection has
seeds of its own under a coin that both sides toss anew, and whoever may come back from an old copy
within one makes each call under a nonce that follows from its choices (`under`). Two calls of one
number under one coin tell the sum of their choices.

Source: Roy 2022 (eprint 2022/192).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from federated.sharing.seeds import BASE, GROUP_BITS, GROUPS, LEAVES
from psi.kernels.blake2s import Blake2s
from psi.kernels.gf128_sums import inner_products
from psi.kernels.stream_sums import stream_sums
from psi.kernels.transposition import columns_of
from psi.protocol import PeerError, Random

__all__ = ["CHECKED", "Choosing", "Delta", "Transfers", "words_of"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

CHECKED = 2
"""Elements of 128 bits that end the choices, and values of each row that are compared."""
_STRIDE = 1 << 40
"""Blocks of a stream that belong to one call."""


def words_of(count: int) -> int:
    """64-bit words of the choices of so many transfers, the random elements at their end too."""
    return -(-count // 128) * 2 + 2 * CHECKED


@dataclass(frozen=True, repr=False)
class Transfers:
    """One call's message: `rows: uint64[GROUPS, w]`, and the row check."""

    rows: Words
    sums: Words
    digest: bytes


@dataclass(frozen=True, repr=False)
class Choosing:
    """The choosing side of one connection: `seeds: uint8[GROUPS, LEAVES, 16]`, coin of 32 bytes."""

    seeds: Bytes
    coin: bytes

    @cached_property
    def _keys(self) -> Bytes:
        return _keys(self.seeds, self.coin)

    def under(self, nonce: bytes) -> Choosing:
        """With streams of their own for a call of this nonce."""
        return Choosing(self.seeds, _bound(self.coin, nonce))

    def choose(
        self, number: int, bits: Words, count: int, random: Random
    ) -> tuple[Transfers, Words]:
        """The message of call `number`, and rows T `uint64[count, 2]`.

        `bits: uint64[words_of(count) - 2 * CHECKED]` are the choices, bit i of word i // 64.
        A number is used once in a connection.
        """
        width = words_of(count)
        if bits.shape != (width - 2 * CHECKED,):
            raise ValueError(f"choices of shape {bits.shape} for {count} transfers")
        tail = np.frombuffer(random(16 * CHECKED), "<u8").astype(np.uint64)
        choices = np.concatenate([bits, tail])
        rows, message = np.empty((BASE, width), np.uint64), np.empty((GROUPS, width), np.uint64)
        none = np.full(GROUPS, -1, np.int64)
        stream_sums(self._keys, number * _STRIDE, none, rows, message)
        message ^= choices
        weights = _weights(self.coin, number, message)
        sums = _values(choices[None], weights)[0]
        digest = _digest(self.coin, number, _values(rows, weights))
        return Transfers(message, sums, digest), columns_of(rows)[:count]

    def rows(self, number: int, count: int) -> Words:
        """Rows T of a call that was made: they hang on no choice."""
        width = words_of(count)
        rows, rest = np.empty((BASE, width), np.uint64), np.empty((GROUPS, width), np.uint64)
        stream_sums(self._keys, number * _STRIDE, np.full(GROUPS, -1, np.int64), rows, rest)
        return columns_of(rows)[:count]


@dataclass(frozen=True, repr=False)
class Delta:
    """The side with Δ: `bits: uint8[128]`, seeds with one missing a group, coin of 32 bytes."""

    seeds: Bytes
    bits: Bytes
    coin: bytes

    @cached_property
    def _keys(self) -> Bytes:
        return _keys(self.seeds, self.coin)

    @property
    def delta(self) -> Words:
        """Δ as `uint64[2]`."""
        return np.packbits(self.bits, bitorder="little").view("<u8").astype(np.uint64)

    def under(self, nonce: bytes) -> Delta:
        """With the streams of the other side's call of this nonce."""
        return Delta(self.seeds, self.bits, _bound(self.coin, nonce))

    def take(self, number: int, sent: Transfers, count: int) -> Words:
        """Rows Q `uint64[count, 2]` of call `number`. Raises `PeerError` where the check fails."""
        width = words_of(count)
        if sent.rows.shape != (GROUPS, width) or sent.sums.shape != (CHECKED, 2):
            raise PeerError(f"transfers of another number than the {count} that are due")
        rows, rest = np.empty((BASE, width), np.uint64), np.empty((GROUPS, width), np.uint64)
        places = self.bits.reshape(GROUPS, GROUP_BITS) @ (1 << np.arange(GROUP_BITS))
        on = (np.uint64(0) - self.bits.astype(np.uint64))[:, None]
        stream_sums(self._keys, number * _STRIDE, places, rows, rest)
        for group in range(GROUPS):
            own = slice(group * GROUP_BITS, (group + 1) * GROUP_BITS)
            rows[own] ^= on[own] & sent.rows[group]
        weights = _weights(self.coin, number, sent.rows)
        values = _values(rows, weights) ^ (on[:, :, None] & sent.sums)
        if not hmac.compare_digest(_digest(self.coin, number, values), sent.digest):
            raise PeerError("transfers that hide different choices")
        return columns_of(rows)[:count]


def _bound(coin: bytes, nonce: bytes) -> bytes:
    return hashlib.blake2s(nonce, key=coin, person=b"sharenon").digest()


def _keys(seeds: Bytes, coin: bytes) -> Bytes:
    """This connection's key of every seed: `uint8[GROUPS, LEAVES, 16]`."""
    words = np.ascontiguousarray(seeds).view("<u8").astype(np.uint64).reshape(-1, 2)
    made = Blake2s(coin, b"sharestr", 16).rows(words)[:, :2]
    return np.ascontiguousarray(made, "<u8").view(np.uint8).reshape(GROUPS, LEAVES, 16)


def _weights(coin: bytes, number: int, message: Words) -> Words:
    """`uint64[CHECKED, w / 2, 2]` from a random oracle; a random element has weight one."""
    drawn = hashlib.blake2b(digest_size=32, key=coin, person=b"share rows")
    drawn.update(number.to_bytes(8, "little"))
    drawn.update(np.ascontiguousarray(message, "<u8").data)
    elements = message.shape[1] // 2
    table = np.zeros((elements - CHECKED, 2), np.uint64)
    table[:, 1] = np.arange(len(table))
    found = np.zeros((CHECKED, elements, 2), np.uint64)
    hashed = Blake2s(drawn.digest(), b"sharewei").rows(table)
    found[:, :-CHECKED] = hashed.reshape(-1, CHECKED, 2).swapaxes(0, 1)
    found[:, -CHECKED:, 0] = np.eye(CHECKED, dtype=np.uint64)
    return found


def _values(rows: Words, weights: Words) -> Words:
    """Both values of each row: `uint64[k, w]` to `uint64[k, CHECKED, 2]`."""
    elements = rows.reshape(len(rows), -1, 2)
    return np.stack([inner_products(elements, each) for each in weights], axis=1)


def _digest(coin: bytes, number: int, values: Words) -> bytes:
    drawn = hashlib.blake2b(digest_size=32, key=coin, person=b"share vals")
    drawn.update(number.to_bytes(8, "little"))
    drawn.update(np.ascontiguousarray(values, "<u8").tobytes())
    return drawn.digest()
