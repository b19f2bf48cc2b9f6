"""The label party's numbers of each node, as the integers that the protocol computes with.

With T = H + 2λ, μ = G / T, u = (H_L + λ) / T and D = G_L - μ(H_L + λ), XGBoost's gain

    G_L² / (H_L + λ) + G_R² / (H_R + λ) - G² / (H + λ)

is D² / (T u (1 - u)) plus a constant of the node. Compared is the size of s = K D / √(u (1 - u)),
K of the label party's choice: as large as rules a wrap out. By Cauchy and Schwarz D is at most
√((Σ g²/h - G²/T) T u (1 - u)).

Source: T. Chen, C. Guestrin, "XGBoost: a scalable tree boosting system", 2016, equation 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.trees.splitting.circuit import MAGNITUDE_BITS
from federated.trees.splitting.level import (
    GRADIENT_BITS,
    HESSIAN_BITS,
    INDEX_BITS,
    RECIPROCAL_BITS,
    Level,
)
from psi.protocol import MisuseError

__all__ = ["SCALE_BITS", "Constants", "Totals", "constants", "penalty_units"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SCALE_BITS = 16
"""Of K / √(u (1 - u)) as it is shared; it is below 2^15."""
_MOST_PENALTY = 1 << 16
_WRAP = 2.0**29.4
"""A product of scale and D at most: √2 of it is below 2^30, for u may be off by one step."""
_LEAST_OWN = 2
"""The smallest magnitude to beat: a candidate without any gain has 0 or 1."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What the label party knows of each node.

    Args:
        gradients, hessians: sums G and H over the node's rows, `int64[nodes]`, in units of
            2^-GRADIENT_BITS and 2^-HESSIAN_BITS; exactly what the shares' cells add up to.
        squares: `float64[nodes]`, the sum of g²/h over the rows as they are in the shares.
        own: `float64[nodes]`, the gain that a candidate has to beat: the own best split's, or the
            least gain of any split.
        penalty: λ, above 0.
        least: the hessian that each side of a split needs; to 1/128 of the node's own.
        room: `int64[nodes]`, by how many rows a side may have more than the fewest, 0 at least;
            None where rows are not counted.
    """

    gradients: Integers
    hessians: Integers
    squares: Floats
    own: Floats
    penalty: float
    least: float = 0.0
    room: Integers | None = None

    def check(self, level: Level) -> None:
        """Raise `MisuseError` unless the numbers are a level's and within bounds."""
        room = self.own if self.room is None else self.room
        every = self.gradients, self.hessians, self.squares, self.own, room
        if any(each.shape != (level.nodes,) for each in every):
            raise MisuseError(f"totals of another number than the {level.nodes} nodes")
        if not 2.0**-HESSIAN_BITS <= self.penalty <= _MOST_PENALTY or not self.least >= 0:
            raise MisuseError(f"a penalty of {self.penalty:g}, 2^-10 to 2^16 allowed")
        if not np.isfinite(self.squares).all() or np.isnan(self.own).any():
            raise MisuseError("totals that are no numbers")
        if self.hessians.min() < 0 or self.hessians.max() >= 1 << 31:
            raise MisuseError("sums of hessians of 2^31 units or more, or below 0")
        if np.abs(self.gradients).max() >= 1 << 30:
            raise MisuseError("sums of gradients of 2^30 units or more")
        if (self.room is None) == level.counted:
            raise MisuseError("room for rows of a level that counts none, or none of one that does")
        if self.room is not None and (self.room >> level.count_bits).any():
            raise MisuseError(f"room for less than no row, or for more than {level.rows}")


@dataclass(frozen=True, repr=False)
class Constants:
    """Of each node: μ and 2^32 / T as integers, scales by u's step, the magnitude to beat.

    slopes, places: `int64[nodes]`; scales: `uint16[nodes, 128]`; own: `uint16[nodes]`.
    """

    slopes: Integers
    places: Integers
    scales: NDArray[np.uint16]
    own: NDArray[np.uint16]


def penalty_units(penalty: float) -> int:
    """λ in units of a hessian."""
    return round(penalty * (1 << HESSIAN_BITS))


def constants(level: Level, totals: Totals) -> Constants:
    """The integers of a level."""
    totals.check(level)
    lam = penalty_units(totals.penalty) / 2**HESSIAN_BITS
    g, h = totals.gradients / 2.0**GRADIENT_BITS, totals.hessians / 2.0**HESSIAN_BITS
    t = h + 2 * lam
    mean = g / t
    unit = 2.0 ** (level.mean_bits + GRADIENT_BITS - HESSIAN_BITS)
    most = (1 << (level.slope_bits - 1)) - 1
    steep = np.abs(mean * unit) > most  # the bound on D would not hold: no candidate wins
    slopes = np.clip(np.rint(mean * unit), -most, most).astype(np.int64)
    places = np.floor((2.0**32 - 1) / (t * 2.0**HESSIAN_BITS))
    places = np.minimum(places, (1 << RECIPROCAL_BITS) - 1).astype(np.int64)
    spread = np.maximum(totals.squares - g * mean, 0.0)
    bound = np.maximum(np.sqrt(spread * t) * 2.0**level.fraction, 1.0)
    scale = np.minimum(0.999 * 2.0 ** (15 - INDEX_BITS / 2), _WRAP / bound)
    scales = _scales(scale, places, t, totals.least)
    scales[steep] = 0
    gain = np.maximum(totals.own, 0.0) + g * g / (h + lam) - g * mean
    with np.errstate(over="ignore"):
        own = scale * np.sqrt(np.maximum(gain, 0.0) * t) * 2.0 ** (level.fraction - 16)
    top = (1 << MAGNITUDE_BITS) - 1
    return Constants(slopes, places, scales, np.clip(own, _LEAST_OWN, top).astype(np.uint16))


def _scales(scale: Floats, places: Integers, t: Floats, least: float) -> NDArray[np.uint16]:
    """K / √(u (1 - u)) at each step of u; 0 where u has no such place, or too little beside it.

    Where T is large the integer 2^32 / T has few bits: what it lacks is put right here.
    """
    steps = 1 << INDEX_BITS
    lacking = 2.0**32 / (places * t * 2.0**HESSIAN_BITS)
    u = np.arange(steps) / steps * lacking[:, None]
    share = (least / t)[:, None]
    none = (u <= 0) | (u >= 1) | (u < share) | (u > 1 - share)
    inner = np.where(none, 0.5, u)
    found = np.rint(scale[:, None] / np.sqrt(inner * (1 - inner)))
    return np.where(none, 0, np.minimum(found, 32767)).astype(np.uint16)
