"""The partner: encrypts its measures, opens counts, then sums of what is large enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from federated.aggregate.adding import chunks, encrypt_rows, random_numbers
from federated.aggregate.messages import (
    GROUPS,
    WINDOW,
    Counted,
    Kept,
    Key,
    Next,
    Opened,
    Returned,
    Rows,
)
from federated.aggregate.overlap import withheld
from federated.aggregate.result import MeasureResult
from federated.aggregate.rows import Asked, Floats, MeasuredRows, MeasureSlots
from federated.aggregate.suppression import suppress
from federated.paillier import EncryptedVector, Plaintexts, PrivateKey
from psi.protocol import Array, Context, Done, PeerError, Range, Role, Turn, message

__all__ = ["Earlier", "MeasureParty"]


@message(0x46)
@dataclass(frozen=True)
class Encrypting:
    """How many messages of rows have been sent."""

    sent: Annotated[int, Range(0, 1 << 30)]


@message(0x47)
@dataclass(frozen=True)
class Opening:
    """The counts that were opened, and which groups and columns are kept."""

    rows: Annotated[np.ndarray, Array("int64", most=GROUPS)]
    kept: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]


Earlier = tuple[np.ndarray, int]
"""What an earlier section told of each column, `bool[groups, columns]`, and its minimum group."""


class MeasureParty(Role[MeasureResult]):
    """Holds the key. Its result are the groups' row counts, which it learns, and what was kept.

    `values` is `float64[rows, columns]`, the columns in the order in which `asked` names them
    first, NaN where a value is missing. `earlier` are the results of earlier sections over the
    same rows, of the same columns, with the minimum that each had; all False where such a section
    did not ask for a column.
    """

    transitions = {  # noqa: RUF012
        (Encrypting, Next): "on_next",
        (Encrypting, Counted): "on_counts",
        (Opening, Returned): "on_sums",
    }

    def __init__(
        self,
        context: Context,
        receiver: str,
        key: PrivateKey,
        values: Floats,
        asked: Sequence[Asked],
        minimum_group: int,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        super().__init__(context)
        self._earlier = list(earlier)
        self._receiver, self._key, self._minimum = receiver, key, minimum_group
        self._slots = MeasureSlots(asked, len(values), key.bits)
        self._values = values

    @cached_property
    def _rows(self) -> MeasuredRows:
        return MeasuredRows(self._slots, self._values, self._minimum)

    def begin(self) -> Turn[MeasureResult]:
        count = len(self._rows.values)
        first = min(WINDOW, chunks(count))
        key = Key(self._key.public.to_bytes(), count, 1)
        messages = [(self._receiver, key)] + [
            (self._receiver, self._chunk(i)) for i in range(first)
        ]
        return Turn(Encrypting(first), messages, progress=0.8 * first / max(1, chunks(count)))

    def _chunk(self, number: int) -> Rows:
        rows, layout = self._rows, self._slots.layout
        return encrypt_rows(
            self._key, rows.pack, layout.ciphers, len(rows.values), number, self.context.random
        )

    def on_next(self, state: Encrypting, found: Next, peer: str) -> Turn[MeasureResult]:
        del found
        total = chunks(len(self._values))
        if state.sent >= total:
            raise PeerError("more rows asked than there are")
        after = Encrypting(state.sent + 1)
        return Turn(after, [(peer, self._chunk(state.sent))], progress=0.8 * after.sent / total)

    def on_counts(self, state: Encrypting, found: Counted, peer: str) -> Turn[MeasureResult]:
        cells, public = found.cells, self._key.public
        every = [found.groups, *(len(kept) for kept, _ in self._earlier)]
        if cells.shape != (len(cells), len(every)) or state.sent < chunks(len(self._values)):
            raise PeerError("counts that are not due, or of other sections")
        if (cells < 0).any() or (cells > every).any() or len(np.unique(cells, axis=0)) < len(cells):
            raise PeerError("groups that do not exist, or the same twice")
        vector = EncryptedVector.from_bytes(public, found.data, len(cells))
        counts = self._slots.counts(vector.decrypt(self._key).to_ints())
        there = np.where(self._rows.counted, self._rows.there, 0)
        whole = np.append(len(self._values), there)
        if (counts.sum(axis=0) != whole).any() or (counts[:, 1:] > counts[:, :1]).any():
            raise PeerError("counts that do not add up to the aligned rows")
        groups = np.zeros((1 + found.groups, counts.shape[1]), np.int64)
        np.add.at(groups, cells[:, 0], counts)
        kept = self._kept(groups[1:])
        self._withhold(kept, cells, counts)
        told = kept.astype(np.uint8)
        return Turn(Opening(groups[1:, 0].copy(), told), [(peer, Kept(told))], progress=0.9)

    def _kept(self, counts: np.ndarray) -> np.ndarray:
        """Which groups, and which of their columns, have enough behind them."""
        rows, measured = counts[:, 0], self._rows
        rest = len(measured.values) - int(rows.sum())
        groups = suppress(rows, self._minimum, rest=(rest, rest))
        kept = [groups]
        missing = (len(measured.values) - measured.there).tolist()
        for j, counted in enumerate(measured.counted.tolist()):
            least = counts[:, 1 + j]
            rest_least = int(measured.there[j] - least.sum())
            if not counted:  # in the worst case all that are missing lack in one group
                least, rest_least = np.maximum(rows - missing[j], 0), max(rest - missing[j], 0)
            allowed = groups & (measured.there[j] >= self._minimum)
            kept.append(
                suppress(least, self._minimum, rows=rows, allowed=allowed, rest=(rest_least, rest))
            )
        return np.stack(kept, axis=1)

    def _withhold(self, kept: np.ndarray, cells: np.ndarray, counts: np.ndarray) -> None:
        """Of `kept`, what would give little away together with earlier sections, no more."""
        for j, counted in enumerate(self._rows.counted.tolist()):
            told = [(flags[:, j], minimum) for flags, minimum in self._earlier]
            if not any(flags.any() for flags, _ in told):
                continue
            least = min([self._minimum, *(m for flags, m in told if flags.any())])
            values = counts[:, 1 + j] if counted else counts[:, 0]
            if not counted:  # as many as that of any rows may lack a value
                least += len(self._values) - int(self._rows.there[j])
            every = [kept[:, 1 + j], *(flags for flags, _ in told)]
            kept[:, 1 + j] = withheld(cells, values, every, least)

    def on_sums(self, state: Opening, found: Returned, peer: str) -> Turn[MeasureResult]:
        chosen = np.flatnonzero(state.kept[:, 1:].any(axis=1))
        count = len(chosen) * self._slots.layout.ciphers
        public = self._key.public
        vector = EncryptedVector.from_bytes(public, found.data, count)
        data = b""
        if count:
            blanks = Plaintexts.from_ints(self._blanks(state.kept[chosen, 1:]), bound=public.half)
            data = vector.decrypt(self._key).minus(blanks, public).to_bytes()
        result = MeasureResult(state.rows, state.kept.astype(bool))
        return Turn(Done(), [(peer, Opened(data))], result, 1.0)

    def _blanks(self, kept: np.ndarray) -> list[int]:
        """What is taken off every opened sum: a random number in each slot that is not told."""
        layout, groups = self._slots.layout, len(kept)
        found = np.zeros((layout.ciphers, groups), object)
        for (number, _), place in zip(self._slots.names, layout.places, strict=True):
            hidden = np.flatnonzero(kept[:, number] == 0) if number >= 0 else np.arange(groups)
            numbers = random_numbers(len(hidden), place.bits - 1, self.context.random)
            found[place.cipher, hidden] -= np.array([n << place.offset for n in numbers], object)
        return [int(number) for number in found.reshape(-1)]
