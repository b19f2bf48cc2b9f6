"""Noise that the label party adds to each candidate's gradients, so that no winner tells a label.

A partner whose bins hold one row each, or two cuts that differ by one row, would read that row's
label off which of them wins: its shares are its own, and what it adds to them nobody sees. So the
label party adds Gaussian noise to its share of each candidate's sum: a fresh one in each node, and
one as large that is the same in all trees, by the node's place and the candidate: a mean over trees
takes the first away, a difference of two trees the other, and the label with it. A row adds one to
a sum at most; what chance makes of a sum over the rows of a bin is more than the noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.trees.splitting import GRADIENT_BITS, HESSIAN_BITS
from psi.protocol import Random

__all__ = ["blurred", "normal", "widened"]

Floats = NDArray[np.float64]
_REACH = 6.0
"""Standard deviations of both together that are still within a score's bits."""


def blurred(
    g: NDArray[np.uint32], noise: float, depth: int, seed: bytes, random: Random
) -> NDArray[np.uint32]:
    """Shares of G_L, `uint32[nodes, candidates]`, with both noises.

    Args:
        g: shares in units of 2^-GRADIENT_BITS.
        noise: standard deviation of each of the two.
        depth: of the level.
        seed: 32 secret bytes, the same in all trees.
        random: fresh bytes.
    """
    if not noise:
        return g
    name = f"{depth} {g.shape}".encode()
    lasting = hashlib.shake_256(hashlib.blake2s(name, key=seed, person=b"treeblur").digest())
    drawn = normal(g.size, random(16 * g.size)) + normal(g.size, lasting.digest(16 * g.size))
    units = np.rint(drawn * noise * 2.0**GRADIENT_BITS).astype(np.int64)
    return np.asarray(g + units.reshape(g.shape).astype(np.uint32))


def widened(
    squares: Floats, sums: Sequence[NDArray[np.int64]], penalty: float, noise: float
) -> Floats:
    """Σ g²/h of each node, as much larger as keeps D with noise within the bound that it gives.

    D is at most √(C T u(1 - u)), C = Σ g²/h - G²/T, and T u(1 - u) at least λ/2.

    Args:
        squares: `float64[nodes]`.
        sums: G and H of each node, `int64[nodes]`, in their units.
        penalty: λ.
        noise: as in `blurred`.
    """
    g, h = sums[0] * 2.0**-GRADIENT_BITS, sums[1] * 2.0**-HESSIAN_BITS
    spread = np.maximum(squares - g * g / (h + 2.0 * penalty), 0.0)
    far = _REACH * noise * 2.0**0.5 * (2.0 / penalty) ** 0.5 if noise else 0.0
    return np.asarray(squares + far * (2.0 * np.sqrt(spread) + far))


def normal(count: int, data: bytes) -> Any:
    """Independent standard normal numbers (Box and Muller 1958)."""
    words = np.frombuffer(data, "<u8") >> np.uint64(11)
    u = (words.astype(np.float64) + 0.5) * 2.0**-53
    return np.sqrt(-2.0 * np.log(u[:count])) * np.cos(2.0 * np.pi * u[count:])
