"""The messages of both roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from psi.ecdh import LARGEST
from psi.protocol import Array, Length, Range, message

__all__ = ["COLUMNS", "Key", "Next", "Opened", "Places", "Rows", "Small", "Summed"]

COLUMNS = 256
"""Columns of one join and sum at most."""

Places = Annotated[int, Range(0, LARGEST)]
Small = Annotated[bytes, Length(1 << 20)]


@message(0x50)
@dataclass(frozen=True)
class Key:
    """The sender's public key, and for how many places it will send how many columns."""

    public_key: Annotated[bytes, Length(4096)]
    places: Places
    columns: Annotated[int, Range(1, COLUMNS)]


@message(0x51)
@dataclass(frozen=True)
class Rows:
    """Ciphertexts of the next places, plaintext after plaintext of the layout."""

    number: Places
    ciphertexts: Annotated[bytes, Length(1 << 26)]


@message(0x52)
@dataclass(frozen=True)
class Next:
    """The receiver has added a chunk up."""


@message(0x53)
@dataclass(frozen=True)
class Summed:
    """The sum over the matching places: values masked, flags and ones bare, re-randomised."""

    sums: Small


@message(0x54)
@dataclass(frozen=True)
class Opened:
    """How many values each column has (0: too few to open), and masked sums of those with enough.

    `sums` has a signed little-endian number of equal length for each column, 0 where not opened.
    """

    counts: Annotated[np.ndarray, Array("int64", most=COLUMNS)]
    sums: Small
