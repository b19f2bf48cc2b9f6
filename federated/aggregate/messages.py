"""Messages of the aggregation, and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from psi.protocol import Array, Length, Range, message

__all__ = [
    "CHUNK",
    "GROUPS",
    "WINDOW",
    "Blob",
    "Counted",
    "Kept",
    "Key",
    "Next",
    "Opened",
    "Returned",
    "Rows",
]

CHUNK = 1 << 14
"""Rows a message."""

WINDOW = 2
"""Messages of rows that may be unanswered."""

GROUPS = 1 << 16
COLUMNS = 1 << 10

Blob = Annotated[bytes, Length(1 << 30)]
Flags = Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]


@message(0x40)
@dataclass(frozen=True)
class Key:
    """The encrypting party's public key, how many rows it will send, and for how many segments.

    A partner that sends its measures has no segments: 1.
    """

    public: Annotated[bytes, Length(4096)]
    rows: Annotated[int, Range(0, 1 << 30)]
    parts: Annotated[int, Range(1, 1 << 8)]


@message(0x41)
@dataclass(frozen=True)
class Rows:
    """Ciphertexts of the next rows: all of a row's first ones, then all of its second, ..."""

    start: Annotated[int, Range(0, 1 << 30)]
    data: Blob


@message(0x42)
@dataclass(frozen=True)
class Next:
    """The receiver has added a message of rows and has room for another."""


@message(0x4E)
@dataclass(frozen=True)
class Counted:
    """Which cells the rows lie in, and each cell's sums, masked but for the counts, re-randomised.

    Cells are the combinations of groups that occur: the group of this section first, then that of
    each earlier section that has told of the same columns; from 2 on, 1 for none, 0 for records
    that the section does not have; -1 in all earlier ones where these are not told apart.
    """

    groups: Annotated[int, Range(1, GROUPS)]
    cells: Annotated[np.ndarray, Array("int64", width=-1, most=GROUPS)]
    data: Blob


@message(0x43)
@dataclass(frozen=True)
class Returned:
    """Masked sums that go back to the key holder, re-randomised."""

    data: Blob


@message(0x44)
@dataclass(frozen=True)
class Kept:
    """Which groups (first column) and which of their columns may be opened: 0 or 1."""

    kept: Flags


@message(0x45)
@dataclass(frozen=True)
class Opened:
    """The same sums, decrypted, still masked; what is not kept is blanked."""

    data: Blob
