"""The receiver: owns the correlation, encodes its set into it, looks the sender's tags up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from psi.ecdh.items import Items, Matches
from psi.kernels.tag_lists import unpack_tags
from psi.protocol import Context, Done, PeerError, Refused, Role, Share, Turn
from psi.vole import base_ot
from psi.vole.correlation import Noise, Rooms, owner_leaves, owner_noise, owner_vectors
from psi.vole.extension import BASE, bit_row, owner_keys, owner_rows, products
from psi.vole.items import tags_of
from psi.vole.limits import check_path
from psi.vole.lookup import Lookup
from psi.vole.messages import (
    AHEAD,
    TAG_WINDOW,
    TAGS,
    Answer,
    Encoded,
    Extension,
    More,
    Opening,
    Tags,
    Trees,
)
from psi.vole.own_set import OwnSet
from psi.vole.parameters import TagForm, Vector, chunk_of, parts_of, store_for
from psi.vole.reports import reports
from psi.vole.secrets import KEY, Session, commitment, run_name
from psi.vole.states import Opened, Receiving
from psi.vole.suite import PLAIN, Suite

__all__ = ["Receiver"]

Words = np.ndarray[Any, np.dtype[np.uint64]]


class Receiver(Role[Matches]):
    """Learns which of its items the sender has.

    Args:
        context: session, step, this party's name, its randomness and its store.
        peer: the name of the other party.
        items: this party's, each once.
        reveal: "receiver" or "both": who learns what; both sides say the same.
        minimum: fewest matches that are told; below it the run is refused.
        largest: most items that the other party may have; more are refused.
    """

    transitions = {  # noqa: RUF012
        (Opened, Answer): "on_answer",
        (Receiving, Trees): "on_trees",
        (Receiving, Tags): "on_tags",
    }
    receiving: ClassVar[type[Receiving]] = Receiving
    suite: ClassVar[Suite] = PLAIN

    def __init__(
        self,
        context: Context,
        peer: str,
        items: Items,
        *,
        reveal: str,
        minimum: int,
        largest: int,
    ) -> None:
        super().__init__(context)
        check_path(len(items), reveal, self.suite.name)
        self._peer, self._items, self._reveal = peer, items, reveal
        self._minimum, self._largest = minimum, largest
        self._proves = self.suite.proves and reveal == "both"
        self._shape = store_for(len(items))
        self._set = OwnSet(items, self._shape)
        self._lookup = Lookup(context.store, len(items), self._shape.chunks)
        self._owned: dict[int, tuple[Noise, Words, Words]] = {}
        self._values: dict[int, Words] = {}
        self._rooms = Rooms(2)
        self._kept = -1

    def ahead(self) -> None:
        """Own tags of the last chunk, then the store of the next; at the end tags in order."""
        if not isinstance(self.state, Receiving):
            return
        self._keep_tags(self.state)
        if self.state.chunk < self._shape.chunks:
            self._set.solve(Session(self.state.coin), self.state.chunk)
        elif self.state.tagged == 0:
            self._lookup.load(0)

    def begin(self) -> Turn[Matches]:
        coin = self.context.random(KEY)
        secret, point = self.suite.transfers.offer(self.context.random)
        opening = Opening(len(self._items), commitment(coin, self.context.session), point)
        return Turn(Opened(coin, secret, point), [(self._peer, opening)], progress=0.0)

    def on_answer(self, state: Opened, answer: Answer, peer: str) -> Turn[Matches]:
        del peer
        if answer.total > self._largest:
            raise Refused(f"the sender's set has {answer.total} items, {self._largest} allowed")
        if len(answer.coin) != KEY or len(answer.points) != 4 * BASE:
            raise PeerError("a coin or points of another number than the protocol's")
        mine = self.context
        name = run_name(mine.session, mine.step, len(self._items), answer.total)
        session = Session.toss(name, state.coin, answer.coin)
        keys = self.suite.transfers.give(state.secret, state.point, answer.points, name).tobytes()
        after = self.receiving(
            coin=session.coin,
            keys=keys,
            seed=mine.random(KEY),
            size_peer=answer.total,
            chunk=0,
            tagged=0,
            parts=0,
        )
        ahead = range(min(AHEAD, self._shape.chunks))
        first = [m for c in ahead for m in self._extend(after, c, state.coin if c == 0 else b"")]
        return Turn(after, [(self._peer, m) for m in first], progress=0.05)

    def _correlation(self, chunk: int) -> Vector:
        return self.suite.correlation(self._shape, chunk)

    def _form(self, state: Receiving) -> TagForm:
        return self.suite.tags(len(self._items), state.size_peer)

    def _own(self, state: Receiving, chunk: int) -> tuple[Words, Words]:
        """The messages of transfers and products; what they leave here is kept for the trees."""
        session, vector = Session(state.coin), self._correlation(chunk)
        keys = np.frombuffer(state.keys, np.uint8).reshape(-1, 2, base_ot.KEY)
        noise = owner_noise(state.seed, chunk, vector)
        tweak = session.key("transfers")
        transfers, rows = owner_rows(keys[:BASE], chunk, bit_row(noise.bits))
        masked, own = owner_rows(keys[BASE:], chunk, noise.values.reshape(-1))
        known = owner_keys(rows, chunk, len(noise.bits), tweak)
        self._owned[chunk] = noise, known, products(own)
        return transfers, masked

    def _extend(self, state: Receiving, chunk: int, coin: bytes) -> list[Any]:
        return [Extension(chunk, coin, *self._own(state, chunk))]

    def on_trees(self, state: Receiving, trees: Trees, peer: str) -> Turn[Matches]:
        del peer
        chunk = state.chunk
        if chunk == self._shape.chunks or trees.chunk != chunk:
            raise PeerError("trees out of order")
        vector = self._correlation(chunk)
        if (len(trees.sums), len(trees.totals)) != (vector.trees * vector.depth, vector.trees):
            raise PeerError("trees of another number or depth than the sizes ask for")
        self._keep_tags(state)
        self.context.store.put("sums", chunk, trees.sums)
        self.context.store.put("totals", chunk, trees.totals)
        return self._planted(state, *self._leaves(state, chunk, trees.sums, trees.totals))

    def _leaves(
        self, state: Receiving, chunk: int, sums: Words, totals: Words
    ) -> tuple[Words, Words]:
        """Room with a chunk's leaves, and what the products left here."""
        vector = self._correlation(chunk)
        if chunk not in self._owned:
            self._own(state, chunk)
        noise, known, own = self._owned.pop(chunk)
        left, right = sums[:, :2], sums[:, 2:]
        mask = (np.uint64(0) - noise.bits.astype(np.uint64))[:, None]
        siblings = (left ^ (mask & (left ^ right)) ^ known).reshape(-1, vector.depth, 2)
        mine = totals ^ own[: vector.trees]
        room = self._rooms.take(vector)
        owner_leaves(noise, siblings, mine, Session(state.coin), chunk, vector, room)
        return room, own

    def _planted(self, state: Receiving, room: Words, own: Words) -> Turn[Matches]:
        """On with the chunk whose leaves have come; `own` is what the products left here."""
        del own
        chunk = state.chunk
        both = self._vectors(state, room, chunk)
        messages: list[tuple[str, Any]] = []
        if chunk + AHEAD < self._shape.chunks:
            messages += [(self._peer, m) for m in self._extend(state, chunk + AHEAD, b"")]
        masked, self._values[chunk] = self._set.masked(Session(state.coin), chunk, both)
        self._rooms.give(room)
        messages += [
            (self._peer, Encoded(number, masked[part.low : part.high]))
            for number, part in enumerate(parts_of(self._shape))
            if part.chunk == chunk
        ]
        done = (chunk + 1) / self._shape.chunks
        return Turn(
            replace(state, chunk=chunk + 1),
            messages,
            progress=Share(0.05 + 0.8 * done, len(self._items)),
        )

    def _vectors(self, state: Receiving, room: Words, chunk: int) -> Words:
        return owner_vectors(room, Session(state.coin), chunk, self._correlation(chunk))

    def _keep_tags(self, state: Receiving) -> None:
        """Put the own tags of the last chunk into the store, if they are not there.

        They are made once the chunk's messages are out, while the sender works on these. A role
        that was restored cannot tell, and makes them again from the trees.
        """
        chunk, store = state.chunk - 1, self.context.store
        if chunk < 0 or chunk == self._kept or state.tagged:
            return
        values, whole = self._values.pop(chunk, None), chunk_of(self._shape, chunk)
        if values is None:
            sums, totals = (store.get(name, chunk) for name in ("sums", "totals"))
            room, _ = self._leaves(state, chunk, sums, totals)
            values = self._vectors(state, room, chunk)[: whole.high, 2:].copy()
            self._rooms.give(room)
        session = Session(state.coin)
        binned, form = self._set.binned(session), self._form(state)
        tags, halves = tags_of(
            *binned.part(whole), self._shape, values, session, form, halves=self._proves
        )
        items = binned.index[binned.starts[whole.first] : binned.starts[whole.last]]
        self._lookup.put(chunk, tags, items.astype(np.uint32))
        if self._proves:
            store.put("halves", chunk, halves)
            store.put("owners", chunk, items.astype(np.uint32))
        self._kept = chunk
        if chunk + 1 == self._shape.chunks:
            self._set.release()
            self._rooms.clear()

    def on_tags(self, state: Receiving, part: Tags, peer: str) -> Turn[Matches]:
        del peer
        form = self._form(state)
        if state.chunk < self._shape.chunks or part.offset != state.tagged:
            raise PeerError("tags out of order")
        expected = (min(TAGS, state.size_peer - state.tagged), form.width)
        if part.rests.shape != expected:
            raise PeerError(f"tags of shape {part.rests.shape} found, {expected} expected")
        tags = unpack_tags(part.first, part.steps, part.rests, form.leading)
        if tags is None:
            raise PeerError("steps of tags that are no steps")
        self._keep_tags(state)
        self._lookup.take(state.parts, tags, state.tagged)
        state = replace(state, tagged=state.tagged + len(tags), parts=state.parts + 1)
        if state.tagged == state.size_peer:
            return self._finish(state)
        # asked as a window begins to come: the sender makes the next while this is looked up
        beyond = (state.parts - 1 + TAG_WINDOW) * TAGS < state.size_peer
        asked = [(self._peer, More())] if state.parts % TAG_WINDOW == 1 and beyond else []
        done = 0.85 + 0.1 * state.tagged / state.size_peer
        return Turn(state, asked, progress=Share(done, len(self._items)))

    def _finish(self, state: Receiving) -> Turn[Matches]:
        own, peer = self._lookup.matches(state.parts)
        matched = np.zeros(state.size_peer, bool)
        matched[peer] = True
        if int(matched.sum()) < len(peer):
            raise PeerError("one tag for two items")
        if len(own) < self._minimum:
            raise Refused(
                f"{len(own)} shared records found, at least {self._minimum} needed",
                hint="check key columns and kinds with fedprofile preflight",
            )
        told = self._told(own, peer) if self._reveal == "both" else []
        self.context.store.clear()
        matches = Matches(len(own), state.size_peer, own, peer)
        return Turn(Done(), [(self._peer, m) for m in told], matches, 1.0)

    def _told(self, own: np.ndarray, peer: np.ndarray) -> list[Any]:
        """What the sender is told of the matches: of which items, and of which of its tags."""
        del own
        return list(reports(peer))
