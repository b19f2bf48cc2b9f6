"""What two parties say to each other to count rows by score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from federated.counted.grid import BINS, MOST_POINTS, MOST_STRIDE, MOST_WIDE
from psi.protocol import Array, Range, message

__all__ = ["CountShares", "Spread", "Stride"]

_MOST_GROUPS = 64


@message(0x60)
@dataclass(frozen=True)
class Spread:
    """The partner: its points are 2^(`wide` / 2) apart."""

    wide: Annotated[int, Range(-MOST_WIDE, MOST_WIDE)]


@message(0x61)
@dataclass(frozen=True)
class Stride:
    """The label party: its points are so many times as far apart, and so many."""

    stride: Annotated[int, Range(1, MOST_STRIDE)]
    points: Annotated[int, Range(1, MOST_POINTS)]


@message(0x62)
@dataclass(frozen=True)
class CountShares:
    """The partner's shares, with its noise, of all counts: `uint64[groups, 2, bins]`, flat."""

    shares: Annotated[np.ndarray, Array("uint64", most=_MOST_GROUPS * 2 * BINS)]
