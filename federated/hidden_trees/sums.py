"""Sums of nodes as the label party is told them: under the feature party's noise, without low bits.

A share of a sum with noise is cut to the bits in which the sum can lie at all, so that a label
party whose weights are not its own learns so many bits of a node's rows, and no more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.plan import MOST_LEAF, SUM_NOISE, HiddenPlan
from federated.trees.blur import normal
from federated.trees.plan import CURVATURE_BITS, SLOPE_BITS
from psi.protocol import PeerError, Random

__all__ = [
    "adjusted",
    "leaf_values",
    "noise_left",
    "sums_opened",
    "sums_told",
]

Floats = NDArray[np.float64]
Shares = NDArray[np.uint32]
Whole = NDArray[np.int64]
U32 = np.uint32
_UNITS = np.array([2.0**SLOPE_BITS, 2.0**CURVATURE_BITS])


def sums_told(plan: HiddenPlan, share: Shares, random: Random) -> NDArray[np.uint16]:
    """Of shares `uint32[nodes, 2]`, flat."""
    drawn = normal(share.size, random(16 * share.size)).reshape(share.shape)
    noise = np.rint(drawn * np.array(SUM_NOISE) * _UNITS).astype(np.int64).astype(U32)
    return _cut(share + noise, plan.sum_range, plan.sum_dropped).reshape(-1)


def sums_opened(plan: HiddenPlan, share: Shares, told: NDArray[np.uint16]) -> Whole:
    """G and H with noise, `int64[nodes, 2]`; H is one unit at least."""
    if len(told) != share.size or (told >> (plan.sum_range - plan.sum_dropped)).any():
        raise PeerError("sums of nodes of another shape")
    found = _joined(share, told.reshape(share.shape), plan.sum_range, plan.sum_dropped)
    most = plan.rows << SLOPE_BITS
    return np.stack([np.clip(found[:, 0], -most, most), np.clip(found[:, 1], 1, most)], axis=1)


def adjusted(sums: Whole, parents: Whole, depth: int) -> Whole:
    """Sums of nodes, moved towards what their parents' say: two children add up to their parent.

    With independent noise of one size, and what is `noise_left` of the parent's, the least squares.

    Args:
        sums: of a level's nodes, `int64[nodes, 2]`.
        parents: of the level before, adjusted, `int64[nodes / 2, 2]`.
        depth: of the level, 1 or more.
    """
    pairs = sums.reshape(-1, 2, 2)
    off = (parents - pairs.sum(axis=1)) / (2.0 + noise_left(depth - 1))
    found = np.rint(pairs + off[:, None]).astype(np.int64).reshape(-1, 2)
    return np.stack([found[:, 0], np.maximum(found[:, 1], 1)], axis=1)


def noise_left(depth: int) -> float:
    """Variance of a sum that is `adjusted`, as a share of its noise's."""
    return 1.0 - 1.0 / (2.0 + noise_left(depth - 1)) if depth else 1.0


def leaf_values(plan: HiddenPlan, sums: Whole) -> Floats:
    """What each leaf adds to a score: a step of Newton's, less where the noise is much of it."""
    g, h = (sums / _UNITS).T
    chance = h + 0.25 * h * h
    noise = SUM_NOISE[0] ** 2 + 2.0 * plan.noise**2  # the feature party's, the label party's two
    trust = chance / (chance + noise * noise_left(plan.depth))
    found = -plan.rate * trust * g / (h + plan.penalty)
    return np.asarray(np.clip(found, -MOST_LEAF, MOST_LEAF))


def _cut(share: Shares, bits: int, dropped: int) -> NDArray[np.uint16]:
    kept = (share >> U32(dropped)) & U32((1 << (bits - dropped)) - 1)
    return kept.astype(np.uint16)


def _joined(share: Shares, told: NDArray[np.uint16], bits: int, dropped: int) -> Whole:
    """The number whose other share is in the middle of what was told."""
    other = (told.astype(np.int64) << dropped) + (1 << dropped >> 1)
    found = (share.astype(np.int64) + other) & ((1 << bits) - 1)
    return np.where(found >> (bits - 1), found - (1 << bits), found)
