"""The partner: adds the receiver's encrypted amounts up by its private category, with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from federated.aggregate.adding import Target, add_rows, chunks, no_sums, random_numbers, read_sums
from federated.aggregate.amounts import Amount, AmountSlots
from federated.aggregate.layout import Layout
from federated.aggregate.messages import CHUNK, WINDOW, Blob, Kept, Key, Next, Returned, Rows
from federated.aggregate.noise import Noise, discrete_laplace, most_noise
from federated.aggregate.suppression import tell_counts
from federated.paillier import EncryptedVector, Plaintexts, PublicKey
from psi.protocol import Context, Done, Length, MisuseError, PeerError, Range, Role, Turn, message

__all__ = ["CategoryParty"]


@message(0x4D)
@dataclass(frozen=True)
class Summing:
    """Waiting for the key, then for rows: segments, messages added, sums so far."""

    public: Annotated[bytes, Length(4096)]
    parts: Annotated[int, Range(0, 1 << 8)]
    added: Annotated[int, Range(0, 1 << 30)]
    sums: Blob


class CategoryParty(Role[np.ndarray]):
    """Learns sizes only. Its result are its own counts, `int64[categories]`.

    `codes` is `int64[rows]`, each row's category, -1 for a row that is left out; one record is in
    `most` of them at most, for which the noise is. With `epsilon` (thousandths) every cell gets
    noise of its own and all categories are told; with 0 there is none, and categories of fewer
    than `minimum_group` rows are not told.

    Args:
        context: session, step, this party's name, its randomness and its store.
        amounts: what the receiver adds up, as in the contract.
        key_bits: bits of n of the Paillier key.
    """

    transitions = {  # noqa: RUF012
        (Summing, Key): "on_key",
        (Summing, Rows): "on_rows",
    }

    def __init__(
        self,
        context: Context,
        codes: np.ndarray,
        categories: int,
        amounts: Sequence[Amount],
        *,
        epsilon: int,
        minimum_group: int,
        kept: np.ndarray | None = None,
        parts: int | None = 1,
        key_bits: int = 2048,
        most: int = 1,
        noise: Noise = discrete_laplace,
    ) -> None:
        """`parts` is how many segments the receiver may have; None: it says.

        `kept`, `bool[categories]`, is what the partner's own audit allows; without it, this
        table's alone decides.
        """
        super().__init__(context)
        self._codes, self._categories, self._amounts = codes, categories, list(amounts)
        self._epsilon, self._minimum, self._parts = epsilon, minimum_group, parts
        self._bits, self._noise, self._kept = key_bits, noise, kept
        self._most = most
        self._key: PublicKey | None = None
        if not epsilon and parts != 1:
            raise MisuseError("a two-way table needs noise: nobody sees its small cells")
        if not epsilon and most > 1:
            raise MisuseError("exact counts need one row for each record")

    def begin(self) -> Turn[np.ndarray]:
        return Turn(Summing(b"", 0, 0, b""))

    def _public(self, data: bytes) -> PublicKey:
        if self._key is None:
            self._key = PublicKey.from_bytes(data, bits=self._bits)
        return self._key

    def _slots(self, public: PublicKey, parts: int) -> AmountSlots:
        rows = len(self._codes)
        return AmountSlots(self._amounts, parts, rows, public.bits, self._epsilon, most=self._most)

    def _target(self, layout: Layout, start: int = 0) -> Target:
        codes = self._codes[start : start + CHUNK]
        return Target(range(layout.ciphers), codes, self._categories)

    def on_key(self, state: Summing, found: Key, peer: str) -> Turn[np.ndarray]:
        if state.public:
            raise PeerError("a second key")
        if found.rows != len(self._codes):
            raise PeerError(f"{found.rows} rows announced, {len(self._codes)} are aligned")
        if self._parts not in (None, found.parts):
            raise PeerError(f"{found.parts} segments announced, {self._parts} in the contract")
        public = self._public(found.public)
        sums = no_sums(public, self._target(self._slots(public, found.parts).layout))
        state = Summing(found.public, found.parts, 0, sums)
        return self._returned(state, peer) if not found.rows else Turn(state)

    def on_rows(self, state: Summing, found: Rows, peer: str) -> Turn[np.ndarray]:
        total, start = chunks(len(self._codes)), state.added * CHUNK
        if not state.public or found.start != start or state.added >= total:
            raise PeerError("rows that are not due")
        public = self._public(state.public)
        slots = self._slots(public, state.parts)
        target = self._target(slots.layout, start)
        (sums,) = add_rows(public, slots.layout, slots.headroom, found, [target], [state.sums])
        state = Summing(state.public, state.parts, state.added + 1, sums)
        if state.added == total:
            return self._returned(state, peer)
        more = [(peer, Next())] if state.added - 1 + WINDOW < total else []
        return Turn(state, more, progress=0.9 * state.added / total)

    def _returned(self, state: Summing, peer: str) -> Turn[np.ndarray]:
        """The sums of what is told, with noise, all above the slots masked, re-randomised."""
        public, random = self._public(state.public), self.context.random
        slots = self._slots(public, state.parts)
        known = self._codes[self._codes >= 0]
        rows = np.bincount(known, minlength=self._categories).astype(np.int64)
        kept = self._kept
        if kept is None:
            kept = np.ones(len(rows), bool) if self._epsilon else tell_counts(rows, self._minimum)
        chosen = np.flatnonzero(kept)
        vectors = read_sums(public, slots.layout, self._target(slots.layout), state.sums)
        fresh = b""
        if len(chosen):
            parts = [
                vector.take(chosen).add_plain(self._added(slots, cipher, len(chosen), public))
                for cipher, vector in enumerate(vectors)
            ]
            whole = EncryptedVector.concatenate(parts)
            fresh = whole.rerandomise(for_key_holder=True, random=random).to_bytes()
        told = Kept(kept.astype(np.uint8)[:, None])
        return Turn(Done(), [(peer, told), (peer, Returned(fresh))], rows, 1.0)

    def _added(self, slots: AmountSlots, cipher: int, count: int, public: PublicKey) -> Plaintexts:
        """Noise in every slot of `count` sums, and a random number in all bits above them.

        Where an honest receiver has nothing, one that lies could put numbers that no noise
        covers.
        """
        layout, low = slots.layout, slots.layout.bits(cipher)
        room = public.bits - 3 - low
        numbers = (
            [r << low for r in random_numbers(count, room, self.context.random)]
            if (room > 0)
            else [0] * count
        )
        places = [
            (place, scale)
            for place, scale in zip(layout.places, slots.slot_scales, strict=True)
            if place.cipher == cipher and scale
        ]
        drawn = self._noise([scale for _, scale in places for _ in range(count)])
        for at, (place, scale) in enumerate(places):
            for row, number in enumerate(drawn[at * count : (at + 1) * count]):
                if abs(number) > most_noise(scale):
                    raise MisuseError("noise beyond its slot")
                numbers[row] += number << place.offset
        return Plaintexts.from_ints(numbers, bound=1 << (low + max(0, room)))
