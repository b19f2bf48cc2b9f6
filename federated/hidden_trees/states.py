"""What the roles of hidden trees keep between two messages.

Arrays are in the role's store: "score" by tree modulo 2; "weights" (of leaves their sum), "shares",
"split", "sums" by level of the tree; nonces of transfers, of which rows are made again where a
party goes on; what finds splits keeps, and trees of seeds of both directions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.seeds import BASE
from federated.sharing.transcript import Transcript
from federated.trees.layout import Layout
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from psi.protocol import Array, Length, Range, message

__all__ = ["WAITS", "Hiding", "Scoring"]

_Count = Annotated[int, Range(0, 1 << 40)]


def _none() -> NDArray[np.uint8]:
    return np.zeros(0, np.uint8)


def _no_keys() -> NDArray[np.uint8]:
    return np.zeros((0, 16), np.uint8)


WAITS = (
    "trees",
    "places",
    "tables",
    "lanes",
    "sums",
    "asked",
    "answer",
    "split tables",
    "picks",
    "circuit",
    "won",
    "sides",
    "moved",
    "moved back",
    "leaf sums",
    "leaves",
    "values",
    "roundings",
    "circuits",
    "scores",
)
"""What the next message of a training is about; "trees" until all trees of seeds are made."""


@message(0xC6)
@dataclass(frozen=True, kw_only=True)
class Hiding:
    """Either side.

    layout: of the other's columns. asked, corrected, turned: trees of seeds of the own columns so
    far; answered, proved, given: of the other's. waits: the place in `WAITS`; level: through all
    trees; heard: chunks; lasting: the seed of the noise that all trees share.
    """

    transcript: Transcript
    keys: IndexKeys
    peer: ValueKeys
    layout: Layout
    asked: _Count = 0
    corrected: _Count = 0
    turned: _Count = 0
    answered: _Count = 0
    proved: _Count = 0
    given: _Count = 0
    waits: Annotated[int, Range(0, len(WAITS))] = 0
    level: Annotated[int, Range(0, MOST_TREES * MOST_DEPTH)] = 0
    heard: _Count = 0
    lasting: Annotated[bytes, Length(32)] = b""


@message(0x7F)
@dataclass(frozen=True, kw_only=True)
class Scoring:
    """Either side while rows are scored by a kept model; empty: not yet.

    secret, point: of the feature party's base transfers; bits, keys, said: of the label party's
    choice in them; own: the feature party's keys after it; peer: the label party's. asked, valued,
    garbled, told: chunks of rows that are done so far.
    """

    transcript: Transcript
    secret: Annotated[bytes, Length(32)] = b""
    point: Annotated[bytes, Length(32)] = b""
    bits: Annotated[NDArray[np.uint8], Array("uint8", most=BASE)] = field(default_factory=_none)
    keys: Annotated[NDArray[np.uint8], Array("uint8", width=16, most=BASE)] = field(
        default_factory=_no_keys
    )
    said: Annotated[bytes, Length(32 + 64 * BASE)] = b""
    own: IndexKeys | None = None
    peer: ValueKeys | None = None
    asked: _Count = 0
    valued: _Count = 0
    garbled: _Count = 0
    told: _Count = 0
