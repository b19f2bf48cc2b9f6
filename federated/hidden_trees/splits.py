"""The best split of each node over both parties' columns, found on shares.

All but the end is as in `federated.trees.splitting`: candidates are the feature party's, then the
label party's, and what is known of a node are its sums under noise. The circuit tells who has won;
the feature party its number where it has, the label party its own where it has. The feature party
hands back labels that say this, and whether a label is one of its wire it sees by digests, in the
order of colours: what the label says it does not see.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.messages import HiddenCircuit
from federated.sharing.keys import NONCE
from federated.sharing.transcript import Transcript
from federated.trees.splitting import FeatureSplits, LabelSplits, Level, SplitCircuit, SplitPicks
from federated.trees.splitting.circuit import best_of_two, products_of_two
from federated.trees.splitting.garbling import Evaluator, Garbler, coloured, digests
from federated.trees.splitting.label_side import labels_of
from federated.trees.splitting.layout import (
    bits_of,
    check_level,
    check_nonce,
    public_labels,
    text_of,
)
from federated.trees.splitting.level import SCORE_BITS
from federated.trees.splitting.transfers import Gives, packed, unpacked
from psi.protocol import PeerError

__all__ = ["HiddenFeatureSplits", "HiddenLabelSplits", "number_bits"]

Words = NDArray[np.uint64]
Whole = NDArray[np.int64]


def number_bits(candidates: int) -> int:
    """Bits of a winner's number among so many."""
    return (candidates - 1).bit_length()


def _numbers(bits: NDArray[np.uint8]) -> Whole:
    """Of bits `[k, nodes]`, least first."""
    weights = 1 << np.arange(len(bits), dtype=np.int64)
    return np.asarray((bits * weights[:, None]).sum(axis=0, dtype=np.int64))


class HiddenLabelSplits(LabelSplits):
    """The label party's side."""

    def garble_both(
        self, transcript: Transcript, level: Level, sent: SplitPicks, first: int
    ) -> HiddenCircuit:
        """Garble the circuit; `first` candidates are the feature party's."""
        check_level(level, sent.level)
        shape, scores = (level.nodes, level.candidates), self._of(level, "scores")
        gives = Gives.of(self._gives, sent.transfers, (SCORE_BITS + 1) * level.size)
        delta = gives.delta
        nonce = transcript.draw(f"circuit {text_of(level, scores)}", NONCE)
        theirs = gives.rows.reshape(SCORE_BITS + 1, *shape, 2)
        mine = labels_of(nonce, delta, bits_of(scores, SCORE_BITS), 0).reshape(-1, *shape, 2)
        garbler = Garbler(delta, nonce)
        won, number, own = best_of_two(
            garbler, theirs[:SCORE_BITS], mine, theirs[SCORE_BITS], first
        )
        told = np.concatenate([won, own.reshape(-1, 2)])
        self._keep(level, "won", told)
        ends = np.stack([digests(told, nonce), digests(told ^ delta, nonce)], axis=1)
        turned = coloured(told[level.nodes :]) != 0
        ends[level.nodes :][turned] = ends[level.nodes :][turned][:, ::-1]
        ends = ends.reshape(-1, 64)
        circuit = SplitCircuit(
            level.number, nonce, garbler.gates, ends[: level.nodes], packed(coloured(number))
        )
        return HiddenCircuit(circuit, ends[level.nodes :])

    def winners(self, level: Level, labels: Words, first: int) -> tuple[NDArray[np.bool_], Whole]:
        """Which nodes the feature party has won, and of the others the own candidate, else -1.

        Raises `PeerError` unless each label is one of its wire's two, and numbers are there.
        """
        none, delta = self._of(level, "won"), self._delta
        if labels.shape != none.shape:
            raise PeerError(f"{len(labels)} labels found, {len(none)} expected")
        off = labels ^ none
        zero, one = (off == 0).all(axis=1), (off == delta).all(axis=1)
        if not (zero | one).all():
            raise PeerError("a label that its wire does not have")
        won = one[: level.nodes]
        number = _numbers(one[level.nodes :].reshape(-1, level.nodes).astype(np.uint8))
        if (number >= level.candidates - first).any():
            raise PeerError("a number that no candidate has")
        return won, np.where(won, -1, number)


class HiddenFeatureSplits(FeatureSplits):
    """The feature party's side."""

    def decide_both(self, level: Level, sent: HiddenCircuit, first: int) -> tuple[Words, Whole]:
        """Evaluate the circuit: labels to hand back, and of each node the candidate won, or -1.

        Raises `PeerError` for a message of another level or shape, or gates that lead to no label
        of their wires: before anything is told.
        """
        circuit, shape = sent.circuit, (level.nodes, level.candidates)
        check_level(level, circuit.level)
        check_nonce(circuit.nonce)
        others = level.candidates - first
        products = products_of_two(level.nodes, first, others)
        wires = level.nodes * number_bits(others)
        if len(circuit.gates) != 2 * products or len(circuit.ends) != level.nodes:
            raise PeerError("a circuit of another shape")
        if len(sent.ends) != wires:
            raise PeerError("a circuit of another shape")
        told = unpacked(circuit.colours, number_bits(first) * level.nodes)
        labels = self._of(level, "labels").reshape(SCORE_BITS + 1, *shape, 2)
        theirs = public_labels(circuit.nonce, SCORE_BITS * level.size, 0)
        engine = Evaluator(circuit.gates, circuit.nonce)
        won, number, other = best_of_two(
            engine,
            labels[:SCORE_BITS],
            theirs.reshape(SCORE_BITS, *shape, 2),
            labels[SCORE_BITS],
            first,
        )
        engine.end()
        handed = np.concatenate([won, other.reshape(-1, 2)])
        ends = np.concatenate([circuit.ends, sent.ends]).reshape(-1, 2, 32)
        fits = (ends == digests(handed, circuit.nonce)[:, None]).all(axis=2)
        coloured_of = coloured(handed[level.nodes :])
        right = fits[np.arange(level.nodes, len(handed)), coloured_of]
        mine = fits[: level.nodes, 1]
        if not (mine ^ fits[: level.nodes, 0]).all() or not right.all():
            raise PeerError("gates that lead to no label of their wire")
        read = coloured(number) ^ told.reshape(-1, level.nodes)
        candidate = _numbers(read)
        if (candidate >= first).any():
            raise PeerError("a number that no candidate has")
        return handed, np.where(mine, candidate, -1)
