"""The messages of both roles, and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from psi.kernels.okvs import DENSE, LARGEST_BIN
from psi.protocol import Array, Length, Range, message
from psi.vole.extension import BASE
from psi.vole.parameters import PART_BINS
from psi.vole.secrets import KEY

__all__ = [
    "AHEAD",
    "LARGEST",
    "TAGS",
    "TAG_WINDOW",
    "Answer",
    "Encoded",
    "Extension",
    "More",
    "Opening",
    "Places",
    "Report",
    "Tags",
    "Trees",
]

LARGEST = 1 << 30
"""Items of a set at most."""
AHEAD = 2
"""Chunks extended before the first one's trees have come."""
TAGS = 1 << 18
"""Tags of a message, and places of a report."""
TAG_WINDOW = 8
"""Messages of tags before the sender waits to be asked for more."""
_STEPS = 3 * TAGS // 8
"""Bytes of steps: a bit for each of the tags, and less than one more for each but by no chance."""
_TREES = 1 << 13
_DEPTH = 16

Size = Annotated[int, Range(0, LARGEST)]
Coin = Annotated[bytes, Length(KEY)]
Rows = Annotated[np.ndarray, Array("uint64", width=-1, most=BASE)]
Places = Annotated[np.ndarray, Array("uint32", most=TAGS)]


@message(0x34)
@dataclass(frozen=True)
class Opening:
    """The receiver's size, a commitment to its part of the coin, its point of the transfers."""

    total: Size
    commitment: Coin
    point: Annotated[bytes, Length(32)]


@message(0x35)
@dataclass(frozen=True)
class Answer:
    """The sender's size, its part of the coin, its points of the transfers."""

    total: Size
    coin: Coin
    points: Annotated[np.ndarray, Array("uint8", width=32, most=4 * BASE)]


@message(0x36)
@dataclass(frozen=True)
class Extension:
    """The receiver's part of transfers and products; with chunk 0 its part of the coin."""

    chunk: Size
    coin: Coin
    transfers: Rows
    products: Rows


@message(0x37)
@dataclass(frozen=True)
class Trees:
    """Level sums under the transfers' keys, and what the leaves and products add up to."""

    chunk: Size
    sums: Annotated[np.ndarray, Array("uint64", width=4, most=_TREES * _DEPTH)]
    totals: Annotated[np.ndarray, Array("uint64", width=2, most=_TREES)]


@message(0x38)
@dataclass(frozen=True)
class Encoded:
    """The receiver's key-value store of some bins, masked by its part of A."""

    part: Size
    elements: Annotated[
        np.ndarray, Array("uint64", width=2, most=PART_BINS * (LARGEST_BIN + DENSE))
    ]


@message(0x39)
@dataclass(frozen=True)
class Tags:
    """The sender's next tags, all of them in ascending order, as `tag_lists.pack_tags` has them."""

    offset: Size
    first: Size
    steps: Annotated[np.ndarray, Array("uint8", most=_STEPS)]
    rests: Annotated[np.ndarray, Array("uint8", width=-1, most=TAGS)]


@message(0x3A)
@dataclass(frozen=True)
class More:
    """The receiver asks for the next tags."""


@message(0x3B)
@dataclass(frozen=True)
class Report:
    """Places of the sender's tags that matched, in the receiver's order, in parts."""

    total: Size
    offset: Size
    places: Places
