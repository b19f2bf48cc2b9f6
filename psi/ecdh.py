"""Set intersection by Diffie-Hellman on Curve25519, semi-honest.

    receiver                                        sender
      Blinded (chunk of 8r·E(x))          ──►
                                          ◄──       Evaluated (8k times each), same order
                                          ◄──       Tags (128 bits an own item, shuffled)
      Report (reveal = "both")            ──►

The receiver finalises, hashes to tags and looks them up. Chunks of 2^17 items, four in flight;
with `cardinality` all at once, for the sender must hold its replies back until it can shuffle
them together.

| reveal | tags hash | replies | receiver learns | sender learns |
|---|---|---|---|---|
| receiver | session, item, u | in order | which of its items the sender has, first | sizes |
| both | session, item, u | in order | the same, first | which of its items the report names |
| cardinality | session, u | shuffled, at the end | how many match | sizes |

The sender trusts the report. Blinds and keys are fresh for each run. Tags have 128 bits: a
chance match has probability below n_r · n_s · 2^-128, so 2^-40 is kept up to sets of 2^44.
Adversary: semi-honest; a receiver that lies about its set learns membership of what it asks, at
most `largest_set` items, and one that lies in its report misleads the sender. Sources: Meadows
1986; Huberman, Franklin and Hogg 1999; Jarecki and Liu 2010.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from psi import oprf
from psi.kernels.hashing import tag_hash
from psi.kernels.matching import match
from psi.kernels.scalars import random_scalar
from psi.protocol import (
    Array,
    Context,
    Done,
    Length,
    PeerError,
    Range,
    Refused,
    Role,
    Turn,
    message,
)
from psi.protocol.role import Random

__all__ = ["CHUNK", "Items", "Matches", "Receiver", "Sender", "shuffle"]

CHUNK = 1 << 17
WINDOW = 4
LARGEST = 1 << 30

Index = np.ndarray[Any, np.dtype[np.int64]]
PointRows = Annotated[np.ndarray, Array("uint8", width=32, most=CHUNK)]
AllPoints = Annotated[np.ndarray, Array("uint8", width=32, most=LARGEST)]
TagRows = Annotated[np.ndarray, Array("uint64", width=2, most=CHUNK)]
AllTags = Annotated[np.ndarray, Array("uint64", width=2, most=LARGEST)]
Rows = Annotated[np.ndarray, Array("int64", most=LARGEST)]
Size = Annotated[int, Range(0, LARGEST)]
Scalar = Annotated[bytes, Length(32)]


@dataclass(frozen=True)
class Items:
    """Distinct items as an Arrow buffer: `data: uint8[]`, `offsets: int64[n + 1]`."""

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"<{len(self)} items>"


@dataclass(frozen=True)
class Matches:
    """What one side learns: pairs of own item and the peer's position, or only a count.

    At the receiver `own` are its items in their order and `peer` the sender's shuffled
    positions; at the sender `own` are its items in the order of the receiver's report.
    """

    count: int
    size_peer: int
    own: Index
    peer: Index


@message(0x20)
@dataclass(frozen=True)
class Blinded:
    """A chunk of the receiver's blinded items, from item `offset` of `total`."""

    total: Size
    offset: Size
    points: PointRows


@message(0x21)
@dataclass(frozen=True)
class Evaluated:
    """The same chunk with the sender's key applied."""

    offset: Size
    points: PointRows


@message(0x22)
@dataclass(frozen=True)
class Tags:
    """A chunk of the sender's shuffled tags."""

    total: Size
    offset: Size
    tags: TagRows


@message(0x23)
@dataclass(frozen=True)
class Report:
    """The sender's shuffled positions that matched, in the receiver's order."""

    positions: Rows


@message(0x24)
@dataclass(frozen=True)
class Receiving:
    """Receiver: scalar, blinded points not yet sent, values so far, tags so far."""

    blind: Scalar
    sent: Size
    blinded: AllPoints
    values: AllPoints
    evaluated: Size
    tags: AllTags
    tagged: Annotated[int, Range(-1, LARGEST)]
    size_peer: Size


@message(0x25)
@dataclass(frozen=True)
class Sending:
    """Sender: key, permutation of its tags, how much was evaluated, what is held back.

    In `cardinality` replies are held until they can be shuffled all together.
    """

    key: Scalar
    order: Rows
    evaluated: Size
    size_peer: Annotated[int, Range(-1, LARGEST)]
    held: AllPoints


def shuffle(count: int, random: Random) -> Index:
    """A permutation by sorting 128-bit random keys from the operating system.

    Equal keys, which would bias it, have probability below count² · 2^-129.
    """
    keys = np.frombuffer(random(16 * count), np.uint64).reshape(count, 2)
    return np.lexsort((keys[:, 0], keys[:, 1])).astype(np.int64)


def _tags(session: bytes, items: Items | None, points: np.ndarray) -> np.ndarray:
    prefix = b"fedprofile psi tag v1" + session
    if items is None:
        return tag_hash(prefix, None, None, points)
    return tag_hash(prefix, items.data, items.offsets, points)


def _scalar(value: bytes) -> int:
    return int.from_bytes(value, "little")


class Receiver(Role[Matches]):
    """Learns which of its items the sender has (or how many)."""

    transitions = {  # noqa: RUF012
        (Receiving, Evaluated): "on_evaluated",
        (Receiving, Tags): "on_tags",
    }

    def __init__(
        self, context: Context, peer: str, items: Items, *, reveal: str, minimum: int, largest: int
    ) -> None:
        super().__init__(context)
        self._peer, self._items, self._reveal = peer, items, reveal
        self._minimum, self._largest = minimum, largest

    def begin(self) -> Turn[Matches]:
        r = random_scalar(self.context.random)
        blinded = oprf.blind(oprf.encode(self._items.data, self._items.offsets), r)
        empty, none = np.empty((0, 32), np.uint8), np.empty((0, 2), np.uint64)
        state = Receiving(r.to_bytes(32, "little"), 0, blinded, empty, 0, none, -1, 0)
        held_back = self._reveal == "cardinality"
        turn = self._send(state, len(blinded) if held_back else WINDOW)
        if not len(blinded):
            return replace(turn, messages=[(self._peer, Blinded(0, 0, blinded))])
        return turn

    def _send(self, state: Receiving, chunks: int) -> Turn[Matches]:
        """The next chunks."""
        total, sent = len(state.blinded), state.sent
        messages: list[tuple[str, Any]] = []
        for _ in range(chunks):
            if sent < total:
                part = state.blinded[sent : sent + CHUNK]
                messages.append((self._peer, Blinded(total, sent, part)))
                sent += len(part)
        return Turn(replace(state, sent=sent), messages, progress=self._share(state))

    def _share(self, state: Receiving) -> float:
        return 0.3 + 0.6 * state.evaluated / max(1, len(self._items))

    def on_evaluated(self, state: Receiving, reply: Evaluated, peer: str) -> Turn[Matches]:
        del peer
        expected = min(CHUNK, state.sent - state.evaluated)
        if reply.offset != state.evaluated or len(reply.points) != expected:
            raise PeerError(f"{len(reply.points)} points at {reply.offset}, {expected} expected")
        values = oprf.finalize(reply.points, _scalar(state.blind))
        state = replace(
            state,
            values=np.concatenate([state.values, values]),
            evaluated=state.evaluated + len(values),
        )
        turn = self._send(state, 1)
        return self._maybe_finish(turn)

    def on_tags(self, state: Receiving, part: Tags, peer: str) -> Turn[Matches]:
        del peer
        if part.total > self._largest:
            raise Refused(f"the sender's set has {part.total} items, {self._largest} allowed")
        begun = max(0, state.tagged)
        if part.offset != begun or (state.tagged >= 0 and part.total != state.size_peer):
            raise PeerError("tags out of order")
        if begun + len(part.tags) > part.total:
            raise PeerError("more tags than announced")
        state = replace(
            state,
            tags=np.concatenate([state.tags, part.tags]),
            tagged=begun + len(part.tags),
            size_peer=part.total,
        )
        return self._maybe_finish(Turn(state))

    def _maybe_finish(self, turn: Turn[Matches]) -> Turn[Matches]:
        state: Receiving = turn.state
        if state.evaluated < len(self._items) or state.tagged < state.size_peer or state.tagged < 0:
            return turn
        shuffled = self._reveal == "cardinality"
        own_tags = _tags(self.context.session, None if shuffled else self._items, state.values)
        found = match(own_tags, state.tags)
        own = np.flatnonzero(found >= 0)
        count = len(own)
        if count < self._minimum:
            raise Refused(
                f"{count} shared records found, at least {self._minimum} needed",
                hint="check key columns and kinds with fedprofile preflight",
            )
        none = np.empty(0, np.int64)
        kept = (none, none) if shuffled else (own, found[own])
        matches = Matches(count, state.size_peer, *kept)
        report = [(self._peer, Report(found[own]))] if self._reveal == "both" else []
        return Turn(Done(), [*turn.messages, *report], matches, 1.0)


class Sender(Role[Matches]):
    """Holds the key; learns sizes, and in `both` what the receiver reports."""

    transitions = {  # noqa: RUF012
        (Sending, Blinded): "on_blinded",
        (Sending, Report): "on_report",
    }

    def __init__(
        self, context: Context, peer: str, items: Items, *, reveal: str, largest: int
    ) -> None:
        super().__init__(context)
        self._peer, self._items, self._reveal, self._largest = peer, items, reveal, largest

    def begin(self) -> Turn[Matches]:
        k = random_scalar(self.context.random)
        order = shuffle(len(self._items), self.context.random)
        held = np.empty((0, 32), np.uint8)
        return Turn(Sending(k.to_bytes(32, "little"), order, 0, -1, held))

    def on_blinded(self, state: Sending, part: Blinded, peer: str) -> Turn[Matches]:
        if part.total > self._largest:
            raise Refused(f"the receiver's set has {part.total} items, {self._largest} allowed")
        first = state.size_peer < 0
        size = part.total if first else state.size_peer
        if part.total != size or part.offset != state.evaluated:
            raise PeerError("blinded items out of order")
        expected = min(CHUNK, size - state.evaluated)
        if len(part.points) != expected:
            raise PeerError(f"{len(part.points)} blinded items found, {expected} expected")
        key = _scalar(state.key)
        points = oprf.evaluate(part.points, key)
        done = state.evaluated + len(points)
        state = replace(state, evaluated=done, size_peer=size)
        messages: list[tuple[str, Any]] = []
        if self._reveal == "cardinality":
            state = replace(state, held=np.concatenate([state.held, points]))
            if done == size:
                messages = [(peer, reply) for reply in self._shuffled(state.held)]
        else:
            messages = [(peer, Evaluated(part.offset, points))]
        if first:
            messages += [(peer, tags) for tags in self._own_tags(key, state.order)]
        if done < size or self._reveal == "both":
            return Turn(state, messages, progress=0.9 * done / max(1, size))
        none = np.empty(0, np.int64)
        return Turn(Done(), messages, Matches(-1, size, none, none), 1.0)

    def _shuffled(self, points: np.ndarray) -> list[Evaluated]:
        mixed = points[shuffle(len(points), self.context.random)]
        starts = range(0, max(len(mixed), 1), CHUNK)
        return [Evaluated(start, mixed[start : start + CHUNK]) for start in starts]

    def _own_tags(self, key: int, order: Index) -> list[Tags]:
        values = oprf.own(oprf.encode(self._items.data, self._items.offsets), key)
        bound = None if self._reveal == "cardinality" else self._items
        tags, total = _tags(self.context.session, bound, values)[order], len(order)
        starts = range(0, max(total, 1), CHUNK)
        return [Tags(total, start, tags[start : start + CHUNK]) for start in starts]

    def on_report(self, state: Sending, report: Report, peer: str) -> Turn[Matches]:
        del peer
        positions, total = report.positions, len(self._items)
        if self._reveal != "both" or state.evaluated < state.size_peer or state.size_peer < 0:
            raise PeerError("a report that is not due")
        if len(positions) > state.size_peer or len(np.unique(positions)) != len(positions):
            raise PeerError("a report with repeated or too many positions")
        if len(positions) and not 0 <= positions.min() <= positions.max() < total:
            raise PeerError("a report of positions that do not exist")
        own = state.order[positions]
        return Turn(Done(), result=Matches(len(own), state.size_peer, own, positions))
