"""Both agree on how scores are cut.

    partner (its part of scores)                  label party (the other part)
      Spread: how far its points are apart   ──►
                                             ◄──  Stride: how far its own are, and how many

Each learns how wide the other's part lies, the label party that of the rows of the fit, whatever
rows are cut: the partner's step is a power of √2, the label party's a
multiple of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.counted.grid import MOST_WIDE, ScoreGrid, wide_of
from federated.counted.messages import Spread, Stride
from psi.protocol import Context, Done, PeerError, Range, Role, Turn, message

__all__ = ["SpreadHearer", "SpreadTeller"]

Floats = NDArray[np.float64]


@message(0x63)
@dataclass(frozen=True)
class AwaitingSpread:
    """Waiting for the partner's step."""


@message(0x64)
@dataclass(frozen=True)
class AwaitingStride:
    """The step that was told."""

    wide: Annotated[int, Range(-MOST_WIDE, MOST_WIDE)]


class SpreadTeller(Role[ScoreGrid]):
    """The partner.

    Args:
        context: of the session.
        label_party: its name.
        deviation: standard deviation of the own part of the score, of the rows that the model was
            fitted on. Not of rows that the label party has chosen since: of one among others that
            are alike it would tell how far it lies from these.
    """

    transitions = {(AwaitingStride, Stride): "on_stride"}  # noqa: RUF012

    def __init__(self, context: Context, label_party: str, deviation: float) -> None:
        super().__init__(context)
        self._label_party, self._deviation = label_party, deviation

    def begin(self) -> Turn[ScoreGrid]:
        told = Spread(wide_of(self._deviation))
        return Turn(AwaitingStride(told.wide), [(self._label_party, told)], progress=0.5)

    def on_stride(self, state: AwaitingStride, sent: Stride, peer: str) -> Turn[ScoreGrid]:
        """Take it: whatever it is, a row is in one range of one class."""
        if peer != self._label_party:
            raise PeerError("a stride that only the label party may send")
        if not sent.points % 2:
            raise PeerError(f"{sent.points} points found, an odd number expected")
        grid = ScoreGrid(state.wide, sent.stride, sent.points)
        return Turn(Done(), result=grid, progress=1.0)


class SpreadHearer(Role[ScoreGrid]):
    """The label party.

    Args:
        context: of the session.
        scores: `float64[n]`, the own part of all rows' scores.
    """

    transitions = {(AwaitingSpread, Spread): "on_spread"}  # noqa: RUF012

    def __init__(self, context: Context, scores: Floats) -> None:
        super().__init__(context)
        self._scores = scores

    def begin(self) -> Turn[ScoreGrid]:
        return Turn(AwaitingSpread())

    def on_spread(self, state: AwaitingSpread, sent: Spread, peer: str) -> Turn[ScoreGrid]:
        """Fit the own points to it."""
        del state
        grid = ScoreGrid.of(sent.wide, self._scores)
        return Turn(Done(), [(peer, Stride(grid.stride, grid.points))], grid, 1.0)
