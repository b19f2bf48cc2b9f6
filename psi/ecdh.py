"""Set intersection by Diffie-Hellman on Curve25519, semi-honest.

    receiver                                        sender
      Blinded (chunk of 8r·E(x))          ──►
                                          ◄──       Reply (8k times each, in order; its next tags)
      More                                ──►
                                          ◄──       Reply (what is left)
      Report (reveal = "both")            ──►

The sender's tags, 128 bits an own item, go along with its replies in a secret order. The
receiver finalises, hashes to tags and looks them up. Chunks have 2^17 items, four are in
flight, and everything is worked on a chunk at a time: points are made when they are sent, tags
spread over the buckets of the store at once, and memory holds a few chunks, the items, and one
bucket (see `buckets`). With `cardinality` the sender keeps its points until it can shuffle
them all together, and gives them out afterwards.

| reveal | blind | tags hash | replies | receiver learns | sender learns |
|---|---|---|---|---|---|
| receiver | one a job | session, item, u | in order | which of its items the sender has | sizes |
| both | one a job | session, item, u | in order | the same, first | what the report names |
| cardinality | one a job | session, u | shuffled, at the end | how many match | sizes |

The sender trusts the report. Blinds and keys are fresh for each run. Tags have 128 bits: a
chance match has probability below n_r · n_s · 2^-128, so 2^-40 is kept up to sets of 2^44.
Adversary: semi-honest; a receiver that lies about its set learns membership of what it asks, at
most `largest` items, and one that lies in its report misleads the sender. Sources: Meadows
1986; Huberman, Franklin and Hogg 1999; Jarecki and Liu 2010.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from psi import oprf
from psi.buckets import bucket_bits, meet, spread
from psi.kernels.hashing import tag_hash
from psi.kernels.scalars import random_scalar
from psi.kernels.strings import take_strings
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
    gathered,
    message,
)
from psi.shuffling import SEED, permutation

__all__ = ["CHUNK", "Items", "Matches", "Receiver", "Sender"]

CHUNK = 1 << 17
WINDOW = 4
LARGEST = 1 << 30

Index = np.ndarray[Any, np.dtype[np.int64]]
PointRows = Annotated[np.ndarray, Array("uint8", width=32, most=CHUNK)]
TagRows = Annotated[np.ndarray, Array("uint64", width=2, most=WINDOW * CHUNK)]
Places = Annotated[np.ndarray, Array("uint32", most=CHUNK)]
Size = Annotated[int, Range(0, LARGEST)]
Scalar = Annotated[bytes, Length(32)]
_TAG = b"fedprofile psi tag v1"
_NO_POINTS = np.empty((0, 32), np.uint8)
_NO_TAGS = np.empty((0, 2), np.uint64)


@dataclass(frozen=True)
class Items:
    """Distinct items as an Arrow buffer: `data: uint8[]`, `offsets: int64[n + 1]`."""

    data: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"<{len(self)} items>"

    def part(self, start: int, stop: int) -> Items:
        """Items `start` to `stop`, without a copy."""
        return Items(self.data, self.offsets[start : stop + 1])

    def take(self, rows: Index) -> Items:
        """These items, in this order."""
        return Items(*take_strings(self.data, self.offsets, rows))


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
class More:
    """The receiver has no more items and asks for what the sender still holds."""


@message(0x22)
@dataclass(frozen=True)
class Reply:
    """The next points with the sender's key applied, and its next tags of `total`."""

    points: PointRows
    total: Size
    tags: TagRows


@message(0x23)
@dataclass(frozen=True)
class Report:
    """The sender's shuffled positions that matched, in the receiver's order, in chunks."""

    total: Size
    offset: Size
    positions: Places


@message(0x24)
@dataclass(frozen=True)
class Receiving:
    """Receiver: blind; messages sent and answered; points and tags that came; parts of tags."""

    blind: Scalar
    asked: Size
    answered: Size
    evaluated: Size
    tagged: Size
    parts: Size
    size_peer: Size


@message(0x25)
@dataclass(frozen=True)
class Sending:
    """Sender: key, seeds of its orders; what came and what went so far (-1: nothing came)."""

    key: Scalar
    tag_order: Annotated[bytes, Length(SEED)]
    point_order: Annotated[bytes, Length(SEED)]
    size_peer: Annotated[int, Range(-1, LARGEST)]
    evaluated: Size
    given: Size
    tagged: Size
    reported: Size


def _tags(session: bytes, items: Items | None, points: np.ndarray) -> np.ndarray:
    if items is None:
        return tag_hash(_TAG + session, None, None, points)
    return tag_hash(_TAG + session, items.data, items.offsets, points)


def _scalar(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _chunks(rows: int) -> int:
    """Messages that a set takes; an empty one takes one too."""
    return max(1, -(-rows // CHUNK))


class Receiver(Role[Matches]):
    """Learns which of its items the sender has (or how many)."""

    transitions = {(Receiving, Reply): "on_reply"}  # noqa: RUF012

    def __init__(
        self, context: Context, peer: str, items: Items, *, reveal: str, minimum: int, largest: int
    ) -> None:
        super().__init__(context)
        self._peer, self._items, self._reveal = peer, items, reveal
        self._minimum, self._largest = minimum, largest
        self._bits = bucket_bits(len(items))

    def begin(self) -> Turn[Matches]:
        r = random_scalar(self.context.random)
        return self._ask(Receiving(r.to_bytes(32, "little"), 0, 0, 0, 0, 0, 0))

    def _ask(self, state: Receiving) -> Turn[Matches]:
        """Keep the window full: the next chunks, then requests for what is held back."""
        size = len(self._items)
        planned = _chunks(size) * (2 if self._reveal == "cardinality" else 1)
        messages: list[tuple[str, Any]] = []
        asked = state.asked
        while asked < planned and asked - state.answered < WINDOW:
            messages.append((self._peer, self._message(asked, state.blind)))
            asked += 1
        if asked == state.answered and not self._complete(state):
            messages.append((self._peer, More()))
            asked += 1
        done = 0.5 * (state.evaluated + min(state.asked * CHUNK, size)) / max(1, size)
        return Turn(replace(state, asked=asked), messages, progress=0.95 * done)

    def _message(self, number: int, blind: bytes) -> Blinded | More:
        size, start = len(self._items), number * CHUNK
        if number >= _chunks(size):
            return More()
        part = self._items.part(start, min(start + CHUNK, size))
        points = oprf.blind(oprf.encode(part.data, part.offsets), _scalar(blind))
        return Blinded(size, start, points)

    def _complete(self, state: Receiving) -> bool:
        return state.evaluated == len(self._items) and state.tagged == state.size_peer

    def on_reply(self, state: Receiving, reply: Reply, peer: str) -> Turn[Matches]:
        del peer
        state = self._take_points(state, reply.points)
        state = self._take_tags(state, reply.total, reply.tags)
        turn = self._ask(replace(state, answered=state.answered + 1))
        return turn if turn.messages or not self._complete(state) else self._finish(state)

    def _take_points(self, state: Receiving, points: np.ndarray) -> Receiving:
        shuffled, size = self._reveal == "cardinality", len(self._items)
        due = state.answered - _chunks(size) if shuffled else state.answered
        start = due * CHUNK
        expected = max(0, min(CHUNK, size - start)) if due >= 0 else 0
        if len(points) != expected:
            raise PeerError(f"{len(points)} points found, {expected} expected")
        if not expected:
            return state
        values = oprf.finalize(points, _scalar(state.blind))
        bound = None if shuffled else self._items.part(start, start + len(points))
        tags = _tags(self.context.session, bound, values)
        spread(self.context.store, "own", due, tags, start, self._bits)
        return replace(state, evaluated=state.evaluated + len(points))

    def _take_tags(self, state: Receiving, total: int, tags: np.ndarray) -> Receiving:
        if total > self._largest:
            raise Refused(f"the sender's set has {total} items, {self._largest} allowed")
        if state.answered and total != state.size_peer:
            raise PeerError("the sender's set has changed its size")
        if state.tagged + len(tags) > total:
            raise PeerError("more tags than announced")
        if not len(tags) and state.tagged < total:
            raise PeerError("no tags found, some expected")
        if len(tags):
            spread(self.context.store, "peer", state.parts, tags, state.tagged, self._bits)
        tagged, parts = state.tagged + len(tags), state.parts + bool(len(tags))
        return replace(state, tagged=tagged, parts=parts, size_peer=total)

    def _finish(self, state: Receiving) -> Turn[Matches]:
        size = len(self._items)
        parts = -(-size // CHUNK)
        own, positions = meet(
            self.context.store, ("own", parts), ("peer", state.parts), size, self._bits
        )
        count, shuffled = len(own), self._reveal == "cardinality"
        if count < self._minimum:
            raise Refused(
                f"{count} shared records found, at least {self._minimum} needed",
                hint="check key columns and kinds with fedprofile preflight",
            )
        self.context.store.clear()
        none = np.empty(0, np.int64)
        matches = Matches(count, state.size_peer, *((none, none) if shuffled else (own, positions)))
        report: list[tuple[str, Any]] = []
        if self._reveal == "both":
            told = positions.astype(np.uint32)
            report = [
                (self._peer, Report(count, start, told[start : start + CHUNK]))
                for start in range(0, max(count, 1), CHUNK)
            ]
        return Turn(Done(), report, matches, 1.0)


class Sender(Role[Matches]):
    """Holds the key; learns sizes, and in `both` what the receiver reports."""

    transitions = {  # noqa: RUF012
        (Sending, Blinded): "on_blinded",
        (Sending, More): "on_more",
        (Sending, Report): "on_report",
    }

    def __init__(
        self, context: Context, peer: str, items: Items, *, reveal: str, largest: int
    ) -> None:
        super().__init__(context)
        self._peer, self._items, self._reveal, self._largest = peer, items, reveal, largest
        self._orders: dict[bytes, Index] = {}

    def begin(self) -> Turn[Matches]:
        random = self.context.random
        k = random_scalar(random).to_bytes(32, "little")
        return Turn(Sending(k, random(SEED), random(SEED), -1, 0, 0, 0, 0))

    def on_blinded(self, state: Sending, part: Blinded, peer: str) -> Turn[Matches]:
        del peer
        if part.total > self._largest:
            raise Refused(f"the receiver's set has {part.total} items, {self._largest} allowed")
        size = part.total if state.size_peer < 0 else state.size_peer
        finished = 0 <= state.size_peer <= state.evaluated
        if part.total != size or part.offset != state.evaluated or finished:
            raise PeerError("blinded items out of order")
        expected = min(CHUNK, size - state.evaluated)
        if len(part.points) != expected:
            raise PeerError(f"{len(part.points)} blinded items found, {expected} expected")
        points = oprf.evaluate(part.points, _scalar(state.key))
        state = replace(state, size_peer=size, evaluated=state.evaluated + len(points))
        if self._reveal == "cardinality":
            self.context.store.put("held", part.offset // CHUNK, points)
            return self._reply(state, _NO_POINTS)
        return self._reply(state, points)

    def on_more(self, state: Sending, asked: More, peer: str) -> Turn[Matches]:
        del asked, peer
        if not 0 <= state.size_peer <= state.evaluated or self._all_given(state):
            raise PeerError("more asked than there is")
        points = _NO_POINTS
        if self._reveal == "cardinality" and state.given < state.size_peer:
            order = self._order(state.point_order, state.size_peer)
            held = gathered(self.context.store, "held", _chunks(state.size_peer), _NO_POINTS)
            points = held[order[state.given : state.given + CHUNK]]
        return self._reply(state, points)

    def _reply(self, state: Sending, points: np.ndarray) -> Turn[Matches]:
        """Answer with points, and with this reply's share of the tags."""
        total = len(self._items)
        replies = _chunks(state.size_peer) * (2 if self._reveal == "cardinality" else 1)
        share = CHUNK * min(WINDOW, -(-_chunks(total) // replies))
        tags = self._own_tags(state, state.tagged, min(state.tagged + share, total))
        state = replace(state, given=state.given + len(points), tagged=state.tagged + len(tags))
        reply = [(self._peer, Reply(points, total, tags))]
        done = (state.given + state.tagged) / max(1, state.size_peer + total)
        if self._reveal == "both" or not self._all_given(state):
            return Turn(state, reply, progress=0.95 * done)
        self.context.store.clear()
        none = np.empty(0, np.int64)
        return Turn(Done(), reply, Matches(-1, state.size_peer, none, none), 1.0)

    def _all_given(self, state: Sending) -> bool:
        return state.given == state.size_peer and state.tagged == len(self._items)

    def _order(self, seed: bytes, count: int) -> Index:
        if seed not in self._orders:
            self._orders[seed] = permutation(count, seed)
        return self._orders[seed]

    def _own_tags(self, state: Sending, start: int, stop: int) -> np.ndarray:
        """Tags of the own items at places `start` to `stop` of the secret order."""
        if start == stop:
            return _NO_TAGS
        chosen = self._items.take(self._order(state.tag_order, len(self._items))[start:stop])
        values = oprf.own(oprf.encode(chosen.data, chosen.offsets), _scalar(state.key))
        bound = None if self._reveal == "cardinality" else chosen
        return _tags(self.context.session, bound, values)

    def on_report(self, state: Sending, report: Report, peer: str) -> Turn[Matches]:
        del peer
        total, positions = len(self._items), report.positions
        if self._reveal != "both" or not self._all_given(state):
            raise PeerError("a report that is not due")
        if report.total > min(state.size_peer, total) or report.offset != state.reported:
            raise PeerError("a report with too many positions, or out of order")
        if len(positions) != min(CHUNK, report.total - state.reported):
            raise PeerError("a report of another length than announced")
        if len(positions) and int(positions.max()) >= total:
            raise PeerError("a report of positions that do not exist")
        self.context.store.put("report", report.offset // CHUNK, positions)
        reported = state.reported + len(positions)
        if reported < report.total:
            return Turn(replace(state, reported=reported))
        parts = _chunks(report.total)
        told = gathered(self.context.store, "report", parts, positions[:0]).astype(np.int64)
        seen = np.zeros(total, bool)
        seen[told] = True
        if int(seen.sum()) != len(told):
            raise PeerError("a report with repeated positions")
        self.context.store.clear()
        own = self._order(state.tag_order, total)[told]
        return Turn(Done(), result=Matches(len(own), state.size_peer, own, told))
