"""The columns' owner, a partner: gets a label's counts by its bins, tells what columns are worth.

It learns, of each of its bins, how many rows are positive and how many have a label, with the label
party's noise: the weight of evidence of its bins. What it tells is in `label_party`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from federated.aggregate.noise import most_noise
from federated.binning.messages import LABEL_LANES, AwaitingShares, LabelShares, Worths
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn

__all__ = ["ColumnParty"]

Lanes = NDArray[np.uint64]
Counts = NDArray[np.int64]
Judge = Callable[[list[Counts]], Worths]


class ColumnParty(Role[list[Counts]]):
    """Gets counts; its result has of each column `int64[bins, 2]`: positives, rows with a label.

    Args:
        context: of the session.
        receiver: the label party.
        shares: of each column `uint64[2^depth, 2]`.
        rows: of each column this party's own rows by bin.
        scale: of the label party's noise, 0 for none.
        judge: what columns are worth, from these counts. It may raise `Refused`: then nothing is
            told.
    """

    transitions = {(AwaitingShares, LabelShares): "on_shares"}  # noqa: RUF012

    def __init__(
        self,
        context: Context,
        receiver: str,
        shares: Sequence[Lanes],
        rows: Sequence[Counts],
        scale: int,
        judge: Judge,
    ) -> None:
        super().__init__(context)
        if any(s.shape[1] != LABEL_LANES for s in shares) or len(rows) != len(shares):
            raise MisuseError("shares of other numbers than a label has")
        self._receiver, self._shares, self._rows = receiver, shares, rows
        self._scale, self._judge = scale, judge

    def begin(self) -> Turn[list[Counts]]:
        return Turn(AwaitingShares())

    def on_shares(self, state: AwaitingShares, sent: LabelShares, peer: str) -> Turn[list[Counts]]:
        """Complete the counts, look whether they can be, and say what columns are worth."""
        del state
        flat = np.concatenate([share.reshape(-1) for share in self._shares])
        if sent.shares.shape != flat.shape:
            raise PeerError("shares of other counts than there are bins")
        ends = np.cumsum([share.size for share in self._shares])[:-1]
        parts = np.split((flat + sent.shares).view(np.int64), ends)
        pairs = zip(parts, self._rows, strict=True)
        counts = [part.reshape(-1, LABEL_LANES)[: len(rows)].copy() for part, rows in pairs]
        slack = most_noise(self._scale)
        for found, rows in zip(counts, self._rows, strict=True):
            beyond = (found < -slack) | (found > rows[:, None] + slack)
            if beyond.any() or (found[:, 0] > found[:, 1] + 2 * slack).any():
                raise PeerError("counts of a label that the rows of a bin cannot have")
        return Turn(Done(), [(peer, self._judge(counts))], counts, 1.0)
