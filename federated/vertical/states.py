"""What the roles of a fit keep between two messages: all that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.vertical.messages import (
    MOST_COLUMNS,
    MOST_ROWS,
    Moments,
    Scores,
    Setup,
    WeightedRows,
)
from federated.vertical.plan import MOST_STEPS
from psi.protocol import Array, Length, Range, message

__all__ = [
    "Answered",
    "Calling",
    "Entry",
    "Gathering",
    "Memory",
    "Progress",
    "Resting",
    "Scoring",
    "Summing",
    "Waiting",
]

_Vector = Annotated[NDArray[np.float64], Array("float64", most=MOST_COLUMNS)]
_Mix = Annotated[NDArray[np.float64], Array("float64", most=2 * MOST_STEPS)]
_Gram = Annotated[NDArray[np.float64], Array("float64", most=4 * MOST_STEPS**2)]
_Rows = Annotated[NDArray[np.float64], Array("float64", most=MOST_ROWS)]
_Table = Annotated[NDArray[np.float64], Array("float64", most=MOST_ROWS * MOST_STEPS)]
_Vectors = Annotated[NDArray[np.float64], Array("float64", most=MOST_COLUMNS * MOST_STEPS)]
_Matrix = Annotated[NDArray[np.float64], Array("float64", most=MOST_COLUMNS**2)]


# the feature party


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What stays through all passes; `number` is the next one's.

    Directions are `float64[t, b]`, flat; `final` are the coefficients of the full fit, once it has
    had its last pass; `disclosed` counts for each row; `basis` is that of the latest pass which
    drew one, `float64[b, k]`, flat.
    """

    setup: Setup
    number: int
    directions: _Vectors
    fold_directions: _Vectors
    final: _Vector
    disclosed: Annotated[NDArray[np.int64], Array("int64", most=MOST_ROWS)]
    basis: _Matrix


@message(0x70)
@dataclass(frozen=True)
class Waiting:
    """Before the setup."""


@message(0x71)
@dataclass(frozen=True)
class Resting:
    """Between passes; weighted rows of the next one may come early."""

    memory: Memory
    early: Annotated[dict[str, WeightedRows], Length(64)]


@message(0x72)
@dataclass(frozen=True)
class Summing:
    """Own sums are made; weighted rows of some partners are missing."""

    memory: Memory
    start: _Vectors
    own: Moments


@message(0x73)
@dataclass(frozen=True)
class Answered:
    """Sums are sent: the label party's direction is next."""

    memory: Memory
    start: _Vectors


# the label party


@dataclass(frozen=True)
class Entry:
    fold: int
    rows: int
    objective: float
    decrement: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Everything between two passes; `number` is the next one's.

    `own`, `mix` are the present model; `final_own` the full fit's, `final_mix` of its directions.
    `scores` is `float64[t, n]` flat for the directions of the full fit, `fold_scores` for those of
    the present fold, 0 for rows outside the training; `gram` and `fold_gram` are the products of
    all directions in either case. `final` has every row's score by the one model whose last pass
    shows it. `newton` is the system's matrix of the
    latest pass that summed the curvature, flat, if the next one keeps it.
    """

    key: Annotated[bytes, Length(1 << 12)]
    columns: Annotated[dict[str, int], Length(64)]
    number: int
    own: _Vector
    mix: _Mix
    final_own: _Vector
    final_mix: _Mix
    scores: _Table
    gram: _Gram
    fold_scores: _Table
    fold_gram: _Gram
    final: _Rows
    newton: _Matrix
    log: Annotated[tuple[Entry, ...], Length(1 << 11)]


@message(0x78)
@dataclass(frozen=True)
class Calling:
    """Waiting for the partners' ranks."""

    key: Annotated[bytes, Length(1 << 12)]
    columns: Annotated[dict[str, Annotated[int, Range(1, MOST_COLUMNS)]], Length(64)]


@message(0x79)
@dataclass(frozen=True)
class Gathering:
    """Waiting for the partners' sums."""

    progress: Progress
    moments: Annotated[dict[str, Moments], Length(64)]


@message(0x7A)
@dataclass(frozen=True)
class Scoring:
    """Waiting for the partners' scores; `own_step` is this party's Newton step."""

    progress: Progress
    own_step: _Vector
    decrement: float
    scores: Annotated[dict[str, Scores], Length(64)]
