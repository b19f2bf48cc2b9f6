"""What is said when rows are scored by a kept model; see docs/protocols/scoring.md.

Base transfers of trees use the messages of `federated.sharing`, sides those of `federated.trees`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.regression.plan import MOST_PARTNERS
from federated.scoring.fixed import LARGEST_SHIFT
from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.messages import MOST_ROWS
from federated.sharing.seeds import BASE
from federated.sharing.transcript import Transcript
from federated.trees.plan import MOST_DEPTH, MOST_TREES
from psi.protocol import Array, Length, Range, Text, message

__all__ = [
    "Adding",
    "Asking",
    "Choosing",
    "Joint",
    "Levels",
    "Linking",
    "Offered",
    "Offering",
    "Opening",
    "Pooling",
    "Waiting",
]

SEED = 32
_Counts = Annotated[
    tuple[Annotated[int, Range(1, 1 << MOST_DEPTH)], ...], Length(MOST_TREES * MOST_DEPTH)
]
_Shift = Annotated[int, Range(1, LARGEST_SHIFT)]
_Count = Annotated[int, Range(0, 1 << 40)]


@message(0x70)
@dataclass(frozen=True, repr=False)
class Joint:
    """Partner to partner: half of the seed of a pad, and how wide its steps have to be."""

    seed: Annotated[bytes, Length(SEED)]
    shift: _Shift


@message(0x71)
@dataclass(frozen=True, repr=False)
class Levels:
    """Partner to receiver: each row's step; of several partners under pads that add up to zero."""

    shift: _Shift
    levels: Annotated[NDArray[np.int64], Array("int64", most=MOST_ROWS)]


@message(0x72)
@dataclass(frozen=True, kw_only=True)
class Pooling:
    """A partner's: the own half, what it was drawn for, and the others' by name."""

    seed: Annotated[bytes, Length(SEED)]
    drawn_for: Annotated[bytes, Length(SEED)]
    names: Annotated[tuple[Annotated[str, Text(256)], ...], Length(MOST_PARTNERS)] = ()
    came: Annotated[tuple[Joint, ...], Length(MOST_PARTNERS)] = ()


@message(0x73)
@dataclass(frozen=True)
class Adding:
    """The receiver's: whose numbers came, and the width of their steps."""

    names: Annotated[tuple[Annotated[str, Text(256)], ...], Length(MOST_PARTNERS)] = ()
    shift: Annotated[int, Range(0, LARGEST_SHIFT)] = 0


@message(0x74)
@dataclass(frozen=True)
class Asking:
    """Trees, receiver: which training, how many rows, its base transfers' point, and of each level
    of a tree with splits of the partner's how many these are, tree after tree.
    """

    training: Annotated[bytes, Length(32)]
    rows: Annotated[int, Range(1, MOST_ROWS)]
    point: Annotated[bytes, Length(32)]
    levels: _Counts


@dataclass(frozen=True, repr=False)
class Offered:
    """To one partner; keys: once it has chosen."""

    secret: Annotated[bytes, Length(32)]
    point: Annotated[bytes, Length(32)]
    keys: IndexKeys | None = None


@message(0x75)
@dataclass(frozen=True)
class Opening:
    """Trees, receiver: base transfers are offered to each partner."""

    transcript: Transcript
    offers: Annotated[tuple[Offered, ...], Length(MOST_PARTNERS)]


@message(0x76)
@dataclass(frozen=True, kw_only=True)
class Choosing:
    """Trees, receiver: the depth that is asked, and how many chunks of it each partner has told."""

    transcript: Transcript
    keys: Annotated[tuple[IndexKeys, ...], Length(MOST_PARTNERS)]
    depth: Annotated[int, Range(0, MOST_DEPTH)]
    heard: Annotated[tuple[_Count, ...], Length(MOST_PARTNERS)]


@message(0x77)
@dataclass(frozen=True, kw_only=True)
class Linking:
    """Trees, partner: its choice in the base transfers, and the levels that were asked for."""

    transcript: Transcript
    bits: Annotated[NDArray[np.uint8], Array("uint8", most=BASE)]
    keys: Annotated[NDArray[np.uint8], Array("uint8", width=16, most=BASE)]
    said: Annotated[bytes, Length(32 + 64 * BASE)]
    levels: _Counts


@message(0x78)
@dataclass(frozen=True, kw_only=True)
class Offering:
    """Trees, partner: chunks of each level that were answered."""

    transcript: Transcript
    peer: ValueKeys
    levels: _Counts
    answered: Annotated[tuple[_Count, ...], Length(MOST_TREES * MOST_DEPTH)] = ()


@message(0x79)
@dataclass(frozen=True)
class Waiting:
    """Trees, partner: nothing was asked yet."""

    transcript: Transcript
