"""Noise of the label party's on sums of slopes and curvatures, so that no winner tells a label.

A partner whose bins hold one row each, or two cuts that differ by one row, would read that row's
label off which of them wins: its shares are its own, and what it adds to them nobody sees. So the
label party adds Gaussian noise to its share of each candidate's sum: a fresh one in each node, and
one as large that is the same in all trees, by the node's place and the candidate: a mean over trees
takes the first away, a difference of two trees the other, and the label with it, unless other rows
are in the node. A row adds one to a sum at most, and a quarter to one of curvatures, which has a
quarter of the noise: an exact one would tell which rows have a label, and what the model says of a
row. What chance makes of a sum over the rows of a bin is more than the noise.

All else that the partner may steer or observe follows from such sums: the node's own sum, which
divides into the mean slope, the label party's own candidates, what they gain and which is best, the
leaves' values, and so the scores, curvatures and slopes of the next tree.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.trees.splitting import GRADIENT_BITS, HESSIAN_BITS
from psi.protocol import Random

__all__ = ["MOST_CURVATURE", "blurred", "blurred_sums", "guessed", "heard_penalty"]
__all__ += ["noised_base", "normal", "widened"]

Floats = NDArray[np.float64]
_REACH = 6.0
"""Standard deviations of both together that are still within a score's bits."""
MOST_CURVATURE = 0.25
"""Of a row."""
_SPREAD = 4.0, 64.0
"""What Σ g²/h of a node is taken for, by its rows and no row at all."""


def blurred(
    sums: NDArray[np.uint32],
    noise: float,
    place: str,
    seed: bytes,
    random: Random,
    bits: int = GRADIENT_BITS,
) -> NDArray[np.uint32]:
    """Shares of sums, `uint32[nodes, candidates]` for G_L, with both noises.

    Args:
        sums: shares in units of 2^-`bits`.
        noise: standard deviation of each of the two.
        place: which sums, on which level: none other has the same noise that stays.
        seed: 32 secret bytes, the same in all trees.
        random: fresh bytes.
        bits: fraction bits of the sums.
    """
    if not noise:
        return sums
    size, name = sums.size, f"{place} {sums.shape}"
    drawn = normal(size, random(16 * size)) + _lasting(name, seed, size)
    units = np.rint(drawn * noise * 2.0**bits).astype(np.int64)
    return np.asarray(sums + units.reshape(sums.shape).astype(np.uint32))


def blurred_sums(
    sums: NDArray[np.int64],
    noise: float,
    place: str,
    seed: bytes,
    random: Random,
    bits: int = GRADIENT_BITS,
) -> NDArray[np.int64]:
    """The same of sums that the label party knows, below 2^31 units."""
    shares = blurred(sums.astype(np.uint32), noise, place, seed, random, bits)
    return shares.view(np.int32).astype(np.int64)


def noised_base(base: float, rows: int, noise: float, seed: bytes) -> float:
    """The log odds of the training rows with noise on their number of positives.

    Args:
        base: the log odds.
        rows: how many.
        noise: standard deviation.
        seed: as in `blurred`.
    """
    p = 1.0 / (1.0 + math.exp(-base))
    moved = noise * float(_lasting("base", seed, 1)[0]) / rows
    return base + moved / (p * (1.0 - p))


def heard_penalty(penalty: float, noise: float) -> float:
    """λ of a search: the curvature of a side without rows and it are above 0, whatever the noise.

    Args:
        penalty: λ of the plan.
        noise: as in `blurred`, of slopes.
    """
    return penalty + _REACH * math.sqrt(2.0) * noise * MOST_CURVATURE


def guessed(
    sums: Sequence[NDArray[np.int64]], rows: NDArray[Any], penalty: float, noise: float
) -> Floats:
    """What Σ g²/h of each node is taken for, which sets units only: no label but by its noisy G.

    Args:
        sums: G, with noise, and H of each node, `int64[nodes]`, in their units.
        rows: of each node how many, or about so many.
        penalty: λ.
        noise: as in `blurred`.
    """
    g, h = sums[0] * 2.0**-GRADIENT_BITS, sums[1] * 2.0**-HESSIAN_BITS
    mean = g / (h + 2.0 * penalty)
    squares = g * mean + _SPREAD[0] * rows + _SPREAD[1]
    # noise is on G_L and on G, and D has both; that of curvatures times the mean
    several = noise * np.sqrt(2.0 * (1.0 + (MOST_CURVATURE * mean) ** 2))
    return widened(squares, sums, penalty, several)


def widened(
    squares: Floats, sums: Sequence[NDArray[np.int64]], penalty: float, noise: Any
) -> Floats:
    """Σ g²/h of each node, as much larger as keeps D with noise within the bound that it gives.

    D is at most √(C T u(1 - u)), C = Σ g²/h - G²/T, and T u(1 - u) at least λ/2.

    Args:
        squares: `float64[nodes]`.
        sums: G and H of each node, `int64[nodes]`, in their units.
        penalty: λ.
        noise: as in `blurred`, of each node or of all.
    """
    g, h = sums[0] * 2.0**-GRADIENT_BITS, sums[1] * 2.0**-HESSIAN_BITS
    spread = np.maximum(squares - g * g / (h + 2.0 * penalty), 0.0)
    far = _REACH * noise * 2.0**0.5 * (2.0 / penalty) ** 0.5
    return np.asarray(squares + far * (2.0 * np.sqrt(spread) + far))


def _lasting(name: str, seed: bytes, count: int) -> Any:
    """The noise that stays."""
    key = hashlib.blake2s(name.encode(), key=seed, person=b"treeblur").digest()
    return normal(count, hashlib.shake_256(key).digest(16 * count))


def normal(count: int, data: bytes) -> Any:
    """Independent standard normal numbers (Box and Muller 1958)."""
    words = np.frombuffer(data, "<u8") >> np.uint64(11)
    u = (words.astype(np.float64) + 0.5) * 2.0**-53
    return np.sqrt(-2.0 * np.log(u[:count])) * np.cos(2.0 * np.pi * u[count:])
