"""The label party (the receiver): opens counts of its label, with noise, to who owns the bins.

    label party (label, shares of counts)            columns' owner (bins, shares of counts)
      private sums: a row's lanes are whether it is positive and whether it has a label
      LabelShares: its shares of all bins, with noise  ──►
                                                       ◄──  Worths: of each column, rounded

It learns no bin, no count and no weight of evidence: of each column its information value, how many
bins it comes to, and its drift. The noise holds whatever bins the other side took: a row is in one
bin of each column (`federated.sharing`), so a positive that were a negative would move one number
of each column by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federated.aggregate.noise import Noise, discrete_laplace
from federated.binning.messages import LABEL_LANES, AwaitingWorths, LabelShares, Worths
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn

__all__ = ["LabelParty", "label_lanes", "noise_scale"]

Lanes = NDArray[np.uint64]
_LARGEST = 1_000_000


def label_lanes(label: NDArray[np.int8]) -> Lanes:
    """What private sums add up, of a `label` of 1, 0 and -1 for none: `uint64[rows, 2]`."""
    return np.column_stack([label == 1, label >= 0]).astype(np.uint64)


def noise_scale(columns: int, epsilon: int) -> int:
    """Of the noise on each number, for `epsilon` thousandths over so many `columns`; 0 for none.

    A record that changes class moves one number of each column by one: the counts of rows with a
    label stay. One that gets a label moves two, so twice epsilon hides whether it has one.
    """
    return -(-columns * 1000 // epsilon) if epsilon else 0


class LabelParty(Role[Worths]):
    """Sends its shares with noise, and hears what each column is worth.

    Args:
        context: of the session.
        partner: who owns the bins.
        shares: of each of its columns `uint64[2^depth, 2]`.
        scale: of the noise, 0 for none.
        noise: draws it.
    """

    transitions = {(AwaitingWorths, Worths): "on_worths"}  # noqa: RUF012

    def __init__(
        self,
        context: Context,
        partner: str,
        shares: Sequence[Lanes],
        scale: int,
        noise: Noise = discrete_laplace,
    ) -> None:
        super().__init__(context)
        if any(share.ndim != 2 or share.shape[1] != LABEL_LANES for share in shares):
            raise MisuseError("shares of other numbers than a label has")
        self._partner, self._shares, self._scale, self._noise = partner, shares, scale, noise

    def begin(self) -> Turn[Worths]:
        flat = np.concatenate([share.reshape(-1) for share in self._shares])
        if self._scale:
            drawn = np.array(self._noise([self._scale] * len(flat)), np.int64)
            flat = flat + drawn.view(np.uint64)
        return Turn(AwaitingWorths(), [(self._partner, LabelShares(flat))], progress=0.5)

    def on_worths(self, state: AwaitingWorths, sent: Worths, peer: str) -> Turn[Worths]:
        """Take them as they are told: nothing here could check them."""
        del state, peer
        fields = (sent.value, sent.step, sent.bins, sent.drift)
        if {len(field) for field in fields} != {len(self._shares)}:
            raise PeerError("values of another number of columns than the contract has")
        if sent.value.max(initial=0) > _LARGEST or sent.step.min(initial=1) < 1:
            raise PeerError("an information value that none can have")
        return Turn(Done(), result=sent, progress=1.0)
