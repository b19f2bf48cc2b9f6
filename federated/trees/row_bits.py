"""One bit of each row, of those that a feature party offers, at the label party's choice.

On one level of a tree the feature party has won k nodes. Of a row the label party chooses the bit
of the node that the row is in, or an empty entry 0, by one transfer of 2^width: the feature party
does not learn the choice, the label party one entry of each row at most, whatever it does.

A choice is made for a random number first and turned, as trees of seeds are. The streams that hide
that number hang on a nonce which is drawn from what the party has heard and from its choices: one
from an older copy masks other choices by other streams. Entry m of a row is masked by bit m of the
sum of H(Q_l + m_l Δ) over the levels l of the choice, of which the label party has H of its own
numbers alone (Naor, Pinkas 1999). H is that of half-trees, under public keys that the feature party
draws once the choices are in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.keys import NONCE, public_keys
from federated.sharing.seeds import GROUPS, LEAVES
from federated.sharing.transcript import Transcript
from federated.sharing.transfers import CHECKED, Choosing, Delta, Transfers, words_of
from psi.kernels import aes
from psi.protocol import PeerError

__all__ = ["Asked", "Choice", "choose", "offered", "opened", "packed_width"]

Words = NDArray[np.uint64]
Turns = NDArray[np.uint8]

_GROUP = 1024
"""Transfers under one public key: see docs/protocols/private_sums.md."""


@dataclass(frozen=True, repr=False)
class Choice:
    """The label party's side of a chunk: `made: uint8[n]`, and rows `uint64[width, n, 2]`."""

    made: Turns
    rows: Words


@dataclass(frozen=True, repr=False)
class Asked:
    """What the label party sends: transfers, the nonce of their streams, and turns `uint8[n]`."""

    nonce: bytes
    transfers: Transfers
    turns: Turns


def packed_width(wins: int) -> int:
    """Levels of a choice among so many bits and the empty entry."""
    return wins.bit_length()


def choose(
    keys: IndexKeys, transcript: Transcript, name: str, entries: Turns, width: int
) -> tuple[Choice, Asked]:
    """Transfers for entries `uint8[n]`, all below 2^width; `name` is said once in a session."""
    text = hashlib.sha256(np.ascontiguousarray(entries).data).hexdigest()
    random = transcript.random(f"row bits {name} {text}")
    nonce, drawn = random(NONCE), random(len(entries))
    made = np.frombuffer(drawn, np.uint8) & np.uint8((1 << width) - 1)
    count = len(made) * width
    flat = np.zeros(64 * (words_of(count) - 2 * CHECKED), np.uint8)
    flat[:count] = np.concatenate([made >> level & 1 for level in range(width)])
    bits = np.packbits(flat, bitorder="little").view("<u8").astype(np.uint64)
    seeds = np.frombuffer(keys.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
    sent, rows = Choosing(seeds, _coin(keys.coin, nonce)).choose(0, bits, count, random)
    return Choice(made, rows.reshape(width, -1, 2)), Asked(nonce, sent, made ^ entries)


def offered(
    keys: ValueKeys, asked: Asked, width: int, nonce: bytes, table: Words
) -> NDArray[np.uint8]:
    """Masked entries, flat bytes: bit m of `table: uint64[n]` is a row's entry m.

    Args:
        keys: of the transfers in which the label party chooses.
        asked: what it has sent.
        width: levels of a choice.
        nonce: of the masks' public keys, drawn once the choices are in.
        table: of the rows.

    Raises:
        PeerError: turns out of range, or transfers whose check fails.
    """
    turns = asked.turns
    if len(turns) != len(table) or (len(turns) and int(turns.max()) >> width):
        raise PeerError("choices of rows' bits that do not fit")
    seeds = np.frombuffer(keys.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
    side = Delta(seeds, keys.bits, _coin(keys.coin, asked.nonce))
    q = side.take(0, asked.transfers, len(table) * width).reshape(width, -1, 2)
    public = public_keys(nonce, f"row bits {len(table)} {width}", _groups(len(table)))
    pads = np.zeros(len(table), np.uint64)
    for level in range(width):
        zero, one = _hashed(public, q[level]), _hashed(public, q[level] ^ side.delta)
        up = _upper(level)
        pads ^= (zero & ~up) | (one & up)
    for level in range(width):
        up, by = _upper(level), np.uint64(1 << level)
        turned = ((pads & up) >> by) | ((pads & ~up) << by)
        pads = np.where(turns >> level & 1, turned, pads)
    return _packed(table ^ pads, width)


def opened(
    choice: Choice, turns: Turns, width: int, nonce: bytes, data: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """The chosen entries, `bool[n]`. Raises `PeerError` for another number of bytes."""
    rows = len(choice.made)
    kind = _kind(width)
    if len(data) != rows * kind.itemsize:
        raise PeerError(f"rows' bits of {len(data)} bytes, {rows * kind.itemsize} expected")
    words = data.view(kind).astype(np.uint64)
    keys = public_keys(nonce, f"row bits {rows} {width}", _groups(rows))
    pads = np.zeros(rows, np.uint64)
    for own in choice.rows:
        pads ^= _hashed(keys, own)
    made = choice.made.astype(np.uint64)
    found = (words >> (made ^ turns)) ^ (pads >> made)
    return np.asarray(found & np.uint64(1), np.bool_)


def _coin(coin: bytes, nonce: bytes) -> bytes:
    """What the streams of one call hang on."""
    return hashlib.blake2s(nonce, key=coin, person=b"treerows").digest()


def _groups(rows: int) -> int:
    return -(-rows // _GROUP)


def _upper(level: int) -> np.uint64:
    """The places of 64 whose bit `level` is set."""
    return np.uint64(sum(1 << m for m in range(64) if m >> level & 1))


def _kind(width: int) -> np.dtype[Any]:
    """The unsigned integer, little endian, that holds 2^width bits."""
    return np.dtype(f"<u{max(1, (1 << width) // 8)}")


def _packed(words: Words, width: int) -> NDArray[np.uint8]:
    kept = words & np.uint64((1 << (1 << width)) - 1)
    return np.ascontiguousarray(kept.astype(_kind(width))).view(np.uint8)


def _hashed(keys: NDArray[np.uint8], nodes: Words) -> Words:
    """The first half of H(x) = E(key, s(x)) + s(x): `uint64[n]` of `uint64[n, 2]`."""
    turned = np.stack([nodes[:, 0] ^ nodes[:, 1], nodes[:, 0]], axis=1)
    found = np.empty(len(nodes), np.uint64)
    for group, key in enumerate(keys):
        part = slice(group * _GROUP, (group + 1) * _GROUP)
        found[part] = aes.encrypt(key.tobytes(), turned[part])[:, 0] ^ turned[part, 0]
    return found
