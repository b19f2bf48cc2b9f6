"""A shared score rounded down to a step, for the label party alone: a circuit a row.

A score less that of no tree is a whole number of units of 2^-16, shared modulo a power of 2 that no
sum of so many leaves reaches, 2^22 for 20 trees (`ring_bits`). The feature party has labels of its
share by transfers and evaluates; the label party garbles an adder and has put its own share in.
What lies beyond -4 to 4 becomes the last step on its side, so that no bit is spent where next to no
row is. Of the upper `score_bits` bits the feature party sends the colours of its labels, which tell
it nothing: what they stand for the label party knows.

So the label party gets so many bits of a row, whatever it garbles, and nothing ends a run by what
a circuit gave. An honest one gets the step that the score lies in. Where a row's steps begin
follows from its own bins: it adds that to its share and takes it off again. Scores that lie close
to each other are so told apart in part, as under noise, and the same row is told the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.plan import TOLD_BITS, VALUE_BITS
from federated.hidden_trees.slopes import UNIT_BITS
from federated.trees.splitting.circuit import added
from federated.trees.splitting.garbling import Engine, Evaluator, Garbler, coloured
from federated.trees.splitting.label_side import labels_of
from federated.trees.splitting.layout import check_nonce, public_labels
from federated.trees.splitting.transfers import Gives, packed, unpacked

__all__ = ["circuit", "coloured_by", "labels_of_rows", "margins", "numbers", "offsets"]
__all__ += ["opened", "rows_of", "share_bits", "units_of_leaf"]

Bits = NDArray[np.uint8]
Shares = NDArray[np.uint32]
Words = NDArray[np.uint64]
Whole = NDArray[np.int64]
U32 = np.uint32

_LOW = UNIT_BITS - VALUE_BITS
"""Bits of a share in training below a unit."""


def units_of_leaf(values: NDArray[np.float64]) -> Whole:
    """Leaves' values in units of 2^-16."""
    return np.rint(values * 2.0**VALUE_BITS).astype(np.int64)


def numbers(share: Shares, *, leads: bool) -> Shares:
    """A share of training, modulo 2^32 in units of 2^-21, as one modulo 2^27 in units of 2^-16.

    The sum's low bits are 0, so both shares' are, or they add up to a unit: the label party, which
    `leads`, adds it.
    """
    found = share >> U32(_LOW)
    if leads:
        found = found + (share & U32((1 << _LOW) - 1) != 0)
    return np.asarray(found, U32)


def share_bits(share: Shares, ring: int) -> Bits:
    """The feature party's choices, `uint8[ring * n]`: its shares bit by bit, least first."""
    return _bits(share, ring).reshape(-1)


def rows_of(gives: Gives, at: slice, count: int) -> Gives:
    """Transfers of some rows' shares, of those of `count` rows."""
    return Gives(labels_of_rows(gives.rows, at, count), gives.delta)


def labels_of_rows(labels: Words, at: slice, count: int) -> Words:
    """The same of labels of choices `uint64[ring * count, 2]`."""
    return np.ascontiguousarray(labels.reshape(-1, count, 2)[:, at]).reshape(-1, 2)


def circuit(gives: Gives, share: Shares, score_bits: int, nonce: bytes) -> tuple[Words, Words]:
    """The label party's gates, and the labels for 0 of what is told: `uint64[score_bits, n, 2]`.

    Args:
        gives: transfers of the feature party's `share_bits`, `ring * n` of them.
        share: its own, `uint32[n]`, of which `ring` bits count.
        score_bits: the upper bits that are told.
        nonce: that follows from these shares.
    """
    ring = len(gives.rows) // len(share)
    mine = labels_of(nonce, gives.delta, _bits(share, ring), 0).reshape(ring, -1, 2)
    garbler = Garbler(gives.delta, nonce)
    told = _within(garbler, added(garbler, gives.rows.reshape(mine.shape), mine), score_bits)
    return garbler.gates, told


def coloured_by(labels: Words, gates: Words, score_bits: int, nonce: bytes, ring: int) -> Bits:
    """What the feature party sends: colours of what is told, packed.

    labels: of its choices, `uint64[ring * n, 2]`. Raises `PeerError` for gates of another number.
    """
    check_nonce(nonce)
    rows = labels.reshape(ring, -1, 2)
    theirs = public_labels(nonce, len(labels), 0).reshape(rows.shape)
    engine = Evaluator(gates, nonce)
    told = _within(engine, added(engine, rows, theirs), score_bits)
    engine.end()
    return packed(coloured(told))


def _within(engine: Engine, total: Words, score_bits: int) -> Words:
    """What is told of sums, wires `[ring, n, 2]`: their upper bits, least first, the sign last.

    A sum that is too far for 19 bits has a bit from the 19th on unlike its sign. All bits that are
    told are unlike it then: ones above, zeros below.
    """
    sign, unlike = total[-1], total[TOLD_BITS - score_bits : -1] ^ total[-1]
    told = unlike[: score_bits - 1]
    if len(told):
        beyond = unlike[score_bits - 1]
        for other in unlike[score_bits:]:
            beyond = _either(engine, beyond, other)
        told = _either(engine, np.broadcast_to(beyond, told.shape), told)
    return np.concatenate([told ^ sign, sign[None]])


def _either(engine: Engine, x: Words, y: Words) -> Words:
    """Whether one of two is 1."""
    return x ^ y ^ engine.product(x, y)


def offsets(training: bytes, bins: Sequence[NDArray[np.uint16]], score_bits: int) -> Shares:
    """Where each row's steps begin, in units: `uint32[n]`, less than a step.

    Args:
        training: its name.
        bins: of each own column `uint16[n]`.
        score_bits: that are told.
    """
    drawn = hashlib.shake_256(b"steps begin" + training).digest(8 * (len(bins) + 1))
    last, *odd = (np.frombuffer(drawn, "<u8") | 1).astype(np.uint64)
    mixed = np.zeros(len(bins[0]), np.uint64)
    for own, factor in zip(bins, odd, strict=True):
        mixed += (own.astype(np.uint64) + np.uint64(1)) * factor
    mixed = (mixed ^ mixed >> np.uint64(32)) * last
    return np.asarray(mixed >> np.uint64(64 - TOLD_BITS + score_bits), U32)


def opened(none: Words, colours: Bits, begins: Shares) -> Whole:
    """Scores less that of no tree, in units, each in the middle of its step: `int64[n]`.

    A row of the last step on a side may lie beyond it.

    Args:
        none: labels for 0 of what is told.
        colours: as they were sent.
        begins: `offsets` of these rows, which their shares were raised by.

    Raises:
        PeerError: colours of another number.
    """
    bits = len(none)
    told = unpacked(colours, none.shape[0] * none.shape[1]).reshape(bits, -1) ^ coloured(none)
    found = (told.astype(np.int64) << np.arange(bits)[:, None]).sum(axis=0)
    steps = np.where(found >> (bits - 1), found - (1 << bits), found)
    width = 1 << (TOLD_BITS - bits)
    return np.asarray(steps * width + width // 2 - begins.astype(np.int64))


def margins(base: float, units: Whole) -> NDArray[np.float64]:
    """Scores in log odds, of those less that of no tree."""
    return np.asarray(base + units * 2.0**-VALUE_BITS)


def _bits(share: Shares, ring: int) -> Bits:
    places = np.arange(ring, dtype=U32)[:, None]
    return (share[None] >> places & U32(1)).astype(np.uint8)
