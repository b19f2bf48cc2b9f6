"""The label party of trees: grows them, and learns the sides of its rows where a partner won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.sharing.transcript import SEED
from federated.trees import row_bits
from federated.trees.booster import (
    Best,
    Growing,
    Whole,
    histograms,
    log_loss,
    own_best,
    own_gain,
    right_of,
    slopes,
)
from federated.trees.forest import OWN, PARTNER, Forest, Tree
from federated.trees.labels import Labels
from federated.trees.layout import MOST_COLUMNS, Layout
from federated.trees.lines import Line
from federated.trees.messages import Begin, Choices, Grown, Lanes, RowBits
from federated.trees.party import Bins, Party, Shares
from federated.trees.plan import CURVATURE_BITS, MOST_PARTNERS, TreesPlan
from federated.trees.results import LabelTrees
from federated.trees.splitting import (
    LabelSplits,
    SplitAnswer,
    SplitPicks,
    SplitWon,
    Totals,
)
from federated.trees.states import Joining, Seeded, Training
from psi.protocol import Context, Done, MisuseError, PeerError, PhaseError, Turn

__all__ = ["LabelParty"]

Mask = NDArray[np.bool_]

_LEVELS, _TREES = 2 * MOST_PARTNERS, 1 + MOST_PARTNERS
"""How many are kept at a time: one turn passes over levels of partners whose bits are spent, and
what the state before it refers to is not written over."""


class LabelParty(Party[LabelTrees]):
    """Holds the labels and columns; learns who has won each node, and its rows' sides there.

    Args:
        context: of the session; its store keeps trees of seeds, 16 bytes a row and column.
        partners: the feature parties, in the contract's order; as many as the plan has.
        bins: of each own column `uint16[n]`; there may be none.
        layout: of these columns.
        label: `int8[n]`, 1 and 0, -1 where there is none: these rows are only scored.
        plan: the contract's terms.
        valid: `bool[n]`, the validation part, if the plan has a `patience`: trees do not grow on
            these rows.
        ways: of each own column 1 where scores may only rise with it, -1 where they may only fall;
            empty: none has a way.
        most: columns of each partner, by the contract.

    Raises:
        InputError: labels that are none.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows of a class.
    """

    finder: ClassVar[type[LabelSplits]] = LabelSplits
    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        **{(Joining, kind): "on_line" for _, kind in Line.transitions},
        (Training, SplitAnswer): "on_split_answer",
        (Training, SplitPicks): "on_split_picks",
        (Training, SplitWon): "on_split_won",
        (Training, RowBits): "on_row_bits",
    }

    def __init__(
        self,
        context: Context,
        partners: Sequence[str],
        bins: Sequence[Bins],
        layout: Layout,
        label: NDArray[np.int8],
        *,
        plan: TreesPlan,
        valid: Mask | None = None,
        ways: Sequence[int] = (),
        most: Mapping[str, int] | None = None,
    ) -> None:
        if len(partners) != plan.partners or len({context.party, *partners}) <= len(partners):
            raise MisuseError(f"partners {', '.join(partners)} found, {plan.partners} planned")
        super().__init__(context, partners[0], len(label), bins, layout, plan)
        stated = most or {}
        self._lines = [
            Line(context, name, len(label), plan, number=at, most=stated.get(name, MOST_COLUMNS))
            for at, name in enumerate(partners)
        ]
        self._labels = Labels(label, plan, valid)
        self._ways = layout.ways(ways)
        self._alone_from = plan.trees

    def begin(self) -> Turn[LabelTrees]:
        """Send the terms."""
        linking, messages = [], []
        for line in self._lines:
            state = line.opened()
            linking.append(state)
            messages.append((line.peer, Begin(self._plan.digest(), self._rows, state.point)))
        return Turn(Joining(tuple(linking), (None,) * len(linking)), messages, progress=0.0)

    def on_line(self, state: Joining, sent: Any, peer: str) -> Turn[LabelTrees]:
        """Transfers and trees of seeds, the link's own business; after all the first level."""
        at = next((at for at, line in enumerate(self._lines) if line.peer == peer), None)
        if at is None:
            raise PeerError("a message that only a party of the training may send")
        line, now = self._lines[at], state.seeded[at] or state.linking[at]
        handler = Line.transitions.get((type(now), type(sent)))
        if handler is None:
            raise PhaseError(f"{type(sent).__qualname__} found, which is not due")
        line.incoming = self.incoming  # it hears what this role has
        turn: Turn[Any] = getattr(line, handler)(now, sent, peer)
        state = state.put(at, turn.state)
        links = [link for link in state.seeded if link is not None]
        made = [
            line.made(link) for line, link in zip(self._lines, state.seeded, strict=True) if link
        ]
        if len(made) < len(self._lines) or not all(made):
            return Turn(state, turn.messages)
        return self._first(tuple(links))

    def _first(self, links: tuple[Seeded, ...]) -> Turn[LabelTrees]:
        """All trees of seeds are turned: no other columns ever meet the noise that stays."""
        transcript, none = links[0].transcript, (0,) * len(links)
        lasting = transcript.draw("lasting noise", SEED)
        state = Training(
            transcript=transcript, links=links, told=none, splits=none, lasting=lasting
        )
        self.context.store.put("margin", 0, np.full(self._rows, self._labels.base(state)))
        return self._begin_level(state, Growing(self._plan, self._rows, self._ways))

    def _heard(self, state: Training, peer: str) -> Training:
        if peer != self._line(state).peer:
            raise PeerError("a message of a level that is not its sender's")
        return replace(state, transcript=state.transcript.hear(self.incoming))

    # one level

    def _begin_level(self, state: Training, growing: Growing) -> Turn[LabelTrees]:
        """Send g and h of the next level's nodes to the partner whose turn it is, and look for
        splits; levels of a partner whose bits are spent have own ones.
        """
        while True:
            if self._depth(state.level) == 0 and state.level:  # a tree is whole
                state = self._grown(state, growing)
                if self._enough(state):
                    return self._finish(state)
                growing = Growing(self._plan, self._rows, self._ways)
            if min(state.told) >= self._plan.row_bits:
                return self._alone(state, growing)
            state, lanes = replace(state, at=self._plan.turn(state.level)), self._lanes(state)
            sums = self._labels.blurred(state, growing.totals(*lanes), "nodes")
            own = self._own_heard(state, growing, lanes, sums)
            self._keep(state.level, growing, own)
            if state.told[state.at] < self._plan.row_bits:
                return self._ask_partner(state, growing, lanes, self._totals(growing, sums, own))
            state = self._split(state, growing, *self._none_won(growing))

    def _ask_partner(
        self, state: Training, growing: Growing, lanes: Sequence[Whole], totals: Totals
    ) -> Turn[LabelTrees]:
        line, level = self._line(state), self._level(state.layout, state.level)
        first, messages = self._given(state, growing, lanes)
        cells = line.shares(state.level, first)
        left = self._labels.candidates(state, *self._candidates(state.layout, cells), state.at)
        counts = self._labels.counts(state, self._rows_left(state.layout, cells), state.at)
        ask = self._finder(state).ask(state.transcript, level, *left, totals, counts)
        sent = [(line.peer, each) for each in (*messages, ask)]
        return Turn(self._now_waits(state, "answer"), sent, progress=self._done(state))

    def _given(
        self, state: Training, growing: Growing, weights: Sequence[Whole]
    ) -> tuple[Shares, list[Lanes]]:
        """Weights of the rows in nodes that are summed under the partner's trees of seeds.

        All other rows have zeros. Also this side's share of their sums, `uint32[cells, nodes, k]`.
        """
        nodes, messages = self._plan.summed_nodes(self._depth(state.level)), []
        step = len(growing.places) // nodes  # 2: of each pair the first
        every = np.stack(weights, axis=1).astype(np.uint32)
        total: Any = 0
        for chunk in range(self._chunks):
            low, high = self._range(chunk)
            slot = growing.slot[low:high]
            rows = np.flatnonzero((slot >= 0) & (slot % step == 0))
            lanes = np.zeros((self._filled(chunk), nodes, every.shape[1]), np.uint32)
            lanes[rows, slot[rows] // step] = every[low:high][rows]
            flat, name = lanes.reshape(len(lanes), -1), f"lanes {state.level} {chunk}"
            told, shares = self._line(state).padded(state, chunk, flat, name)
            total = total + shares
            messages.append(told)
        return total.reshape(len(total), nodes, every.shape[1]), messages

    def _totals(self, growing: Growing, sums: Sequence[Whole], own: Best) -> Totals:
        """What the search needs of each node, by its noisy sums.

        No split of the partner's where there is none, nor in a node too small to hear any.
        """
        rows = np.bincount(growing.slot[growing.slot >= 0], minlength=len(growing.places))
        heard = sums[1] >= 2 * self._plan.least_heard * 2**CURVATURE_BITS
        if self._plan.least_rows:
            heard &= sums[2] >= 2 * self._plan.rows_heard
        gain = np.where(growing.alive & heard, own.gain, np.inf)
        return self._labels.totals(sums, rows, gain)

    def on_split_answer(self, state: Training, sent: SplitAnswer, peer: str) -> Turn[LabelTrees]:
        """Tables of the nodes' constants."""
        state = self._heard(state, peer)
        self._due(state, "answer")
        level = self._level(state.layout, state.level)
        told = self._finder(state).tables(state.transcript, level, sent)
        return Turn(self._now_waits(state, "picks"), [(peer, told)])

    def on_split_picks(self, state: Training, sent: SplitPicks, peer: str) -> Turn[LabelTrees]:
        """The circuit that compares scores."""
        state = self._heard(state, peer)
        self._due(state, "picks")
        level = self._level(state.layout, state.level)
        told = self._finder(state).garble(state.transcript, level, sent)
        return Turn(self._now_waits(state, "won"), [(peer, told)])

    def on_split_won(self, state: Training, sent: SplitWon, peer: str) -> Turn[LabelTrees]:
        """Which nodes the partner has won: choose its rows' bits there.

        Where it has won none too, and with room for all nodes: who counts messages or their bytes
        learns nothing of wins.
        """
        state = self._heard(state, peer)
        self._due(state, "won")
        won = self._finder(state).won(self._level(state.layout, state.level), sent)
        growing = self._growing(state)
        if (won & ~growing.alive).any():
            raise PeerError("a win in a node that there is not")
        known = len(won) if self._plan.partner_ways else 0
        if len(sent.ways) != known or (sent.ways > won[:known]).any():
            raise PeerError("ways of nodes that have none")
        self.context.store.put("won", 0, won)
        self.context.store.put("ways", 0, sent.ways)
        entries, width = self._entries(growing, won), row_bits.packed_width(len(won))
        messages = []
        for chunk in range(self._chunks):
            low, high = self._range(chunk)
            name = f"{state.level} {chunk}"
            choice, asked = row_bits.choose(
                state.keys, state.transcript, name, entries[low:high], width
            )
            self.context.store.put("choice-made", chunk, choice.made)
            self.context.store.put("choice-rows", chunk, choice.rows)
            told = Choices(
                level=state.level,
                chunk=chunk,
                nonce=asked.nonce,
                rows=asked.transfers.rows.reshape(-1),
                sums=asked.transfers.sums,
                digest=asked.transfers.digest,
                turns=asked.turns,
            )
            messages.append((peer, told))
        counted = _added(state.told, state.at, int(won.any()))
        state = replace(self._now_waits(state, "bits"), told=counted, heard=0)
        return Turn(state, messages)

    def on_row_bits(self, state: Training, sent: RowBits, peer: str) -> Turn[LabelTrees]:
        """A chunk's sides; after the last one all nodes are split."""
        state = self._heard(state, peer)
        self._due(state, "bits")
        if sent.level != state.level or sent.chunk != state.heard:
            raise PeerError("rows' bits of a level or a chunk that is not due")
        store, growing = self.context.store, self._growing(state)
        won = store.get("won", 0)
        low, high = self._range(sent.chunk)
        made, rows = store.get("choice-made", sent.chunk), store.get("choice-rows", sent.chunk)
        turns = made ^ self._entries(growing, won)[low:high]
        choice, width = row_bits.Choice(made, rows), row_bits.packed_width(len(won))
        right = row_bits.opened(choice, turns, width, sent.nonce, sent.words)
        store.put("sides", sent.chunk, right)
        state = replace(state, heard=state.heard + 1)
        if state.heard < self._chunks:
            return Turn(state)
        sides = np.concatenate([store.get("sides", chunk) for chunk in range(self._chunks)])
        ways = store.get("ways", 0) != 0 if self._plan.partner_ways else None
        return self._went_on(replace(state, heard=0), growing, won, sides, ways)

    def _went_on(
        self,
        state: Training,
        growing: Growing,
        won: Mask,
        sides: Mask,
        ways: Mask | None = None,
    ) -> Turn[LabelTrees]:
        return self._begin_level(self._split(state, growing, won, sides, ways), growing)

    def _none_won(self, growing: Growing) -> tuple[Mask, Mask]:
        return np.zeros(len(growing.places), np.bool_), np.zeros(self._rows, np.bool_)

    def _split(
        self,
        state: Training,
        growing: Growing,
        won: Mask,
        sides: Mask,
        ways: Mask | None = None,
    ) -> Training:
        """Take the level's splits, own ones and the partner's: the next level's state."""
        g, h = self._slopes(state)
        gain, candidate = self.context.store.get("own", state.level % _LEVELS)
        own = Best(gain, candidate.astype(np.int64))
        mine = np.where(won, -1, own.candidate)
        kind = np.where(won, PARTNER + state.at, np.where(mine >= 0, OWN, 0)).astype(np.int8)
        numbers = np.where(won, state.splits[state.at] + np.cumsum(won) - 1, mine)
        theirs = (growing.slot >= 0) & won[growing.slot]
        right = np.where(theirs, sides, right_of(self._bins, self._layout, growing, mine))
        gain = np.where(won, own_gain(self._plan, growing, right, g, h), own.gain)
        drawn = state.transcript.draw(f"order {state.level}", len(won))
        swap = (np.frombuffer(drawn, np.uint8) & 1).astype(np.bool_)
        growing.split(kind, numbers, gain, right, swap, ways)
        splits = _added(state.splits, state.at, int(np.count_nonzero(won)))
        return replace(state, level=state.level + 1, splits=splits)

    # the ends of a tree and of all of them

    def _alone(self, state: Training, growing: Growing) -> Turn[LabelTrees]:
        """The rest with own splits only.

        All in one step: what a state before it refers to is not written over.
        """
        self._alone_from = state.grown
        while True:
            lanes = self._lanes(state)
            for _ in range(self._depth(state.level), self._plan.depth):
                left = histograms(self._bins, self._layout, growing, *lanes)
                best = own_best(self._plan, left, growing.totals(*lanes), self._ways)
                right = right_of(self._bins, self._layout, growing, best.candidate)
                kind = np.where(best.candidate >= 0, OWN, 0).astype(np.int8)
                growing.split(kind, best.candidate, best.gain, right)
            whole = state.level - self._depth(state.level) + self._plan.depth
            state = self._grown(replace(state, level=whole), growing, alone=True)
            if self._enough(state):
                return self._finish(state)
            growing = Growing(self._plan, self._rows, self._ways)

    def _grown(self, state: Training, growing: Growing, *, alone: bool = False) -> Training:
        """With one tree more, and its loss; `alone`: of what follows the partner sees nothing."""
        store, number, noise = self.context.store, state.grown, self._plan.noise
        blur = None if alone else partial(self._labels.blurred, state, name="leaves")
        spread = 0.0 if alone else 2.0 * noise**2
        values = growing.finish(*self._slopes(state), blur, spread)
        margin = store.get("margin", self._part(number)) + values
        store.put("margin", self._part(number + 1), margin)
        tree = growing.tree
        store.put("grown", number, np.stack([tree.kind, tree.split, tree.value, tree.gain]))
        store.put("ends", number, growing.at.astype(np.uint8))
        labels = self._labels
        loss = log_loss(margin, labels.y, labels.valid if self._plan.patience else labels.used)
        state = replace(state, grown=number + 1, losses=(*state.losses, loss))
        best = state.losses[state.kept - 1] if state.kept else np.inf
        if loss < best or not self._plan.patience:
            store.put("best", 0, margin)
            state = replace(state, kept=number + 1)
        return state

    def _enough(self, state: Training) -> bool:
        patience = self._plan.patience
        late = patience > 0 and state.grown - state.kept >= patience
        return late or state.grown == self._plan.trees

    def _finish(self, state: Training) -> Turn[LabelTrees]:
        store = self.context.store
        trees = []
        for number in range(state.kept):
            kind, split, value, gain = store.get("grown", number)
            trees.append(Tree(kind.astype(np.int8), split.astype(np.int32), value, gain))
        fit = LabelTrees(
            forest=Forest(self._labels.base(state), tuple(trees), self._layout, len(self._lines)),
            margin=store.get("best", 0),
            places=np.array(
                [store.get("ends", number) for number in range(state.kept)], np.uint8
            ).reshape(state.kept, self._rows),
            losses=state.losses,
            told_levels=state.told,
            training=b"".join(
                line.training(link) for line, link in zip(self._lines, state.links, strict=True)
            ),
        )
        return Turn(Done(), [(line.peer, Grown(state.kept)) for line in self._lines], fit, 1.0)

    # what is at hand

    def _slopes(self, state: Training) -> tuple[Whole, Whole]:
        """g and h of the tree that grows, in units."""
        margin = self.context.store.get("margin", self._part(state.grown))
        return slopes(margin, self._labels.y, self._labels.grown_on(state, state.grown))

    def _lanes(self, state: Training) -> tuple[Whole, ...]:
        """g, h and, where rows are counted, one of each row of the tree that grows."""
        return self._labels.lanes(state, state.grown, *self._slopes(state))

    def _part(self, number: int) -> int:
        """Under which number the scores before a tree are kept."""
        return number % _TREES + _TREES * (number > self._alone_from)

    def _own_heard(
        self,
        state: Training,
        growing: Growing,
        lanes: Sequence[Whole],
        sums: Sequence[Whole],
    ) -> Best:
        """The best own splits as noise lets them be heard: the partner sees what wins by them."""
        left = histograms(self._bins, self._layout, growing, *lanes)
        left = np.stack(self._labels.blurred(state, [*np.moveaxis(left, -1, 0)], "own"), axis=-1)
        plan = replace(
            self._plan,
            least_weight=self._plan.least_heard,
            least_rows=self._plan.rows_heard,
            penalty=self._labels.search_penalty,
        )
        return own_best(plan, left, sums, self._ways)

    def _entries(self, growing: Growing, won: Mask) -> NDArray[np.uint8]:
        """Of each row the entry of its node among those that the partner has won, 0 elsewhere."""
        place = np.append(np.where(won, np.cumsum(won), 0), 0)
        return place[growing.slot].astype(np.uint8)  # the last one is for rows in a leaf

    def _keep(self, level: int, growing: Growing, own: Best) -> None:
        part, store, tree = level % _LEVELS, self.context.store, growing.tree
        store.put("slot", part, growing.slot)
        store.put("at", part, growing.at)
        store.put("places", part, growing.places)
        store.put("own", part, np.stack([own.gain, own.candidate]))
        kept = np.stack([tree.kind, tree.split, tree.value, tree.gain, growing.way])
        store.put("tree", part, kept)

    def _growing(self, state: Training) -> Growing:
        part, store = state.level % _LEVELS, self.context.store
        growing = Growing(self._plan, self._rows, self._ways)
        growing.slot, growing.at = store.get("slot", part), store.get("at", part).copy()
        growing.places = store.get("places", part)
        kind, split, value, gain, way = store.get("tree", part).copy()
        growing.tree = Tree(kind.astype(np.int8), split.astype(np.int32), value, gain)
        growing.way = way.astype(np.int8)
        return growing

    def _finder(self, state: Training) -> LabelSplits:
        return self.finder(self._line(state).store, state.keys, state.peer)

    def _line(self, state: Training) -> Line:
        """To the partner whose level it is."""
        return self._lines[state.at]


def _added(counts: tuple[int, ...], at: int, more: int) -> tuple[int, ...]:
    return tuple(count + more * (number == at) for number, count in enumerate(counts))
