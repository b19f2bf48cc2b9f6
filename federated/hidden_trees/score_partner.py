"""The feature party of a scoring by hidden trees: chooses by its own sides, and learns nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.groups import first_leaves, inside_of
from federated.hidden_trees.messages import (
    LeafValues,
    RowChoices,
    ScoreCircuit,
    ScoresTold,
    ScoringBegin,
)
from federated.hidden_trees.rounding import coloured_by, share_bits
from federated.hidden_trees.saved import HiddenFeatureModel
from federated.hidden_trees.score_rows import AHEAD, Bins, ScoreRole
from federated.hidden_trees.sides import taken_leaves
from federated.hidden_trees.states import Scoring
from federated.sharing.base_transfers import base_offer, index_keys, transcript_of
from federated.sharing.messages import Points
from federated.trees.splitting.transfers import Picks
from psi.protocol import Context, Done, PeerError, Turn

__all__ = ["HiddenScorePartner"]

Mask = NDArray[np.bool_]


class HiddenScorePartner(ScoreRole[int]):
    """Tells so many bits of each row's score; its result is how many rows it told.

    Args:
        context: of the session; its store keeps transfers of a few chunks of rows.
        receiver: its name.
        model: the kept part.
        bins: of each own column `uint16[rows]`, by the model's binning.
        score_bits: of a row's score that are told, by the contract.

    Raises:
        MisuseError: arguments that do not fit together.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Scoring, Points): "on_points",
        (Scoring, LeafValues): "on_leaf_values",
        (Scoring, ScoreCircuit): "on_circuit",
    }

    def __init__(
        self,
        context: Context,
        receiver: str,
        model: HiddenFeatureModel,
        bins: Sequence[Bins],
        score_bits: int,
    ) -> None:
        self._model, self._firsts = model, first_leaves(model.groups)
        groups = sum(map(len, self._firsts))
        super().__init__(context, receiver, model.binning, bins, groups, score_bits, model.trees)

    def begin(self) -> Turn[int]:
        """Offer base transfers."""
        transcript = transcript_of(self.context)
        secret, point = base_offer(transcript)
        begin = ScoringBegin(self._model.training, self._rows.rows, point)
        state = Scoring(transcript=transcript, secret=secret, point=point)
        return Turn(state, [(self._peer, begin)], progress=0.0)

    def on_points(self, state: Scoring, sent: Points, peer: str) -> Turn[int]:
        """The keys of the base transfers; choose for the first chunks."""
        state = self._heard(state, peer)
        if state.own is not None:
            raise PeerError("points of base transfers that are not due")
        own, seeds = index_keys(state, state.transcript, sent.points, self._name)
        state, asked = self._ask(replace(state, own=own), AHEAD)
        return Turn(state, [(peer, seeds), *asked])

    def on_leaf_values(self, state: Scoring, sent: LeafValues, peer: str) -> Turn[int]:
        """Own shares of a chunk's scores; choose by their bits, and for one more chunk."""
        state = self._heard(state, peer)
        chunk = sent.number
        if chunk != state.valued or chunk >= state.asked:
            raise PeerError("values of a chunk that is not due")
        inside = self._inside(chunk)
        rows = Picks(np.zeros(0, np.uint8), self.context.store.get("picks", chunk))
        share = taken_leaves(inside, rows.pads(0, inside.size, sent.nonce, "leaves"), sent.products)
        choices = self._chosen(state, "picks-bits", chunk, share_bits(share, self._ring))
        state, asked = self._ask(replace(state, valued=chunk + 1), 1)
        return Turn(state, [(peer, choices), *asked])

    def on_circuit(self, state: Scoring, sent: ScoreCircuit, peer: str) -> Turn[int]:
        """Tell a chunk's bits; after the last one the scoring is done."""
        state = self._heard(state, peer)
        if sent.chunk != state.told or sent.chunk >= state.valued:
            raise PeerError("a circuit of a chunk that is not due")
        rows = self.context.store.get("picks-bits", sent.chunk)
        colours = coloured_by(rows, sent.gates, self._bits, sent.nonce, self._ring)
        state = replace(state, told=sent.chunk + 1)
        told = [(peer, ScoresTold(sent.chunk, colours))]
        if state.told < self._rows.chunks:
            return Turn(state, told, progress=state.told / self._rows.chunks)
        return Turn(Done(), told, self._rows.rows, 1.0)

    def _ask(self, state: Scoring, more: int) -> tuple[Scoring, list[tuple[str, RowChoices]]]:
        """Choose for so many chunks more, by the leaves that rows may be in."""
        last, asked = min(state.asked + more, self._rows.chunks), []
        for chunk in range(state.asked, last):
            bits = self._inside(chunk).reshape(-1).astype(np.uint8)
            asked.append((self._peer, self._chosen(state, "picks", chunk, bits)))
        return replace(state, asked=last), asked

    def _chosen(self, state: Scoring, kept: str, chunk: int, bits: NDArray[np.uint8]) -> RowChoices:
        assert state.own is not None  # noqa: S101  base transfers are done
        asked = bits if len(bits) else np.zeros(1, np.uint8)  # no transfers are one that is unused
        picks, sent = Picks.of(state.own, state.transcript, f"{kept} {chunk}", asked)
        self.context.store.put(kept, chunk, picks.rows)
        return RowChoices(chunk, sent)

    def _inside(self, chunk: int) -> Mask:
        """Of each group of leaves whether rows may be there: `bool[groups, n]`."""
        bins = self._chunk(chunk)
        found = [np.zeros((0, len(bins[0])), np.bool_)]
        for splits, first in zip(self._model.splits, self._firsts, strict=True):
            found.append(inside_of(bins, self._layout, splits)[first])
        return np.concatenate(found)
