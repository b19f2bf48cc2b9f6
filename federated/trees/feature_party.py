"""The feature party of trees: its columns are bins, and it learns which of its splits have won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.sharing.kept import batch_nonce
from federated.sharing.messages import Corrected, Points, Seeds, Zeroed
from federated.sharing.seeds import GROUPS
from federated.sharing.transfers import CHECKED, Transfers
from federated.tables.encoding import DEFAULT_SUPPORT
from federated.trees import row_bits
from federated.trees.layout import Layout, heard_of
from federated.trees.messages import Begin, Choices, Grown, Lanes, RowBits
from federated.trees.party import Bins, Party, Shares
from federated.trees.plan import TreesPlan
from federated.trees.results import FeatureTrees, PartnerSplit
from federated.trees.splitting import (
    FeatureSplits,
    SplitAsk,
    SplitCircuit,
    SplitTables,
    SplitWon,
)
from federated.trees.states import Linking, Offering
from psi.protocol import Context, Done, MisuseError, PeerError, Turn

__all__ = ["FeatureParty"]


class FeatureParty(Party[FeatureTrees]):
    """Holds columns; learns which of its splits have won, and on which level of which tree.

    Args:
        context: of the session; its store keeps trees of seeds, 16 bytes a level, row and column.
        label_party: its name.
        bins: of each column `uint16[n]`.
        layout: of these columns.
        plan: the contract's terms, from which the label party may not depart.
        number: this party's, among the plan's partners.
        least: the fewest rows, of all aligned ones, on either side of a split.
        ways: of each column 1 where scores may only rise with it, -1 where they may only fall;
            empty: none has a way.

    Raises:
        InputError: a bin that there is not.
        MisuseError: arguments that do not fit together or to the plan.
    """

    finder: ClassVar[type[FeatureSplits]] = FeatureSplits
    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, Begin): "on_begin",
        (Linking, Points): "on_points",
        (Linking, Seeds): "on_seeds",
        (Offering, Corrected): "on_corrected",
        (Offering, Zeroed): "on_zeroed",
        (Offering, Lanes): "on_lanes",
        (Offering, SplitAsk): "on_split_ask",
        (Offering, SplitTables): "on_split_tables",
        (Offering, SplitCircuit): "on_split_circuit",
        (Offering, Choices): "on_choices",
        (Offering, Grown): "on_grown",
    }

    def __init__(
        self,
        context: Context,
        label_party: str,
        bins: Sequence[Bins],
        layout: Layout,
        *,
        plan: TreesPlan,
        number: int = 0,
        least: int = DEFAULT_SUPPORT,
        ways: Sequence[int] = (),
    ) -> None:
        super().__init__(context, label_party, len(bins[0]) if bins else 0, bins, layout, plan)
        if not 0 <= number < plan.partners:
            raise MisuseError(f"partner {number} of {plan.partners}")
        self._number, self._least, self._ways = number, least, layout.ways(ways)
        if self._ways is not None and not plan.partner_ways:
            raise MisuseError("ways of columns that the plan does not name")

    def begin(self) -> Turn[FeatureTrees]:
        """Wait for the terms."""
        return Turn(self._linking())

    def on_begin(self, state: Linking, sent: Begin, peer: str) -> Turn[FeatureTrees]:
        """Check terms and rows; tell the columns' cells."""
        return self._agreed(self._heard(state, peer), sent, self._layout)

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[FeatureTrees]:
        """All seeds but one a group; the first trees."""
        state = self._heard(state, peer)
        own, other = self._linked(state, sent)
        first = self._plan.following(0, self._number)
        offering = Offering(transcript=state.transcript, keys=own, peer=other, level=first)
        offering, asked = self._ask(offering)
        return Turn(offering, [(peer, each) for each in asked])

    def _made(self, state: Offering) -> Turn[FeatureTrees]:
        made = state.turned == self._places(self._layout)
        return Turn(self._now_waits(state, "lanes") if made else state)

    # one level

    def on_lanes(self, state: Offering, sent: Lanes, peer: str) -> Turn[FeatureTrees]:
        """Add a chunk of g and h up, as shares by cell and node."""
        state = self._heard(state, peer)
        if state.told >= self._plan.row_bits:
            raise PeerError(f"a level after the {self._plan.row_bits} bits of a row were told")
        if state.level >= self._plan.levels:
            raise PeerError("lanes of a level after the last one")
        nodes = self._plan.summed_nodes(self._depth(state.level))
        lanes = self._plan.lanes
        state, sums = self._summed(state, sent, lanes * nodes)
        if state.heard == self._chunks:
            self._shares(state.level, sums.reshape(len(sums), nodes, lanes))
            state = replace(self._now_waits(state, "asked"), heard=0)
        return Turn(state, progress=self._done(state))

    def on_split_ask(self, state: Offering, sent: SplitAsk, peer: str) -> Turn[FeatureTrees]:
        """Begin to look for the best split of each node."""
        state = self._heard(state, peer)
        self._due(state, "asked")
        g, h = self._candidates(self._layout, self._cells(state))
        answer = self._finder(state).answer(state.transcript, self._now(state), g, h, sent)
        return Turn(self._now_waits(state, "tables"), [(peer, answer)])

    def on_split_tables(self, state: Offering, sent: SplitTables, peer: str) -> Turn[FeatureTrees]:
        """Look scores up."""
        state = self._heard(state, peer)
        self._due(state, "tables")
        counts = self._rows_left(self._layout, self._cells(state))
        level = self._now(state)
        picks = self._finder(state).pick(state.transcript, level, sent, self._kept, counts)
        return Turn(self._now_waits(state, "circuit"), [(peer, picks)])

    def on_split_circuit(
        self, state: Offering, sent: SplitCircuit, peer: str
    ) -> Turn[FeatureTrees]:
        """Learn which splits have won, and tell in which nodes."""
        state = self._heard(state, peer)
        self._due(state, "circuit")
        won, candidate = self._finder(state).decide(self._now(state), sent)
        won, wins = self._with_ways(won, candidate), candidate[candidate >= 0]
        if len(wins):
            kept = np.append(state.level, wins).astype(np.int64)
            self.context.store.put("splits", state.told, kept)
            state = replace(state, told=state.told + 1)
        return Turn(self._now_waits(state, "choices"), [(peer, won)])

    def on_choices(self, state: Offering, sent: Choices, peer: str) -> Turn[FeatureTrees]:
        """The sides of a chunk's rows by the splits that have won, one of them a row.

        Of nodes where none has, and of places beyond, nothing but zeros.
        """
        state = self._heard(state, peer)
        self._due(state, "choices")
        if sent.level != state.level or sent.chunk != state.heard:
            raise PeerError("choices of a level or a chunk that is not due")
        if len(sent.rows) % GROUPS or len(sent.sums) != CHECKED:
            raise PeerError("transfers of another shape")
        low, high = self._range(sent.chunk)
        width = row_bits.packed_width(1 << self._depth(state.level))
        table = np.zeros(high - low, np.uint64)
        for entry, candidate in enumerate(self._wins(state), start=1):
            split = self._split(int(candidate))
            right = ~split.left[self._bins[split.column][low:high]]
            table |= right.astype(np.uint64) << np.uint64(entry)
        nonce = batch_nonce(state.transcript, f"row bits {sent.level} {sent.chunk}", table)
        transfers = Transfers(sent.rows.reshape(GROUPS, -1), sent.sums, sent.digest)
        asked = row_bits.Asked(sent.nonce, transfers, sent.turns)
        words = row_bits.offered(state.peer, asked, width, nonce, table)
        state = replace(state, heard=state.heard + 1)
        if state.heard == self._chunks:
            state = self._next(replace(state, heard=0))
        return Turn(state, [(peer, RowBits(sent.level, sent.chunk, nonce, words))])

    def on_grown(self, state: Offering, sent: Grown, peer: str) -> Turn[FeatureTrees]:
        """The end: the splits of the trees that are kept."""
        state = self._heard(state, peer)
        self._due(state, "lanes")
        if state.heard or sent.trees > self._plan.trees:
            raise PeerError("an end that is not due")
        splits, levels = list[PartnerSplit](), 0
        for number in range(state.told):
            level, *wins = self.context.store.get("splits", number).tolist()
            if level < sent.trees * self._plan.depth:
                splits += [self._split(candidate) for candidate in wins]
                levels += 1
        fit = FeatureTrees(
            splits=tuple(splits),
            trees=sent.trees,
            levels=levels,
            told_levels=state.told,
            training=self._training(state),
        )
        return Turn(Done(), result=fit, progress=1.0)

    # what is at hand

    def _next(self, state: Offering) -> Offering:
        """Waiting for the next level that is this party's."""
        level = self._plan.following(state.level + 1, self._number)
        return replace(state, waits=self.waits.index("lanes"), level=level)

    def _now(self, state: Offering) -> Any:
        return self._level(self._layout, state.level)

    def _cells(self, state: Offering) -> Shares:
        """The level's sums by cell, `uint32[cells, nodes, lanes]`."""
        depth, lanes = self._depth(state.level), self._plan.lanes
        return self.context.store.get("shares", depth).reshape(-1, 1 << depth, lanes)

    def _finder(self, state: Offering) -> FeatureSplits:
        return self.finder(self.context.store, state.keys, state.peer)

    def _wins(self, state: Offering) -> list[int]:
        """The present level's splits, in the nodes' order."""
        last = self.context.store.get("splits", state.told - 1).tolist() if state.told else [-1]
        return last[1:] if last[0] == state.level else []

    def _split(self, candidate: int) -> PartnerSplit:
        """A split; where scores fall with its column the upper values go left.

        So scores rise to the right wherever there is a way, and the label party sees no other.
        """
        column, left = self._layout.split(candidate)
        falls = self._ways is not None and self._ways[candidate] < 0
        return PartnerSplit(column, ~left if falls else left)

    def _with_ways(self, won: SplitWon, candidate: NDArray[np.int64]) -> SplitWon:
        """Also of which nodes the column has a way, if any column may."""
        if not self._plan.partner_ways:
            return won
        found = np.zeros(len(candidate), np.uint8)
        if self._ways is not None:
            found = ((candidate >= 0) & (self._ways[candidate] != 0)).astype(np.uint8)
        return replace(won, ways=found)

    @cached_property
    def _kept(self) -> NDArray[np.bool_]:
        """Candidates with rows enough on either side, that go their column's way: see `pick`."""
        heard = heard_of(self._bins, self._layout, self._least)
        if not self._plan.partner_ways:
            return heard
        ways = np.zeros(len(heard), np.int8) if self._ways is None else self._ways
        return np.stack([heard & (ways >= 0), heard & (ways <= 0)])
