"""The partner of a section by private sums: opens counts, audits them, gives shares of the rest."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from federated.aggregate.history import Followed, History
from federated.aggregate.lanes import SectionLanes
from federated.aggregate.messages import GROUPS
from federated.aggregate.result import MeasureResult
from federated.aggregate.rows import Asking
from federated.aggregate.section_audit import Earlier, SectionAudit
from federated.aggregate.share_messages import CELLS, Bound, Committed, Given, Showed
from federated.aggregate.share_segment import bound_rows, commitment
from psi.protocol import Array, Context, Done, Length, PeerError, Range, Role, Turn, message

__all__ = ["ShareMeasureParty"]

Shares = np.ndarray[Any, np.dtype[np.uint64]]


@message(0x9D)
@dataclass(frozen=True)
class AwaitingCells:
    """Waiting for the receiver's cells."""


@message(0x9E)
@dataclass(frozen=True)
class AwaitingCounts:
    """The bound was told; what the receiver is committed to."""

    groups: Annotated[int, Range(1, GROUPS)]
    cells: Annotated[np.ndarray, Array("int64", width=-1, most=CELLS)]
    digest: Annotated[bytes, Length(32)]


class ShareMeasureParty(Role[MeasureResult]):
    """Holds the values. Its result are the groups' row counts, which it learns, and what was kept.

    Args:
        context: of the session.
        lanes: of the section.
        bound: the secret odd number that its rows were given with.
        shares: `uint64[2^depth, lanes]`, of the sums by cell.
        asking: what all sections ask, and earlier jobs.
        counted, history, earlier: what the section is audited with (`SectionAudit`).
    """

    transitions = {  # noqa: RUF012
        (AwaitingCells, Committed): "on_committed",
        (AwaitingCounts, Showed): "on_showed",
    }

    def __init__(
        self,
        context: Context,
        lanes: SectionLanes,
        *,
        bound: int,
        shares: Shares,
        asking: Asking,
        counted: Followed,
        history: History,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        super().__init__(context)
        self._lanes, self._bound, self._shares = lanes, bound, shares
        self._audit = SectionAudit(lanes.section, asking.grids, counted, history, earlier)

    def begin(self) -> Turn[MeasureResult]:
        return Turn(AwaitingCells())

    def on_committed(self, state: AwaitingCells, sent: Committed, peer: str) -> Turn[MeasureResult]:
        """Tell the bound: the receiver cannot change its shares any more."""
        del state
        self._audit.check_cells(sent.cells, sent.groups)
        if len(sent.cells) > len(self._shares):
            raise PeerError(f"{len(sent.cells)} cells in trees of {len(self._shares)} leaves")
        after = AwaitingCounts(sent.groups, sent.cells, sent.digest)
        own = np.ascontiguousarray(self._shares[: len(sent.cells), 0])
        return Turn(after, [(peer, Bound(self._bound.to_bytes(8, "little"), own))], progress=0.4)

    def on_showed(self, state: AwaitingCounts, sent: Showed, peer: str) -> Turn[MeasureResult]:
        """Audit the counts, and give shares of what may be told."""
        lanes, cells = self._lanes, state.cells
        if sent.shares.shape != (len(cells), lanes.first_told):
            raise PeerError("shares of another shape")
        if not hmac.compare_digest(commitment(sent.shares, sent.nonce), state.digest):
            raise PeerError("shares that are not those committed to")
        opened = sent.shares + self._shares[: len(cells), : lanes.first_told]
        rows = bound_rows(opened[:, 0], self._bound)
        if (rows > np.uint64(lanes.rows)).any():
            raise PeerError("counts of rows that are not those of the trees")
        flags, atoms = lanes.opened(opened[:, 1:], self._bound)
        counts = np.column_stack([rows.astype(np.int64), flags])
        of_groups, told = self._audit.told(cells, state.groups, counts, atoms)
        given = self._given(told, cells, flags, atoms)
        result = MeasureResult(of_groups, told.astype(bool))
        return Turn(Done(), [(peer, given)], result, 1.0)

    def _given(
        self, told: np.ndarray, cells: np.ndarray, flags: np.ndarray, atoms: Sequence[np.ndarray]
    ) -> Given:
        lanes, groups = self._lanes, len(told)
        kept = told[:, 1:].astype(bool)
        chosen = np.flatnonzero(kept[:, : len(lanes.columns)].any(axis=1))
        own = np.zeros((2 + groups, lanes.lanes - lanes.first_told), np.uint64)
        np.add.at(own, cells[:, 0], self._shares[: len(cells), lanes.first_told :])
        shares = np.where(lanes.shown_lanes(kept), own[2:], np.uint64(0))[chosen]
        numbers = self._numbers(kept, cells, flags, atoms)[chosen]
        return Given(told, np.ascontiguousarray(shares), np.ascontiguousarray(numbers))

    def _numbers(
        self, kept: np.ndarray, cells: np.ndarray, flags: np.ndarray, atoms: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Counts of names without a lane of their own, 0 where not told: `int64[groups, names]`."""
        lanes = self._lanes
        shown = dict(zip(lanes.names, lanes.shown(kept), strict=True))
        found = []
        for column, what in (name for name in lanes.names if name not in lanes.told):
            place = lanes.columns.index(column)
            counts = flags[:, place]
            if what != "there":
                grid = self._audit.grids[column]
                counts = atoms[place][:, grid.index(what) + 1 :].sum(axis=1)
            total = np.zeros(2 + len(kept), np.int64)
            np.add.at(total, cells[:, 0], counts)
            found.append(np.where(shown[column, what], total[2:], 0))
        return np.array(found, np.int64).reshape(len(found), len(kept)).T
