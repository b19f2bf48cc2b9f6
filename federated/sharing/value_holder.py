"""The value holder: answers transfers with trees, proves them, and pads values.

Its share of each column's sums is its result. It learns nothing of the bins but how many levels
each column's trees have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.sharing.base_transfers import base_choice, transcript_of, value_keys
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
    Seeds,
    Turned,
    Values,
    Zeroed,
)
from federated.sharing.seeds import BASE, GROUPS, LEAVES
from federated.sharing.transcript import SEED, Transcript
from federated.sharing.transfers import CHECKED, Delta, Transfers
from federated.sharing.trees import ValueTrees
from psi.protocol import (
    Array,
    Context,
    Done,
    Idle,
    Length,
    MisuseError,
    PeerError,
    Range,
    Role,
    Share,
    Turn,
    message,
)

__all__ = ["ValueHolder"]

Lanes = NDArray[np.uint64]
Give = Callable[[int, int], Lanes]
"""Values of rows `low` to `high`: `uint64[high - low, lanes]`."""
_Count = Annotated[int, Range(0, 1 << 40)]
_Depths = Annotated[tuple[Annotated[int, Range(1, MOST_DEPTH)], ...], Length(MOST_COLUMNS)]
_Bits = Annotated[NDArray[np.uint8], Array("uint8", most=BASE)]
_Shares = Annotated[
    NDArray[np.uint64], Array("uint64", most=MOST_COLUMNS * MOST_LANES << MOST_DEPTH)
]


@message(0x8D)
@dataclass(frozen=True)
class Listening:
    """Before the offer."""


@message(0x8E)
@dataclass(frozen=True)
class Choosing:
    """Waiting for the seeds: the bits of delta, keys of the base transfers, what was said."""

    transcript: Transcript
    depths: _Depths
    bits: _Bits
    keys: Annotated[NDArray[np.uint8], Array("uint8", width=16, most=BASE)]
    said: Annotated[bytes, Length(32 + 64 * BASE)]


@message(0x8F)
@dataclass(frozen=True, kw_only=True)
class Giving:
    """How far the chunks are: answered, proved, given; shares of all columns, flat."""

    transcript: Transcript
    depths: _Depths
    bits: _Bits
    seeds: Annotated[bytes, Length(GROUPS * LEAVES * 16)]
    coin: Annotated[bytes, Length(SEED)]
    answered: _Count
    proved: _Count
    given: _Count
    shares: _Shares


class ValueHolder(Role[list[Lanes]]):
    """Holds values of 64 bits, some lanes a row; gets its share of their sums by the peer's bins.

    Args:
        context: of the session.
        peer: the bin holder.
        rows: how many both have.
        lanes: values a row.
        give: the values of a range of rows, two's complement for negative ones. It is asked for
            every column and range, and again after a restart, and must give the same.
        columns: how many columns of bins the peer may bring.

    Its result has for each of the peer's columns `uint64[2^depth, lanes]`.

    Raises:
        MisuseError: a number of rows or lanes that cannot be.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Idle, Offer): "on_offer",
        (Listening, Offer): "on_offer",
        (Choosing, Seeds): "on_seeds",
        (Giving, Asked): "on_asked",
        (Giving, Challenged): "on_challenged",
        (Giving, Turned): "on_turned",
    }

    def __init__(
        self, context: Context, peer: str, rows: int, lanes: int, give: Give, *, columns: int
    ) -> None:
        super().__init__(context)
        if rows < 1 or not 1 <= lanes <= MOST_LANES:
            raise MisuseError(f"{rows} rows of {lanes} lanes, up to {MOST_LANES} allowed")
        self._peer, self._rows, self._lanes, self._give = peer, rows, lanes, give
        self._columns = columns

    def begin(self) -> Turn[list[Lanes]]:
        return Turn(Listening())

    def on_offer(self, state: Listening, sent: Offer, peer: str) -> Turn[list[Lanes]]:
        """Choose in the base transfers by the bits of a secret."""
        del state
        if peer != self._peer:
            raise PeerError("an offer that only the bin holder may send")
        if sent.rows != self._rows:
            raise PeerError(f"{sent.rows} rows at the bin holder, {self._rows} here")
        if len(sent.depths) != self._columns:
            raise PeerError(f"{len(sent.depths)} columns of bins found, {self._columns} agreed")
        transcript = transcript_of(self.context).hear(self.incoming)
        points, choice = base_choice(transcript, sent.point, self._name(sent.depths))
        chosen = Choosing(transcript, sent.depths, **choice)
        return Turn(chosen, [(peer, Points(points, self._lanes))], progress=0.0)

    def on_seeds(self, state: Choosing, sent: Seeds, peer: str) -> Turn[list[Lanes]]:
        """All seeds but one a group."""
        del peer
        keys = value_keys(state, sent, self._name(state.depths))
        none = np.zeros(sum(self._lanes << depth for depth in state.depths), np.uint64)
        transcript = state.transcript.hear(self.incoming)
        return Turn(
            Giving(
                transcript=transcript,
                depths=state.depths,
                bits=keys.bits,
                seeds=keys.seeds,
                coin=keys.coin,
                answered=0,
                proved=0,
                given=0,
                shares=none,
            )
        )

    def on_asked(self, state: Giving, sent: Asked, peer: str) -> Turn[list[Lanes]]:
        """Make a chunk's trees, and send what corrects the other side's."""
        state, chunk = self._next(state, sent, state.answered, state.given + window_of(self._rows))
        shaped = not len(sent.rows) % GROUPS and len(sent.sums) == CHECKED
        if not shaped or len(sent.nonce) != NONCE:
            raise PeerError("transfers of another shape")
        transfers = Transfers(sent.rows.reshape(GROUPS, -1), sent.sums, sent.digest)
        nonce = state.transcript.draw(f"trees {chunk.place}", NONCE)
        side = self._side(state).under(sent.nonce)
        trees, told = ValueTrees.make(side, chunk.place, transfers, chunk.rows, chunk.depth, nonce)
        self.context.store.put("first", chunk.place, trees.first)
        self.context.store.put("nonce", chunk.place, np.frombuffer(nonce, np.uint8))
        proved = state.proved + (not checked(state.depths))
        state = replace(state, answered=state.answered + 1, proved=proved)
        return Turn(state, [(peer, Corrected(chunk.place, nonce, told.reshape(-1)))])

    def on_challenged(self, state: Giving, sent: Challenged, peer: str) -> Turn[list[Lanes]]:
        """Zeros under the other side's nonce."""
        state, chunk = self._next(state, sent, state.proved, state.answered)
        if len(sent.nonce) != NONCE:
            raise PeerError("a challenge of another shape")
        zeros = self._trees(state, chunk).zeros(sent.nonce)
        state = replace(state, proved=state.proved + 1)
        return Turn(state, [(peer, Zeroed(chunk.place, zeros.lane, zeros.sums))])

    def on_turned(self, state: Giving, sent: Turned, peer: str) -> Turn[list[Lanes]]:
        """A chunk's values, padded."""
        state, chunk = self._next(state, sent, state.given, state.proved)
        if chunk.place >= (window := window_of(self._rows)):  # given, by a state that is saved
            self.context.store.put("first", chunk.place - window, np.zeros((0, 2), np.uint64))
        trees = self._trees(state, chunk).turned(sent.turns)
        values = np.zeros((chunk.rows, self._lanes), np.uint64)
        values[: chunk.high - chunk.low] = self._give(chunk.low, chunk.high)
        # other values, whatever made them so, have other pads
        text = hashlib.sha256(np.ascontiguousarray(values, "<u8").data).hexdigest()
        nonce = state.transcript.draw(f"values {chunk.place} {text}", NONCE)
        pads, sums = trees.sums(nonce, self._lanes, 64)
        shares = state.shares.copy()
        shares_of(shares, state.depths, self._lanes)[chunk.column][:] -= sums
        state = replace(state, given=state.given + 1, shares=shares)
        messages = [(peer, Values(chunk.place, nonce, (values + pads).reshape(-1)))]
        every = self._chunks(state)
        if state.given == len(every):
            found = shares_of(state.shares, state.depths, self._lanes)
            return Turn(Done(), messages, found, 1.0)
        share = Share(state.given / len(every), self._rows * len(state.depths))
        return Turn(state, messages, progress=share)

    # chunks

    def _next(
        self, state: Giving, sent: Asked | Challenged | Turned, due: int, ready: int
    ) -> tuple[Giving, Chunk]:
        every = self._chunks(state)
        if sent.place != due or due >= min(ready, len(every)):
            raise PeerError("a message of a chunk that is not due")
        return replace(state, transcript=state.transcript.hear(self.incoming)), every[due]

    def _chunks(self, state: Giving) -> list[Chunk]:
        return chunks_of(self._rows, state.depths)

    def _side(self, state: Giving) -> Delta:
        seeds = np.frombuffer(state.seeds, np.uint8).reshape(GROUPS, LEAVES, 16)
        return Delta(seeds, state.bits, state.coin)

    def _trees(self, state: Giving, chunk: Chunk) -> ValueTrees:
        store = self.context.store
        nonce, none = store.get("nonce", chunk.place).tobytes(), np.zeros(chunk.rows, np.uint16)
        first = store.get("first", chunk.place)
        return ValueTrees(chunk.depth, first, self._side(state).delta, nonce, none)

    def _name(self, depths: tuple[int, ...]) -> bytes:
        return name_of(self.context.session, self.context.step, self._rows, depths)
