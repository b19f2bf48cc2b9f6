"""The receiver of sums by the partner's category: encrypts its amounts, opens what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from federated.aggregate.adding import chunks, encrypt_rows
from federated.aggregate.amounts import Amount, AmountRows, AmountSlots, Floats
from federated.aggregate.messages import GROUPS, WINDOW, Kept, Key, Next, Returned, Rows
from federated.aggregate.result import CategoryResult
from federated.paillier import EncryptedVector, PrivateKey
from psi.protocol import Array, Context, Done, PeerError, Range, Role, Turn, message

__all__ = ["AmountParty"]


@message(0x4B)
@dataclass(frozen=True)
class Sending:
    """How many messages of rows have been sent."""

    sent: Annotated[int, Range(0, 1 << 30)]


@message(0x4C)
@dataclass(frozen=True)
class Awaiting:
    """Waiting for the sums of the categories that are told."""

    kept: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]


class AmountParty(Role[CategoryResult]):
    """Holds the key. Learns counts and sums by the partner's category.

    `values` is `float64[rows, amounts]`. For a two-way table `segments` names its own groups and
    `codes`, `int64[rows]`, gives each row's, -1 for none. One record is in `most` rows at most.

    Args:
        context: session, step, this party's name, its randomness and its store.
        categories: the partner's categories, in the order of its codes.
        epsilon: thousandths of epsilon a table costs; 0: no noise.
    """

    transitions = {  # noqa: RUF012
        (Sending, Next): "on_next",
        (Sending, Kept): "on_kept",
        (Awaiting, Returned): "on_returned",
    }

    def __init__(
        self,
        context: Context,
        partner: str,
        key: PrivateKey,
        amounts: Sequence[Amount],
        values: Floats,
        categories: Sequence[str],
        *,
        epsilon: int,
        segments: Sequence[str] = ("",),
        codes: np.ndarray | None = None,
        most: int = 1,
    ) -> None:
        super().__init__(context)
        self._partner, self._key = partner, key
        self._categories, self._segments = list(categories), list(segments)
        self._values = values
        self._codes = np.zeros(len(values), np.int64) if codes is None else codes
        self._slots = AmountSlots(amounts, len(segments), len(values), key.bits, epsilon, most)

    @cached_property
    def _rows(self) -> AmountRows:
        return AmountRows(self._slots, self._values, self._codes)

    def begin(self) -> Turn[CategoryResult]:
        first = min(WINDOW, chunks(len(self._values)))
        key = Key(self._key.public.to_bytes(), len(self._values), self._slots.parts)
        messages = [(self._partner, key), *((self._partner, self._chunk(i)) for i in range(first))]
        return Turn(Sending(first), messages, progress=0.05)

    def _chunk(self, number: int) -> Rows:
        return encrypt_rows(
            self._key,
            self._rows.pack,
            self._slots.layout.ciphers,
            len(self._values),
            number,
            self.context.random,
        )

    def on_next(self, state: Sending, found: Next, peer: str) -> Turn[CategoryResult]:
        del found
        total = chunks(len(self._values))
        if state.sent >= total:
            raise PeerError("more rows asked than there are")
        after = Sending(state.sent + 1)
        return Turn(after, [(peer, self._chunk(state.sent))], progress=0.9 * after.sent / total)

    def on_kept(self, state: Sending, found: Kept, peer: str) -> Turn[CategoryResult]:
        del peer
        kept = found.kept
        if state.sent < chunks(len(self._values)):
            raise PeerError("kept categories that are not due")
        if kept.shape != (len(self._categories), 1) or (kept > 1).any():
            raise PeerError("kept categories of another number than the contract has")
        return Turn(Awaiting(kept))

    def on_returned(self, state: Awaiting, found: Returned, peer: str) -> Turn[CategoryResult]:
        del peer
        slots, public = self._slots, self._key.public
        chosen = np.flatnonzero(state.kept)
        count = len(chosen) * slots.layout.ciphers
        vector = EncryptedVector.from_bytes(public, found.data, count)
        numbers = vector.decrypt(self._key).to_ints() if count else []
        shape = (len(self._categories), slots.parts, 1 + len(slots.amounts))
        cells = np.full((shape[0], shape[1] * shape[2]), np.nan)
        place = 0
        for cipher in range(slots.layout.ciphers):
            part = numbers[cipher * len(chosen) : (cipher + 1) * len(chosen)]
            for slot in slots.layout.unpack(part, cipher, masked_above=True):
                cells[chosen, place] = slot.astype(np.float64)
                place += 1
        cells = cells.reshape(shape)
        result = CategoryResult(
            categories=self._categories,
            segments=self._segments,
            amounts=[amount.column for amount in slots.amounts],
            counts=cells[:, :, 0].copy(),
            sums=[cells[:, :, 1 + a].copy() for a in range(len(slots.amounts))],
            scales=slots.scales,
            clipped=self._rows.clipped,
        )
        return Turn(Done(), result=result, progress=1.0)
