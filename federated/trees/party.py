"""What both roles of a training do alike: base transfers in both directions, numbers, shares.

The feature party is the bin holder of trees of seeds over its columns, and chooses in the transfers
behind them; the label party chooses in the transfers of the other direction.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.sharing.chunks import coin_of, name_of
from federated.sharing.kept import IndexKeys, ValueKeys
from federated.sharing.messages import Points, Seeds
from federated.sharing.seeds import BASE, choosing_seeds, delta_seeds
from federated.sharing.transcript import Transcript
from federated.sharing.trees import CHUNK, padded
from federated.trees.layout import Layout
from federated.trees.plan import TreesPlan
from federated.trees.splitting import Level
from federated.trees.states import WAITS, Linking
from psi.protocol import Context, MisuseError, PeerError, Role, Turn, encode
from psi.vole_malicious import base_ot

__all__ = ["Party", "drawn_rows"]

R = TypeVar("R")
Shares = NDArray[np.uint32]

WINDOW = 8
"""Whole chunks of trees of seeds under way at a time."""


class Party(Role[R]):
    """One side."""

    def __init__(self, context: Context, peer: str, rows: int, plan: TreesPlan) -> None:
        super().__init__(context)
        if not 1 <= rows <= plan.rows:
            raise MisuseError(f"{rows} rows found, 1 to {plan.rows} planned")
        self._peer, self._plan, self._rows = peer, plan, rows

    def _heard(self, state: Any, sent: Any, peer: str) -> Any:
        if peer != self._peer:
            raise PeerError("a message that only the other party of the training may send")
        return replace(state, transcript=state.transcript.hear(encode(sent)))

    def _due(self, state: Any, waits: str) -> None:
        if WAITS[state.waits] != waits:
            raise PeerError(f"a message about {waits} that is not due")

    # base transfers

    def _linking(self, layout: Layout | None) -> Linking:
        about = self.context.session + self.context.step.encode()
        transcript = Transcript.begin(self.context.random, about)
        secret, point = base_ot.offer(transcript.random("offer"))
        return Linking(
            transcript=transcript,
            secret=secret,
            point=point,
            layout=layout,
            bits=np.zeros(0, np.uint8),
            keys=np.zeros((0, 16), np.uint8),
        )

    def _chosen(self, state: Linking, point: bytes) -> tuple[Linking, Points]:
        """Choose in the other side's base transfers by the bits of a secret Δ.

        Its lowest bit is one: the colour of labels in the circuit that finds splits.
        """
        drawn = np.frombuffer(state.transcript.draw("delta", BASE // 8), np.uint8)
        bits = np.unpackbits(drawn, bitorder="little")
        bits[0] = 1
        name, random = self._name(self._peer), state.transcript.random("points")
        points, keys = base_ot.choose(point, (1 - bits).astype(np.uint8), name, random)
        said = point + points.tobytes()
        return replace(state, bits=bits, keys=keys, said=said), Points(points, 1)

    def on_points(self, state: Linking, sent: Points, peer: str) -> Turn[R]:
        """The keys of the base transfers, and trees of seeds."""
        state = self._heard(state, sent, peer)
        if not state.said or state.own is not None or len(sent.points) != 2 * BASE:
            raise PeerError("points of base transfers that are not due")
        name = self._name(self.context.party)
        both = base_ot.give(state.secret, state.point, sent.points, name)
        seeds, told = choosing_seeds(both, state.transcript.random("seeds"), name)
        coin = coin_of(name, state.point, sent.points.tobytes(), told)
        state = replace(state, own=IndexKeys(seeds.tobytes(), coin))
        return Turn(state, [(peer, Seeds(told))])

    def _linked(self, state: Linking, sent: Seeds) -> tuple[IndexKeys, ValueKeys]:
        """The keys of both directions."""
        if state.own is None or state.layout is None:
            raise PeerError("seeds that are not due")
        name = self._name(self._peer)
        seeds = delta_seeds(state.keys, state.bits, sent.sent, name)
        coin = coin_of(name, state.said[:32], state.said[32:], sent.sent)
        return state.own, ValueKeys(seeds.tobytes(), state.bits, coin)

    def _name(self, chooser: str) -> bytes:
        return name_of(
            self.context.session, f"{self.context.step}/transfers of {chooser}", self._rows, ()
        )

    def _training(self, state: Any) -> bytes:
        """32 bytes that name this training at both parties."""
        coins = b"".join(sorted((state.keys.coin, state.peer.coin)))
        return hashlib.blake2s(self._plan.digest() + coins, person=b"treename").digest()

    # rows and trees of seeds

    @property
    def _chunks(self) -> int:
        return -(-self._rows // CHUNK)

    def _range(self, chunk: int) -> tuple[int, int]:
        return chunk * CHUNK, min((chunk + 1) * CHUNK, self._rows)

    def _filled(self, chunk: int) -> int:
        low, high = self._range(chunk)
        return padded(high - low)

    # levels

    def _depth(self, level: int) -> int:
        return level % self._plan.depth

    def _level(self, layout: Layout, level: int) -> Level:
        depth = self._depth(level)
        return Level(
            number=level,
            depth=depth,
            nodes=1 << depth,
            candidates=layout.candidates,
            rows=self._rows,
        )

    def _shares(self, level: int, first: Shares) -> Shares:
        """This side's share of all nodes' cells, `uint32[cells, nodes, 2]`, kept for the next one.

        first: of the first node of each pair, `[cells, pairs, 2]`; of the root on a tree's first
        level. The other one's is what its parent has more.
        """
        depth, store = self._depth(level), self.context.store
        found = first
        if depth:
            parents = store.get("shares", depth - 1).reshape(first.shape)
            found = np.stack([first, parents - first], axis=2).reshape(len(first), -1, 2)
        store.put("shares", depth, found.reshape(-1))
        return np.asarray(found)

    @staticmethod
    def _candidates(layout: Layout, cells: Shares) -> tuple[Shares, Shares]:
        """Shares of G_L and H_L, `uint32[nodes, candidates]` each."""
        ends = np.cumsum([1 << depth for depth in layout.depths])[:-1]
        flat = cells.reshape(len(cells), -1)
        sums = layout.sums(np.split(flat, ends)).reshape(layout.candidates, -1, 2)
        return np.ascontiguousarray(sums[..., 0].T), np.ascontiguousarray(sums[..., 1].T)


def drawn_rows(secret: bytes, tree: int, rows: int, share: float) -> NDArray[np.bool_]:
    """The rows that a tree grows on: `bool[rows]`, by a secret of the label party's.

    A partner that knew which trees have a row could take what they tell from what the others tell:
    the noise that stays would be gone, and the row's label not.
    """
    if share >= 1.0:
        return np.ones(rows, np.bool_)
    text = hashlib.sha256(b"rows of trees" + tree.to_bytes(4, "little") + secret)
    drawn = np.frombuffer(hashlib.shake_128(text.digest()).digest(4 * rows), "<u4")
    return np.asarray(drawn < share * 2.0**32)
