"""The receiver: adds the partner's ciphertexts up by its private segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from federated.aggregate.adding import add_rows, chunks, no_sums, random_numbers, read_sums
from federated.aggregate.cells import numbered_cells
from federated.aggregate.messages import (
    CHUNK,
    GROUPS,
    WINDOW,
    Blob,
    Counted,
    Kept,
    Key,
    Next,
    Opened,
    Returned,
    Rows,
)
from federated.aggregate.result import AggregateResult
from federated.aggregate.rows import GUARD, Asked, MeasureSlots
from federated.paillier import EncryptedVector, Plaintexts, PublicKey
from psi.protocol import (
    Array,
    Context,
    Done,
    InputError,
    Length,
    PeerError,
    Range,
    Refused,
    Role,
    Turn,
    message,
)

__all__ = ["SegmentParty"]

KeyBytes = Annotated[bytes, Length(4096)]


@message(0x48)
@dataclass(frozen=True)
class Adding:
    """Waiting for the key, then for rows: how many messages have been added, and the sums."""

    public: KeyBytes
    added: Annotated[int, Range(0, 1 << 30)]
    sums: Blob


@message(0x49)
@dataclass(frozen=True)
class Choosing:
    """All rows are added; waiting for which groups may be opened."""

    public: KeyBytes
    sums: Blob


@message(0x4A)
@dataclass(frozen=True)
class Unmasking:
    """Waiting for the opened sums, to take the masks off."""

    public: KeyBytes
    kept: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]
    masks: Blob


class SegmentParty(Role[AggregateResult]):
    """Learns the statistics of the groups that the partner keeps.

    `codes` is `int64[records]`: the number of each record's group in `groups`, `NONE` without one,
    `ABSENT` where it is not aligned any more; `earlier` the same for each earlier section that has
    told of the same columns. The partner counts the records in each combination.
    """

    transitions = {  # noqa: RUF012
        (Adding, Key): "on_key",
        (Adding, Rows): "on_rows",
        (Choosing, Kept): "on_kept",
        (Unmasking, Opened): "on_opened",
    }

    def __init__(
        self,
        context: Context,
        partner: str,
        groups: Sequence[str],
        codes: np.ndarray,
        asked: Sequence[Asked],
        *,
        earlier: Sequence[np.ndarray] = (),
        minimum_key_bits: int = 2048,
    ) -> None:
        super().__init__(context)
        self._every = [codes, *earlier]
        self._partner, self._groups, self._codes = partner, list(groups), codes
        self._asked, self._bits = list(asked), minimum_key_bits
        self._key: PublicKey | None = None

    def begin(self) -> Turn[AggregateResult]:
        if not self._groups:
            raise Refused("no group has a shared record")
        if len(self._groups) > GROUPS - 2:
            raise InputError(
                f"{len(self._groups)} groups found, at most {GROUPS - 2} allowed",
                hint="group by a coarser column",
            )
        return Turn(Adding(b"", 0, b""))

    def _public(self, data: bytes) -> PublicKey:
        if self._key is None:
            self._key = PublicKey.from_bytes(data, minimum_bits=self._bits)
        return self._key

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Each cell's groups, `int64[cells, groupings]`, and each record's cell."""
        return numbered_cells(self._every)

    @cached_property
    def _counts(self) -> np.ndarray:
        """Rows in each group."""
        known = self._codes[self._codes >= 0]
        return np.bincount(known, minlength=len(self._groups)).astype(np.int64)

    def _slots(self, public: PublicKey) -> MeasureSlots:
        return MeasureSlots(self._asked, len(self._codes), public.bits)

    def on_key(self, state: Adding, found: Key, peer: str) -> Turn[AggregateResult]:
        if state.public:
            raise PeerError("a second key")
        if found.rows != len(self._codes):
            raise PeerError(f"{found.rows} rows announced, {len(self._codes)} are aligned")
        public = self._public(found.public)
        sums = no_sums(public, self._slots(public).layout, len(self._cells[0]))
        state = Adding(found.public, 0, sums)
        return self._counted(state, peer) if not found.rows else Turn(state)

    def on_rows(self, state: Adding, found: Rows, peer: str) -> Turn[AggregateResult]:
        total = chunks(len(self._codes))
        start = state.added * CHUNK
        if not state.public or found.start != start or state.added >= total:
            raise PeerError("rows that are not due")
        public = self._public(state.public)
        slots = self._slots(public)
        cells, place = self._cells
        sums = add_rows(
            public, slots.layout, slots.headroom, state.sums, found,
            place[start : start + CHUNK], len(cells),
        )  # fmt: skip
        state = Adding(state.public, state.added + 1, sums)
        if state.added == total:
            return self._counted(state, peer)
        more = [(peer, Next())] if state.added - 1 + WINDOW < total else []
        return Turn(state, more, progress=0.8 * state.added / total)

    def _counted(self, state: Adding, peer: str) -> Turn[AggregateResult]:
        """Send the cells' counts back, all else in their ciphertexts masked."""
        public, random = self._public(state.public), self.context.random
        slots = self._slots(public)
        cells = self._cells[0]
        first = read_sums(public, slots.layout, state.sums, len(cells))[0]
        low = slots.count_bits
        width = slots.layout.bits(0) - low + GUARD
        masks = [r << low for r in random_numbers(len(first), width, random)]
        bound = 1 << (low + width)
        masked = first.add_plain(Plaintexts.from_ints(masks, bound=bound))
        fresh = masked.rerandomise(for_key_holder=True, random=random)
        choosing = Choosing(state.public, state.sums)
        counted = Counted(len(self._groups), cells, fresh.to_bytes())
        return Turn(choosing, [(peer, counted)], progress=0.85)

    def on_kept(self, state: Choosing, found: Kept, peer: str) -> Turn[AggregateResult]:
        public, kept = self._public(state.public), found.kept
        slots = self._slots(public)
        shape = (len(self._groups), 1 + len(slots.columns))
        if kept.shape != shape or (kept > kept[:, :1]).any() or (kept > 1).any():
            raise PeerError("kept groups of another shape than was asked")
        chosen = np.flatnonzero(kept[:, 1:].any(axis=1))
        cells = self._cells[0]
        own = np.maximum(cells[:, 0] - 2, -1)
        parts = [
            vector.segment_sum(own, len(self._groups), bound=vector.bound).take(chosen)
            for vector in read_sums(public, slots.layout, state.sums, len(cells))
        ]
        masked, masks = EncryptedVector.concatenate(parts).mask_uniform(self.context.random)
        fresh = masked.rerandomise(for_key_holder=True, random=self.context.random)
        after = Unmasking(state.public, kept, masks.to_bytes())
        return Turn(after, [(peer, Returned(fresh.to_bytes()))], progress=0.9)

    def on_opened(self, state: Unmasking, opened: Opened, peer: str) -> Turn[AggregateResult]:
        del peer
        public = self._public(state.public)
        slots = self._slots(public)
        kept = state.kept.astype(bool)
        chosen = np.flatnonzero(kept[:, 1:].any(axis=1))
        count = len(chosen) * slots.layout.ciphers
        masks = Plaintexts.from_bytes(state.masks, count, bound=public.half)
        plain = Plaintexts.from_bytes(opened.data, count, bound=public.half)
        numbers = plain.minus(masks, public).to_ints() if count else []
        sums: list[np.ndarray] = []
        for cipher in range(slots.layout.ciphers):
            part = numbers[cipher * len(chosen) : (cipher + 1) * len(chosen)]
            for slot in slots.layout.unpack(part, cipher):
                whole = np.zeros(len(self._groups), object)
                whole[chosen] = slot
                sums.append(whole)
        values = slots.statistics(sums, kept[:, 1:])
        told = [kept[:, 1 + slots.columns.index(column)] for column, _ in self._asked]
        result = AggregateResult(
            self._groups,
            np.where(kept[:, 0], self._counts, 0),
            [(column, statistic.text) for column, statistic in self._asked],
            values,
            told,
        )
        return Turn(Done(), result=result, progress=1.0)
