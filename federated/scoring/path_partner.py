"""A partner's side of a scoring by trees that tell sides: see `federated.scoring.paths`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.scoring.messages import Asking, Linking, Offering, Waiting
from federated.sharing.base_transfers import base_choice, transcript_of, value_keys
from federated.sharing.chunks import name_of
from federated.sharing.kept import batch_nonce
from federated.sharing.messages import Points, Seeds
from federated.sharing.seeds import GROUPS
from federated.sharing.transfers import CHECKED, Transfers
from federated.sharing.trees import CHUNK
from federated.trees import row_bits
from federated.trees.messages import Choices, RowBits
from federated.trees.saved import FeatureModel
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn

__all__ = ["PathPartner", "chunks_of", "name_of_transfers", "range_of"]

Sides = NDArray[np.bool_]


class PathPartner(Role[int]):
    """Offers the sides of its splits, one a row and level; its result is how many levels it told.

    Args:
        context: of the session.
        receiver: its name.
        model: the kept part.
        sides: `bool[splits, rows]`, whether each row goes right.
        most: levels that may tell a bit of a row, by the contract.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Waiting, Asking): "on_asking",
        (Linking, Seeds): "on_seeds",
        (Offering, Choices): "on_choices",
    }

    def __init__(
        self, context: Context, receiver: str, model: FeatureModel, sides: Sides, most: int
    ) -> None:
        super().__init__(context)
        if len(sides) != len(model.splits):
            raise MisuseError(f"sides of {len(sides)} splits, {len(model.splits)} there are")
        self._peer, self._model, self._sides, self._most = receiver, model, sides, most

    def begin(self) -> Turn[int]:
        return Turn(Waiting(transcript_of(self.context)))

    def on_asking(self, state: Waiting, sent: Asking, peer: str) -> Turn[int]:
        """Look whether it is about these trees and rows; choose in the base transfers."""
        transcript = state.transcript.hear(self.incoming)
        if sent.training != self._model.training:
            raise PeerError("trees of another training")
        if sent.rows != self._sides.shape[1]:
            raise PeerError(f"{sent.rows} rows at the receiver, {self._sides.shape[1]} here")
        if len(sent.levels) > self._most or sum(sent.levels) != len(self._sides):
            raise PeerError(
                f"{len(sent.levels)} levels with {sum(sent.levels)} splits asked, "
                f"{self._most} with {len(self._sides)} by the contract"
            )
        points, choice = base_choice(
            transcript, sent.point, name_of_transfers(self.context, sent.rows)
        )
        linking = Linking(transcript=transcript, **choice, levels=sent.levels)
        return Turn(linking, [(peer, Points(points, 1))], progress=0.0)

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[int]:
        """All seeds but one a group."""
        del peer
        name = name_of_transfers(self.context, self._sides.shape[1])
        offering = Offering(
            transcript=state.transcript.hear(self.incoming),
            peer=value_keys(state, sent, name),
            levels=state.levels,
            answered=(0,) * len(state.levels),
        )
        if not state.levels:
            return Turn(Done(), result=0, progress=1.0)
        return Turn(offering)

    def on_choices(self, state: Offering, sent: Choices, peer: str) -> Turn[int]:
        """The sides of a chunk's rows on one level, one of them a row; no chunk twice."""
        state = replace(state, transcript=state.transcript.hear(self.incoming))
        chunks = chunks_of(self._sides.shape[1])
        if sent.level >= len(state.levels) or sent.chunk != state.answered[sent.level]:
            raise PeerError("choices of a level or a chunk that is not due")
        if sent.chunk >= chunks or len(sent.rows) % GROUPS or len(sent.sums) != CHECKED:
            raise PeerError("transfers of another shape")
        first, count = sum(state.levels[: sent.level]), state.levels[sent.level]
        low, high = range_of(sent.chunk, self._sides.shape[1])
        table, width = np.zeros(high - low, np.uint64), row_bits.packed_width(count)
        for entry in range(count):
            right = self._sides[first + entry, low:high]
            table |= right.astype(np.uint64) << np.uint64(entry + 1)
        nonce = batch_nonce(state.transcript, f"sides {sent.level} {sent.chunk}", table)
        transfers = Transfers(sent.rows.reshape(GROUPS, -1), sent.sums, sent.digest)
        asked = row_bits.Asked(sent.nonce, transfers, sent.turns)
        words = row_bits.offered(state.peer, asked, width, nonce, table)
        answered = list(state.answered)
        answered[sent.level] += 1
        state = replace(state, answered=tuple(answered))
        told = [(peer, RowBits(sent.level, sent.chunk, nonce, words))]
        if min(answered) < chunks:
            return Turn(state, told, progress=sum(answered) / (chunks * len(answered)))
        return Turn(Done(), told, len(answered), 1.0)


def name_of_transfers(context: Context, rows: int) -> bytes:
    """Of a scoring's base transfers."""
    return name_of(context.session, f"{context.step}/transfers", rows, ())


def chunks_of(rows: int) -> int:
    """How many chunks so many rows are."""
    return -(-rows // CHUNK)


def range_of(chunk: int, rows: int) -> tuple[int, int]:
    """The rows of a chunk."""
    return chunk * CHUNK, min((chunk + 1) * CHUNK, rows)
