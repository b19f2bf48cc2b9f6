"""What both roles of a scoring by hidden trees do alike: rows chunk by chunk, and who is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.plan import MOST_SCORE_BITS, ring_bits
from federated.hidden_trees.states import Scoring
from federated.sharing.chunks import name_of
from federated.sharing.trees import CHUNK
from federated.trees.binning import Binning
from psi.protocol import Context, MisuseError, PeerError, Role

__all__ = ["AHEAD", "Bins", "ScoreRole", "ScoreRows"]

R = TypeVar("R")
Bins = NDArray[np.uint16]

_TRANSFERS = 1 << 21
"""Of a chunk, about: 32 MB of rows at either side."""
_FEWEST = 1 << 9
AHEAD = 2
"""Chunks whose choices are under way at a time."""


@dataclass(frozen=True)
class ScoreRows:
    """Rows in chunks; groups: of leaves, of all trees together."""

    rows: int
    groups: int

    @property
    def per(self) -> int:
        """Rows of a chunk."""
        return max(_FEWEST, min(CHUNK, _TRANSFERS // max(1, self.groups)))

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-self.rows // self.per)

    def at(self, chunk: int) -> slice:
        """The rows of one."""
        return slice(chunk * self.per, min((chunk + 1) * self.per, self.rows))


class ScoreRole(Role[R]):
    """One side.

    Args:
        context: of the session.
        peer: the other party.
        binning: of the kept part.
        bins: of each own column `uint16[rows]`, by this binning.
        groups: of leaves, of all trees together.
        score_bits: of a row's score that are told, by the contract.
        trees: how many.

    Raises:
        MisuseError: arguments that do not fit together.
    """

    def __init__(
        self,
        context: Context,
        peer: str,
        binning: Binning,
        bins: Sequence[Bins],
        groups: int,
        score_bits: int,
        trees: int,
    ) -> None:
        super().__init__(context)
        columns = len(binning.columns)
        if not bins or len(bins) != columns or len({len(own) for own in bins}) != 1:
            raise MisuseError(f"{len(bins)} columns of bins for {columns} of a model")
        if not 1 <= score_bits <= MOST_SCORE_BITS or peer == context.party:
            raise MisuseError(f"score_bits = {score_bits} found, 1 to {MOST_SCORE_BITS}")
        self._peer, self._bits, self._ring = peer, score_bits, ring_bits(trees)
        self._layout, self._bins = binning.layout, list(bins)
        self._rows = ScoreRows(len(bins[0]), groups)

    def _heard(self, state: Scoring, peer: str) -> Scoring:
        if peer != self._peer:
            raise PeerError("a message that only the other party of the scoring may send")
        return replace(state, transcript=state.transcript.hear(self.incoming))

    def _chunk(self, chunk: int) -> list[Bins]:
        """Own columns in a chunk of rows."""
        return [own[self._rows.at(chunk)] for own in self._bins]

    @property
    def _name(self) -> bytes:
        """32 bytes that name the transfers of this scoring."""
        step = f"{self.context.step}/transfers"
        return name_of(self.context.session, step, self._rows.rows, ())
