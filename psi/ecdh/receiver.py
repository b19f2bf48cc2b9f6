"""The receiver: blinds, finalises, looks up; reports where both are to learn the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from psi import oprf
from psi.buckets import bucket_bits, meet_opened, spread
from psi.ecdh import messages as limits
from psi.ecdh.items import Held, Items, Matches, tags_of
from psi.ecdh.messages import (
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
from psi.kernels.pairing import linked
from psi.kernels.scalars import random_scalar
from psi.protocol import (
    Context,
    Done,
    PeerError,
    Refused,
    Role,
    Share,
    Turn,
    message,
)
from psi.shuffling import SEED

__all__ = ["Receiver"]


@message(0x24)
@dataclass(frozen=True, kw_only=True)
class Receiving:
    """Receiver: blind, or the seed of blinds; the sender's public key; messages sent and
    answered; points and tags that came; parts of tags."""

    blind: Scalar
    public: Scalar
    asked: Size
    answered: Size
    evaluated: Size
    tagged: Size
    parts: Size
    size_peer: Size


def _scalar(value: bytes) -> int:
    return int.from_bytes(value, "little")


class Receiver(Role[Matches]):
    """Learns which of its items the sender has (or how many).

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        reveal: "both", "receiver", "cardinality" or "places": who learns what; both sides
            say the same.
        minimum: fewest matches that are told; below it the run is refused.
        largest: most items that the other party may have; more are refused.
        held: the sender's tags from an earlier run; None where there are none.
    """

    transitions = {(Receiving, Reply): "on_reply"}  # noqa: RUF012

    def __init__(
        self,
        context: Context,
        peer: str,
        items: Items,
        *,
        reveal: str,
        minimum: int,
        largest: int,
        held: Held | None = None,
        records: bool = False,
        group: int = 1,
    ) -> None:
        """`records`: the sender tells the number of each tag's record.

        With `records`, `cardinality` and `places` are of the sender's records, each once. With a
        `group` what is counted are records of both sides: its items are those of a record in each
        group of so many (see `psi.align.counting`).
        """
        super().__init__(context)
        self._peer, self._items, self._reveal = peer, items, reveal
        self._minimum, self._largest, self._held = minimum, largest, held
        self._shuffled, self._records, self._group = reveal in SHUFFLED, records, group
        # an item's answer gives two values where each has its own blind (see `oprf.finalize`)
        self._values = 1 if self._shuffled else 2
        self._bits = bucket_bits(self._values * len(items))

    def begin(self) -> Turn[Matches]:
        random = self.context.random
        r = random_scalar(random).to_bytes(32, "little") if self._shuffled else random(SEED)
        if self._held is None:
            return self._ask(
                Receiving(
                    blind=r,
                    public=b"",
                    asked=0,
                    answered=0,
                    evaluated=0,
                    tagged=0,
                    parts=0,
                    size_peer=0,
                )
            )
        tags = self._held.tags
        spread(self.context.store, "peer", 0, tags, 0, self._bits)
        return self._ask(
            Receiving(
                blind=r,
                public=b"",
                asked=0,
                answered=0,
                evaluated=0,
                tagged=len(tags),
                parts=1,
                size_peer=len(tags),
            )
        )

    def _ask(self, state: Receiving) -> Turn[Matches]:
        """Keep the window full: the next chunks, then requests for what is held back."""
        size = len(self._items)
        planned = replies(size, held_back=self._shuffled)
        messages: list[tuple[str, Any]] = []
        asked = state.asked
        while asked < planned and asked - state.answered < WINDOW:
            messages.append((self._peer, self._message(asked, state.blind)))
            asked += 1
        if asked == state.answered and not self._complete(state):
            messages.append((self._peer, More()))
            asked += 1
        done = 0.5 * (state.evaluated + min(state.asked * limits.CHUNK, size)) / max(1, size)
        return Turn(replace(state, asked=asked), messages, progress=Share(0.95 * done, size))

    def _message(self, number: int, blind: bytes) -> Blinded | More:
        size, start = len(self._items), number * limits.CHUNK
        if number >= chunks(size):
            return More()
        part = self._items.part(start, min(start + limits.CHUNK, size))
        if self._shuffled:
            points = oprf.blind_all(oprf.encode(part.data, part.offsets), _scalar(blind))
        else:
            points = oprf.blind(part.data, part.offsets, oprf.blinds(blind, number, len(part)))
        return Blinded(size, start, points, self._group)

    def _complete(self, state: Receiving) -> bool:
        return state.evaluated == len(self._items) and state.tagged == state.size_peer

    def on_reply(self, state: Receiving, reply: Reply, peer: str) -> Turn[Matches]:
        del peer
        if state.answered and reply.public != state.public:
            raise PeerError("the sender's public key has changed")
        state = self._take_points(replace(state, public=reply.public), reply.points)
        state = self._take_tags(state, reply)
        turn = self._ask(replace(state, answered=state.answered + 1))
        return turn if turn.messages or not self._complete(state) else self._finish(state)

    def _take_points(self, state: Receiving, points: np.ndarray) -> Receiving:
        shuffled, size = self._shuffled, len(self._items)
        due = state.answered - chunks(size) if shuffled else state.answered
        start = due * limits.CHUNK
        expected = max(0, min(limits.CHUNK, size - start)) if due >= 0 else 0
        if len(points) != expected:
            raise PeerError(f"{len(points)} points found, {expected} expected")
        if not expected:
            return state
        bound = None if shuffled else self._items.part(start, start + len(points))
        if shuffled:
            values = [oprf.finalize_all(points, _scalar(state.blind))]
        else:
            blinds = oprf.blinds(state.blind, due, len(points))
            values = [*oprf.finalize(points, state.public, blinds)]
        kept = self._held is not None
        name = self._held.name if self._held is not None else self.context.session
        for place, value in enumerate(values):
            words = tags_of(name, bound, value, kept=kept, pads=self._records)
            pads, number = words[:, 2:].astype(np.uint32), due * len(values) + place
            spread(self.context.store, "own", number, words[:, :2], start, self._bits, pads)
        return replace(state, evaluated=state.evaluated + len(points))

    def _take_tags(self, state: Receiving, reply: Reply) -> Receiving:
        total, tags = reply.total, reply.tags
        if total > self._largest:
            raise Refused(f"the sender's set has {total} items, {self._largest} allowed")
        if (state.answered or self._held is not None) and total != state.size_peer:
            raise PeerError("the sender's set has changed its size")
        if state.tagged + len(tags) > total:
            raise PeerError("more tags than announced")
        if not len(tags) and state.tagged < total:
            raise PeerError("no tags found, some expected")
        if len(reply.sealed) != len(tags) * self._records:
            raise PeerError("another number of records than of tags")
        if len(tags):
            start, sealed = state.tagged, reply.sealed
            spread(self.context.store, "peer", state.parts, tags, start, self._bits, sealed)
        tagged, parts = state.tagged + len(tags), state.parts + bool(len(tags))
        return replace(state, tagged=tagged, parts=parts, size_peer=total)

    def _finish(self, state: Receiving) -> Turn[Matches]:
        size = len(self._items)
        parts = -(-size // limits.CHUNK) * self._values
        sides = ("own", parts), ("peer", state.parts)
        own, positions, record = meet_opened(self.context.store, *sides, size, self._bits)
        count = len(own)
        if record.max(initial=0) >= max(1, state.size_peer):
            raise PeerError("numbers of records that do not exist")
        if self._shuffled and self._records:
            shared = np.unique(record).astype(np.int64)
            count = len(shared) if self._group == 1 else linked(own // self._group, record)
        if count < self._minimum:
            raise Refused(
                f"{count} shared records found, at least {self._minimum} needed",
                hint="check key columns and kinds with fedprofile preflight",
            )
        self.context.store.clear()
        if self._shuffled:
            # rows of shuffled replies mean nothing; the order of the places would say which item
            own, positions = own[:0], shared if self._records else np.sort(positions)
        if self._reveal == "cardinality":
            positions = positions[:0]
        if not self._records or self._shuffled:
            record = record[:0]
        matches = Matches(count, state.size_peer, own, positions, record)
        report: list[tuple[str, Any]] = []
        if self._reveal == "both":
            told = positions.astype(np.uint32)
            report = [
                (self._peer, Report(count, start, told[start : start + limits.CHUNK]))
                for start in range(0, max(count, 1), limits.CHUNK)
            ]
        return Turn(Done(), report, matches, 1.0)
