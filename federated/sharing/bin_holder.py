"""The bin holder: makes trees for random bins, checks them, turns them, and adds values up.

Its share of each column's sums is its result. It learns nothing of the values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.sharing.base_transfers import base_offer, index_keys, transcript_of
from federated.sharing.chunks import (
    Chunk,
    checked,
    chunks_of,
    name_of,
    shares_of,
    window_of,
)
from federated.sharing.keys import NONCE
from federated.sharing.messages import (
    MOST_COLUMNS,
    MOST_DEPTH,
    MOST_LANES,
    Asked,
    Challenged,
    Corrected,
    Offer,
    Points,
    Turned,
    Values,
    Zeroed,
)
from federated.sharing.seeds import GROUPS, LEAVES
from federated.sharing.transcript import SEED, Transcript
from federated.sharing.transfers import Choosing
from federated.sharing.trees import BinTrees, Zeros, depth_of, padded
from psi.protocol import (
    Array,
    Context,
    Done,
    InputError,
    Length,
    MisuseError,
    PeerError,
    Range,
    Role,
    Share,
    Turn,
    message,
)

__all__ = ["BinHolder"]

Lanes = NDArray[np.uint64]
_Count = Annotated[int, Range(0, 1 << 40)]
_Shares = Annotated[
    NDArray[np.uint64], Array("uint64", most=MOST_COLUMNS * MOST_LANES << MOST_DEPTH)
]


@message(0x8B)
@dataclass(frozen=True)
class Offering:
    """Waiting for the points of the base transfers."""

    transcript: Transcript
    secret: Annotated[bytes, Length(32)]
    point: Annotated[bytes, Length(32)]


@message(0x8C)
@dataclass(frozen=True, kw_only=True)
class Adding:
    """How far the chunks are: asked, corrected, checked, added; shares of all columns, flat."""

    transcript: Transcript
    seeds: Annotated[bytes, Length(GROUPS * LEAVES * 16)]
    coin: Annotated[bytes, Length(SEED)]
    asked: _Count
    corrected: _Count
    checked: _Count
    added: _Count
    shares: _Shares


class BinHolder(Role[list[Lanes]]):
    """Holds a bin a row in each of some columns; gets its share of the other side's sums by bin.

    Args:
        context: of the session.
        peer: the value holder.
        bins: for each column `int[n]`, from 0 on; a row without a bin needs one of its own.
        sizes: for each column how many bins there are, 2 to 4,096.
        lanes: how many numbers a row the value holder is to send.

    Its result has for each column `uint64[2^depth, lanes]`, 2^depth the power of two from the
    column's size on. Added to the value holder's, it gives the sums, modulo 2^64.

    Raises:
        InputError: no rows, or a bin that there is not.
        MisuseError: columns that do not fit together.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Offering, Points): "on_points",
        (Adding, Corrected): "on_corrected",
        (Adding, Zeroed): "on_zeroed",
        (Adding, Values): "on_values",
    }

    def __init__(
        self,
        context: Context,
        peer: str,
        bins: Sequence[NDArray[Any]],
        sizes: Sequence[int],
        lanes: int,
    ) -> None:
        super().__init__(context)
        if not bins or len(bins) != len(sizes) or len({len(column) for column in bins}) != 1:
            raise MisuseError(f"{len(bins)} columns of bins, {len(sizes)} sizes")
        self._rows = len(bins[0])
        for column, size in zip(bins, sizes, strict=True):
            if not 2 <= size <= 1 << MOST_DEPTH:
                raise MisuseError(f"{size} bins found, 2 to {1 << MOST_DEPTH} allowed")
            if not self._rows or column.min() < 0 or column.max() >= size:
                raise InputError(f"rows with a bin outside of 0 to {size - 1}, or no rows")
        self._peer, self._lanes = peer, lanes
        self._bins = [np.asarray(column, np.uint16) for column in bins]
        self._depths = tuple(depth_of(size) for size in sizes)
        self._chunks = chunks_of(self._rows, self._depths)

    def begin(self) -> Turn[list[Lanes]]:
        transcript = transcript_of(self.context)
        secret, point = base_offer(transcript)
        offer = Offer(point, self._rows, self._depths)
        state = Offering(transcript, secret, point)
        return Turn(state, [(self._peer, offer)], progress=0.0)

    def on_points(self, state: Offering, sent: Points, peer: str) -> Turn[list[Lanes]]:
        """The keys of the base transfers, trees of seeds, and the first chunks' transfers."""
        transcript = state.transcript.hear(self.incoming)
        if sent.lanes != self._lanes:
            raise PeerError(f"{sent.lanes} numbers a row found, {self._lanes} agreed")
        name = self._name()
        keys, seeds = index_keys(state, transcript, sent.points, name)
        none = np.zeros(sum(self._lanes << depth for depth in self._depths), np.uint64)
        begun = Adding(
            transcript=transcript,
            seeds=keys.seeds,
            coin=keys.coin,
            asked=0,
            corrected=0,
            checked=0,
            added=0,
            shares=none,
        )
        turn = self._ask(begun)
        return replace(turn, messages=[(peer, seeds), *turn.messages])

    def on_corrected(self, state: Adding, sent: Corrected, peer: str) -> Turn[list[Lanes]]:
        """Keep a chunk's trees; ask for zeros."""
        state, chunk = self._next(state, sent, state.corrected, state.asked)
        flat = sent.told
        if len(flat) != 2 * chunk.rows * (chunk.depth - 1) or len(sent.nonce) != NONCE:
            raise PeerError("corrections of trees of another shape")
        told = flat.reshape(chunk.rows, chunk.depth - 1, 2)
        trees = self._asked(chunk).corrected(told, sent.nonce)
        store = self.context.store
        # under a name of their own: a kill here corrects what was asked once more
        store.put("trees", chunk.place, trees.beside)
        store.put("nonce", chunk.place, np.frombuffer(sent.nonce, np.uint8))
        state = replace(state, corrected=state.corrected + 1)
        if not checked(self._depths):
            _, turns = self._kept(chunk).turned(self._of(chunk))
            after = replace(state, checked=state.checked + 1)
            return Turn(after, [(peer, Turned(chunk.place, turns))])
        return Turn(state, [(peer, Challenged(chunk.place, self._challenge(state, chunk)))])

    def on_zeroed(self, state: Adding, sent: Zeroed, peer: str) -> Turn[list[Lanes]]:
        """Check a chunk's trees, and turn them to the bins."""
        state, chunk = self._next(state, sent, state.checked, state.corrected)
        store = self.context.store
        nonce = store.get("challenge", chunk.place).tobytes()
        store.put("beside", chunk.place, np.zeros((0, 0, 2), np.uint64))  # not needed any more
        trees = self._kept(chunk)
        trees.check(nonce, Zeros(sent.lane, sent.sums))
        _, turns = trees.turned(self._of(chunk))
        return Turn(replace(state, checked=state.checked + 1), [(peer, Turned(chunk.place, turns))])

    def on_values(self, state: Adding, sent: Values, peer: str) -> Turn[list[Lanes]]:
        """Add a chunk's values up."""
        del peer
        state, chunk = self._next(state, sent, state.added, state.checked)
        if chunk.place >= (window := window_of(self._rows)):  # no frame brings so many
            self.context.store.put("trees", chunk.place - window, np.zeros((0, 0, 2), np.uint64))
        if len(sent.lanes) != chunk.rows * self._lanes or len(sent.nonce) != NONCE:
            raise PeerError("values of another shape")
        trees, _ = self._kept(chunk).turned(self._of(chunk))
        share = trees.share(sent.nonce, sent.lanes.reshape(chunk.rows, self._lanes), 64)
        shares = state.shares.copy()
        shares_of(shares, self._depths, self._lanes)[chunk.column][:] += share
        state = replace(state, added=state.added + 1, shares=shares)
        if state.added == len(self._chunks):
            found = shares_of(state.shares, self._depths, self._lanes)
            return Turn(Done(), result=found, progress=1.0)
        return self._ask(state)

    # chunks

    def _ask(self, state: Adding) -> Turn[list[Lanes]]:
        """Transfers for the chunks that may be under way."""
        side, messages = self._side(state), []
        last = min(state.added + window_of(self._rows), len(self._chunks))
        for chunk in self._chunks[state.asked : last]:
            asked, nonce, sent = BinTrees.ask(
                side, chunk.place, chunk.rows, chunk.depth, self._random(state, chunk)
            )
            self.context.store.put("beside", chunk.place, asked.beside)
            self.context.store.put("made", chunk.place, asked.made)
            told = Asked(chunk.place, nonce, sent.rows.reshape(-1), sent.sums, sent.digest)
            messages.append((self._peer, told))
        state = replace(state, asked=last)
        done = Share(state.added / len(self._chunks), self._rows * len(self._depths))
        return Turn(state, messages, progress=done)

    def _next(
        self, state: Adding, sent: Corrected | Zeroed | Values, due: int, ready: int
    ) -> tuple[Adding, Chunk]:
        """The chunk that a message speaks of, if it is due."""
        if sent.place != due or due >= ready:
            raise PeerError("a message of a chunk that is not due")
        return replace(state, transcript=state.transcript.hear(self.incoming)), self._chunks[due]

    def _random(self, state: Adding, chunk: Chunk) -> Any:
        # bound to the set-up and to the bins, as the streams' nonce is, which is drawn from it: a
        # chunk's transfers never differ under the same streams, and other bins are never turned
        # under the same numbers
        drawn = hashlib.blake2s(state.coin + state.seeds, person=b"sharetrs")
        drawn.update(np.ascontiguousarray(self._of(chunk), "<u2").tobytes())
        about = drawn.hexdigest()
        fixed = Transcript(state.transcript.seed, b"")
        return fixed.random(f"trees {chunk.place} {about}")

    def _challenge(self, state: Adding, chunk: Chunk) -> bytes:
        nonce = state.transcript.draw(f"challenge {chunk.place}", NONCE)
        self.context.store.put("challenge", chunk.place, np.frombuffer(nonce, np.uint8))
        return nonce

    def _side(self, state: Adding) -> Choosing:
        seeds = np.frombuffer(state.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
        return Choosing(seeds, state.coin)

    def _asked(self, chunk: Chunk) -> BinTrees:
        store = self.context.store
        made = store.get("made", chunk.place)
        return BinTrees(store.get("beside", chunk.place), b"", made, made)

    def _kept(self, chunk: Chunk) -> BinTrees:
        store = self.context.store
        made, nonce = store.get("made", chunk.place), store.get("nonce", chunk.place).tobytes()
        return BinTrees(store.get("trees", chunk.place), nonce, made, made)

    def _of(self, chunk: Chunk) -> NDArray[np.uint16]:
        found = np.zeros(padded(chunk.high - chunk.low), np.uint16)
        found[: chunk.high - chunk.low] = self._bins[chunk.column][chunk.low : chunk.high]
        return found

    def _name(self) -> bytes:
        return name_of(self.context.session, self.context.step, self._rows, self._depths)
