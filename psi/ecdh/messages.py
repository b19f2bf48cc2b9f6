"""The messages of both roles, and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from psi.protocol import Array, Length, Range, message

__all__ = ["CHUNK", "LARGEST", "SHUFFLED", "WINDOW"]
__all__ += ["Blinded", "More", "Reply", "Report", "chunks", "replies"]

CHUNK = 1 << 17
"""Items a message."""

WINDOW = 4
"""Messages that may be unanswered."""

LARGEST = 1 << 30
"""Items of a set at most."""

SHUFFLED = ("cardinality", "places")
"""What can be revealed without telling the receiver which of its items matched."""

PointRows = Annotated[np.ndarray, Array("uint8", width=32, most=CHUNK)]
TagRows = Annotated[np.ndarray, Array("uint64", width=2, most=WINDOW * CHUNK)]
Places = Annotated[np.ndarray, Array("uint32", most=CHUNK)]
Size = Annotated[int, Range(0, LARGEST)]
Scalar = Annotated[bytes, Length(32)]


@message(0x20)
@dataclass(frozen=True)
class Blinded:
    """A chunk of the receiver's blinded items, from item `offset` of `total`.

    Replies that are shuffled keep each `group` of so many items together.
    """

    total: Size
    offset: Size
    points: PointRows
    group: Annotated[int, Range(1, 4096)] = 1


@message(0x21)
@dataclass(frozen=True)
class More:
    """The receiver has no more items and asks for what the sender still holds."""


@message(0x22)
@dataclass(frozen=True)
class Reply:
    """The next points with the sender's key applied, and its next tags of `total`.

    `public` is the key's public part, the same in every reply; empty where replies are shuffled.
    `sealed` are the numbers of the tags' records, each under the tag's pad, or nothing.
    """

    points: PointRows
    total: Size
    tags: TagRows
    public: Scalar
    sealed: Annotated[np.ndarray, Array("uint32", most=WINDOW * CHUNK)]


@message(0x23)
@dataclass(frozen=True)
class Report:
    """The sender's shuffled positions that matched, in the receiver's order, in chunks."""

    total: Size
    offset: Size
    positions: Places


def chunks(rows: int) -> int:
    """Messages that a set takes; an empty one takes one too."""
    return max(1, -(-rows // CHUNK))


def replies(rows: int, *, held_back: bool) -> int:
    """Messages of a receiver with so many items that are sure to come: its chunks, and, where
    points are held back until all have come, as many requests for them."""
    return chunks(rows) + (-(-rows // CHUNK) if held_back else 0)
