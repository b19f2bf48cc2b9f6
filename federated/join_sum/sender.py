"""The sender: encrypts its values place by place, opens counts, then what is large enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from federated.aggregate.noise import Noise, discrete_laplace
from federated.join_sum.layout import Layout
from federated.join_sum.messages import Key, Next, Opened, Places, Rows, Summed
from federated.join_sum.noising import Noising
from federated.join_sum.placed import Placed
from federated.paillier import EncryptedVector, PrivateKey
from psi.ecdh import LARGEST
from psi.protocol import Context, Done, PeerError, Range, Role, Turn, message

__all__ = ["WINDOW", "SumSender"]

WINDOW = 4
"""Chunks that may be unanswered."""

Ints = np.ndarray[Any, np.dtype[np.int64]]


@message(0x55)
@dataclass(frozen=True)
class Giving:
    """Sender: chunks sent, and how many of them are answered."""

    sent: Places
    answered: Annotated[int, Range(0, LARGEST)]


class SumSender(Role[Ints]):
    """Its result is what it learned: how many places match, and with a value in each column.

    `int64[columns + 1]`, the places first. `minimum` values or more must stand behind a sum, as
    counted with noise where there is any; only columns that are `summed`, by default all, have
    their sums opened. `noising` bounds the values and sizes the noise; None: exact numbers.

    Args:
        context: session, step, this party's name, its randomness and its store.
        receiver: the name of the party that learns the sums.
        key: the key pair of this party, or its public half.
        placed: this party's values at their places.
    """

    transitions = {  # noqa: RUF012
        (Giving, Next): "on_next",
        (Giving, Summed): "on_summed",
    }

    def __init__(
        self,
        context: Context,
        receiver: str,
        key: PrivateKey,
        placed: Placed,
        minimum: int,
        *,
        summed: Sequence[bool] | None = None,
        noising: Noising | None = None,
        noise: Noise = discrete_laplace,
    ) -> None:
        super().__init__(context)
        self._receiver, self._key, self._minimum = receiver, key, max(1, minimum)
        self._placed = noising.bounded(placed) if noising else placed
        self._summed = list(summed or [True] * placed.values.shape[1])
        self._noising, self._noise = noising, noise
        self._layout = Layout(placed.values.shape[1], len(placed), key.bits)

    def begin(self) -> Turn[Ints]:
        layout = self._layout
        first: list[tuple[str, Any]] = [
            (self._receiver, Key(self._key.public.to_bytes(), layout.places, layout.columns))
        ]
        sent = min(WINDOW, layout.chunks)
        first += [(self._receiver, self._rows(number)) for number in range(sent)]
        return Turn(Giving(sent, 0), first, progress=self._done(sent))

    def _done(self, chunks: int) -> float:
        return 0.95 * chunks / max(1, self._layout.chunks)

    def _rows(self, number: int) -> Rows:
        """A chunk, encrypted when it is sent: by CRT, for a reader without the key."""
        packing = self._layout.packing
        slots = self._placed.slots(*self._layout.part(number))
        parts = [
            EncryptedVector.encrypt(
                self._key,
                packing.pack(slots[:, first : first + packing.slots]),
                random=self.context.random,
            ).to_bytes()
            for first in range(0, self._layout.slots, packing.slots)
        ]
        return Rows(number, b"".join(parts))

    def on_next(self, state: Giving, found: Next, peer: str) -> Turn[Ints]:
        del found
        if state.answered >= state.sent:
            raise PeerError("a chunk answered that was not sent")
        answered = state.answered + 1
        if state.sent == self._layout.chunks:
            return Turn(Giving(state.sent, answered), progress=0.95)
        rows = self._rows(state.sent)
        sent = state.sent + 1
        return Turn(Giving(sent, answered), [(peer, rows)], progress=self._done(sent))

    def on_summed(self, state: Giving, found: Summed, peer: str) -> Turn[Ints]:
        layout = self._layout
        if state.answered < layout.chunks:
            raise PeerError("a sum before all chunks")
        vector = layout.read(self._key.public, found.sums)
        slots = layout.opened(vector.decrypt(self._key))
        masked, counts = slots[: layout.columns], slots[layout.columns :]
        shared = counts.pop()
        if not 0 <= shared <= layout.places or not all(0 <= c <= shared for c in counts):
            raise PeerError("counts that do not add up to the places sent")
        learned = np.array([shared, *counts], np.int64)
        told = learned[1:]
        if self._noising is not None:
            drawn, added = self._noising.draw(self._noise)
            told = told + drawn
            masked = [value + number for value, number in zip(masked, added, strict=True)]
        enough = told >= self._minimum
        width = layout.packing.slot_bits // 8 + 1
        sums = b"".join(
            (value if good and asked else 0).to_bytes(width, "little", signed=True)
            for value, good, asked in zip(masked, enough, self._summed, strict=True)
        )
        told = np.where(enough, told, 0)
        return Turn(Done(), [(peer, Opened(told, sums))], learned, 1.0)
