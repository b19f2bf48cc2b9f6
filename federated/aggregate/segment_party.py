"""The receiver: has the counts of its cells audited, then the sums of what is kept opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from federated.aggregate.adding import read_sums
from federated.aggregate.cells import Grouping
from federated.aggregate.messages import GROUPS, Blob, Counted, Kept, Opened, Returned
from federated.aggregate.result import AggregateResult, known_of
from federated.aggregate.rows import Asked, MeasureSlots, Section
from federated.aggregate.rows_party import Added, target_of
from federated.paillier import EncryptedVector, Plaintexts, PublicKey
from psi.protocol import Array, Context, Done, PeerError, Role, Turn, message

__all__ = ["SegmentParty"]


@message(0x49)
@dataclass(frozen=True)
class Choosing:
    """Waiting for which groups may be opened."""


@message(0x4A)
@dataclass(frozen=True)
class Unmasking:
    """Waiting for the opened sums, to take the masks off."""

    kept: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]
    masks: Blob


class SegmentParty(Role[AggregateResult]):
    """Learns the statistics of the groups that the partner keeps in one section.

    `added` is what came of the rows of all `sections`, this one being number `number`;
    `told[i]`, `bool[groups]`, which groups the i-th of the grouping's earlier sections has told:
    those of this contract. Records of others are told apart by what is told of them alone.
    `earlier` are the shares and histograms that earlier jobs told of the same columns.

    Args:
        context: session, step, this party's name, its randomness and its store.
        key_bits: bits of n of the Paillier key.
    """

    transitions = {  # noqa: RUF012
        (Choosing, Kept): "on_kept",
        (Unmasking, Opened): "on_opened",
    }

    def __init__(
        self,
        context: Context,
        partner: str,
        sections: Sequence[Section],
        number: int,
        grouping: Grouping,
        added: Added,
        *,
        told: Sequence[np.ndarray] = (),
        earlier: Sequence[Asked] = (),
        key_bits: int = 2048,
    ) -> None:
        super().__init__(context)
        self._partner, self._number, self._grouping = partner, number, grouping
        self._added, self._groups = added, grouping.groups
        self._public = PublicKey.from_bytes(added.public, bits=key_bits)
        records = len(grouping.codes)
        self._slots = MeasureSlots(sections, records, self._public.bits, earlier).of(number)
        self._cells, self._into = grouping.told(told)

    def begin(self) -> Turn[AggregateResult]:
        """Send the cells' counts back, all else in their ciphertexts masked."""
        slots, random = self._slots, self.context.random
        first = EncryptedVector.concatenate(
            [self._sums[slots.ciphers.index(cipher)] for cipher in slots.counted_in]
        )
        blanks = slots.hiding(len(self._cells), random)
        masks = Plaintexts.from_ints(blanks, bound=slots.most_blank)
        fresh = first.add_plain(masks).rerandomise(for_key_holder=True, random=random)
        counted = Counted(len(self._groups), self._cells, fresh.to_bytes())
        return Turn(Choosing(), [(self._partner, counted)], progress=0.3)

    @cached_property
    def _sums(self) -> list[EncryptedVector]:
        """Of the cells that are to be told apart, by ciphertext of a row."""
        target = target_of(self._slots, self._grouping)
        data = self._added.sums[self._number].tobytes()
        found = read_sums(self._public, self._slots.layout, target, data)
        count = len(self._cells)
        return [v.segment_sum(self._into, count, bound=v.bound) for v in found]

    @property
    def _counts(self) -> np.ndarray:
        """Rows in each group."""
        known = self._grouping.codes[self._grouping.codes >= 0]
        return np.bincount(known, minlength=len(self._groups)).astype(np.int64)

    def on_kept(self, state: Choosing, found: Kept, peer: str) -> Turn[AggregateResult]:
        del state
        kept, random = found.kept, self.context.random
        columns, edges = len(self._slots.columns), self._slots.section.edges
        shape = (len(self._groups), 1 + columns + sum(map(len, edges)))
        if kept.shape != shape or (kept > kept[:, :1]).any() or (kept > 1).any():
            raise PeerError("kept groups of another shape than was asked")
        of = np.repeat(np.arange(1, 1 + columns), [len(each) for each in edges])
        if (kept[:, 1 + columns :] > kept[:, of]).any():
            raise PeerError("kept parts of columns that are not kept")
        chosen = np.flatnonzero(kept[:, 1 : 1 + columns].any(axis=1))
        own = np.maximum(self._cells[:, 0] - 2, -1)
        parts = [
            vector.segment_sum(own, len(self._groups), bound=vector.bound).take(chosen)
            for vector in self._sums
        ]
        masked, masks = EncryptedVector.concatenate(parts).mask_uniform(random)
        fresh = masked.rerandomise(for_key_holder=True, random=random)
        after = Unmasking(kept, masks.to_bytes())
        return Turn(after, [(peer, Returned(fresh.to_bytes()))], progress=0.6)

    def on_opened(self, state: Unmasking, opened: Opened, peer: str) -> Turn[AggregateResult]:
        del peer
        public, slots, kept = self._public, self._slots, state.kept.astype(bool)
        columns = kept[:, 1 : 1 + len(slots.columns)]
        told = int(columns.any(axis=1).sum())
        count = told * len(slots.ciphers)
        masks = Plaintexts.from_bytes(state.masks, count, bound=public.half)
        plain = Plaintexts.from_bytes(opened.data, count, bound=public.half)
        numbers = plain.minus(masks, public).to_ints() if count else []
        asked, sums = slots.section.asked, slots.unpack(numbers, told)
        there = slots.there(sums, kept[:, 1:])
        if any((each > len(self._grouping.codes)).any() for each in there.values()):
            raise PeerError("opened counts beyond the aligned rows")
        values = slots.statistics(sums, kept[:, 1:])
        result = AggregateResult(
            self._groups,
            np.where(kept[:, 0], self._counts, 0),
            [(column, statistic.text) for column, statistic in asked],
            values,
            [known_of(found) & (there[c] > 0) for (c, _), found in zip(asked, values, strict=True)],
            there,
        )
        return Turn(Done(), result=result, progress=1.0)
