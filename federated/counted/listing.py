"""One bit a row: whether the partner's part of its score reaches an edge of the receiver's choice.

    receiver (a question a row)                   partner (its part of scores)
      Offer: base transfers' point, rows     ──►
                                             ◄──  Points
      Seeds; then for each chunk of rows
      Questions: which of 128, by transfers  ──►
                                             ◄──  Answered: all 128 answers, padded

It is one transfer of 128 a row (Naor and Pinkas 2005, as in `federated.trees.splitting.lookups`):
the partner sees no question, the receiver gets the one answer that it asked for, a bit. So that is
what a receiver that lies gets too, for an edge of its choice in each row. Nothing that the receiver
says or does afterwards hangs on an answer: a partner that lies makes the list wrong and learns
nothing. A chunk is answered once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import ScoreGrid
from federated.counted.messages import ANSWER, LIST_ROWS, Answered, Questions
from federated.counted.threshold import answers
from federated.sharing.base_transfers import (
    base_choice,
    base_offer,
    index_keys,
    transcript_of,
    value_keys,
)
from federated.sharing.chunks import name_of
from federated.sharing.kept import IndexKeys, ValueKeys, batch_nonce
from federated.sharing.keys import NONCE
from federated.sharing.messages import MOST_ROWS, Offer, Points, Seeds
from federated.sharing.seeds import BASE
from federated.sharing.transcript import Transcript
from federated.trees.splitting.level import INDEX_BITS
from federated.trees.splitting.lookups import looked_up, tables
from federated.trees.splitting.transfers import Gives, Picks
from psi.protocol import (
    Array,
    Context,
    Done,
    Length,
    MisuseError,
    PeerError,
    Range,
    Role,
    Share,
    Turn,
    message,
)

__all__ = ["A_QUESTION", "ListHearer", "ListTeller"]

Told = NDArray[np.uint16]
"""Of each row 1 where it is listed, else 0; above the lowest bit what else was told of it."""
_Chunks = Annotated[int, Range(0, MOST_ROWS // LIST_ROWS)]
A_QUESTION = 4 * INDEX_BITS + ANSWER + 8
"""Bytes of a row: transfers, answers, and what is shared by few."""


@message(0x68)
@dataclass(frozen=True)
class Offering:
    """The receiver: base transfers are offered."""

    transcript: Transcript
    secret: Annotated[bytes, Length(32)]
    point: Annotated[bytes, Length(32)]


@message(0x69)
@dataclass(frozen=True)
class Asking:
    """The receiver: chunks that were answered."""

    transcript: Transcript
    keys: IndexKeys
    heard: _Chunks


@message(0x6A)
@dataclass(frozen=True)
class Waiting:
    """The partner: nothing was offered yet."""

    transcript: Transcript


@message(0x6B)
@dataclass(frozen=True)
class Choosing:
    """The partner: its choice in the base transfers, and what was said in them."""

    transcript: Transcript
    bits: Annotated[NDArray[np.uint8], Array("uint8", most=BASE)]
    keys: Annotated[NDArray[np.uint8], Array("uint8", width=16, most=BASE)]
    said: Annotated[bytes, Length(32 + 64 * BASE)]


@message(0x6C)
@dataclass(frozen=True)
class Answering:
    """The partner: chunks that it has answered."""

    transcript: Transcript
    keys: ValueKeys
    told: _Chunks


class ListHearer(Role[Told]):
    """The receiver; its result is each row's answer, 0 or 1, `uint16[n]`.

    Args:
        context: of the session.
        partner: its name.
        questions: `uint8[n]`, as `threshold.questions` makes them.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Offering, Points): "on_points",
        (Asking, Answered): "on_answered",
    }
    bits: ClassVar[int] = INDEX_BITS
    """Of a question's number; the last one asks nothing."""

    def __init__(
        self, context: Context, partner: str, questions: NDArray[np.unsignedinteger]
    ) -> None:
        super().__init__(context)
        if not len(questions) or questions.max() >= 1 << self.bits:
            raise MisuseError("questions that there are not, or no rows")
        self._peer, self._questions, self._rows = partner, questions, len(questions)

    def begin(self) -> Turn[Told]:
        transcript = transcript_of(self.context)
        secret, point = base_offer(transcript)
        offer = Offer(point, self._rows, (self.bits,))
        return Turn(Offering(transcript, secret, point), [(self._peer, offer)], progress=0.0)

    def on_points(self, state: Offering, sent: Points, peer: str) -> Turn[Told]:
        """The keys of the base transfers, and the first chunk's questions."""
        transcript = state.transcript.hear(self.incoming)
        name = _name(self.context, self._rows)
        keys, seeds = index_keys(state, transcript, sent.points, name)
        turn = self._ask(Asking(transcript, keys, 0))
        return replace(turn, messages=[(peer, seeds), *turn.messages])

    def on_answered(self, state: Asking, sent: Any, peer: str) -> Turn[Told]:
        """The answers that a chunk's rows asked for."""
        del peer
        low, high = range_of(state.heard, self._rows)
        if sent.chunk != state.heard or len(sent.answers) != high - low:
            raise PeerError("answers of a chunk that is not due")
        if len(sent.nonce) != NONCE:
            raise PeerError("answers of another shape")
        store, asked = self.context.store, self._questions[low:high]
        picks = Picks(np.zeros(0, np.uint8), store.get("asked", state.heard))
        keys = picks.pads(0, len(picks.rows), sent.nonce, "list").reshape(-1, self.bits, 2)
        store.put("answers", state.heard, self._opened(sent, asked, keys))
        state = replace(
            state, transcript=state.transcript.hear(self.incoming), heard=state.heard + 1
        )
        if state.heard < chunks(self._rows):
            return self._ask(state)
        every = [store.get("answers", n) for n in range(state.heard)]
        return Turn(Done(), result=np.concatenate(every), progress=1.0)

    def _opened(self, sent: Any, asked: NDArray[Any], keys: NDArray[np.uint64]) -> Any:
        """What a chunk's rows asked for, by the keys of their questions."""
        padded = np.unpackbits(sent.answers, axis=1, bitorder="little").astype(np.uint32)
        return (looked_up(keys, asked, padded, sent.nonce) & np.uint32(1)).astype(np.uint16)

    def _ask(self, state: Asking) -> Turn[Told]:
        low, high = range_of(state.heard, self._rows)
        asked = self._questions[low:high]
        bits = (asked[:, None] >> np.arange(self.bits, dtype=asked.dtype) & 1).astype(np.uint8)
        name = f"list {state.heard}"
        picks, sent = Picks.of(state.keys, state.transcript, name, bits.reshape(-1))
        self.context.store.put("asked", state.heard, picks.rows)
        share = Share(state.heard / chunks(self._rows), self._rows)
        return Turn(state, [(self._peer, Questions(state.heard, sent))], progress=share)


class ListTeller(Role[int]):
    """The partner; its result is of how many rows it told a bit.

    Args:
        context: of the session.
        receiver: its name.
        scores: `float64[n]`, the own part of all rows' scores.
        grid: that both parties have agreed on.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Waiting, Offer): "on_offer",
        (Choosing, Seeds): "on_seeds",
        (Answering, Questions): "on_questions",
    }
    bits: ClassVar[int] = INDEX_BITS

    def __init__(
        self, context: Context, receiver: str, scores: NDArray[Any], grid: ScoreGrid | None
    ) -> None:
        super().__init__(context)
        self._peer, self._scores, self._grid = receiver, scores, grid
        self._rows = len(scores)

    def begin(self) -> Turn[int]:
        return Turn(Waiting(transcript_of(self.context)))

    def on_offer(self, state: Waiting, sent: Offer, peer: str) -> Turn[int]:
        """Choose in the base transfers by the bits of a secret."""
        if peer != self._peer:
            raise PeerError("an offer that only the receiver may send")
        if (sent.rows, sent.depths) != (self._rows, (self.bits,)):
            raise PeerError(f"{sent.rows} rows at the receiver, {self._rows} here; or other trees")
        transcript = state.transcript.hear(self.incoming)
        points, choice = base_choice(transcript, sent.point, _name(self.context, self._rows))
        chosen = Choosing(transcript, **choice)
        return Turn(chosen, [(peer, Points(points, 1))], progress=0.0)

    def on_seeds(self, state: Choosing, sent: Seeds, peer: str) -> Turn[int]:
        """All seeds but one a group."""
        del peer
        keys = value_keys(state, sent, _name(self.context, self._rows))
        return Turn(Answering(state.transcript.hear(self.incoming), keys, 0))

    def on_questions(self, state: Answering, sent: Questions, peer: str) -> Turn[int]:
        """All answers of a chunk's rows, of which each row's question opens one."""
        if sent.chunk != state.told:
            raise PeerError("questions of a chunk that is not due")
        low, high = range_of(state.told, self._rows)
        size, transcript = high - low, state.transcript.hear(self.incoming)
        gives = Gives.of(state.keys, sent.transfers, self.bits * size)
        own = self._entries(sent.chunk, self._answers(self._scores[low:high]))
        nonce = batch_nonce(transcript, f"list {sent.chunk}", self._text(low, high, own))
        pads = gives.pads(0, self.bits * size, nonce, "list").reshape(size, self.bits, 2, 2)
        told = self._padded(sent.chunk, pads, own, nonce)
        state = replace(state, transcript=transcript, told=state.told + 1)
        messages: list[tuple[str, Any]] = [(peer, told)]
        if state.told == chunks(self._rows):
            return Turn(Done(), messages, self._rows, 1.0)
        return Turn(state, messages, progress=Share(state.told / chunks(self._rows), self._rows))

    def _answers(self, scores: NDArray[Any]) -> NDArray[np.uint8]:
        """To all questions, `uint8[n, 128]`."""
        if self._grid is None:
            raise MisuseError("a list without a grid of scores")
        return answers(scores, self._grid)

    def _entries(self, chunk: int, own: NDArray[np.uint8]) -> Any:
        """What stands in the place of a chunk's answers, `[n, 128]`."""
        del chunk
        return own

    def _text(self, low: int, high: int, own: NDArray[Any]) -> NDArray[Any]:
        """What a chunk's nonce follows from, so that no pad has two texts: its entries."""
        del low, high
        return own

    def _padded(self, chunk: int, keys: NDArray[np.uint64], own: Any, nonce: bytes) -> Any:
        """A bit of each entry's pad, and the answer."""
        padded = tables(keys, own.astype(np.uint32), nonce) & np.uint32(1)
        bits = np.packbits(padded.astype(np.uint8), axis=1, bitorder="little")
        return Answered(chunk, nonce, bits)


def _name(context: Context, rows: int) -> bytes:
    return name_of(context.session, f"{context.step}/transfers", rows, ())


def chunks(rows: int) -> int:
    """Messages that rows take."""
    return -(-rows // LIST_ROWS)


def range_of(chunk: int, rows: int) -> tuple[int, int]:
    """Rows of one of them."""
    return chunk * LIST_ROWS, min((chunk + 1) * LIST_ROWS, rows)
