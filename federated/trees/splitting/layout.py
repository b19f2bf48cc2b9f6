"""In which order a level's first transfers are used, and names of its draws."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.sharing.keys import NONCE
from federated.trees.splitting.level import RECIPROCAL_BITS, SCORE_BITS, Level
from federated.trees.splitting.scores import SCALE_BITS
from psi.kernels import aes
from psi.protocol import PeerError

__all__ = [
    "Asked",
    "Picked",
    "bits_of",
    "check_level",
    "check_nonce",
    "check_shares",
    "low_halves",
    "part_of",
    "picked",
    "public_labels",
    "text_of",
]

Bits = NDArray[np.uint8]
Shares = NDArray[np.uint32]


@dataclass(frozen=True)
class Asked:
    """Transfers in which the label party chooses: ends of slopes, places, lifts, scales.

    slopes, places: `[node, bit]`; lifts: `[sum, candidate]`; scales: `[bit, candidate]`.
    """

    slopes: int
    places: int
    lifts: int
    scales: int

    @classmethod
    def of(cls, level: Level) -> Asked:
        """Of a level."""
        slopes = level.nodes * level.slope_bits
        places = slopes + level.nodes * RECIPROCAL_BITS
        lifts = places + level.lifts * level.size
        return cls(slopes, places, lifts, lifts + SCALE_BITS * level.size)


@dataclass(frozen=True)
class Picked:
    """Labels of the feature party's shares of scores, of what it keeps, and of counts of rows."""

    scores: NDArray[np.uint64]
    kept: NDArray[np.uint64]
    turned: NDArray[np.uint64] | None
    counts: NDArray[np.uint64]


def part_of(level: Level) -> int:
    """Where in the store a level's arrays lie: over those of the one before the last."""
    return level.number & 1


def text_of(level: Level, *arrays: NDArray[Any]) -> str:
    """Names a level and all numbers that its messages are made of."""
    text = hashlib.sha256(repr(level).encode())
    for each in arrays:
        text.update(f"{each.dtype} {each.shape} ".encode() + np.ascontiguousarray(each).tobytes())
    return text.hexdigest()


def check_level(level: Level, number: int) -> None:
    """Raise `PeerError` where a message speaks of another level."""
    if number != level.number:
        raise PeerError("a message of a level that is not due")


def check_nonce(nonce: bytes) -> None:
    """Raise `PeerError` for a nonce of another length."""
    if len(nonce) != NONCE:
        raise PeerError(f"a nonce of {len(nonce)} bytes, {NONCE} expected")


def check_shares(level: Level, *shares: NDArray[Any]) -> None:
    """Raise `ValueError` unless shares are a level's `uint32[nodes, candidates]`."""
    for each in shares:
        if each.dtype != np.uint32 or each.shape != (level.nodes, level.candidates):
            raise ValueError(f"shares {each.dtype}{each.shape} for {level.nodes} nodes")


def low_halves(level: Level, hessians: Shares, gradients: Shares) -> Bits:
    """Of the sums that are lifted, whether each share is below 2^31: `uint8[lifts, candidates]`.

    Shares of a number below 2^31 add up to it, not to 2^32 more, if both are.
    """
    both = np.stack([hessians.reshape(-1), gradients.reshape(-1)])[: level.lifts]
    return ((both >> np.uint32(31)) ^ np.uint32(1)).astype(np.uint8)


def bits_of(numbers: NDArray[Any], bits: int) -> Bits:
    """Of unsigned numbers the lowest, `uint8[bits, ...]`, least first."""
    places = np.arange(bits, dtype=numbers.dtype).reshape(-1, *[1] * numbers.ndim)
    return np.asarray(numbers[None] >> places & numbers.dtype.type(1)).astype(np.uint8)


def picked(level: Level, labels: NDArray[np.uint64]) -> Picked:
    """The wires of the feature party's inputs, of labels in the order in which it chooses."""
    wires = labels.reshape(level.pick_bits, level.nodes, level.candidates, 2)
    counts = SCORE_BITS + 1 + level.ways
    turned = wires[SCORE_BITS + 1] if level.ways else None
    return Picked(wires[:SCORE_BITS], wires[SCORE_BITS], turned, wires[counts:])


def public_labels(nonce: bytes, count: int, batch: int) -> NDArray[np.uint64]:
    """The labels `uint64[count, 2]` that the evaluating side has of the garbling side's inputs.

    They say nothing of the values, so they can be public, and none is sent.
    """
    active = np.empty(2 * count, np.uint64)
    aes.stream(nonce[:16], batch << 40, active)
    return active.reshape(-1, 2)
