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
from federated.hidden_trees.plan import MOST_SCORE_BITS
from federated.hidden_trees.rounding import coloured_by, share_bits
from federated.hidden_trees.saved import HiddenFeatureModel
from federated.hidden_trees.score_rows import AHEAD, ScoreRows, name_of_transfers
from federated.hidden_trees.sides import taken_leaves
from federated.hidden_trees.states import Scoring
from federated.sharing.chunks import coin_of
from federated.sharing.kept import IndexKeys
from federated.sharing.messages import Points, Seeds
from federated.sharing.seeds import BASE, choosing_seeds
from federated.sharing.transcript import Transcript
from federated.trees.splitting.transfers import Picks
from psi.protocol import Context, Done, MisuseError, PeerError, Role, Turn
from psi.vole_malicious import base_ot

__all__ = ["HiddenScorePartner"]

Bins = NDArray[np.uint16]
Mask = NDArray[np.bool_]


class HiddenScorePartner(Role[int]):
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
        super().__init__(context)
        columns = len(model.binning.columns)
        if not bins or len(bins) != columns or len({len(own) for own in bins}) != 1:
            raise MisuseError(f"{len(bins)} columns of bins for {columns} of a model")
        if not 1 <= score_bits <= MOST_SCORE_BITS or receiver == context.party:
            raise MisuseError(f"score_bits = {score_bits} found, 1 to {MOST_SCORE_BITS}")
        self._peer, self._model, self._bins, self._bits = receiver, model, list(bins), score_bits
        self._firsts = first_leaves(model.groups)
        self._rows = ScoreRows(len(bins[0]), sum(map(len, self._firsts)))

    def begin(self) -> Turn[int]:
        """Offer base transfers."""
        about = self.context.session + self.context.step.encode()
        transcript = Transcript.begin(self.context.random, about)
        secret, point = base_ot.offer(transcript.random("offer"))
        begin = ScoringBegin(self._model.training, self._rows.rows, point)
        state = Scoring(transcript=transcript, secret=secret, point=point)
        return Turn(state, [(self._peer, begin)], progress=0.0)

    def on_points(self, state: Scoring, sent: Points, peer: str) -> Turn[int]:
        """The keys of the base transfers; choose for the first chunks."""
        state = self._heard(state, peer)
        if state.own is not None or len(sent.points) != 2 * BASE:
            raise PeerError("points of base transfers that are not due")
        name = name_of_transfers(self.context, self._rows.rows)
        both = base_ot.give(state.secret, state.point, sent.points, name)
        seeds, told = choosing_seeds(both, state.transcript.random("seeds"), name)
        coin = coin_of(name, state.point, sent.points.tobytes(), told)
        state = replace(state, own=IndexKeys(seeds.tobytes(), coin))
        state, asked = self._ask(state, AHEAD)
        return Turn(state, [(peer, Seeds(told)), *asked])

    def on_leaf_values(self, state: Scoring, sent: LeafValues, peer: str) -> Turn[int]:
        """Own shares of a chunk's scores; choose by their bits, and for one more chunk."""
        state = self._heard(state, peer)
        chunk = sent.number
        if chunk != state.valued or chunk >= state.asked:
            raise PeerError("values of a chunk that is not due")
        inside = self._inside(chunk)
        rows = Picks(np.zeros(0, np.uint8), self.context.store.get("picks", chunk))
        share = taken_leaves(inside, rows.pads(0, inside.size, sent.nonce, "leaves"), sent.products)
        choices = self._chosen(state, "picks-bits", chunk, share_bits(share))
        state, asked = self._ask(replace(state, valued=chunk + 1), 1)
        return Turn(state, [(peer, choices), *asked])

    def on_circuit(self, state: Scoring, sent: ScoreCircuit, peer: str) -> Turn[int]:
        """Tell a chunk's bits; after the last one the scoring is done."""
        state = self._heard(state, peer)
        if sent.chunk != state.told or sent.chunk >= state.valued:
            raise PeerError("a circuit of a chunk that is not due")
        rows = self.context.store.get("picks-bits", sent.chunk)
        colours = coloured_by(rows, sent.gates, self._bits, sent.nonce)
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
        bins = [own[self._rows.at(chunk)] for own in self._bins]
        layout, found = self._model.binning.layout, [np.zeros((0, len(bins[0])), np.bool_)]
        for splits, first in zip(self._model.splits, self._firsts, strict=True):
            found.append(inside_of(bins, layout, splits)[first])
        return np.concatenate(found)

    def _heard(self, state: Scoring, peer: str) -> Scoring:
        if peer != self._peer:
            raise PeerError("a message that only the other party of the scoring may send")
        return replace(state, transcript=state.transcript.hear(self.incoming))
