"""The feature party's side of split finding: answers, looks up, evaluates, learns what it won."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.keys import NONCE
from federated.sharing.transcript import Transcript
from federated.trees.splitting.circuit import MAGNITUDE_BITS, best, products_of
from federated.trees.splitting.garbling import Evaluator, coloured, digests
from federated.trees.splitting.layout import (
    Asked,
    bits_of,
    check_level,
    check_nonce,
    check_shares,
    low_halves,
    part_of,
    picked,
    public_labels,
    text_of,
)
from federated.trees.splitting.level import INDEX_BITS, RECIPROCAL_BITS, SCORE_BITS, Level
from federated.trees.splitting.lookups import ENTRIES, looked_up
from federated.trees.splitting.messages import (
    SplitAnswer,
    SplitAsk,
    SplitCircuit,
    SplitPicks,
    SplitTables,
    SplitWon,
)
from federated.trees.splitting.products import given, stretched, weighed
from federated.trees.splitting.scores import SCALE_BITS
from federated.trees.splitting.transfers import Gives, Picks, unpacked
from federated.trees.splitting.widths import narrow
from psi.protocol import PeerError
from psi.protocol.store import Store

__all__ = ["FeatureSplits"]

U8, U16, U32, U64 = np.uint8, np.uint16, np.uint32, np.uint64
Shares = NDArray[np.uint32]


class FeatureSplits:
    """Of one run; made anew for any message of it.

    Args:
        store: keeps what a step needs of the one before, under names that begin with "splits-".
        chooses: keys of the direction in which this party chooses; bit 0 of the other's Δ is 1.
        gives: keys of the other direction, with its own Δ.
    """

    def __init__(self, store: Store, chooses: IndexKeys, gives: ValueKeys) -> None:
        self._store, self._chooses, self._gives = store, chooses, gives

    def answer(
        self,
        transcript: Transcript,
        level: Level,
        gradients: Shares,
        hessians: Shares,
        sent: SplitAsk,
    ) -> SplitAnswer:
        """Answer what the label party chose; choose by this party's share of each place u.

        Args:
            transcript: of all that was heard, `sent` too.
            level: the shape.
            gradients, hessians: this party's shares of G_L and H_L, `uint32[nodes, candidates]`.
            sent: the label party's message.

        Raises:
            PeerError: a message of another level or shape, or transfers whose check fails.
        """
        check_shares(level, gradients, hessians)
        check_level(level, sent.level)
        ends, nodes, n, size = Asked.of(level), level.nodes, level.candidates, level.size
        gives = Gives.of(self._gives, sent.transfers, ends.scales)
        text = text_of(level, gradients, hessians)
        nonce = transcript.draw(f"answer {text}", NONCE)
        # whether both shares of H are below 2^31, so that none of 2^32 is to be taken off
        pads = gives.pads(ends.places, ends.lifts, nonce, "lifts")[..., 0]
        lifts = given(
            pads[:, 0],
            pads[:, 1],
            low_halves(level, hessians, gradients).reshape(-1).astype(U64),
        )
        over = pads[:, 0].reshape(-1, nodes, n) << U64(32)
        lifted = hessians.astype(U64) - over[0]
        whole = gradients.astype(U64) - (over[1] if level.lifts > 1 else U64(0))
        # the label party's constants of each node, times H
        pads = stretched(gives.pads(0, ends.slopes, nonce, "slopes"), n, U64)
        rows = np.repeat(lifted, level.slope_bits, axis=0)
        slopes = given(pads[:, 0], pads[:, 1], rows)
        product = 0 - weighed(pads[:, 0].reshape(nodes, level.slope_bits, n), signed=True)
        pads = stretched(gives.pads(ends.slopes, ends.places, nonce, "places"), n, U32)
        places = given(pads[:, 0], pads[:, 1], np.repeat(hessians, RECIPROCAL_BITS, axis=0))
        placed = 0 - weighed(pads[:, 0].reshape(nodes, RECIPROCAL_BITS, n), signed=False)
        fine = (whole << U64(level.mean_bits)) - product
        difference = (fine >> U64(level.dropped)).astype(U32).reshape(-1)
        index = (placed >> U32(32 - INDEX_BITS)).astype(U8).reshape(-1)
        # D times the label party's share of the scale, bit by bit
        pads32 = gives.pads(ends.lifts, ends.scales, nonce, "scales")[..., 0].astype(U32)
        scales = given(pads32[:, 0], pads32[:, 1], np.tile(difference, SCALE_BITS))
        parts = (U32(0) - pads32[:, 0]).reshape(SCALE_BITS, size)
        bits = (index[:, None] >> np.arange(INDEX_BITS, dtype=U8) & 1).astype(U8).reshape(-1)
        picks, extension = Picks.of(self._chooses, transcript, f"indices {text}", bits)
        for name, each in (
            ("rows", picks.rows),
            ("index", index),
            ("difference", difference),
            ("parts", parts.reshape(-1)),
        ):
            self._store.put(f"splits-{name}", part_of(level), each)
        half = SCALE_BITS // 2 * size
        return SplitAnswer(
            level=level.number,
            nonce=nonce,
            slopes=narrow(slopes, level.slope_bytes),
            places=narrow(places, 4),
            lifts=narrow(lifts, level.lift_bytes),
            scales=np.concatenate([narrow(scales[:half], 4), narrow(scales[half:], 3)]),
            transfers=extension,
        )

    def pick(
        self,
        transcript: Transcript,
        level: Level,
        sent: SplitTables,
        kept: NDArray[np.bool_],
        counts: Shares | None = None,
    ) -> SplitPicks:
        """Look the scales up; choose by the bits of this party's shares of the scores.

        Args:
            transcript: of all that was heard, `sent` too.
            level: the shape.
            sent: the label party's message.
            kept: `bool[candidates]`, which ones may win. The label party does not see it. Where
                the level has ways `bool[2, candidates]`: with D of 0 and above, and below.
            counts: where the level counts rows, this party's shares of those on the left,
                `uint32[nodes, candidates]`.

        Raises:
            PeerError: a message of another level or shape.
        """
        check_level(level, sent.level)
        size = level.size
        check_nonce(sent.nonce)
        if len(sent.entries) != ENTRIES * size:
            raise PeerError("tables of another shape")
        if kept.shape != ((2,) if level.ways else ()) + (level.candidates,):
            raise ValueError(f"{kept.shape} kept of {level.candidates} candidates")
        index, difference = self._of(level, "index"), self._of(level, "difference")
        parts = self._of(level, "parts").reshape(SCALE_BITS, size)
        picks = Picks(np.zeros(0, U8), self._of(level, "rows"))
        keys = picks.pads(0, INDEX_BITS * size, sent.nonce, "indices").reshape(size, -1, 2)
        found = looked_up(keys, index, sent.entries.reshape(size, ENTRIES), sent.nonce)
        scale, told = found & U32(0xFFFF), found >> U32(16)
        weights = U32(1) << np.arange(SCALE_BITS, dtype=U32)[:, None]
        own = (parts * weights).sum(axis=0, dtype=U32) + scale * difference
        below = (scale >> U32(15)) ^ U32(1)
        own += (below * (difference - parts[-1]) - difference) << U32(16)
        scores = ((own >> U32(16)) + told).astype(U16)
        first, *other = np.asarray(kept, np.bool_).reshape(-1, level.candidates)
        inputs = np.stack([first, *(first ^ each for each in other)])
        every = np.tile(inputs[:, None], (1, level.nodes, 1)).astype(U8).reshape(-1)
        bits = np.concatenate([bits_of(scores, SCORE_BITS).reshape(-1), every])
        if level.counted and counts is not None:
            check_shares(level, counts)
            bits = np.concatenate([bits, bits_of(counts, level.count_bits).reshape(-1)])
        name = f"scores {level.number}"
        picks, extension = Picks.of(self._chooses, transcript, name, bits)
        self._store.put("splits-labels", part_of(level), picks.rows)
        return SplitPicks(level.number, extension)

    def decide(self, level: Level, sent: SplitCircuit) -> tuple[SplitWon, NDArray[np.int64]]:
        """Evaluate the circuit: the answer, and of each node the candidate that won, or -1.

        Raises `PeerError` for a message of another level or shape, gates that are not the circuit's
        on the way that was gone, or a number that no candidate has: before anything is told.
        """
        check_level(level, sent.level)
        shape = level.nodes, level.candidates
        number_bits = (level.candidates - 1).bit_length()
        check_nonce(sent.nonce)
        products = products_of(*shape, ways=level.ways, count_bits=level.count_bits)
        if len(sent.gates) != 2 * products or len(sent.ends) != level.nodes:
            raise PeerError("a circuit of another shape")
        told = unpacked(sent.colours, number_bits * level.nodes).reshape(-1, level.nodes)
        labels = picked(level, self._of(level, "labels"))
        theirs = public_labels(sent.nonce, SCORE_BITS * level.size, 0)
        bar = public_labels(sent.nonce, (MAGNITUDE_BITS + 1) * level.nodes, 1)
        counted = None
        if level.counted:
            theirs_counts = public_labels(sent.nonce, level.count_bits * level.size, 2)
            most = public_labels(sent.nonce, level.count_bits * level.nodes, 3)
            counted = (
                labels.counts,
                theirs_counts.reshape(-1, *shape, 2),
                most.reshape(-1, level.nodes, 1, 2),
            )
        engine = Evaluator(sent.gates, sent.nonce)
        won, number = best(
            engine,
            labels.scores,
            theirs.reshape(SCORE_BITS, *shape, 2),
            labels.kept,
            bar.reshape(MAGNITUDE_BITS + 1, level.nodes, 1, 2),
            labels.turned,
            counted,
        )
        engine.end()
        ends = sent.ends.reshape(level.nodes, 2, 32) == digests(won, sent.nonce)[:, None]
        lost, mine = ends.all(axis=2).T
        if not (lost ^ mine).all():
            raise PeerError("gates that lead to no label of their wire")
        weights = 1 << np.arange(number_bits, dtype=np.int64)
        read = coloured(number) ^ told
        candidate = (read * weights[:, None]).sum(axis=0, dtype=np.int64)
        if (candidate >= level.candidates).any():
            raise PeerError("a number that no candidate has")
        return SplitWon(level.number, won, np.zeros(0, U8)), np.where(mine, candidate, -1)

    def _of(self, level: Level, name: str) -> NDArray[Any]:
        return self._store.get(f"splits-{name}", part_of(level))
