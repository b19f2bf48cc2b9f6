"""Tags prepared once and used for many runs: a small receiver's set against a large sender's.

The sender makes a key for one receiver, tags all its items under it, and delivers the tags once.
Later runs exchange points for the receiver's items only, and end in a look-up:

    receiver                                        sender
      Holding (which set of tags, if any) ──►
                                          ◄──       Delivered (its set's name and size; tags if
      More                                ──►                  the receiver holds others)
      ... then Blinded and Reply as in `ecdh`, without tags

The receiver learns which of the items it asks are in the set, over all runs of the set, and
whether the set has changed since the last run; the sender each run's set size, and with reveal =
"both" what is reported.

A key that serves many runs lets the receiver ask many items: the sender counts them and refuses
beyond a cap (`spend`), and the key ends at its date. When the sender's items change it makes a
new key and new tags, so that old and new tags cannot be compared; what the receiver asked before
it can compare, for it learned the answers. Tags have 128 bits over all uses. Adversary as in
`ecdh`. Source: Kiss, Liu, Schneider, Asokan and Pinkas 2017 (private set intersection for
unequal sets, with precomputation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from psi.ecdh.items import Held, Items, Prepared, own_tags
from psi.ecdh.messages import CHUNK, LARGEST, WINDOW, More
from psi.kernels.scalars import random_scalar
from psi.protocol import (
    Array,
    Context,
    Done,
    Length,
    PeerError,
    Random,
    Range,
    Refused,
    Role,
    Share,
    Turn,
    gathered,
    message,
)
from psi.shuffling import SEED, permutation

__all__ = ["TagReceiver", "TagSender", "prepare"]

ID = 32
TagRows = Annotated[np.ndarray, Array("uint64", width=2, most=WINDOW * CHUNK)]
Name = Annotated[bytes, Length(ID)]
Size = Annotated[int, Range(0, LARGEST)]
_NONE = np.empty((0, 2), np.uint64)


def prepare(
    items: Items, random: Random, progress: Callable[[Share], None] = lambda share: None
) -> Prepared:
    """A key of its own for `items`, and their tags in a secret order; `progress` is told of it.

    Args:
        random: a function of a number of bytes that gives as many secret ones.
    """
    name, key, seed = random(ID), random_scalar(random), random(SEED)
    order, tags = permutation(len(items), seed), np.empty((len(items), 2), np.uint64)
    for start in range(0, len(items), CHUNK):
        part = items.take(order[start : start + CHUNK])
        tags[start : start + CHUNK] = own_tags(name, part, key, kept=True)
        progress(Share((start + len(part)) / len(items), len(items)))
    return Prepared(name, key.to_bytes(32, "little"), seed, tags)


@message(0x2D)
@dataclass(frozen=True)
class Holding:
    """The name of the set of tags that the receiver holds; empty: none."""

    name: Name


@message(0x2E)
@dataclass(frozen=True)
class Delivered:
    """The sender's set, and the next of its tags."""

    name: Name
    total: Size
    tags: TagRows


@message(0x2F)
@dataclass(frozen=True)
class Collecting:
    """Receiver: what came so far."""

    name: Name
    tagged: Size
    parts: Size


@message(0x30)
@dataclass(frozen=True)
class Delivering:
    """Sender: what went so far; -1 before the first message."""

    tagged: Annotated[int, Range(-1, LARGEST)]


class TagReceiver(Role[Held]):
    """Ends with the sender's present set of tags: the one it held, or a new one.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        largest: most items that the other party may have; more are refused.
    """

    transitions = {(Collecting, Delivered): "on_delivered"}  # noqa: RUF012

    def __init__(self, context: Context, peer: str, held: Held | None, *, largest: int) -> None:
        super().__init__(context)
        self._peer, self._held, self._largest = peer, held, largest

    def begin(self) -> Turn[Held]:
        name = self._held.name if self._held else b""
        return Turn(Collecting(b"", 0, 0), [(self._peer, Holding(name))])

    def on_delivered(self, state: Collecting, part: Delivered, peer: str) -> Turn[Held]:
        del peer
        if part.total > self._largest:
            raise Refused(f"the sender's set has {part.total} items, {self._largest} allowed")
        if len(part.name) != ID or (state.name and part.name != state.name):
            raise PeerError("a set of tags without its name, or of another")
        if self._held is not None and part.name == self._held.name:
            if part.total != len(self._held.tags) or len(part.tags):
                raise PeerError("a set of tags has changed under its name")
            return Turn(Done(), result=self._held)
        tagged = state.tagged + len(part.tags)
        if tagged > part.total or (not len(part.tags) and tagged < part.total):
            raise PeerError("another number of tags than announced")
        self.context.store.put("tags", state.parts, part.tags)
        state = Collecting(part.name, tagged, state.parts + 1)
        if tagged < part.total:
            return Turn(
                state, [(self._peer, More())], progress=Share(tagged / part.total, part.total)
            )
        tags = gathered(self.context.store, "tags", state.parts, _NONE)
        self.context.store.clear()
        return Turn(Done(), result=Held(part.name, tags))


class TagSender(Role[bool]):
    """Delivers a set of tags unless the receiver holds it; tells whether it had to.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        prepared: the tags, and the key that made them.
    """

    transitions = {  # noqa: RUF012
        (Delivering, Holding): "on_holding",
        (Delivering, More): "on_more",
    }

    def __init__(self, context: Context, peer: str, prepared: Prepared) -> None:
        super().__init__(context)
        self._peer, self._prepared = peer, prepared

    def begin(self) -> Turn[bool]:
        return Turn(Delivering(-1))

    def on_holding(self, state: Delivering, held: Holding, peer: str) -> Turn[bool]:
        del peer
        if state.tagged >= 0:
            raise PeerError("asked twice for the tags")
        total = len(self._prepared.tags)
        if held.name == self._prepared.name:
            there = Delivered(self._prepared.name, total, _NONE)
            return Turn(Done(), [(self._peer, there)], False)
        return self._next(replace(state, tagged=0))

    def on_more(self, state: Delivering, asked: More, peer: str) -> Turn[bool]:
        del asked, peer
        if state.tagged < 0:
            raise PeerError("more asked before anything")
        return self._next(state)

    def _next(self, state: Delivering) -> Turn[bool]:
        tags, total = self._prepared.tags, len(self._prepared.tags)
        part = tags[state.tagged : state.tagged + WINDOW * CHUNK]
        out: list[tuple[str, Any]] = [(self._peer, Delivered(self._prepared.name, total, part))]
        tagged = state.tagged + len(part)
        if tagged == total:
            return Turn(Done(), out, True)
        return Turn(Delivering(tagged), out, progress=Share(tagged / total, total))
