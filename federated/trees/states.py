"""What the roles of a training keep between two messages: all that a checkpoint holds.

Arrays are in the role's store: at the label party "margin" by tree modulo 2 (apart for
trees that are grown alone), "shares", "slot", "at", "places", "own", "tree" by level of the tree
that grows, "grown" and "ends" by tree; at the feature party "sums" by chunk, "shares" by level of
the tree, "splits" by level in which it has won.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.seeds import BASE
from federated.sharing.transcript import Transcript
from federated.trees.layout import Layout
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from psi.protocol import Array, Length, Range, message

__all__ = ["WAITS", "Linking", "Offering", "Training"]

_Count = Annotated[int, Range(0, 1 << 40)]
_Levels = Annotated[int, Range(0, MOST_TREES * MOST_DEPTH)]

WAITS = (
    "trees",
    "lanes",
    "asked",
    "answer",
    "tables",
    "picks",
    "circuit",
    "won",
    "choices",
    "bits",
)
"""What the next message of a training is about; "trees" until all trees of seeds are made."""


@message(0xC8)
@dataclass(frozen=True, kw_only=True)
class Linking:
    """Base transfers of both directions are under way; empty: not yet.

    secret, point: of the own offer; layout: the feature party's columns; bits, keys, said: of the
    choice in the other side's offer; own: keys once the other side has chosen.
    """

    transcript: Transcript
    secret: Annotated[bytes, Length(32)]
    point: Annotated[bytes, Length(32)]
    layout: Layout | None = None
    bits: Annotated[NDArray[np.uint8], Array("uint8", most=BASE)]
    keys: Annotated[NDArray[np.uint8], Array("uint8", width=16, most=BASE)]
    said: Annotated[bytes, Length(32 + 64 * BASE)] = b""
    own: IndexKeys | None = None


@message(0xC9)
@dataclass(frozen=True, kw_only=True)
class Training:
    """The label party's side.

    answered, proved, given: trees of seeds so far. waits: the place in `WAITS`. level: through all
    trees; told: levels in which rows' bits were told; splits: the partner's so far; heard: chunks
    of bits. grown: trees that are whole; kept: how many of them had the least
    validation loss; losses: after each; lasting: the seed of the noise that all trees share.
    """

    transcript: Transcript
    keys: IndexKeys
    peer: ValueKeys
    layout: Layout
    answered: _Count = 0
    proved: _Count = 0
    given: _Count = 0
    waits: Annotated[int, Range(0, len(WAITS))] = 0
    level: _Levels = 0
    told: _Levels = 0
    splits: _Count = 0
    heard: _Count = 0
    grown: Annotated[int, Range(0, MOST_TREES)] = 0
    kept: Annotated[int, Range(0, MOST_TREES)] = 0
    losses: Annotated[tuple[float, ...], Length(MOST_TREES)] = ()
    lasting: Annotated[bytes, Length(32)] = b""


@message(0xCA)
@dataclass(frozen=True, kw_only=True)
class Offering:
    """The feature party's side; counts as in `Training`, of its own trees of seeds."""

    transcript: Transcript
    keys: IndexKeys
    peer: ValueKeys
    asked: _Count = 0
    corrected: _Count = 0
    turned: _Count = 0
    waits: Annotated[int, Range(0, len(WAITS))] = 0
    level: _Levels = 0
    told: _Levels = 0
    heard: _Count = 0
