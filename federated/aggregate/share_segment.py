"""The receiver of a section by private sums: shows its counts, bound to its rows, and opens.

    partner (values, shares of sums)                receiver (segments, shares of sums)
                                                ◄──  Committed: its cells, a hash of its shares
      Bound: the secret number, its shares      ──►
                                                ◄──  Showed: shares of bound and counted lanes
      Given: what is kept, shares of told lanes ──►

Both hold shares of every cell's sums (`federated.sharing`). The partner opens counts and audits
them as under encryption (`section_audit`); then it gives its shares of what is told, and nothing
of the rest.

*Bound.* Each row's bound lane is one secret odd number. The receiver is committed to its shares
before it knows the number: one that says another number of rows in a cell than there are would have
to guess it (below 2^-40 for a million rows). Counts of values are bound in the same way, by a tag
(`federated.sharing.bound_counts`). It checks itself that the bound lanes are those of its own rows
before it shows anything: a partner that put other numbers there would read cells of chosen rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from federated.aggregate.lanes import SectionLanes
from federated.aggregate.result import AggregateResult, known_of
from federated.aggregate.share_messages import CELLS, Bound, Committed, Given, Showed
from psi.protocol import Array, Context, Done, Length, PeerError, Role, Turn, message

__all__ = ["NONCE", "ShareSegmentParty", "bound_rows", "commitment"]

NONCE = 32
Shares = np.ndarray[Any, np.dtype[np.uint64]]


@message(0x9B)
@dataclass(frozen=True)
class AwaitingBound:
    """Committed; the nonce of the commitment."""

    nonce: Annotated[bytes, Length(NONCE)]


@message(0x9C)
@dataclass(frozen=True)
class AwaitingShares:
    """Counts were shown; how many rows of each cell count, as the bound lanes say."""

    rows: Annotated[np.ndarray, Array("int64", most=CELLS)]


def commitment(shares: Shares, nonce: bytes) -> bytes:
    """A hash that hides the shares and holds to them: 32 bytes."""
    drawn = hashlib.blake2s(nonce, person=b"aggshare")
    drawn.update(repr(shares.shape).encode())
    drawn.update(np.ascontiguousarray(shares, "<u8").tobytes())
    return drawn.digest()


def bound_rows(sums: Shares, number: int) -> Shares:
    """How often an odd number is in sums modulo 2^64: `uint64[cells]`."""
    return sums * np.uint64(pow(number, -1, 1 << 64))


class ShareSegmentParty(Role[AggregateResult]):
    """Learns the statistics of the groups that the partner keeps in one section.

    Args:
        context: of the session.
        partner: who holds the values.
        lanes: of the section.
        groups: names of its groups.
        cells: of the section, as in `Counted`; `sizes[c]` is how many rows each has.
        rows: how many rows each group has.
        shares: `uint64[cells, lanes]`, of the sums of each cell.
        exact: each of the rows counts; else some may not (pairs of repeated keys).
    """

    transitions = {  # noqa: RUF012
        (AwaitingBound, Bound): "on_bound",
        (AwaitingShares, Given): "on_given",
    }

    def __init__(
        self,
        context: Context,
        partner: str,
        lanes: SectionLanes,
        *,
        groups: list[str],
        cells: np.ndarray,
        sizes: np.ndarray,
        rows: np.ndarray,
        shares: Shares,
        exact: bool = True,
    ) -> None:
        super().__init__(context)
        self._partner, self._lanes, self._groups = partner, lanes, groups
        self._cells, self._sizes, self._rows = cells, sizes, rows
        self._shares, self._exact = shares, exact

    @property
    def _shown(self) -> Shares:
        return np.ascontiguousarray(self._shares[:, : self._lanes.first_told])

    def begin(self) -> Turn[AggregateResult]:
        nonce = self.context.random(NONCE)
        digest = commitment(self._shown, nonce)
        told = Committed(len(self._groups), self._cells, digest)
        return Turn(AwaitingBound(nonce), [(self._partner, told)], progress=0.3)

    def on_bound(self, state: AwaitingBound, sent: Bound, peer: str) -> Turn[AggregateResult]:
        """Show counts, if the bound lanes are those of this party's rows."""
        number = int.from_bytes(sent.number, "little")
        if sent.shares.shape != (len(self._cells),) or len(sent.number) != 8 or not number % 2:
            raise PeerError("a bound of another shape")
        found = bound_rows(self._shares[:, 0] + sent.shares, number)
        wrong = (
            found != self._sizes.astype(np.uint64)
            if self._exact
            else found > self._sizes.astype(np.uint64)
        )
        if wrong.any():
            raise PeerError("a bound of other rows than are in the cells")
        after = AwaitingShares(found.astype(np.int64))
        return Turn(after, [(peer, Showed(self._shown, state.nonce))], progress=0.6)

    def on_given(self, state: AwaitingShares, sent: Given, peer: str) -> Turn[AggregateResult]:
        """Add the partner's shares to the own ones."""
        del peer, state
        lanes, kept = self._lanes, sent.kept.astype(bool)
        columns, edges = len(lanes.columns), lanes.section.edges
        if kept.shape != (len(self._groups), 1 + columns + sum(map(len, edges))):
            raise PeerError("kept groups of another shape than was asked")
        if (sent.kept > 1).any() or (kept & ~kept[:, :1]).any():
            raise PeerError("kept groups of another shape than was asked")
        of = np.repeat(np.arange(1, 1 + columns), [len(each) for each in edges])
        if (kept[:, 1 + columns :] & ~kept[:, of]).any():
            raise PeerError("kept parts of columns that are not kept")
        chosen = np.flatnonzero(kept[:, 1 : 1 + columns].any(axis=1))
        bare = [name for name in lanes.names if name not in lanes.told]
        if sent.shares.shape != (len(chosen), lanes.lanes - lanes.first_told):
            raise PeerError("shares of other sums than were asked")
        if sent.numbers.shape != (len(chosen), len(bare)):
            raise PeerError("counts of other columns than were asked")
        own = np.zeros((2 + len(self._groups), sent.shares.shape[1]), np.uint64)
        np.add.at(own, self._cells[:, 0], self._shares[:, lanes.first_told :])
        sums = lanes.sums(own[2:][chosen] + sent.shares)
        sums |= dict(zip(bare, sent.numbers.astype(object).T, strict=True))
        asked = lanes.section.asked
        values, there = lanes.statistics(sums, kept[:, 1:]), lanes.there(sums, kept[:, 1:])
        result = AggregateResult(
            self._groups,
            np.where(kept[:, 0], self._rows, 0),
            [(column, statistic.text) for column, statistic in asked],
            values,
            [known_of(v) & (there[c] > 0) for (c, _), v in zip(asked, values, strict=True)],
            there,
        )
        return Turn(Done(), result=result, progress=1.0)
