"""The sender: helps with the correlation, holds Δ, gives out its tags in ascending order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from psi.ecdh.items import Items, Matches
from psi.kernels.gf128 import add_products
from psi.kernels.tag_lists import pack_tags
from psi.protocol import Context, Done, PeerError, Refused, Role, Share, Turn
from psi.vole import base_ot
from psi.vole.correlation import Rooms, helper_leaves, helper_vector
from psi.vole.extension import BASE, choice_words, helper_keys, helper_rows, products
from psi.vole.items import Binned, tags_of
from psi.vole.limits import check_path
from psi.vole.messages import (
    TAG_WINDOW,
    TAGS,
    Answer,
    Encoded,
    Extension,
    More,
    Opening,
    Report,
    Tags,
    Trees,
)
from psi.vole.ordered import Ordered
from psi.vole.parameters import Store, TagForm, Vector, parts_of, store_for
from psi.vole.reports import all_told, take_report
from psi.vole.secrets import KEY, Session, commitment, run_name
from psi.vole.states import SECRET, Sending, Waiting
from psi.vole.suite import PLAIN, Suite

__all__ = ["Sender"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Rows = np.ndarray[Any, np.dtype[np.uint32]]
_NONE = np.empty((0, 2), np.uint64)


class Sender(Role[Matches]):
    """Holds the secret Δ; learns sizes, and in `both` what the receiver reports.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        items: this party's, each once.
        reveal: "receiver" or "both": who learns what; both sides say the same.
        largest: most items that the other party may have; more are refused.
    """

    transitions = {  # noqa: RUF012
        (Waiting, Opening): "on_opening",
        (Sending, Extension): "on_extension",
        (Sending, Encoded): "on_encoded",
        (Sending, More): "on_more",
        (Sending, Report): "on_report",
    }
    sending: ClassVar[type[Sending]] = Sending
    suite: ClassVar[Suite] = PLAIN

    def __init__(
        self, context: Context, peer: str, items: Items, *, reveal: str, largest: int
    ) -> None:
        super().__init__(context)
        check_path(len(items), reveal, self.suite.name)
        self._peer, self._items, self._reveal, self._largest = peer, items, reveal, largest
        self._proves = self.suite.proves and reveal == "both"
        self._binned: Binned | None = None
        self._rooms = Rooms(1)
        self._leaves: dict[int, Words] = {}
        self._vectors: dict[int, Words] = {}
        self._ordered: Ordered | None = None

    def ahead(self) -> None:
        """The vector that the next part of the store is for, and the items in their bins; at the
        end the next tags in order."""
        state = self.state
        if not isinstance(state, Sending) or not state.extended:
            return
        parts = parts_of(self._shape(state))
        if state.parts < len(parts) and parts[state.parts].chunk < state.extended:
            self._vector(state, parts[state.parts].chunk)
            self._sorted(state).part(parts[state.parts])
        elif state.parts == len(parts) and state.tagged < len(self._items):
            self._tags(state).rows(state.tagged, state.tagged + 1)

    def begin(self) -> Turn[Matches]:
        return Turn(Waiting(), progress=0.0)

    def on_opening(self, state: Waiting, opening: Opening, peer: str) -> Turn[Matches]:
        del state, peer
        if opening.total > self._largest:
            raise Refused(f"the receiver's set has {opening.total} items, {self._largest} allowed")
        if len(opening.commitment) != KEY or len(opening.point) != 32:
            raise PeerError("a commitment or a point of another length than the protocol's")
        random = self.context.random
        coin, secrets, seed = random(KEY), random(2 * SECRET), random(KEY)
        name = self._name(opening.total)
        bits = np.unpackbits(np.frombuffer(secrets, np.uint8), bitorder="little")
        points, keys = self.suite.transfers.choose(opening.point, bits, name, random)
        after = self.sending(
            size_peer=opening.total,
            committed=opening.commitment,
            coin=coin,
            secrets=secrets,
            keys=keys.tobytes(),
            seed=seed,
            extended=0,
            parts=0,
            tagged=0,
            reported=0,
        )
        return Turn(after, [(self._peer, Answer(len(self._items), coin, points))], progress=0.05)

    def _name(self, size_peer: int) -> bytes:
        mine = self.context
        return run_name(mine.session, mine.step, size_peer, len(self._items))

    def _shape(self, state: Sending) -> Store:
        return store_for(state.size_peer)

    def _correlation(self, state: Sending, chunk: int) -> Vector:
        return self.suite.correlation(self._shape(state), chunk)

    def _form(self, state: Sending) -> TagForm:
        return self.suite.tags(state.size_peer, len(self._items))

    def _opened(self, state: Sending, part: Extension) -> Sending:
        """The session's coin, once the receiver's part is known and fits its commitment."""
        if part.chunk:
            if part.coin:
                raise PeerError("a coin that is not due")
            return state
        committed = commitment(part.coin, self.context.session)
        if len(part.coin) != KEY or committed != state.committed:
            raise PeerError("a coin that is not the one committed to")
        session = Session.toss(self._name(state.size_peer), part.coin, state.coin)
        return replace(state, committed=b"", coin=session.coin)

    def _checked(self, state: Sending, part: Extension, chosen: Words, helped: Words) -> Sending:
        """The state after the rows that an extension gave; nothing is checked in this setting."""
        del part, chosen, helped
        return state

    def on_extension(self, state: Sending, part: Extension, peer: str) -> Turn[Matches]:
        del peer
        shape = self._shape(state)
        if part.chunk != state.extended or state.extended == shape.chunks:
            raise PeerError("an extension out of order")
        chunk, vector = part.chunk, self._correlation(state, part.chunk)
        count = vector.trees * vector.depth
        bits, values = self.suite.inputs(vector)
        if part.transfers.shape != (BASE, choice_words(bits)):
            raise PeerError("transfers of another number than the sizes ask for")
        if part.products.shape != (BASE, 2 * values):
            raise PeerError("products of another number than the sizes ask for")
        state = self._opened(state, part)
        session, tweak = Session(state.coin), Session(state.coin).key("transfers")
        keys = np.frombuffer(state.keys, np.uint8).reshape(-1, base_ot.KEY)
        ours, delta = state.secrets[:SECRET], state.secrets[SECRET:]
        chosen = helper_rows(keys[:BASE], ours, chunk, part.transfers)
        helped = helper_rows(keys[BASE:], delta, chunk, part.products)
        state = self._checked(state, part, chosen, helped)
        masks = helper_keys(chosen, ours, chunk, count, tweak)
        totals = products(helped)[: vector.trees]
        self._leaves[chunk] = self._rooms.take(vector)
        sums = helper_leaves(state.seed, session, chunk, vector, self._leaves[chunk])
        totals ^= sums[:, -1, 0] ^ sums[:, -1, 1]
        hidden = sums.reshape(count, 4) ^ masks.reshape(count, 4)
        state = replace(state, extended=chunk + 1)
        return Turn(state, [(self._peer, Trees(chunk, hidden, totals))])

    def _vector(self, state: Sending, chunk: int) -> Words:
        """Room that begins with B of a chunk; made again where a restored role lacks it."""
        if chunk not in self._vectors:
            session, vector = Session(state.coin), self._correlation(state, chunk)
            for room in self._vectors.values():
                self._rooms.give(room)
            room = self._leaves.pop(chunk, _NONE)
            if room is _NONE:
                room = self._rooms.take(vector)
                helper_leaves(state.seed, session, chunk, vector, room)
            helper_vector(room, session, chunk, vector)
            self._vectors = {chunk: room}
        return self._vectors[chunk]

    def on_encoded(self, state: Sending, part: Encoded, peer: str) -> Turn[Matches]:
        del peer
        shape, store = self._shape(state), self.context.store
        parts = parts_of(shape)
        if part.part != state.parts or state.parts == len(parts):
            raise PeerError("parts of the store out of order")
        place = parts[part.part]
        if place.chunk >= state.extended or len(part.elements) != place.high - place.low:
            raise PeerError("a part of the store that is not due, or of another size")
        session, form = Session(state.coin), self._form(state)
        secret = np.frombuffer(state.secrets[SECRET:], "<u8").astype(np.uint64)
        vector = self._vector(state, place.chunk)[place.low : place.high].copy()
        add_products(vector, part.elements, secret)
        digests, starts = self._sorted(state).part(place)
        tags, halves = tags_of(
            digests, starts, shape, vector, session, form, secret, halves=self._proves
        )
        base = self._sorted(state).starts[place.first]
        numbers = np.arange(base, base + len(tags), dtype=np.uint32)
        self._tags(state).put(part.part, tags, numbers)
        if self._proves:
            store.put("halves", part.part, halves)
        state = replace(state, parts=part.part + 1)
        done = 0.05 + 0.9 * state.parts / len(parts)
        if state.parts < len(parts):
            return Turn(state, progress=Share(done, len(self._items)))
        self._vectors = {}
        self._rooms.clear()
        self._sorted(state).release()
        return self._give(state)

    def on_more(self, state: Sending, asked: More, peer: str) -> Turn[Matches]:
        del asked, peer
        if not 0 < state.tagged < len(self._items):
            raise PeerError("more asked than there is")
        return self._give(state)

    def _tags(self, state: Sending) -> Ordered:
        """All tags in ascending order, in `both` with each one's place among those of the parts."""
        if self._ordered is None:
            parts, numbered = len(parts_of(self._shape(state))), self._reveal == "both"
            store, total = self.context.store, len(self._items)
            self._ordered = Ordered(store, total, parts, numbered=numbered)
        return self._ordered

    def _sorted(self, state: Sending) -> Binned:
        if self._binned is None:
            self._binned = Binned(self._items, Session(state.coin), self._shape(state))
        return self._binned

    def _give(self, state: Sending) -> Turn[Matches]:
        total, form = len(self._items), self._form(state)
        tags = self._tags(state)
        end = min(total, state.tagged + TAG_WINDOW * TAGS)
        messages = []
        for start in range(state.tagged, max(end, 1), TAGS):
            packed = pack_tags(tags.rows(start, min(start + TAGS, end)), form.leading, form.width)
            messages.append((self._peer, Tags(start, *packed)))
        state = replace(state, tagged=end)
        if end < total or self._reveal == "both":
            return Turn(state, messages, progress=0.95)
        self.context.store.clear()
        none = np.empty(0, np.int64)
        return Turn(Done(), messages, Matches(-1, state.size_peer, none, none), 1.0)

    def _all_given(self, state: Sending) -> bool:
        """Whether the receiver has all tags, and is to report."""
        made = state.parts == len(parts_of(self._shape(state)))
        return self._reveal == "both" and made and state.tagged == len(self._items)

    def on_report(self, state: Sending, report: Report, peer: str) -> Turn[Matches]:
        del peer
        store, total = self.context.store, len(self._items)
        if not self._all_given(state):
            raise PeerError("a report that is not due")
        take_report(store, report, state.reported, min(state.size_peer, total), total)
        reported = state.reported + len(report.places)
        if reported < report.total:
            return Turn(replace(state, reported=reported))
        told = all_told(store, report.total, total)
        places = self._tags(state).numbers()[told]
        self._believe(state, places)
        own = self._sorted(state).index[places].astype(np.int64)
        store.clear()
        return Turn(Done(), result=Matches(len(own), state.size_peer, own, told))

    def _believe(self, state: Sending, places: Rows) -> None:
        """Nothing shows in this setting that the receiver holds what it reports."""
