"""The receiver by private sums: which places match are its bins; it shows counts, then opens sums.

    sender (values by place)                        receiver (which places match)
      Place: how many (several levels of keys)  ──►
      private sums: a bin for places that match and one for the rest
                                                ◄──  SumCommitted: a hash of its shares
      Bound: the secret number, its share       ──►
                                                ◄──  Showed: shares of bound and flags
      SumShares: counts, shares of sums, noised ──►

As under encryption, but that the receiver cannot count a place twice (see `share_segment`): it adds
up distinct places, as many as it says. Which ones nobody checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from federated.aggregate.share_messages import Bound, Showed
from federated.aggregate.share_segment import NONCE, bound_rows, commitment
from federated.join_sum.noising import Noising
from federated.join_sum.receiver import JoinSumResult, result_of
from federated.join_sum.share_lanes import Place, PlaceLanes, SumCommitted, SumShares
from psi.protocol import Context, Done, Length, PeerError, Role, Turn, message

__all__ = ["PlaceReceiver", "ShareSumReceiver"]

Shares = np.ndarray[Any, np.dtype[np.uint64]]


@message(0x5E)
@dataclass(frozen=True)
class HearingPlaces:
    """Waiting to be told."""


@message(0x9F)
@dataclass(frozen=True)
class Opening:
    """The nonce of the commitment; empty once counts were shown."""

    nonce: Annotated[bytes, Length(NONCE)]


class PlaceReceiver(Role[Place]):
    """Learns how many places there are: from `least` to `most`."""

    transitions = {(HearingPlaces, Place): "on_place"}  # noqa: RUF012

    def __init__(self, context: Context, least: int, most: int) -> None:
        super().__init__(context)
        self._least, self._most = least, most

    def begin(self) -> Turn[Place]:
        return Turn(HearingPlaces())

    def on_place(self, state: HearingPlaces, sent: Place, peer: str) -> Turn[Place]:
        del state, peer
        if not self._least <= sent.places <= self._most:
            raise PeerError(f"{sent.places} places found, {self._most} in the intersection")
        return Turn(Done(), result=sent)


class ShareSumReceiver(Role[JoinSumResult]):
    """Adds its shares to those that it is given.

    `shared` places match; `shares: uint64[2, lanes]` are of the sums of these and of the rest.
    """

    transitions = {  # noqa: RUF012
        (Opening, Bound): "on_bound",
        (Opening, SumShares): "on_shares",
    }

    def __init__(
        self,
        context: Context,
        sender: str,
        lanes: PlaceLanes,
        *,
        shared: int,
        shares: Shares,
        columns: Sequence[str],
        statistics: Sequence[tuple[str, str]],
        noising: Noising | None = None,
    ) -> None:
        super().__init__(context)
        self._sender, self._lanes, self._shared = sender, lanes, shared
        self._shares, self._noising = shares[0], noising
        self._columns, self._statistics = list(columns), list(statistics)

    @property
    def _shown(self) -> Shares:
        return np.ascontiguousarray(self._shares[None, : self._lanes.shown])

    def begin(self) -> Turn[JoinSumResult]:
        nonce = self.context.random(NONCE)
        told = SumCommitted(commitment(self._shown, nonce))
        return Turn(Opening(nonce), [(self._sender, told)], progress=0.3)

    def on_bound(self, state: Opening, sent: Bound, peer: str) -> Turn[JoinSumResult]:
        """Show counts, if the bound is that of the places that match."""
        number = int.from_bytes(sent.number, "little")
        if not state.nonce or sent.shares.shape != (1,):
            raise PeerError("a bound that is not due, or of another shape")
        if len(sent.number) != 8 or not number % 2:
            raise PeerError("a bound of another shape")
        if int(bound_rows(self._shares[:1] + sent.shares, number)[0]) != self._shared:
            raise PeerError("a bound of other places than match")
        return Turn(Opening(b""), [(peer, Showed(self._shown, state.nonce))], progress=0.6)

    def on_shares(self, state: Opening, sent: SumShares, peer: str) -> Turn[JoinSumResult]:
        del peer
        chosen = np.flatnonzero(self._lanes.summed)
        most = self._shared + (self._noising.farthest_count if self._noising else 0)
        counts = sent.counts
        if state.nonce or len(sent.shares) != len(chosen) or len(counts) != len(self._columns):
            raise PeerError("opened sums that are not due, or of other columns")
        if (counts < 0).any() or (counts > most).any():
            raise PeerError("counts of values beyond the shared keys")
        sums = [0] * len(counts)
        opened = (self._shares[self._lanes.shown :] + sent.shares).view(np.int64)
        for column, total in zip(chosen.tolist(), opened.tolist(), strict=True):
            sums[column] = total if counts[column] else 0
        found = result_of(self._shared, self._columns, self._statistics, sums, counts)
        return Turn(Done(), result=found, progress=1.0)
