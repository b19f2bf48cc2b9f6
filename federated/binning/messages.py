"""What both sides say when counts of a label are opened: docs/protocols/private_binning.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from psi.protocol import Array, message

__all__ = [
    "LABEL_LANES",
    "MOST_BINNED",
    "MOST_BINS",
    "NO_DRIFT",
    "AwaitingShares",
    "AwaitingWorths",
    "LabelShares",
    "Worths",
]

LABEL_LANES = 2
"""Numbers a row: whether it is positive, and whether it has a label."""
MOST_BINS = 64
MOST_BINNED = 256
"""Bins of a column, and columns of a section."""
NO_DRIFT = 0xFFFF
_COLUMNS = MOST_BINNED


@message(0x7B)
@dataclass(frozen=True)
class LabelShares:
    """The label party's shares of positives and of rows with a label, bin by bin, with its noise.

    Of one column after the other, each `[2^depth, 2]`, flat.
    """

    shares: Annotated[NDArray[np.uint64], Array("uint64", most=_COLUMNS * MOST_BINS * LABEL_LANES)]


@message(0x7C)
@dataclass(frozen=True)
class Worths:
    """What each column is worth: information value in thousandths, rounded to `step` of them.

    `bins` are those that it comes to. `drift` is the population stability index against the last
    job, in hundredths, `NO_DRIFT` where there was none.
    """

    value: Annotated[NDArray[np.uint32], Array("uint32", most=_COLUMNS)]
    step: Annotated[NDArray[np.uint16], Array("uint16", most=_COLUMNS)]
    bins: Annotated[NDArray[np.uint16], Array("uint16", most=_COLUMNS)]
    drift: Annotated[NDArray[np.uint16], Array("uint16", most=_COLUMNS)]


@message(0x7D)
@dataclass(frozen=True)
class AwaitingShares:
    """The columns' owner waits for the label party's shares."""


@message(0x7E)
@dataclass(frozen=True)
class AwaitingWorths:
    """The label party waits to be told what columns are worth."""
