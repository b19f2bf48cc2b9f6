"""What label and feature parties say to each other; see docs/protocols/vertical_logistic.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.vertical.plan import MOST_FOLDS, MOST_STEPS
from psi.protocol import Array, Length, Range, message
from psi.protocol.envelope import LARGEST_PAYLOAD

__all__ = [
    "Direction",
    "EncryptedRows",
    "Final",
    "Moments",
    "Ready",
    "Scores",
    "Setup",
    "WeightedRows",
]

MOST_ROWS = 1 << 24
MOST_COLUMNS = 4096
MOST_EXPONENT = 60

_Number = Annotated[int, Range(0, MOST_STEPS + MOST_FOLDS * MOST_STEPS)]
_Columns = Annotated[int, Range(1, MOST_COLUMNS)]
_Mix = Annotated[NDArray[np.float64], Array("float64", most=2 * MOST_STEPS)]
_Ciphertexts = Annotated[bytes, Length(LARGEST_PAYLOAD)]


@message(0x60)
@dataclass(frozen=True, kw_only=True)
class Setup:
    """Label party to all: n of its key, labelled rows, folds (-1: none), steps, own columns."""

    key: Annotated[bytes, Length(1 << 10)]
    labelled: Annotated[NDArray[np.uint8], Array("uint8", most=MOST_ROWS)]
    fold: Annotated[NDArray[np.int16], Array("int16", most=MOST_ROWS)]
    steps: Annotated[int, Range(1, MOST_STEPS)]
    folds: Annotated[int, Range(0, MOST_FOLDS)]
    fold_steps: Annotated[int, Range(0, MOST_STEPS)]
    own: _Columns


@message(0x61)
@dataclass(frozen=True)
class Ready:
    """Feature party: the rank of its columns."""

    columns: _Columns


@message(0x62)
@dataclass(frozen=True)
class EncryptedRows:
    """Label party to all: the present model as a mix of directions, and the encrypted rows."""

    number: _Number
    mix: _Mix
    rows: _Ciphertexts
    weights: _Ciphertexts


@message(0x63)
@dataclass(frozen=True)
class WeightedRows:
    """Feature party to those after it: D_i times its packed rows."""

    number: _Number
    columns: _Columns
    data: _Ciphertexts


@message(0x64)
@dataclass(frozen=True)
class Moments:
    """Feature party: encrypted sums, with itself and with each partner before it."""

    number: _Number
    linear: _Ciphertexts
    pairs: _Ciphertexts
    cross: Annotated[dict[str, _Ciphertexts], Length(64)]


@message(0x65)
@dataclass(frozen=True)
class Direction:
    """Label party: a direction in the partner's basis; among several, shown times 2^exponent."""

    number: _Number
    delta: Annotated[NDArray[np.float64], Array("float64", most=MOST_COLUMNS)]
    exponent: Annotated[int, Range(-MOST_EXPONENT, MOST_EXPONENT)]


@message(0x66)
@dataclass(frozen=True)
class Scores:
    """Feature party: scores in fixed point, then products of directions, all masked."""

    number: _Number
    values: Annotated[NDArray[np.uint64], Array("uint64", most=MOST_ROWS + 2 * MOST_STEPS)]


@message(0x67)
@dataclass(frozen=True)
class Final:
    """Label party to all: it has every score; the fit is over."""
