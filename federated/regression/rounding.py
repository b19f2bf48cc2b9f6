"""How finely a feature party tells a score vector: with fresh noise of its own, in fixed point.

A vector v over all aligned rows becomes round(2^30 (v + s g)), of which some rows are shown: g is
Gaussian, drawn anew for every number from the operating system's generator, and s = 2^-b sd(v). By
all rows, since the label party chooses which are shown: few of them, or like ones, would have a
small sd, and one alone none. Of a row it tells ½ log2(1 + 4^b) bits in the mean of the rows,
whatever the partner's columns are: a Gaussian v is the worst case (Shannon 1948). A row far from
the vector's mean tells more. b is the contract's `score_bits`.

The Gaussians are Box and Muller's (1958) from 53-bit uniforms. What their last digits could say
(Mironov 2012) is rounded away: the grid of 2^-30 is far coarser than a double's spacing there.
A vector is told once: a role that goes on sends the bytes it has kept (`session.journal`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.regression.noise import gaussians
from federated.regression.results import Floats
from psi.protocol import Random

__all__ = ["FRACTION_BITS", "fixed_point", "rounded"]

FRACTION_BITS = 30
"""Fraction bits of the numbers that a partner sends."""


def rounded(
    vector: Floats, score_bits: int, random: Random, repeats: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The vector `[rows]` with fresh noise of 2^-`score_bits` of its sd, in fixed point.

    `repeats` says which row of the table each is, where some are in several pairs: these are one
    in the sd and have one draw, since the mean of many would tell the number itself.
    """
    rows = np.arange(len(vector)) if repeats is None else repeats
    _, first, place = np.unique(rows, return_index=True, return_inverse=True)
    noise = float(vector[first].std()) * 2.0**-score_bits if len(vector) else 0.0
    return fixed_point(vector + noise * gaussians(len(first), random)[place.reshape(-1)])


def fixed_point(numbers: Floats) -> NDArray[np.int64]:
    """Numbers below 2^33 in magnitude, to FRACTION_BITS fraction bits."""
    return np.rint(np.ldexp(numbers, FRACTION_BITS)).astype(np.int64)
