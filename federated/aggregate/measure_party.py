"""The partner: opens counts, audits them, then opens sums of what is large enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from federated.aggregate.history import Followed, History
from federated.aggregate.messages import GROUPS, Counted, Kept, Opened, Returned
from federated.aggregate.result import MeasureResult
from federated.aggregate.rows import SectionSlots
from federated.aggregate.section_audit import Earlier, SectionAudit
from federated.paillier import EncryptedVector, Plaintexts, PrivateKey
from psi.protocol import Array, Context, Done, Role, Turn, message

__all__ = ["MeasureParty"]


@message(0x58)
@dataclass(frozen=True)
class Counting:
    """Waiting for the counts of the receiver's cells."""


@message(0x47)
@dataclass(frozen=True)
class Opening:
    """The counts that were opened, and which groups and columns are kept."""

    rows: Annotated[np.ndarray, Array("int64", most=GROUPS)]
    kept: Annotated[np.ndarray, Array("uint8", width=-1, most=GROUPS)]


class MeasureParty(Role[MeasureResult]):
    """Holds the key. Its result are the groups' row counts, which it learns, and what was kept.

    `counted`, `history` and `earlier` are what the section is audited with (`SectionAudit`).

    Args:
        context: session, step, this party's name, its randomness and its store.
        slots: where each of the section's measures lies in a ciphertext.
    """

    transitions = {  # noqa: RUF012
        (Counting, Counted): "on_counts",
        (Opening, Returned): "on_sums",
    }

    def __init__(
        self,
        context: Context,
        key: PrivateKey,
        slots: SectionSlots,
        counted: Followed,
        history: History,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        super().__init__(context)
        self._key, self._slots = key, slots
        grids = slots.whole.grids
        self._audit = SectionAudit(slots.section, grids, counted, history, earlier)

    def begin(self) -> Turn[MeasureResult]:
        return Turn(Counting())

    def on_counts(self, state: Counting, found: Counted, peer: str) -> Turn[MeasureResult]:
        del state
        self._audit.check_cells(found.cells, found.groups)
        count = len(found.cells) * len(self._slots.counted_in)
        vector = EncryptedVector.from_bytes(self._key.public, found.data, count)
        counts, atoms = self._slots.counts(vector.decrypt(self._key).to_ints())
        rows, told = self._audit.told(found.cells, found.groups, counts, atoms)
        return Turn(Opening(rows, told), [(peer, Kept(told))], progress=0.6)

    def on_sums(self, state: Opening, found: Returned, peer: str) -> Turn[MeasureResult]:
        columns = len(self._slots.columns)
        chosen = np.flatnonzero(state.kept[:, 1 : 1 + columns].any(axis=1))
        count, public = len(chosen) * len(self._slots.ciphers), self._key.public
        vector = EncryptedVector.from_bytes(public, found.data, count)
        data = b""
        if count:
            kept = state.kept[chosen, 1:].astype(bool)
            blanks = self._slots.blanks(kept, self.context.random)
            hidden = Plaintexts.from_ints([-blank for blank in blanks], bound=public.half)
            data = vector.decrypt(self._key).minus(hidden, public).to_bytes()
        result = MeasureResult(state.rows, state.kept.astype(bool))
        return Turn(Done(), [(peer, Opened(data))], result, 1.0)
