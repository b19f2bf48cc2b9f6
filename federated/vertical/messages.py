"""Messages and states of the vertical logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from psi.protocol import Array, Length, Range, message

__all__ = [
    "Crossed",
    "Directions",
    "Final",
    "FeatureState",
    "LabelState",
    "Masked",
    "Opened",
    "Pass",
    "Setup",
    "Share",
    "Solved",
]

ROWS = 1 << 26
Vector = Annotated[np.ndarray, Array("float64", most=ROWS)]
Matrix = Annotated[np.ndarray, Array("float64", width=-1, most=ROWS)]
Folds = Annotated[np.ndarray, Array("int64", most=ROWS)]
Integers = Annotated[np.ndarray, Array("int64", most=ROWS)]
Blob = Annotated[bytes, Length(1 << 30)]
Small = Annotated[int, Range(0, 1 << 20)]
Named = Annotated[dict[str, Blob], Length(64)]


@message(0x60)
@dataclass(frozen=True)
class Setup:
    """Label party to all: its key, each row's fold (-1 unlabelled, 0 without folds), steps."""

    public_key: Annotated[bytes, Length(4096)]
    fold_of_row: Folds
    own_columns: Small
    steps: Small
    folds: Small
    fold_steps: Small


@message(0x61)
@dataclass(frozen=True)
class Pass:
    """Label party to all: one Newton step on the rows of one fit.

    `fit` 0 is the fit over all labelled rows, f + 1 that without fold f. `mix` says where the
    partners' part stands, in their own directions so far. `rows` are packed ciphertexts of
    the residual and the whitened own columns, `curvature` of p (1 - p).
    """

    fit: Small
    step: Small
    mix: Vector
    rows: Blob
    curvature: Blob


@message(0x62)
@dataclass(frozen=True)
class Crossed:
    """Feature party to a later one: its columns times the curvature, row by row, encrypted."""

    rows: Blob


@message(0x63)
@dataclass(frozen=True)
class Masked:
    """Feature party to label party: masked, re-randomised sums."""

    linear: Blob
    pairs: Blob
    crosses: Named


@message(0x64)
@dataclass(frozen=True)
class Opened:
    """Label party to feature party: the same, decrypted, still masked."""

    linear: Blob
    pairs: Blob
    crosses: Named


@message(0x65)
@dataclass(frozen=True)
class Share:
    """Later feature party to the lead: its reduced sums, in its own secret basis."""

    gradient: Vector
    mixed: Matrix
    curvature: Matrix
    penalty: Matrix
    crosses: Annotated[dict[str, Matrix], Length(64)]


@message(0x66)
@dataclass(frozen=True)
class Solved:
    """Lead to another feature party: its part of the step."""

    change: Vector


@message(0x67)
@dataclass(frozen=True)
class Directions:
    """Feature party to label party: scores of its new direction, then penalty products.

    Fixed point, under pairwise masks where there are several feature parties. `cross` (from
    the lead, on a fold's last step) is what the label party's own step needs.
    """

    values: Integers
    cross: Vector


@message(0x68)
@dataclass(frozen=True)
class Final:
    """Label party to all: the mix that is the final model."""

    mix: Vector


@message(0x69)
@dataclass(frozen=True)
class LabelState:
    """Label party: where it stands, the score vectors it was shown, its own part."""

    fit: Small
    step: Small
    scores: Matrix
    gram: Matrix
    own: Vector
    mix: Vector
    turn: Matrix
    fold_scores: Vector
    full_scores: Matrix
    full_gram: Matrix
    full_own: Vector
    full_mix: Vector
    replies: Annotated[dict[str, Integers], Length(64)]
    cross: Vector
    log: Matrix


@message(0x6A)
@dataclass(frozen=True)
class FeatureState:
    """Feature party: its secret basis, its directions, and the pass it is in.

    `disclosed` counts, row by row, the scores it has given away.
    """

    basis: Matrix
    public_key: Annotated[bytes, Length(4096)]
    fold_of_row: Folds
    own_columns: Small
    plan: Annotated[tuple[int, ...], Length(3)]
    disclosed: Integers
    full: Matrix
    directions: Matrix
    fit: Small
    step: Small
    point: Vector
    masks: Named
    pending: Blob
    crossed: Named
    sums: Annotated[dict[str, Matrix], Length(64)]
    shares: Annotated[dict[str, Blob], Length(64)]
