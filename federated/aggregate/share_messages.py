"""Messages of a section that private sums add up: how shares of its sums are opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from federated.aggregate.messages import COLUMNS, GROUPS
from federated.sharing.messages import MOST_DEPTH
from psi.protocol import Array, Length, Range, message

__all__ = ["CELLS", "Bound", "Committed", "Given", "LaneKinds", "Showed"]

CELLS = 1 << MOST_DEPTH
"""Cells of a section at most: as many as a tree has leaves."""
SECTIONS = 1 << 10


@message(0x95)
@dataclass(frozen=True)
class LaneKinds:
    """Of each section, for each column: whether it has lanes of its own, 0 or 1."""

    own: Annotated[
        tuple[Annotated[np.ndarray, Array("uint8", most=COLUMNS)], ...], Length(SECTIONS)
    ]


@message(0x96)
@dataclass(frozen=True)
class Committed:
    """The receiver's cells, as in `Counted`, and a hash of its shares of what will be opened."""

    groups: Annotated[int, Range(1, GROUPS)]
    cells: Annotated[np.ndarray, Array("int64", width=-1, most=CELLS)]
    digest: Annotated[bytes, Length(32)]


@message(0x97)
@dataclass(frozen=True)
class Bound:
    """The secret number of each row that counts, low byte first; the partner's shares by cell."""

    number: Annotated[bytes, Length(8)]
    shares: Annotated[np.ndarray, Array("uint64", most=CELLS)]


@message(0x98)
@dataclass(frozen=True)
class Showed:
    """What was committed to: the receiver's shares of bound and counted lanes, by cell; a nonce."""

    shares: Annotated[np.ndarray, Array("uint64", width=-1, most=CELLS)]
    nonce: Annotated[bytes, Length(32)]


@message(0x99)
@dataclass(frozen=True)
class Given:
    """What is told: flags as in `Kept`; of groups with any, the partner's shares of told lanes.

    A lane that is not told is 0 there. `numbers` are counts that the partner opened: of each name
    without a lane of its own, `int64[groups, names]`.
    """

    kept: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]
    shares: Annotated[np.ndarray, Array("uint64", width=-1, most=GROUPS)]
    numbers: Annotated[np.ndarray, Array("int64", width=-1, most=GROUPS)]
