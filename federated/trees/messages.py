"""What label and feature party say to each other; see docs/protocols/private_trees.md.

Base transfers and the feature party's trees of seeds use the messages of `federated.sharing`, with
their sender saying which direction they belong to; splits are found by messages of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.sharing.keys import NONCE
from federated.sharing.messages import MOST_ROWS
from federated.sharing.seeds import GROUPS
from federated.sharing.transfers import CHECKED, words_of
from federated.sharing.trees import CHUNK
from federated.trees.layout import Layout
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from psi.protocol import Array, Length, Range, message

__all__ = ["Begin", "Choices", "Grown", "Lanes", "Ready", "RowBits"]

_Level = Annotated[int, Range(0, MOST_TREES * MOST_DEPTH)]
_Chunk = Annotated[int, Range(0, MOST_ROWS // CHUNK)]
_Nonce = Annotated[bytes, Length(NONCE)]


@message(0xC0, bundled=True)
@dataclass(frozen=True)
class Begin:
    """Label party: the plan's digest, how many rows it has, the point of its base transfers."""

    plan: Annotated[bytes, Length(32)]
    rows: Annotated[int, Range(1, MOST_ROWS)]
    point: Annotated[bytes, Length(32)]


@message(0xC1, bundled=True)
@dataclass(frozen=True)
class Ready:
    """Feature party: its columns' cells, and the point of its base transfers."""

    layout: Layout
    point: Annotated[bytes, Length(32)]


@message(0xC2, bundled=True)
@dataclass(frozen=True)
class Lanes:
    """Label party: padded g and h of one level's nodes, of each column and row, flat."""

    level: _Level
    chunk: _Chunk
    nonce: _Nonce
    lanes: Annotated[NDArray[np.uint32], Array("uint32", most=1 << 30)]


@message(0xC3, bundled=True)
@dataclass(frozen=True, kw_only=True)
class Choices:
    """Label party: transfers for the bit of each row that it may learn, and what turns them."""

    level: _Level
    chunk: _Chunk
    nonce: _Nonce
    rows: Annotated[NDArray[np.uint64], Array("uint64", most=GROUPS * words_of(CHUNK * MOST_DEPTH))]
    sums: Annotated[NDArray[np.uint64], Array("uint64", width=2, most=CHECKED)]
    digest: Annotated[bytes, Length(32)]
    turns: Annotated[NDArray[np.uint8], Array("uint8", most=CHUNK)]


@message(0xC4, bundled=True)
@dataclass(frozen=True)
class RowBits:
    """Feature party: the sides of each row by every split that it has won, masked."""

    level: _Level
    chunk: _Chunk
    nonce: _Nonce
    words: Annotated[NDArray[np.uint8], Array("uint8", most=8 * CHUNK)]


@message(0xC5)
@dataclass(frozen=True)
class Grown:
    """Label party, at the end: how many trees there are."""

    trees: Annotated[int, Range(0, MOST_TREES)]
