"""Amounts by a partner's category by private sums: the partner opens what it tells, with noise.

    receiver (amounts, shares of sums)              partner (category, shares of sums)
      private sums: the amounts are the receiver's lanes, the categories the partner's bins
                                                ◄──  CategoryShares: what is told, its shares of it

Both hold shares of each category's sums (`federated.sharing`). The partner adds noise to its own,
and to what is told a random multiple of the size that an honest sum can have: where an honest
receiver has nothing, one that lies could put numbers that no noise covers. What is not told is not
sent. The receiver learns what it learns under encryption; the partner sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from federated.aggregate.amounts import AmountRows, AmountSizes
from federated.aggregate.messages import GROUPS
from federated.aggregate.noise import Noise, discrete_laplace, most_noise
from federated.aggregate.result import CategoryResult
from federated.aggregate.suppression import tell_counts
from psi.protocol import Array, Context, Done, MisuseError, PeerError, Role, Turn, message

__all__ = [
    "CategoryShares",
    "ShareAmountParty",
    "ShareCategoryParty",
    "lanes_for",
]

Shares = np.ndarray[Any, np.dtype[np.uint64]]
_WORD = 64


@message(0x5A)
@dataclass(frozen=True)
class CategoryShares:
    """Which categories are told, 0 or 1, and of these the partner's shares, with noise."""

    kept: Annotated[np.ndarray, Array("uint8", most=GROUPS)]
    shares: Annotated[np.ndarray, Array("uint64", width=-1, most=GROUPS)]


@message(0x5C)
@dataclass(frozen=True)
class AwaitingCategories:
    """Waiting for the partner's shares."""


def lanes_for(sizes: AmountSizes) -> int:
    """Numbers a row. Raises `MisuseError` where a sum with its noise does not fit a lane."""
    if max(sizes.bits) >= _WORD:
        raise MisuseError(
            f"sums of {max(sizes.bits)} bits with their noise, {_WORD - 1} allowed by private sums",
            hint='take a narrower range, a larger epsilon, or protocol = "paillier"',
        )
    return sizes.parts * len(sizes.bits)


class ShareAmountParty(Role[CategoryResult]):
    """The receiver. Learns counts and sums by the partner's category.

    `shares` is `uint64[2^depth, lanes]`, of the sums of `rows` by category.
    """

    transitions = {(AwaitingCategories, CategoryShares): "on_shares"}  # noqa: RUF012

    def __init__(
        self,
        context: Context,
        rows: AmountRows,
        categories: Sequence[str],
        segments: Sequence[str],
        shares: Shares,
    ) -> None:
        super().__init__(context)
        self._rows, self._sizes = rows, rows.slots
        self._categories, self._segments = list(categories), list(segments)
        self._shares = shares

    def begin(self) -> Turn[CategoryResult]:
        return Turn(AwaitingCategories())

    def on_shares(
        self, state: AwaitingCategories, sent: CategoryShares, peer: str
    ) -> Turn[CategoryResult]:
        """Add the own shares, and cut what is above an honest sum."""
        del state, peer
        sizes, lanes = self._sizes, lanes_for(self._sizes)
        if sent.kept.shape != (len(self._categories),) or (sent.kept > 1).any():
            raise PeerError("kept categories of another number than the contract has")
        chosen = np.flatnonzero(sent.kept)
        if sent.shares.shape != (len(chosen), lanes):
            raise PeerError("shares of other sums than were asked")
        shape = (len(self._categories), sizes.parts, len(sizes.bits))
        cells = np.full(shape, np.nan)
        whole = (sent.shares + self._shares[chosen]).reshape(len(chosen), *shape[1:])
        for place, bits in enumerate(sizes.bits):
            above = np.uint64(_WORD - 1 - bits)
            signed = (whole[:, :, place] << above).view(np.int64) >> np.int64(above)
            cells[chosen, :, place] = signed.astype(np.float64)
        result = CategoryResult(
            categories=self._categories,
            segments=self._segments,
            amounts=[amount.column for amount in sizes.amounts],
            counts=cells[:, :, 0].copy(),
            sums=[cells[:, :, 1 + a].copy() for a in range(len(sizes.amounts))],
            scales=sizes.scales,
            clipped=self._rows.clipped,
        )
        return Turn(Done(), result=result, progress=1.0)


class ShareCategoryParty(Role[np.ndarray]):
    """The partner. Learns sizes only. Its result are its own counts, `int64[categories]`.

    `codes`, `epsilon`, `minimum_group` and `kept` are those of `CategoryParty`. `shares` is
    `uint64[2^depth, lanes]`, of the sums by category; rows that are left out have a bin behind.
    """

    def __init__(
        self,
        context: Context,
        receiver: str,
        codes: np.ndarray,
        categories: int,
        sizes: AmountSizes,
        *,
        minimum_group: int,
        shares: Shares,
        kept: np.ndarray | None = None,
        noise: Noise = discrete_laplace,
    ) -> None:
        super().__init__(context)
        self._receiver, self._codes, self._categories = receiver, codes, categories
        self._sizes, self._minimum = sizes, minimum_group
        self._shares, self._kept, self._noise = shares, kept, noise
        self._noised = any(sizes.scales)
        if not self._noised and sizes.parts != 1:
            raise MisuseError("a two-way table needs noise: nobody sees its small cells")

    def begin(self) -> Turn[np.ndarray]:
        rows = np.bincount(self._codes[self._codes >= 0], minlength=self._categories)
        kept = self._kept
        if kept is None:
            everyone = np.ones(len(rows), bool)
            kept = everyone if self._noised else tell_counts(rows.astype(np.int64), self._minimum)
        chosen = np.flatnonzero(kept)
        shares = self._shares[chosen] + self._added(len(chosen))
        told = CategoryShares(kept.astype(np.uint8), np.ascontiguousarray(shares))
        return Turn(Done(), [(self._receiver, told)], rows.astype(np.int64), 1.0)

    def _added(self, count: int) -> Shares:
        """Noise on every number of `count` categories, and a random multiple above its size."""
        sizes, lanes = self._sizes, lanes_for(self._sizes)
        bits = np.array(sizes.bits * sizes.parts, np.uint64) + np.uint64(1)
        drawn = np.frombuffer(self.context.random(8 * count * lanes), "<u8").astype(np.uint64)
        # a shift by a whole word would be none
        above = np.where(bits < _WORD, drawn.reshape(count, lanes) << (bits % np.uint64(64)), 0)
        scales = sizes.slot_scales
        if not self._noised:
            return above.astype(np.uint64)
        numbers = self._noise([scale for scale in scales for _ in range(count)])
        for at, scale in enumerate(scales):
            if any(abs(n) > most_noise(scale) for n in numbers[at * count : (at + 1) * count]):
                raise MisuseError("noise beyond its slot")
        added = np.array(numbers, np.int64).reshape(lanes, count).T
        return above.astype(np.uint64) + np.ascontiguousarray(added).view(np.uint64)
