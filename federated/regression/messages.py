"""What label and feature parties say to each other; see docs/protocols/private_regression.md.

Trees are made with the messages of `federated.sharing`: of the two directions, each party is the
bin holder of its own columns' trees, so a message's sender says which it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.regression.plan import MOST_EVALUATIONS, MOST_FOLDS
from federated.sharing.messages import MOST_ROWS
from federated.sharing.trees import CHUNK
from psi.protocol import Array, Length, Range, message

__all__ = [
    "MOST_COLUMNS",
    "MOST_TREES",
    "Answers",
    "Grids",
    "Handed",
    "Lanes",
    "Layout",
    "Learned",
    "Limits",
    "Pad",
    "Products",
    "Ready",
    "Setup",
    "Start",
    "Sums",
    "Tables",
    "Tree",
]

MOST_COLUMNS = 4096
MOST_TREES = 8192
MOST_RANK = 64
_MOST_NUMBERS = 2 * MOST_COLUMNS * MOST_FOLDS

_Evaluation = Annotated[int, Range(0, 2 * MOST_EVALUATIONS)]
_Chunk = Annotated[int, Range(0, MOST_ROWS // CHUNK)]
_Limits = Annotated[NDArray[np.float64], Array("float64", most=1 + MOST_FOLDS)]


@dataclass(frozen=True)
class Tree:
    """One tree a row: the columns that share it, each its kind and about how many values it has.

    The first column of a tree has number `first` among the party's columns in integers.
    """

    kinds: Annotated[tuple[Annotated[int, Range(0, 255)], ...], Length(16)]
    sizes: Annotated[tuple[Annotated[int, Range(2, 4096)], ...], Length(16)]
    first: Annotated[int, Range(0, MOST_COLUMNS)]


@dataclass(frozen=True)
class Layout:
    """A party's trees; how many columns in integers and design columns it has."""

    trees: Annotated[tuple[Tree, ...], Length(MOST_TREES)]
    integers: Annotated[int, Range(0, MOST_COLUMNS)]
    columns: Annotated[int, Range(0, MOST_COLUMNS)]


@message(0xE0, bundled=True)
@dataclass(frozen=True, kw_only=True)
class Setup:
    """Label party: the plan's digest, its rows with a label, their folds (-1: none), its trees.

    Residuals are in units of 2^`unit`, which no label, times its weight, is beyond;
    scores of a linear model are in units of 2^`scale` of the label's.
    """

    plan: Annotated[bytes, Length(32)]
    folds: Annotated[int, Range(0, MOST_FOLDS)]
    labelled: Annotated[NDArray[np.uint8], Array("uint8", most=MOST_ROWS)]
    fold: Annotated[NDArray[np.int8], Array("int8", most=MOST_ROWS)]
    unit: Annotated[int, Range(-64, 64)]
    scale: Annotated[int, Range(-64, 64)]
    layout: Layout


@message(0xE1, bundled=True)
@dataclass(frozen=True)
class Ready:
    """Feature party: its trees."""

    layout: Layout


@message(0xE2, bundled=True)
@dataclass(frozen=True)
class Start:
    """Label party, once all trees are made: about the mean curvature and score.

    Of its own model; where sums have noise of the labels alone, with noise (`noise.told_start`). 1
    and 0 of a linear model.
    """

    curvature: float
    score: float


@message(0xE3, bundled=True)
@dataclass(frozen=True)
class Grids:
    """Feature party: how far the latest steps go; of each model its score's range, in quarters.

    `limits`: the part of each latest direction that is taken, where there is one feature party;
    `ranges: int64[models, 2]`. Linear regression has no ranges.
    """

    evaluation: _Evaluation
    limits: _Limits
    ranges: Annotated[NDArray[np.int64], Array("int64", width=2, most=MOST_FOLDS)]


@message(0xEB, bundled=True)
@dataclass(frozen=True)
class Tables:
    """Label party: of each model the table of a feature party's lookup.

    `shapes` are how many lanes each takes and gives; `tables` are `int16[2^grid_bits, ins, outs]`,
    one after the other, flat; `ones` the weights by which what each gives adds up to 1.
    """

    evaluation: _Evaluation
    shapes: Annotated[tuple[Annotated[int, Range(1, MOST_RANK)], ...], Length(2 * MOST_FOLDS)]
    tables: Annotated[NDArray[np.int16], Array("int16", most=MOST_FOLDS * MOST_RANK**2 << 10)]
    ones: Annotated[NDArray[np.float64], Array("float64", most=MOST_FOLDS * MOST_RANK)]


@message(0xE4, bundled=True)
@dataclass(frozen=True)
class Answers:
    """Label party: padded lanes of the lookups of a chunk, and their nonce."""

    evaluation: _Evaluation
    chunk: _Chunk
    nonce: Annotated[bytes, Length(32)]
    lanes: Annotated[NDArray[np.uint8], Array("uint8", most=8 * MOST_FOLDS * MOST_RANK * CHUNK)]


@message(0xEC, bundled=True)
@dataclass(frozen=True)
class Handed:
    """One feature party to another: its shares of a chunk `uint64[rows, lanes]`, flat.

    To the next one of what its lookup gives; from the last one to all others, of the residuals.
    Whoever lacks the label party's shares sees random numbers.
    """

    evaluation: _Evaluation
    chunk: _Chunk
    shares: Annotated[NDArray[np.uint64], Array("uint64", most=MOST_FOLDS * MOST_RANK * CHUNK)]


@message(0xED)
@dataclass(frozen=True)
class Limits:
    """Of several feature parties: the part of each latest direction that one would take.

    From the label party: the least of all, which everybody takes.
    """

    evaluation: _Evaluation
    limits: _Limits


@message(0xEE)
@dataclass(frozen=True)
class Pad:
    """One feature party to those beside it: its half of the seed of what pads final scores."""

    seed: Annotated[bytes, Length(32)]


@message(0xE5, bundled=True)
@dataclass(frozen=True)
class Lanes:
    """Either: padded lanes of its share of the residuals under each of the other's trees."""

    evaluation: _Evaluation
    chunk: _Chunk
    nonce: Annotated[bytes, Length(32)]
    lanes: Annotated[NDArray[np.uint8], Array("uint8", most=1 << 30)]


@message(0xE6, bundled=True)
@dataclass(frozen=True)
class Sums:
    """Either: its share, with its noise, of the other's sums: `uint64[vectors, integers + 1]`."""

    evaluation: _Evaluation
    sums: Annotated[NDArray[np.uint64], Array("uint64", most=_MOST_NUMBERS)]


@message(0xE7, bundled=True)
@dataclass(frozen=True)
class Products:
    """Inner products, with own noise, of 16 bits: of a feature party its own; then those of all."""

    evaluation: _Evaluation
    numbers: Annotated[NDArray[np.float64], Array("float64", most=1 << 20)]


@message(0xE8)
@dataclass(frozen=True)
class Learned:
    """Feature party, at the end: limits as above, and each row's final score, less its mean.

    Scores are in 30 fraction bits, with noise; of several parties under pads that add up to zero.
    `shift` is the mean of the full model's.
    """

    limits: _Limits
    shift: float
    scores: Annotated[NDArray[np.int64], Array("int64", most=MOST_ROWS)]
