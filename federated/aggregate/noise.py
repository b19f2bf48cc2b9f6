"""Discrete Laplace noise by OpenDP, an optional package.

OpenDP draws from the operating system's generator in exact arithmetic; nothing here takes a seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from psi.protocol import not_installed

__all__ = ["TAIL", "Noise", "discrete_laplace", "most_noise"]

Noise = Callable[[Sequence[int]], list[int]]
"""Draws one number for each scale, independently."""

TAIL = 45
"""Noise beyond so many scales has probability below 2^-64 and is cut: the delta of a release."""


def discrete_laplace(scales: Sequence[int]) -> list[int]:
    """Integers with P(x) in proportion to exp(-|x| / scale), one for each scale.

    Raises `EnvironmentFailed` where OpenDP is not installed.
    """
    try:
        import opendp.prelude as dp
    except ImportError:
        raise not_installed("noise", "OpenDP", "fedprofile[noise]") from None
    dp.enable_features("contrib")
    drawn = [0] * len(scales)
    for scale in set(scales):
        places = [place for place, own in enumerate(scales) if own == scale]
        space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
        measurement = dp.m.make_laplace(*space, scale=float(scale))
        most = most_noise(scale)
        for place, number in zip(places, measurement([0] * len(places)), strict=True):
            drawn[place] = max(-most, min(most, int(number)))
    return drawn


def most_noise(scale: int) -> int:
    """The largest magnitude that is not cut."""
    return math.ceil(TAIL * scale)
