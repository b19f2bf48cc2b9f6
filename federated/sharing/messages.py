"""What the two sides of private sums say to each other; see docs/protocols/private_sums.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.sharing.keys import NONCE
from federated.sharing.seeds import BASE, GROUPS, SENT
from federated.sharing.transfers import CHECKED, words_of
from federated.sharing.trees import CHUNK
from psi.protocol import Array, Length, Range, message

__all__ = [
    "MOST_COLUMNS",
    "MOST_DEPTH",
    "MOST_LANES",
    "MOST_ROWS",
    "Asked",
    "Challenged",
    "Corrected",
    "Offer",
    "Points",
    "Seeds",
    "Turned",
    "Values",
    "Zeroed",
]

MOST_ROWS = 1 << 30
MOST_COLUMNS = 1 << 12
MOST_DEPTH = 12
MOST_LANES = 256

_Place = Annotated[int, Range(0, MOST_COLUMNS * (MOST_ROWS // CHUNK))]
_Nonce = Annotated[bytes, Length(NONCE)]


@message(0x80, bundled=True)
@dataclass(frozen=True)
class Offer:
    """Bin holder: its point of the base transfers; rows, and levels of each column's trees."""

    point: Annotated[bytes, Length(32)]
    rows: Annotated[int, Range(1, MOST_ROWS)]
    depths: Annotated[tuple[Annotated[int, Range(1, MOST_DEPTH)], ...], Length(MOST_COLUMNS)]


@message(0x81, bundled=True)
@dataclass(frozen=True)
class Points:
    """Value holder: a pair of points a base transfer; how many lanes a row it will send."""

    points: Annotated[NDArray[np.uint8], Array("uint8", width=32, most=2 * BASE)]
    lanes: Annotated[int, Range(1, MOST_LANES)]


@message(0x82, bundled=True)
@dataclass(frozen=True)
class Seeds:
    """Bin holder: masked sums of its trees of seeds, and their check."""

    sent: Annotated[bytes, Length(SENT)]


@message(0x83, bundled=True)
@dataclass(frozen=True)
class Asked:
    """Bin holder: transfers for the trees of one chunk under a nonce, and their row check."""

    place: _Place
    nonce: _Nonce
    rows: Annotated[NDArray[np.uint64], Array("uint64", most=GROUPS * words_of(CHUNK * MOST_DEPTH))]
    sums: Annotated[NDArray[np.uint64], Array("uint64", width=2, most=CHECKED)]
    digest: Annotated[bytes, Length(32)]


@message(0x84, bundled=True)
@dataclass(frozen=True)
class Corrected:
    """Value holder: corrections of a chunk's trees, flat, and the nonce of their keys."""

    place: _Place
    nonce: _Nonce
    told: Annotated[NDArray[np.uint64], Array("uint64", most=2 * CHUNK * MOST_DEPTH)]


@message(0x85, bundled=True)
@dataclass(frozen=True)
class Challenged:
    """Bin holder: the nonce of the check of a chunk's trees."""

    place: _Place
    nonce: _Nonce


@message(0x86, bundled=True)
@dataclass(frozen=True)
class Zeroed:
    """Value holder: a batch of zeros, and its own sums."""

    place: _Place
    lane: Annotated[NDArray[np.uint64], Array("uint64", most=CHUNK)]
    sums: Annotated[NDArray[np.uint64], Array("uint64", most=1 << MOST_DEPTH)]


@message(0x87, bundled=True)
@dataclass(frozen=True)
class Turned:
    """Bin holder: each row's bin under the pad that its tree was made for."""

    place: _Place
    turns: Annotated[NDArray[np.uint16], Array("uint16", most=CHUNK)]


@message(0x88, bundled=True)
@dataclass(frozen=True)
class Values:
    """Value holder: a batch of padded values, lane by lane of 64 bits, flat."""

    place: _Place
    nonce: _Nonce
    lanes: Annotated[NDArray[np.uint64], Array("uint64", most=CHUNK * MOST_LANES)]
