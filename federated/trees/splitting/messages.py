"""What the two sides of split finding say to each other; see docs/protocols/private_trees.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.sharing.keys import NONCE
from federated.sharing.seeds import GROUPS
from federated.sharing.transfers import CHECKED, words_of
from federated.trees.splitting.level import MOST_CANDIDATES
from psi.protocol import Array, Length, Range, message

__all__ = [
    "Extension",
    "SplitAnswer",
    "SplitAsk",
    "SplitCircuit",
    "SplitPicks",
    "SplitTables",
    "SplitWon",
]

_Number = Annotated[int, Range(0, 1 << 40)]
_Nonce = Annotated[bytes, Length(NONCE)]
_Bits = Annotated[NDArray[np.uint8], Array("uint8", most=64 * MOST_CANDIDATES)]
_Bytes = Annotated[NDArray[np.uint8], Array("uint8", most=1 << 30)]
MOST_TRANSFERS = 128 * MOST_CANDIDATES


@dataclass(frozen=True)
class Extension:
    """A choosing side's part of many transfers, under a nonce of its own."""

    nonce: _Nonce
    rows: Annotated[NDArray[np.uint64], Array("uint64", most=GROUPS * words_of(MOST_TRANSFERS))]
    sums: Annotated[NDArray[np.uint64], Array("uint64", width=2, most=CHECKED)]
    digest: Annotated[bytes, Length(32)]


@message(0xF3, bundled=True)
@dataclass(frozen=True)
class SplitAsk:
    """Label party: transfers, in which it chooses by its constants, shares and random numbers."""

    level: _Number
    transfers: Extension


@message(0xF4)
@dataclass(frozen=True, kw_only=True)
class SplitAnswer:
    """Feature party: products by all that was chosen; transfers, in which it chooses by indices.

    nonce: of the keys of its pads; slopes, places, lifts, scales: padded numbers in few bytes
    each, in the order of transfers.
    """

    level: _Number
    nonce: _Nonce
    slopes: _Bytes
    places: _Bytes
    lifts: _Bytes
    scales: _Bytes
    transfers: Extension


@message(0xF5)
@dataclass(frozen=True)
class SplitTables:
    """Label party: of each candidate a table of 128 padded entries, flat."""

    level: _Number
    nonce: _Nonce
    entries: Annotated[NDArray[np.uint32], Array("uint32", most=128 * MOST_CANDIDATES)]


@message(0xF6)
@dataclass(frozen=True)
class SplitPicks:
    """Feature party: transfers, in which it chooses by its shares of scores and what it keeps."""

    level: _Number
    transfers: Extension


@message(0xF7)
@dataclass(frozen=True)
class SplitCircuit:
    """Label party: garbled gates, two blocks each, and what of the results the other may read.

    ends: of each node the digests of both labels that say who won it; colours: of the number.
    """

    level: _Number
    nonce: _Nonce
    gates: Annotated[NDArray[np.uint64], Array("uint64", width=2, most=256 * MOST_CANDIDATES)]
    ends: Annotated[NDArray[np.uint8], Array("uint8", width=64, most=MOST_CANDIDATES)]
    colours: _Bits


@message(0xF8)
@dataclass(frozen=True)
class SplitWon:
    """Feature party: of each node the label that says who won it.

    ways: of each node whether the column that won it has a way, if any column of the feature
    party's has one, else empty.
    """

    level: _Number
    labels: Annotated[NDArray[np.uint64], Array("uint64", width=2, most=MOST_CANDIDATES)]
    ways: Annotated[NDArray[np.uint8], Array("uint8", most=MOST_CANDIDATES)]
