"""The partner opens counts, or sums, of rows to the label party, with its noise.

    partner (shares of all of them)               label party (the other shares)
      CountShares: its shares, with noise    ──►

The noise holds whatever the label party's software does: it chose one bin a row before it knew
anything, trees bind it to that, and the lanes are the partner's own. So a row adds 1 to one count,
and moving it changes two; to a sum it adds a level times a lane, which are bounded both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import Cut, counts_of
from federated.counted.messages import CountShares
from federated.regression.noise import noise_of
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn, message

__all__ = ["CountsGiver", "CountsTaker", "SumsGiver", "SumsTaker", "possible"]

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]
_SLACK = 12.0
"""Standard deviations of noise beyond which no honest sum of counts lies."""


@message(0x65)
@dataclass(frozen=True)
class AwaitingCounts:
    """Waiting for the partner's shares."""


class SumsGiver(Role[int]):
    """The partner opens its shares of sums; its result is how many it opened.

    Args:
        context: of the session.
        label_party: its name.
        shares: of each group of rows `uint64[sums]`.
        noise: standard deviation of what is added to each sum; above 0.
        seed: 32 secret bytes, the same whenever this job goes on: the same sums get the same
            noise, so that nobody has two draws to average.
    """

    def __init__(
        self,
        context: Context,
        label_party: str,
        shares: Sequence[Words],
        noise: float,
        seed: bytes,
    ) -> None:
        super().__init__(context)
        if not noise > 0 or len(seed) != 32:
            raise MisuseError("counts or sums of rows by score without noise, or without a seed")
        self._label_party, self._shares = label_party, shares
        self._noise, self._seed = noise, seed

    def _sums(self) -> Words:
        """The own shares of what is opened, `uint64[groups, ...]`."""
        return np.stack(list(self._shares))

    def begin(self) -> Turn[int]:
        sums = self._sums()
        text = hashlib.sha256(np.ascontiguousarray(sums, "<u8").data).digest()
        drawn = hashlib.shake_256(
            hashlib.blake2s(text, key=self._seed, person=b"countsby").digest()
        )
        shape = (len(sums), sums[0].size)
        noise = noise_of(shape, np.full(shape[1], self._noise), 0, drawn.digest)
        told = CountShares(sums.ravel() + noise.ravel())
        return Turn(Done(), [(self._label_party, told)], len(told.shares), 1.0)


class SumsTaker(Role[list[Counts]]):
    """The label party; its result has for each group its sums, `int64[sums]`.

    Args:
        context: of the session.
        shares: of each group of rows `uint64[sums]`.

    Sums that cannot be are taken too: whether the job goes on would tell the partner of rows whose
    lanes it has spoilt.
    """

    transitions = {(AwaitingCounts, CountShares): "on_shares"}  # noqa: RUF012

    def __init__(self, context: Context, shares: Sequence[Words]) -> None:
        super().__init__(context)
        self._shares = np.stack(list(shares))

    def begin(self) -> Turn[list[Counts]]:
        return Turn(AwaitingCounts())

    def on_shares(self, state: AwaitingCounts, sent: CountShares, peer: str) -> Turn[list[Counts]]:
        """Complete the sums."""
        del state, peer
        if len(sent.shares) != self._shares.size:
            raise PeerError(f"{len(sent.shares)} shares found, {self._shares.size} expected")
        opened = (self._shares + sent.shares.reshape(self._shares.shape)).view(np.int64)
        return Turn(Done(), result=list(opened), progress=1.0)


class CountsGiver(SumsGiver):
    """The partner opens counts of rows by score; its result is how many it opened.

    Args:
        context, label_party, noise, seed: of a `SumsGiver`.
        shares: of each group `uint64[leaves, LANES]`.
        grid: how scores are cut.
    """

    def __init__(
        self,
        context: Context,
        label_party: str,
        shares: Sequence[Words],
        grid: Cut,
        noise: float,
        seed: bytes,
    ) -> None:
        super().__init__(context, label_party, shares, noise, seed)
        self._grid = grid

    def _sums(self) -> Words:
        return np.stack([counts_of(self._grid, share) for share in self._shares])


class CountsTaker(SumsTaker):
    """The label party; its result has for each group `int64[2, bins]`: negatives, positives.

    Args:
        context: of the session.
        shares: of each group `uint64[leaves, LANES]`.
        grid: how scores are cut.

    Counts that cannot be are told by `possible`.
    """

    def __init__(self, context: Context, shares: Sequence[Words], grid: Cut) -> None:
        super().__init__(context, [counts_of(grid, share) for share in shares])


def possible(counts: Sequence[Counts], rows: Counts, noise: float) -> bool:
    """Whether rows of these classes can have these counts.

    Args:
        counts: of each group `int64[2, bins]`.
        rows: of each group how many negatives and positives there are, `int64[groups, 2]`.
        noise: standard deviation of the partner's noise.
    """
    opened, slack = np.stack(counts), _SLACK * noise
    beyond = (opened < -slack) | (opened > rows[:, :, None] + slack)
    off = np.abs(opened.astype(np.float64).sum(axis=2) - rows)
    return not (beyond.any() or (off > slack * np.sqrt(opened.shape[2])).any())
