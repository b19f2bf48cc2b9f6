"""The sender: holds the key, evaluates, gives out its tags in a secret order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from psi import oprf
from psi.ecdh import messages as limits
from psi.ecdh.items import Items, Matches, Prepared, own_tags
from psi.ecdh.messages import (
    LARGEST,
    SHUFFLED,
    WINDOW,
    Blinded,
    More,
    Reply,
    Report,
    Scalar,
    Size,
    chunks,
    replies,
)
from psi.kernels.scalars import random_scalar
from psi.protocol import (
    Context,
    Done,
    Length,
    PeerError,
    Range,
    Refused,
    Role,
    Share,
    Turn,
    gathered,
    message,
)
from psi.shuffling import SEED, in_groups, permutation

__all__ = ["Sender"]

Index = np.ndarray[Any, np.dtype[np.int64]]
_NO_POINTS = np.empty((0, 32), np.uint8)
_NO_TAGS = np.empty((0, 2), np.uint64)
_NO_NUMBERS = np.empty(0, np.uint32)
_POINTS, _NUMBERS = 1, 2
"""What an order is of, where one seed makes two."""


@message(0x25)
@dataclass(frozen=True, kw_only=True)
class Sending:
    """Sender: key, seeds of its orders; what came and what went so far (-1: nothing came); the
    size of the receiver's groups."""

    key: Scalar
    tag_order: Annotated[bytes, Length(SEED)]
    point_order: Annotated[bytes, Length(SEED)]
    size_peer: Annotated[int, Range(-1, LARGEST)]
    evaluated: Size
    given: Size
    tagged: Size
    reported: Size
    group: Annotated[int, Range(1, 4096)] = 1


def _scalar(value: bytes) -> int:
    return int.from_bytes(value, "little")


class Sender(Role[Matches]):
    """Holds the key; learns sizes, and in `both` what the receiver reports.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        largest: most items that the other party may have; more are refused.
    """

    transitions = {  # noqa: RUF012
        (Sending, Blinded): "on_blinded",
        (Sending, More): "on_more",
        (Sending, Report): "on_report",
    }

    def __init__(
        self,
        context: Context,
        peer: str,
        items: Items,
        *,
        reveal: str,
        largest: int,
        prepared: Prepared | None = None,
        spend: Callable[[int], None] | None = None,
        records: Index | None = None,
        groups: bool = False,
    ) -> None:
        """With `prepared` its key is used; `spend` counts the items asked of it, or refuses.

        `records: int64[n]` numbers the record that each item belongs to; the receiver learns
        which of the items it shares belong to one record. For `reveal = "receiver"` and what is
        shuffled; with `groups` the receiver may have replies shuffled in groups of its choosing.
        """
        super().__init__(context)
        self._peer, self._items, self._reveal, self._largest = peer, items, reveal, largest
        self._prepared, self._spend = prepared, spend or (lambda items: None)
        self._shuffled = reveal in SHUFFLED
        self._orders: dict[tuple[bytes, int], Index] = {}
        self._key, self._records, self._groups = b"", records, groups

    def begin(self) -> Turn[Matches]:
        random, made = self.context.random, self._prepared
        if made is not None:
            return Turn(
                Sending(
                    key=made.key,
                    tag_order=made.tag_order,
                    point_order=random(SEED),
                    size_peer=-1,
                    evaluated=0,
                    given=0,
                    tagged=len(made.tags),
                    reported=0,
                )
            )
        k = random_scalar(random).to_bytes(32, "little")
        return Turn(
            Sending(
                key=k,
                tag_order=random(SEED),
                point_order=random(SEED),
                size_peer=-1,
                evaluated=0,
                given=0,
                tagged=0,
                reported=0,
            )
        )

    def on_blinded(self, state: Sending, part: Blinded, peer: str) -> Turn[Matches]:
        del peer
        if part.total > self._largest:
            raise Refused(f"the receiver's set has {part.total} items, {self._largest} allowed")
        size = part.total if state.size_peer < 0 else state.size_peer
        group = part.group if state.size_peer < 0 else state.group
        if size % group or part.group != group or (group > 1 and not self._groups):
            raise PeerError("blinded items in groups that are not whole, change, or are not due")
        finished = 0 <= state.size_peer <= state.evaluated
        if part.total != size or part.offset != state.evaluated or finished:
            raise PeerError("blinded items out of order")
        expected = min(limits.CHUNK, size - state.evaluated)
        if len(part.points) != expected:
            raise PeerError(f"{len(part.points)} blinded items found, {expected} expected")
        if state.size_peer < 0:
            self._spend(size)
        points = oprf.evaluate(part.points, _scalar(state.key))
        evaluated = state.evaluated + len(points)
        state = replace(state, size_peer=size, evaluated=evaluated, group=group)
        if self._shuffled:
            self.context.store.put("held", part.offset // limits.CHUNK, points)
            return self._reply(state, _NO_POINTS)
        return self._reply(state, points)

    def on_more(self, state: Sending, asked: More, peer: str) -> Turn[Matches]:
        del asked, peer
        if not 0 <= state.size_peer <= state.evaluated or self._all_given(state):
            raise PeerError("more asked than there is")
        points = _NO_POINTS
        if self._shuffled and state.given < state.size_peer:
            order = self._order(state.point_order, state.size_peer, _POINTS, state.group)
            held = gathered(self.context.store, "held", chunks(state.size_peer), _NO_POINTS)
            points = held[order[state.given : state.given + limits.CHUNK]]
        return self._reply(state, points)

    def _reply(self, state: Sending, points: np.ndarray) -> Turn[Matches]:
        """Answer with points, and with this reply's share of the tags."""
        total = len(self._items)
        expected = replies(state.size_peer, held_back=self._shuffled)
        share = limits.CHUNK * min(WINDOW, -(-chunks(total) // expected))
        stop = min(state.tagged + share, total)
        tags, sealed = self._own_tags(state, state.tagged, stop)
        state = replace(state, given=state.given + len(points), tagged=state.tagged + len(tags))
        reply = [(self._peer, Reply(points, total, tags, self._public(state), sealed))]
        items = state.size_peer + total
        done = (state.given + state.tagged) / max(1, items)
        if self._reveal == "both" or not self._all_given(state):
            return Turn(state, reply, progress=Share(0.95 * done, items))
        self.context.store.clear()
        none = np.empty(0, np.int64)
        placed = self._reveal == "places" or (self._records is not None and not self._shuffled)
        own = self._order(state.tag_order, total) if placed else none
        numbered = self._records is not None and self._reveal == "places"
        numbers = self._numbers(state) if numbered else none
        return Turn(Done(), reply, Matches(-1, state.size_peer, own, none, numbers), 1.0)

    def _public(self, state: Sending) -> bytes:
        """What the receiver takes its blinds off with; one blind for all needs nothing."""
        if not self._shuffled and not self._key:
            self._key = oprf.public_key(_scalar(state.key))
        return self._key

    def _all_given(self, state: Sending) -> bool:
        return state.given == state.size_peer and state.tagged == len(self._items)

    def _order(self, seed: bytes, count: int, use: int = 0, group: int = 1) -> Index:
        if (seed, use) not in self._orders:
            self._orders[seed, use] = in_groups(permutation(count, seed, use), group)
        return self._orders[seed, use]

    def _own_tags(self, state: Sending, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Tags of the own items at places `start` to `stop` of the secret order; sealed records.

        A record goes by its number in another secret order, under the third word of the tag's
        hash: a pad that is used once, for the hash is of this session and this item.
        """
        if start == stop:
            return _NO_TAGS, _NO_NUMBERS
        rows = self._order(state.tag_order, len(self._items))[start:stop]
        plain, key, pads = self._shuffled, _scalar(state.key), self._records is not None
        chosen = self._items.take(rows)
        words = own_tags(self.context.session, chosen, key, kept=False, plain=plain, pads=pads)
        if self._records is None:
            return words, _NO_NUMBERS
        numbers = self._numbers(state)[self._records[rows]].astype(np.uint32)
        return np.ascontiguousarray(words[:, :2]), numbers ^ words[:, 2].astype(np.uint32)

    def _numbers(self, state: Sending) -> Index:
        """The number that each record goes by."""
        count = int(self._records.max(initial=-1)) + 1 if self._records is not None else 0
        return self._order(state.point_order, count, _NUMBERS)

    def on_report(self, state: Sending, report: Report, peer: str) -> Turn[Matches]:
        del peer
        total, positions = len(self._items), report.positions
        if self._reveal != "both" or not self._all_given(state):
            raise PeerError("a report that is not due")
        if report.total > min(state.size_peer, total) or report.offset != state.reported:
            raise PeerError("a report with too many positions, or out of order")
        if len(positions) != min(limits.CHUNK, report.total - state.reported):
            raise PeerError("a report of another length than announced")
        if len(positions) and int(positions.max()) >= total:
            raise PeerError("a report of positions that do not exist")
        self.context.store.put("report", report.offset // limits.CHUNK, positions)
        reported = state.reported + len(positions)
        if reported < report.total:
            return Turn(replace(state, reported=reported))
        parts = chunks(report.total)
        told = gathered(self.context.store, "report", parts, positions[:0]).astype(np.int64)
        seen = np.zeros(total, bool)
        seen[told] = True
        if int(seen.sum()) != len(told):
            raise PeerError("a report with repeated positions")
        self.context.store.clear()
        own = self._order(state.tag_order, total)[told]
        return Turn(Done(), result=Matches(len(own), state.size_peer, own, told))
