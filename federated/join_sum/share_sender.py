"""The sender by private sums: opens counts, adds noise, gives shares of what is large enough."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from federated.aggregate.noise import Noise, discrete_laplace
from federated.aggregate.share_messages import Bound, Showed
from federated.aggregate.share_segment import bound_rows, commitment
from federated.join_sum.noising import Noising
from federated.join_sum.share_lanes import Place, PlaceLanes, SumCommitted, SumShares
from psi.protocol import Context, Done, Length, PeerError, Role, Turn, message

__all__ = ["PlaceSender", "ShareSumSender"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Shares = np.ndarray[Any, np.dtype[np.uint64]]


@message(0x8A)
@dataclass(frozen=True)
class Holding:
    """Waiting for the receiver; what it is committed to, once it is."""

    digest: Annotated[bytes, Length(32)]


class PlaceSender(Role[Place]):
    """Tells how many places there are; gives it back."""

    def __init__(self, context: Context, receiver: str, places: int) -> None:
        super().__init__(context)
        self._receiver, self._places = receiver, places

    def begin(self) -> Turn[Place]:
        told = Place(self._places)
        return Turn(Done(), [(self._receiver, told)], told)


class ShareSumSender(Role[Ints]):
    """Its result, `minimum` and `noising` are those of `SumSender`.

    `bound` is the secret odd number of its places, `shares: uint64[2, lanes]` its shares of the
    sums of those that match and of the rest.
    """

    transitions = {  # noqa: RUF012
        (Holding, SumCommitted): "on_committed",
        (Holding, Showed): "on_showed",
    }

    def __init__(
        self,
        context: Context,
        lanes: PlaceLanes,
        *,
        bound: int,
        shares: Shares,
        minimum: int,
        noising: Noising | None = None,
        noise: Noise = discrete_laplace,
    ) -> None:
        super().__init__(context)
        self._lanes, self._bound, self._shares = lanes, bound, shares[0]
        self._minimum, self._noising, self._noise = max(1, minimum), noising, noise

    def begin(self) -> Turn[Ints]:
        return Turn(Holding(b""))

    def on_committed(self, state: Holding, sent: SumCommitted, peer: str) -> Turn[Ints]:
        """Tell the bound: the receiver cannot change its shares any more."""
        if state.digest or len(sent.digest) != 32:
            raise PeerError("a second commitment, or a malformed one")
        told = Bound(self._bound.to_bytes(8, "little"), self._shares[:1].copy())
        return Turn(Holding(sent.digest), [(peer, told)], progress=0.5)

    def on_showed(self, state: Holding, sent: Showed, peer: str) -> Turn[Ints]:
        """Count, add noise, and give shares of sums with enough values behind them."""
        lanes = self._lanes
        if not state.digest or sent.shares.shape != (1, lanes.shown):
            raise PeerError("shares that are not due, or of another shape")
        if not hmac.compare_digest(commitment(sent.shares, sent.nonce), state.digest):
            raise PeerError("shares that are not those committed to")
        opened = sent.shares[0] + self._shares[: lanes.shown]
        shared = int(bound_rows(opened[:1], self._bound)[0])
        counts = lanes.counts(opened[1:], self._bound)
        if shared > lanes.places or any(count > shared for count in counts):
            raise PeerError("counts that do not add up to the places sent")
        learned = np.array([shared, *counts], np.int64)
        told, added = learned[1:], [0] * len(counts)
        if self._noising is not None:
            drawn, added = self._noising.draw(self._noise)
            told = told + drawn
        enough = told >= self._minimum
        given = SumShares(np.where(enough, told, 0), self._given(enough, added))
        return Turn(Done(), [(peer, given)], learned, 1.0)

    def _given(self, enough: np.ndarray, added: Sequence[int]) -> Shares:
        chosen = np.flatnonzero(self._lanes.summed)
        noise = np.array([added[column] for column in chosen.tolist()], np.int64).view(np.uint64)
        return np.where(enough[chosen], self._shares[self._lanes.shown :] + noise, np.uint64(0))
