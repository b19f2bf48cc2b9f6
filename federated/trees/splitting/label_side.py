"""The label party's side of split finding: asks, answers with tables, garbles, learns who won."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.keys import NONCE
from federated.sharing.transcript import Transcript
from federated.trees.splitting.circuit import MAGNITUDE_BITS, best
from federated.trees.splitting.garbling import Garbler, coloured, digests
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
from federated.trees.splitting.level import (
    INDEX_BITS,
    RECIPROCAL_BITS,
    SCORE_BITS,
    Level,
)
from federated.trees.splitting.lookups import ENTRIES, tables
from federated.trees.splitting.messages import (
    SplitAnswer,
    SplitAsk,
    SplitCircuit,
    SplitPicks,
    SplitTables,
    SplitWon,
)
from federated.trees.splitting.products import chosen, stretched, weighed
from federated.trees.splitting.scores import SCALE_BITS, Totals, constants, penalty_units
from federated.trees.splitting.transfers import Gives, Picks, packed
from federated.trees.splitting.widths import widen
from psi.protocol import MisuseError, PeerError
from psi.protocol.store import Store

__all__ = ["LabelSplits", "labels_of"]

U16, U32, U64 = np.uint16, np.uint32, np.uint64
Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]
Shares = NDArray[np.uint32]
_PIECE = 1 << 12
_OFFSET = U32(1 << 30)
"""Makes a gradient's sum positive where it is lifted."""


class LabelSplits:
    """Of one run; made anew for any message of it.

    Args:
        store: keeps what a step needs of the one before, under names that begin with "splits-".
        chooses: keys of the direction in which this party chooses.
        gives: keys of the other direction, with its Δ; bit 0 of Δ is 1.
    """

    def __init__(self, store: Store, chooses: IndexKeys, gives: ValueKeys) -> None:
        if not gives.bits[0]:
            raise MisuseError("bit 0 of delta is 0 found, 1 needed for labels")
        self._store, self._chooses, self._gives = store, chooses, gives

    def ask(
        self,
        transcript: Transcript,
        level: Level,
        gradients: Shares,
        hessians: Shares,
        totals: Totals,
        counts: Shares | None = None,
    ) -> SplitAsk:
        """Begin a level.

        Args:
            transcript: of all that was heard.
            level: the shape.
            gradients, hessians: this party's shares of G_L and H_L, `uint32[nodes, candidates]`.
            totals: what it knows of each node.
            counts: where the level counts rows, this party's shares of those on the left less the
                fewest of a side, alike.

        Raises:
            MisuseError: totals out of bounds.
        """
        check_shares(level, gradients, hessians)
        made = constants(level, totals)
        lam = np.array([penalty_units(totals.penalty)], np.int64)
        arrays = gradients, hessians, made.slopes, made.places, made.scales, made.own, lam
        if counts is None or totals.room is None:
            counts, room = np.zeros((0, 0), U32), np.zeros(0, U32)
        else:
            check_shares(level, counts)
            room = totals.room.astype(U32)
        text = text_of(level, *arrays, counts, room)
        drawn = transcript.draw(f"scales {text}", SCALE_BITS // 8 * level.size)
        scales = np.unpackbits(np.frombuffer(drawn, np.uint8))
        wanted = _constant_bits(level, made.slopes, made.places)
        halves = low_halves(level, hessians, gradients + _OFFSET).reshape(-1)
        wanted = np.concatenate([wanted, halves, scales])
        picks, sent = Picks.of(self._chooses, transcript, f"ask {text}", wanted)
        kept: Iterable[tuple[str, NDArray[Any]]] = zip(_KEPT, arrays, strict=True)
        for name, each in kept:
            self._keep(level, name, each)
        self._keep(level, "counts", counts)
        self._keep(level, "room", room)
        self._keep(level, "bits", picks.bits)
        self._keep(level, "rows", picks.rows)
        return SplitAsk(level.number, sent)

    def tables(self, transcript: Transcript, level: Level, sent: SplitAnswer) -> SplitTables:
        """Open the products; answer the other side's indices with tables of scales and products.

        Raises `PeerError` for a message of another shape, or transfers whose check fails.
        """
        check_level(level, sent.level)
        check_nonce(sent.nonce)
        ends, size = Asked.of(level), level.size
        gradients, hessians = self._of(level, "gradients"), self._of(level, "hessians")
        picks = Picks(self._of(level, "bits"), self._of(level, "rows"))
        difference, place = self._opened(level, sent, picks, gradients, hessians)
        scale_bits = picks.bits[ends.lifts :].reshape(SCALE_BITS, size)
        pads = picks.pads(ends.lifts, ends.scales, sent.nonce, "scales")
        parts = chosen(
            scale_bits, pads[:, 0].astype(U32).reshape(SCALE_BITS, size), _scales(sent, size)
        )
        weights = U32(1) << np.arange(SCALE_BITS, dtype=U32)[:, None]
        scale = (scale_bits.astype(U32) * weights).sum(axis=0, dtype=U32)
        own = (parts * weights).sum(axis=0, dtype=U32)
        gives = Gives.of(self._gives, sent.transfers, INDEX_BITS * size)
        text = text_of(level, *(self._of(level, name) for name in _KEPT))
        nonce = transcript.draw(f"tables {text}", NONCE)
        rest = np.frombuffer(transcript.draw(f"rest {text}", 2 * size), "<u2").astype(U16)
        entries = np.empty((size, ENTRIES), U32)
        index_pads = gives.pads(0, INDEX_BITS * size, nonce, "indices")
        keys = index_pads.reshape(size, INDEX_BITS, 2, 2)
        scales = self._of(level, "scales")
        for low in range(0, size, _PIECE):
            at = slice(low, low + _PIECE)
            nodes = np.arange(size)[at] // level.candidates
            one = difference[at], place[at], scale[at], parts[-1, at]
            entries[at] = _entries(scales, nodes, *one, rest[at])
        self._keep(level, "scores", ((own + U32(1 << 15)) >> U32(16)).astype(U16) + rest)
        return SplitTables(level.number, nonce, tables(keys, entries, nonce).reshape(-1))

    def garble(self, transcript: Transcript, level: Level, sent: SplitPicks) -> SplitCircuit:
        """Garble the circuit. Raises `PeerError` for a message of another shape."""
        check_level(level, sent.level)
        shape = level.nodes, level.candidates
        scores, own = self._of(level, "scores"), self._of(level, "own")
        counts, room = self._of(level, "counts"), self._of(level, "room")
        gives = Gives.of(self._gives, sent.transfers, level.pick_bits * level.size)
        delta = gives.delta
        text = text_of(level, scores, own, counts, room)
        nonce = transcript.draw(f"circuit {text}", NONCE)
        theirs = picked(level, gives.rows)
        mine = labels_of(nonce, delta, bits_of(scores, SCORE_BITS), 0).reshape(-1, *shape, 2)
        to_beat = own | U16(1 << MAGNITUDE_BITS)
        bar = labels_of(nonce, delta, bits_of(to_beat, MAGNITUDE_BITS + 1), 1)
        garbler = Garbler(delta, nonce)
        bar = bar.reshape(-1, level.nodes, 1, 2)
        counted = None
        if level.counted:
            own_counts = labels_of(nonce, delta, bits_of(counts, level.count_bits), 2)
            most = labels_of(nonce, delta, bits_of(room, level.count_bits), 3)
            counted = (
                theirs.counts,
                own_counts.reshape(-1, *shape, 2),
                most.reshape(-1, level.nodes, 1, 2),
            )
        won, number = best(garbler, theirs.scores, mine, theirs.kept, bar, theirs.turned, counted)
        self._keep(level, "won", won)
        ends = np.concatenate([digests(won, nonce), digests(won ^ delta, nonce)], axis=1)
        return SplitCircuit(level.number, nonce, garbler.gates, ends, packed(coloured(number)))

    def won(self, level: Level, sent: SplitWon) -> NDArray[np.bool_]:
        """Which nodes the other side won, `bool[nodes]`.

        Raises `PeerError` unless each label is one of its wire's two.
        """
        check_level(level, sent.level)
        none = self._of(level, "won")
        if sent.labels.shape != none.shape:
            raise PeerError(f"{len(sent.labels)} labels found, {len(none)} expected")
        off = sent.labels ^ none
        lost, won = (off == 0).all(axis=1), (off == self._delta).all(axis=1)
        if not (lost | won).all():
            raise PeerError("a label that its wire does not have")
        return np.asarray(won)

    # parts

    def _opened(
        self, level: Level, sent: SplitAnswer, picks: Picks, gradients: Shares, hessians: Shares
    ) -> tuple[Shares, Bits]:
        """Shares of D modulo 2^32, and of u's step modulo 2^7: `[size]` each."""
        ends, nodes, n = Asked.of(level), level.nodes, level.candidates
        slopes, lam = self._of(level, "slopes"), int(self._of(level, "penalty")[0])
        told = picks.bits
        many = nodes * level.slope_bits * n
        width = level.slope_bytes
        pads = stretched(picks.pads(0, ends.slopes, sent.nonce, "slopes"), n, U64)
        answer = widen(sent.slopes, width, many, U64).reshape(-1, n)
        shares = chosen(told[: ends.slopes, None], pads, answer)
        product = weighed(shares.reshape(nodes, level.slope_bits, n), signed=True)
        pads = stretched(picks.pads(ends.slopes, ends.places, sent.nonce, "places"), n, U32)
        answer = widen(sent.places, 4, nodes * RECIPROCAL_BITS * n, U32).reshape(-1, n)
        shares = chosen(told[ends.slopes : ends.places, None], pads, answer)
        placed = weighed(shares.reshape(nodes, RECIPROCAL_BITS, n), signed=False)
        pads = picks.pads(ends.places, ends.lifts, sent.nonce, "lifts")[:, 0]
        answer = widen(sent.lifts, level.lift_bytes, level.lifts * level.size, U64)
        lifts = chosen(told[ends.places : ends.lifts], pads, answer).reshape(-1, nodes, n)
        slope, place = slopes.view(U64)[:, None], self._of(level, "places").astype(U32)[:, None]
        # H = H_A + H_B - 2^32 (1 - a b), a and b saying that the shares are below 2^31
        lifted = hessians.astype(U64) + U64(lam) + ((lifts[0] - U64(1)) << U64(32))
        whole = gradients.astype(U64)
        if level.lifts > 1:
            whole = (gradients + _OFFSET).astype(U64) - U64(_OFFSET)
            whole += (lifts[1] - U64(1)) << U64(32)
        fine = (whole << U64(level.mean_bits)) - slope * lifted - product
        fine >>= U64(level.dropped)
        step = ((hessians + U32(lam)) * place + placed) >> U32(32 - INDEX_BITS)
        return fine.astype(U32).reshape(-1), step.astype(np.uint8).reshape(-1)

    @property
    def _delta(self) -> Words:
        return np.packbits(self._gives.bits, bitorder="little").view("<u8").astype(U64)

    def _keep(self, level: Level, name: str, rows: NDArray[Any]) -> None:
        self._store.put(f"splits-{name}", part_of(level), rows)

    def _of(self, level: Level, name: str) -> NDArray[Any]:
        return self._store.get(f"splits-{name}", part_of(level))


_KEPT = "gradients", "hessians", "slopes", "places", "scales", "own", "penalty"


def _constant_bits(level: Level, slopes: NDArray[np.int64], places: NDArray[np.int64]) -> Bits:
    """Bits of both constants of each node."""
    first = slopes[:, None] >> np.arange(level.slope_bits) & 1
    second = places[:, None] >> np.arange(RECIPROCAL_BITS) & 1
    return np.concatenate([first.reshape(-1), second.reshape(-1)]).astype(np.uint8)


def _scales(sent: SplitAnswer, size: int) -> NDArray[np.uint32]:
    """Of each bit what was sent: four bytes for the lower half, three for the upper."""
    half = SCALE_BITS // 2
    if len(sent.scales) != 7 * half * size:
        raise PeerError("products of another shape")
    lower = widen(sent.scales[: 4 * half * size], 4, half * size, U32)
    upper = widen(sent.scales[4 * half * size :], 3, half * size, U32)
    return np.concatenate([lower, upper]).reshape(SCALE_BITS, size)


def _entries(
    scales: NDArray[np.uint16],
    nodes: NDArray[np.int64],
    difference: Shares,
    place: Bits,
    scale: Shares,
    top: Shares,
    rest: NDArray[np.uint16],
) -> NDArray[np.uint32]:
    """Of some candidates the tables `uint32[n, 128]` by the other's share of u's step.

    Low half: its share of the scale k; high half: the products that this party can form if k's
    share is that, less `rest`. top: its share of its scale's highest bit times the other's D.
    """
    # two shares without their low bits add up to one step too few, every other time
    step = (place[:, None].astype(np.int64) + np.arange(1, ENTRIES + 1)) & (ENTRIES - 1)
    full = scales[nodes[:, None], step].astype(U32)
    share = (full - scale[:, None]) & U32(0xFFFF)
    below = (share >> U32(15)) ^ U32(1)
    product = full * difference[:, None] - (below * top[:, None] << U32(16))
    high = (product >> U32(16)) - rest[:, None]
    return np.asarray(share | high << U32(16))


def labels_of(nonce: bytes, delta: Words, bits: Bits, batch: int) -> Words:
    """Labels for 0 of own inputs: that of the value is public."""
    active = public_labels(nonce, bits.size, batch)
    return active ^ np.where(bits.reshape(-1, 1) != 0, delta, U64(0))
