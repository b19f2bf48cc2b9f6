"""The label party of a scoring by hidden trees: learns so many bits of each row's score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.groups import inside_of, offered_values
from federated.hidden_trees.messages import (
    LeafValues,
    RowChoices,
    ScoreCircuit,
    ScoresTold,
    ScoringBegin,
)
from federated.hidden_trees.rounding import circuit, offsets, opened
from federated.hidden_trees.saved import HiddenLabelModel
from federated.hidden_trees.score_rows import Bins, ScoreRole
from federated.hidden_trees.sides import given_groups
from federated.hidden_trees.states import Scoring
from federated.sharing.base_transfers import base_choice, transcript_of, value_keys
from federated.sharing.kept import ValueKeys, batch_nonce
from federated.sharing.messages import Points, Seeds
from federated.trees.splitting.transfers import Gives
from psi.protocol import Context, Done, PeerError, Turn

__all__ = ["HiddenScoreReceiver"]

Shares = NDArray[np.uint32]
Whole = NDArray[np.int64]


class HiddenScoreReceiver(ScoreRole[Whole]):
    """Learns of each row the middle of the step that its score lies in: `int64[rows]`.

    In units of 2^-16, less the score of no tree.

    Args:
        context: of the session.
        partner: whose splits the trees have.
        model: the kept part.
        bins: of each own column `uint16[rows]`, by the model's binning.
        score_bits: of a row's score that are told, by the contract.

    Raises:
        MisuseError: arguments that do not fit together.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Scoring, ScoringBegin): "on_begin",
        (Scoring, Seeds): "on_seeds",
        (Scoring, RowChoices): "on_choices",
        (Scoring, ScoresTold): "on_scores",
    }

    def __init__(
        self,
        context: Context,
        partner: str,
        model: HiddenLabelModel,
        bins: Sequence[Bins],
        score_bits: int,
    ) -> None:
        self._model, self._groups = model, model.groups
        groups = int((self._groups.max(axis=1) + 1).sum())
        super().__init__(context, partner, model.binning, bins, groups, score_bits, model.trees)

    def begin(self) -> Turn[Whole]:
        """Wait for base transfers."""
        return Turn(Scoring(transcript=transcript_of(self.context)), progress=0.0)

    def on_begin(self, state: Scoring, sent: ScoringBegin, peer: str) -> Turn[Whole]:
        """Look whether it is about these trees and rows; choose in the base transfers."""
        state = self._heard(state, peer)
        if state.said:
            raise PeerError("a scoring that has begun")
        if sent.training != self._model.training:
            raise PeerError("trees of another training")
        if sent.rows != self._rows.rows:
            raise PeerError(f"{sent.rows} rows at the partner, {self._rows.rows} here")
        points, choice = base_choice(state.transcript, sent.point, self._name, odd=True)
        return Turn(replace(state, **choice), [(peer, Points(points, 1))])

    def on_seeds(self, state: Scoring, sent: Seeds, peer: str) -> Turn[Whole]:
        """All seeds but one a group."""
        state = self._heard(state, peer)
        if not state.said or state.peer is not None:
            raise PeerError("seeds that are not due")
        return Turn(replace(state, peer=value_keys(state, sent, self._name)))

    def on_choices(self, state: Scoring, sent: RowChoices, peer: str) -> Turn[Whole]:
        """A chunk's values by leaves, or once these are told its circuit."""
        state = self._heard(state, peer)
        if state.peer is None:
            raise PeerError("choices that are not due")
        if sent.number == state.valued < self._rows.chunks:
            return self._values(state, state.peer, sent)
        if sent.number == state.garbled < state.valued:
            return self._circuit(state, state.peer, sent)
        raise PeerError("choices of a chunk that is not due")

    def _values(self, state: Scoring, keys: ValueKeys, sent: RowChoices) -> Turn[Whole]:
        chunk = sent.number
        offered, alone = self._offered(chunk)
        gives = Gives.of(keys, sent.transfers, max(1, offered.size))
        nonce = batch_nonce(state.transcript, f"leaves {chunk}", offered)
        pads = gives.pads(0, offered.size, nonce, "leaves")
        told, share = given_groups(offered, pads)
        begins = offsets(self._model.training, self._chunk(chunk), self._bits)
        self.context.store.put("share", chunk, share + alone + begins)
        state = replace(state, valued=chunk + 1)
        return Turn(state, [(self._peer, LeafValues(chunk, nonce, told.reshape(-1)))])

    def _circuit(self, state: Scoring, keys: ValueKeys, sent: RowChoices) -> Turn[Whole]:
        chunk = sent.number
        share = self.context.store.get("share", chunk)
        gives = Gives.of(keys, sent.transfers, self._ring * len(share))
        nonce = batch_nonce(state.transcript, f"circuit {chunk}", share)
        gates, none = circuit(gives, share, self._bits, nonce)
        self.context.store.put("none", chunk, none)
        state = replace(state, garbled=chunk + 1)
        return Turn(state, [(self._peer, ScoreCircuit(chunk, nonce, gates))])

    def on_scores(self, state: Scoring, sent: ScoresTold, peer: str) -> Turn[Whole]:
        """A chunk's scores, in the middle of steps."""
        state, store = self._heard(state, peer), self.context.store
        if sent.chunk != state.told or sent.chunk >= state.garbled:
            raise PeerError("scores of a chunk that is not due")
        begins = offsets(self._model.training, self._chunk(sent.chunk), self._bits)
        told = opened(store.get("none", sent.chunk), sent.colours, begins)
        store.put("told", sent.chunk, told)
        state, chunks = replace(state, told=sent.chunk + 1), self._rows.chunks
        if state.told < chunks:
            return Turn(state, progress=state.told / chunks)
        scores = np.concatenate([store.get("told", chunk) for chunk in range(chunks)])
        return Turn(Done(), result=scores, progress=1.0)

    def _offered(self, chunk: int) -> tuple[Shares, Shares]:
        """Of each group what a row gets if it is within: `uint32[groups, n]`; and at once."""
        bins = self._chunk(chunk)
        alone = np.zeros(len(bins[0]), np.uint32)
        found = [np.zeros((0, len(bins[0])), np.uint32)]
        each = zip(self._model.splits, self._model.values, self._groups, strict=True)
        for splits, values, groups in each:
            offered, own = offered_values(values, inside_of(bins, self._layout, splits), groups)
            found.append(offered)
            alone += own
        return np.concatenate(found), alone
