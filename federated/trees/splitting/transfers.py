"""Transfers in bulk: one message for many choices.

`Picks` is the choosing side: bits c and rows T. `Gives` is the side with Δ: rows Q with
Q = T + c·Δ. Rows are hashed to pads of 128 bits, two at the giving side, under public keys from a
nonce that it sends after the choices.

Streams are made of the direction's seeds under a coin with a nonce of the call, which follows
from what the role has heard and from the choices: no others ever stand under the same streams, and
a call that is made again is the same call.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.keys import NONCE, public_keys
from federated.sharing.seeds import GROUPS, LEAVES
from federated.sharing.transcript import Transcript
from federated.sharing.transfers import CHECKED, Choosing, Delta, Transfers, words_of
from federated.trees.splitting.messages import Extension
from psi.kernels.block_pads import hashed_blocks
from psi.protocol import PeerError

__all__ = ["PER_KEY", "Gives", "Picks", "hashed", "packed", "unpacked"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Bits = np.ndarray[Any, np.dtype[np.uint8]]

PER_KEY = 1 << 13
"""Blocks that are hashed under one public key."""
_NO_TWEAK = np.zeros((1, 1), np.uint64)


def packed(bits: Bits) -> Bits:
    """Bits, eight a byte."""
    return np.packbits(bits.reshape(-1), bitorder="little")


def unpacked(data: Bits, count: int) -> Bits:
    """`uint8[count]` of what `packed` gave. Raises `PeerError` for another count."""
    if len(data) != -(-count // 8):
        raise PeerError(f"{len(data)} bytes of bits found, {-(-count // 8)} expected")
    return np.unpackbits(data, bitorder="little")[:count]


def hashed(blocks: Words, tweaks: Words, nonce: bytes, name: str, per: int) -> Words:
    """H of blocks `uint64[n, k, 2]` under tweaks `uint64[n or 1, k]`, in the same shape.

    H(x, i) = E(y) + y with y = s(x) + i, s(x0, x1) = (x0 + x1, x0), and E AES under a public key,
    new for every `per` of the n. Who hashes only some of the k gets these alike. The place among
    the n is part of i; tweaks are below 2^16.

    Source: Guo et al. 2019 (eprint 2019/074).
    """
    keys = public_keys(nonce, f"splits {name}", -(-len(blocks) // per))
    return hashed_blocks(blocks, tweaks, keys, per)


def _choosing(keys: IndexKeys, nonce: bytes) -> Choosing:
    seeds = np.frombuffer(keys.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
    return Choosing(seeds, _coin(keys.coin, nonce))


def _coin(coin: bytes, nonce: bytes) -> bytes:
    if len(nonce) != NONCE:
        raise PeerError(f"a nonce of {len(nonce)} bytes, {NONCE} expected")
    return hashlib.blake2s(nonce, key=coin, person=b"splitcal").digest()


@dataclass(frozen=True, repr=False)
class Picks:
    """The choosing side: `bits: uint8[n]`, `rows: uint64[n, 2]`."""

    bits: Bits
    rows: Words

    @classmethod
    def of(
        cls, keys: IndexKeys, transcript: Transcript, name: str, bits: Bits
    ) -> tuple[Picks, Extension]:
        """Of choices `uint8[n]`."""
        count = len(bits)
        name = f"{name} {hashlib.sha256(bits.tobytes()).hexdigest()}"
        nonce = transcript.draw(f"transfers {name}", NONCE)
        filled = np.zeros(64 * (words_of(count) - 2 * CHECKED), np.uint8)
        filled[:count] = bits
        choices = np.packbits(filled, bitorder="little").view("<u8").astype(np.uint64)
        side = _choosing(keys, nonce)
        sent, rows = side.choose(0, choices, count, transcript.random(f"rest {name}"))
        return cls(bits, rows), Extension(nonce, sent.rows.reshape(-1), sent.sums, sent.digest)

    @classmethod
    def again(cls, keys: IndexKeys, nonce: bytes, bits: Bits) -> Picks:
        """Of a call that `of` made under this nonce."""
        return cls(bits, _choosing(keys, nonce).rows(0, len(bits)))

    def pads(self, low: int, high: int, nonce: bytes, name: str) -> Words:
        """Of transfers `low` to `high` the pad of each one's choice: `uint64[n, 2]`."""
        blocks = self.rows[low:high, None, :]
        return hashed(blocks, _NO_TWEAK, nonce, name, PER_KEY // 2)[:, 0]


@dataclass(frozen=True, repr=False)
class Gives:
    """The side with Δ: `rows: uint64[n, 2]`, `delta: uint64[2]`."""

    rows: Words
    delta: Words

    @classmethod
    def of(cls, keys: ValueKeys, sent: Extension, count: int) -> Gives:
        """Of the other side's transfers. Raises `PeerError` where their check fails."""
        if len(sent.rows) % GROUPS or len(sent.sums) != CHECKED:
            raise PeerError("transfers of another shape")
        seeds = np.frombuffer(keys.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
        side = Delta(seeds, keys.bits, _coin(keys.coin, sent.nonce))
        found = Transfers(sent.rows.reshape(GROUPS, -1), sent.sums, sent.digest)
        return cls(side.take(0, found, count), side.delta)

    def pads(self, low: int, high: int, nonce: bytes, name: str) -> Words:
        """Of transfers `low` to `high` the pads of both choices: `uint64[n, 2, 2]`."""
        rows = self.rows[low:high]
        both = np.stack([rows, rows ^ self.delta], axis=1)
        return hashed(both, _NO_TWEAK, nonce, name, PER_KEY // 2)
