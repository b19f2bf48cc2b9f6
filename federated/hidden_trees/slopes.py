"""Slopes and curvatures of shared scores, from a table that one side makes and the other looks up.

A score is shared modulo 2^32, in units of 2^-21: no leaves of so many trees add up to that. One
that slopes are looked up by lies within 31 of 0 (`reach`): its lower 27 bits say which it is. The
feature party chooses by the six upper bits of these, of its share; an entry is what the slope and
the curvature are if the other share is the label party's own. The bits that the feature party
leaves out are as its share is: uniform, so that a row stands on a grid of steps of 1 that is
another for each row and tree.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from federated.trees.plan import CURVATURE_BITS, SLOPE_BITS
from federated.trees.splitting.lookups import looked_up, tables
from psi.protocol import PeerError

__all__ = ["ENTRIES", "HALF_STEP", "INDEX", "UNIT_BITS", "indices", "opened", "units_of", "written"]

Shares = NDArray[np.uint32]
Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]
U32 = np.uint32

UNIT_BITS = 21
INDEX = 6
ENTRIES = 1 << INDEX
"""Of a row's table: steps of what a score can be."""
_STEP = UNIT_BITS
"""Bits of a share below a step, which is 1."""
HALF_STEP = 1 << (_STEP - 1)
_FINE = 8
"""Bits of the label party's share below a step that entries follow."""
_PER_STEP = 1 << _FINE
_PLACES = ENTRIES * _PER_STEP
_PIECE = 1 << 12
_RING = 0xFFFFFFFF


def units_of(value: float) -> int:
    """A score in log odds as a number modulo 2^32."""
    return round(value * 2.0**UNIT_BITS) & _RING


def indices(score: Shares) -> Bits:
    """Bits of each share's step, `uint8[n * 6]`, least first."""
    bits = np.arange(INDEX, dtype=np.uint8)
    return (_steps(score)[:, None] >> bits & 1).astype(np.uint8).reshape(-1)


def _steps(score: Shares) -> Bits:
    return (score >> U32(_STEP)).astype(np.uint8) & np.uint8(ENTRIES - 1)


@lru_cache(maxsize=1)
def _ready() -> Shares:
    """Slope (without label) and curvature by place below a step, and first step, of all steps from
    there on: `uint32[256, 2, 65, 64]`, a view.
    """
    # the middle of the label party's own unit, and of the step that the other side has cut off
    first = -(_PLACES // 2)
    place = (np.arange(_PLACES, dtype=np.int64) + _PER_STEP // 2 - first) % _PLACES + first
    p = 1.0 / (1.0 + np.exp(-(place + 0.5) * 2.0 ** (_STEP - _FINE - UNIT_BITS)))
    slope = np.rint(p * 2.0**SLOPE_BITS)
    curvature = np.maximum(1, np.rint(p * (1.0 - p) * 2.0**CURVATURE_BITS))
    both = np.stack([slope, curvature]).astype(U32).reshape(2, ENTRIES, _PER_STEP)
    twice = np.ascontiguousarray(np.concatenate([both, both], axis=1).transpose(2, 0, 1))
    return sliding_window_view(twice, ENTRIES, axis=2)


def _nonce(nonce: bytes, piece: int, which: int) -> bytes:
    """No two tables under one."""
    text = nonce + piece.to_bytes(4, "little") + bytes([which])
    return hashlib.blake2s(text, digest_size=len(nonce), person=b"hidetabl").digest()


def written(
    score: Shares, used: NDArray[np.bool_], rest: Shares, keys: Words, nonce: bytes
) -> Shares:
    """Padded entries `uint32[n, 2, 64]`: slope and curvature less `rest`, 0 in rows not used.

    Args:
        score: the label party's shares.
        used: rows that the tree grows on.
        rest: `uint32[n, 2]`, random: its own shares of what is looked up.
        keys: both pads of each index bit, `uint64[n, 6, 2, 2]`.
        nonce: of these rows.
    """
    out = np.empty((len(score), 2, ENTRIES), U32)
    ready = _ready()
    for low in range(0, len(score), _PIECE):
        at = slice(low, low + _PIECE)
        step = _steps(score[at])
        fine = (score[at] >> U32(_STEP - _FINE)) & U32(_PER_STEP - 1)
        for which in range(2):
            found = ready[fine, which, step]
            found *= used[at, None]
            found -= rest[at, which, None]
            out[at, which] = tables(keys[at], found, _nonce(nonce, low, which))
    return out


def opened(score: Shares, entries: Shares, keys: Words, nonce: bytes) -> Shares:
    """The feature party's shares `uint32[n, 2]`, by the pads of its choices `uint64[n, 6, 2]`."""
    if len(entries) != len(score) * 2 * ENTRIES:
        raise PeerError("tables of another shape")
    sent, step = entries.reshape(len(score), 2, ENTRIES), _steps(score)
    out = np.empty((len(score), 2), U32)
    for low in range(0, len(score), _PIECE):
        at = slice(low, low + _PIECE)
        for which in range(2):
            own = sent[at, which]
            out[at, which] = looked_up(keys[at], step[at], own, _nonce(nonce, low, which))
    return out
