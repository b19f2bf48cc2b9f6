"""What label and feature party say to each other while they grow hidden trees, or score rows.

Set-up, lanes and the search for splits use the messages of `federated.trees` and
`federated.sharing`. See docs/protocols/hidden_trees.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.plan import (
    MOST_HIDDEN,
    MOST_SCORE_BITS,
    TABLE_ROWS,
    rounding_bytes,
)
from federated.hidden_trees.slopes import ENTRIES
from federated.sharing.keys import NONCE
from federated.sharing.messages import MOST_ROWS
from federated.sharing.trees import CHUNK
from federated.trees.layout import Layout
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from federated.trees.splitting import MOST_CANDIDATES, SplitCircuit
from federated.trees.splitting.messages import Extension
from psi.protocol import Array, Length, Range, message

__all__ = [
    "HiddenBegin",
    "HiddenCircuit",
    "HiddenWon",
    "LeafValues",
    "Moved",
    "MovedBack",
    "NodeSums",
    "RowChoices",
    "RowTables",
    "ScoreCircuit",
    "ScoresTold",
    "ScoringBegin",
]

_Number = Annotated[int, Range(0, MOST_TREES * (MOST_DEPTH + 1))]
_Nonce = Annotated[bytes, Length(NONCE)]
_NODES = 1 << MOST_DEPTH
_GATES = rounding_bytes(MOST_TREES, MOST_SCORE_BITS) // 16 * CHUNK
_Products = Annotated[NDArray[np.uint32], Array("uint32", most=MOST_HIDDEN * _NODES)]


@message(0xC7)
@dataclass(frozen=True)
class HiddenBegin:
    """Label party: the plan's digest, rows, the point of its base transfers, columns' cells."""

    plan: Annotated[bytes, Length(32)]
    rows: Annotated[int, Range(1, MOST_HIDDEN)]
    point: Annotated[bytes, Length(32)]
    layout: Layout


@message(0xCB)
@dataclass(frozen=True)
class RowChoices:
    """Transfers by shares of scores, by the leaves that rows may be in, by the sides of own splits.

    The last are the label party's, all others the feature party's.

    number: of the tree; of all trees at the end; of the level, by sides; of a chunk of rows where a
        kept model scores.
    """

    number: _Number
    transfers: Extension


@message(0xCC)
@dataclass(frozen=True)
class RowTables:
    """Label party: of some rows 64 padded slopes each, and as many curvatures, flat."""

    tree: _Number
    piece: Annotated[int, Range(0, MOST_HIDDEN // TABLE_ROWS)]
    nonce: _Nonce
    entries: Annotated[NDArray[np.uint32], Array("uint32", most=2 * ENTRIES * TABLE_ROWS)]


@message(0xF9)
@dataclass(frozen=True)
class NodeSums:
    """Feature party: its shares of each node's G and H with noise, without low bits."""

    number: _Number
    sums: Annotated[NDArray[np.uint16], Array("uint16", most=2 * _NODES)]


@message(0xCD)
@dataclass(frozen=True)
class HiddenCircuit:
    """Label party: the circuit, and of the wires of its own number digests of both labels."""

    circuit: SplitCircuit
    ends: Annotated[NDArray[np.uint8], Array("uint8", width=64, most=MOST_CANDIDATES)]


@message(0xCE)
@dataclass(frozen=True)
class HiddenWon:
    """Feature party: labels that say who won and the label party's numbers; sides of its own."""

    level: _Number
    labels: Annotated[NDArray[np.uint64], Array("uint64", width=2, most=MOST_CANDIDATES)]
    transfers: Extension


@message(0xCF)
@dataclass(frozen=True)
class Moved:
    """Label party: g and h by the other's sides."""

    level: _Number
    nonce: _Nonce
    products: _Products


@message(0xFD)
@dataclass(frozen=True)
class MovedBack:
    """Feature party: g and h by the label party's sides."""

    level: _Number
    nonce: _Nonce
    products: _Products


@message(0xFE)
@dataclass(frozen=True)
class LeafValues:
    """Label party: values by the leaves that the other's rows may be in, of a tree or a chunk."""

    number: _Number
    nonce: _Nonce
    products: _Products


@message(0x6F)
@dataclass(frozen=True)
class ScoreCircuit:
    """Label party: gates that add a chunk's shares of scores up, and bring them within reach."""

    chunk: _Number
    nonce: _Nonce
    gates: Annotated[NDArray[np.uint64], Array("uint64", width=2, most=_GATES)]


@message(0xFF)
@dataclass(frozen=True)
class ScoresTold:
    """Feature party: colours of the upper bits of a chunk's scores, packed."""

    chunk: _Number
    colours: Annotated[NDArray[np.uint8], Array("uint8", most=2 * CHUNK)]


@message(0x7A)
@dataclass(frozen=True)
class ScoringBegin:
    """Feature party, by a kept model: its training, rows, the point of its base transfers."""

    training: Annotated[bytes, Length(32)]
    rows: Annotated[int, Range(1, MOST_ROWS)]
    point: Annotated[bytes, Length(32)]
