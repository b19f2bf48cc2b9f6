"""Small trees of seeds for SoftSpoken transfers: all but one of 2^k, from k base transfers.

The choosing side makes for each of 128/k groups a tree with 2^k leaves and sends, a level, the sum
of the left and of the right nodes, each masked by a key of the base transfers. The side with Δ
knows the mask of the side that its path does not take, so all leaves but that of its k bits of Δ.
Bit l of a leaf's number is the way its path goes below level l.

*Check.* A choosing side that sends a wrong sum makes the other's leaves wrong where a bit of Δ is
as it guessed. Each leaf gives a second value too; their sum and a hash of all are sent, and the
side with Δ, which gets its missing one from the sum, compares the hash. A wrong sum passes only
where the guess is right, and ends the session otherwise: m bits learned cost 1 - 2^-m of the tries.

Source: Roy 2022 (eprint 2022/192), sections 5 and 6; Boyle et al. 2019 (eprint 2019/1159).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import numpy as np

from psi.protocol import PeerError, Random

__all__ = ["BASE", "GROUPS", "GROUP_BITS", "LEAVES", "SENT", "choosing_seeds", "delta_seeds"]

BASE = 128
"""Base transfers: the bits of Δ."""
GROUP_BITS = 4
"""Bits of Δ that a tree hides: k of SoftSpoken."""
GROUPS, LEAVES = BASE // GROUP_BITS, 1 << GROUP_BITS
_SEED, _CHECK = 16, 32
SENT = GROUPS * (2 * GROUP_BITS * _SEED + 2 * _CHECK)
"""Bytes that the choosing side sends."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Bits = np.ndarray[Any, np.dtype[np.uint8]]


def choosing_seeds(keys: Bytes, random: Random, session: bytes) -> tuple[Bytes, bytes]:
    """The choosing side's seeds `uint8[GROUPS, LEAVES, 16]`, and what it sends.

    `keys: uint8[128, 2, 16]` are both keys of each base transfer.
    """
    seeds, sent = [], []
    for group in range(GROUPS):
        nodes = [random(_SEED)]
        for level in range(GROUP_BITS):
            sides = _children(nodes)
            for side, new in enumerate(sides):
                key = keys[group * GROUP_BITS + level, side].tobytes()
                sent.append(_sum(*new, _mask(key, session, group, level)))
            nodes = sides[0] + sides[1]
        checks = [_check(node, session) for node in nodes]
        sent += [_sum(*checks), _digest(checks, session, group)]
        seeds.append([_leaf(node) for node in nodes])
    return _array(seeds), b"".join(sent)


def delta_seeds(keys: Bytes, bits: Bits, sent: bytes, session: bytes) -> Bytes:
    """The other side's seeds, zero in each group at the number that its bits of Δ make.

    `keys: uint8[128, 16]` of the base transfers in which it chose 1 - `bits: uint8[128]`. Raises
    `PeerError` where the sums do not fit.
    """
    if len(sent) != SENT:
        raise PeerError(f"seeds of {len(sent)} bytes, {SENT} expected")
    seeds, at = [], 0
    for group in range(GROUPS):
        nodes: list[bytes | None] = [None]
        path = 0
        for level in range(GROUP_BITS):
            bit = int(bits[group * GROUP_BITS + level])
            place = at + _SEED * (1 - bit)
            key = keys[group * GROUP_BITS + level].tobytes()
            total = _sum(sent[place : place + _SEED], _mask(key, session, group, level))
            at += 2 * _SEED
            half = len(nodes)
            sides: tuple[list[bytes | None], ...] = ([None] * half, [None] * half)
            for j, node in enumerate(nodes):
                if node is not None:
                    sides[0][j], sides[1][j] = _child(node, 0), _child(node, 1)
            others = [node for node in sides[1 - bit] if node is not None]
            sides[1 - bit][path] = _sum(total, *others)
            path += bit << level
            nodes = sides[0] + sides[1]
        known = [None if node is None else _check(node, session) for node in nodes]
        missing = _sum(sent[at : at + _CHECK], *(c for c in known if c is not None))
        whole = [missing if c is None else c for c in known]
        found = sent[at + _CHECK : at + 2 * _CHECK]
        if not hmac.compare_digest(_digest(whole, session, group), found):
            raise PeerError("seeds of the transfers that do not fit their check")
        at += 2 * _CHECK
        seeds.append([bytes(_SEED) if node is None else _leaf(node) for node in nodes])
    return _array(seeds)


def _array(seeds: list[list[bytes]]) -> Bytes:
    flat = np.frombuffer(b"".join(b"".join(group) for group in seeds), np.uint8)
    return flat.reshape(GROUPS, LEAVES, _SEED)


def _children(nodes: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    return [_child(node, 0) for node in nodes], [_child(node, 1) for node in nodes]


def _child(node: bytes, side: int) -> bytes:
    return hashlib.blake2s(bytes([side]), digest_size=_SEED, key=node, person=b"sharetre").digest()


def _leaf(node: bytes) -> bytes:
    return hashlib.blake2s(b"", digest_size=_SEED, key=node, person=b"sharelea").digest()


def _check(node: bytes, session: bytes) -> bytes:
    return hashlib.blake2s(session, digest_size=_CHECK, key=node, person=b"sharechk").digest()


def _digest(checks: list[bytes], session: bytes, group: int) -> bytes:
    text = bytes([group]) + b"".join(checks)
    return hashlib.blake2s(text, digest_size=_CHECK, key=session, person=b"sharedig").digest()


def _mask(key: bytes, session: bytes, group: int, level: int) -> bytes:
    text = bytes([group, level]) + session
    return hashlib.blake2s(text, digest_size=_SEED, key=key, person=b"sharemsk").digest()


def _sum(*parts: bytes) -> bytes:
    total = 0
    for part in parts:
        total ^= int.from_bytes(part, "little")
    return total.to_bytes(len(parts[0]), "little")
