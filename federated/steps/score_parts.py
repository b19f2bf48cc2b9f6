"""What two parties have of all rows' scores, so that rows can be counted and asked about by them.

With one partner its part and the receiver's, cut into points. With several the receiver and the
last partner have a share each, and the other partners are done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.counted import (
    Joined,
    PartAdder,
    PartHearer,
    PartTeller,
    RingGrid,
    ScoreGrid,
    SpreadHearer,
    SpreadTeller,
)
from federated.steps.work import Work
from psi.protocol import MisuseError

__all__ = ["Parts", "hear_parts", "tell_parts"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, repr=False)
class Parts:
    """How scores are cut, and what this party has of them.

    grid: that all have agreed on. own: its part of each row's score, `float64[n]`, the receiver's
    centred. joined: of several partners its share, else None. peer: who has the other share.
    """

    grid: ScoreGrid | RingGrid
    own: Floats
    joined: Joined | None
    peer: str

    @property
    def cut(self) -> np.ndarray:
        """What the grid takes."""
        return self.own if self.joined is None else self.joined.share

    def plain(self) -> ScoreGrid:
        """Where there is one partner; raises `MisuseError` else."""
        if isinstance(self.grid, RingGrid):
            raise MisuseError("points of a score of several partners")
        return self.grid

    def shared(self) -> Joined:
        """Where there are several partners; raises `MisuseError` else."""
        if self.joined is None:
            raise MisuseError("shares of a score of one partner")
        return self.joined


def hear_parts(work: Work, step: str, partners: tuple[str, ...], own: Floats) -> Parts:
    """The receiver's.

    Args:
        work: of the job.
        step: its name.
        partners: all.
        own: `float64[n]`, its part of each aligned row's score, centred.
    """
    context, peer = work.session.context(step), partners[-1]
    if len(partners) == 1:
        grid: ScoreGrid = work.run(step, SpreadHearer(context, own), partners)
        return Parts(grid, own, None, peer)
    joined = work.run(step, PartHearer(context, partners, own), partners)
    return Parts(joined.grid, own, joined, peer)


def tell_parts(
    work: Work, step: str, partners: tuple[str, ...], own: Floats, deviation: float
) -> Parts | None:
    """A partner's; None where another one goes on with it.

    Args:
        work: of the job.
        step: its name.
        partners: all.
        own: `float64[n]`, its part of each aligned row's score.
        deviation: its standard deviation, of the rows that the model was fitted on.
    """
    context, receiver, me = work.session.context(step), work.contract.receiver, work.me.name
    if len(partners) == 1:
        grid: ScoreGrid = work.run(step, SpreadTeller(context, receiver, deviation), [receiver])
        return Parts(grid, own, None, receiver)
    given = context, receiver, partners, own, deviation
    if me != partners[-1]:
        work.run(step, PartTeller(*given), [receiver, partners[-1]])
        return None
    joined = work.run(step, PartAdder(*given), [receiver, *partners[:-1]])
    return Parts(joined.grid, own, joined, receiver)
