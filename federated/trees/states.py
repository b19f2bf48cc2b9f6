"""What the roles of a training keep between two messages: all that a checkpoint holds.

Arrays are in the role's store: at the label party "margin" by tree modulo 4 (apart for trees that
are grown alone), "slot", "at", "places", "own", "tree" by level modulo 6, since one turn passes
over levels of partners whose bits are spent, "grown" and "ends" by tree; under each partner's name
its trees of seeds, and "shares" by level of the tree that grows; at the feature party "sums" by
chunk, "shares" by level of the tree, "splits" by level in which it has won.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.seeds import BASE
from federated.sharing.transcript import Transcript
from federated.trees.layout import Layout
from federated.trees.plan import MOST_DEPTH, MOST_PARTNERS, MOST_TREES
from psi.protocol import Array, Length, Range, message

__all__ = ["WAITS", "Joining", "Linking", "Offering", "Seeded", "Training"]

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


@message(0xBA)
@dataclass(frozen=True, kw_only=True)
class Seeded:
    """The label party's link to one partner; answered, proved, given: trees of seeds so far."""

    transcript: Transcript
    keys: IndexKeys
    peer: ValueKeys
    layout: Layout
    answered: _Count = 0
    proved: _Count = 0
    given: _Count = 0


@message(0xBB)
@dataclass(frozen=True)
class Joining:
    """The label party's links until all trees of seeds are turned: of each partner one of the two.

    What is heard by one link is heard by all.
    """

    linking: Annotated[tuple[Linking | None, ...], Length(MOST_PARTNERS)]
    seeded: Annotated[tuple[Seeded | None, ...], Length(MOST_PARTNERS)]

    def put(self, at: int, new: Linking | Seeded) -> Joining:
        """With the state of one link, and what it has heard in all."""
        heard = new.transcript.heard

        def told(link: Any) -> Any:
            return link and replace(link, transcript=replace(link.transcript, heard=heard))

        linking, seeded = [list(map(told, each)) for each in (self.linking, self.seeded)]
        linking[at], seeded[at] = (new, None) if isinstance(new, Linking) else (None, new)
        return Joining(tuple(linking), tuple(seeded))


@message(0xC9)
@dataclass(frozen=True, kw_only=True)
class Training:
    """The label party's side.

    links: to each partner; at: the one that is asked on this level. waits: the place in `WAITS`.
    level: through all trees; told: of each partner levels in which rows' bits were told; splits:
    its so far; heard: chunks of bits. grown: trees that are whole; kept: how many of them had the
    least validation loss; losses: after each; lasting: the seed of the noise that all trees share.
    """

    transcript: Transcript
    links: Annotated[tuple[Seeded, ...], Length(MOST_PARTNERS)]
    at: Annotated[int, Range(0, MOST_PARTNERS)] = 0
    waits: Annotated[int, Range(0, len(WAITS))] = 0
    level: _Levels = 0
    told: Annotated[tuple[_Levels, ...], Length(MOST_PARTNERS)]
    splits: Annotated[tuple[_Count, ...], Length(MOST_PARTNERS)]
    heard: _Count = 0
    grown: Annotated[int, Range(0, MOST_TREES)] = 0
    kept: Annotated[int, Range(0, MOST_TREES)] = 0
    losses: Annotated[tuple[float, ...], Length(MOST_TREES)] = ()
    lasting: Annotated[bytes, Length(32)] = b""

    @property
    def keys(self) -> IndexKeys:
        """Of the partner that is asked, in whose transfers this party chooses."""
        return self.links[self.at].keys

    @property
    def peer(self) -> ValueKeys:
        """Of its trees of seeds."""
        return self.links[self.at].peer

    @property
    def layout(self) -> Layout:
        """Of its columns."""
        return self.links[self.at].layout


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
