"""A feature party of a regression on private sums: its score picks points of a grid.

Where there are several, each hands its shares of a lookup to the next one, and the last one its
shares of the residuals to all (docs/protocols/private_regression.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.chain import MOST_ONES
from federated.regression.descent import Descent, moved
from federated.regression.feature_end import FeatureEnd
from federated.regression.growing import LINKED
from federated.regression.guards import check_columns, check_rows
from federated.regression.messages import (
    Answers,
    Grids,
    Handed,
    Lanes,
    Limits,
    Pad,
    Products,
    Ready,
    Setup,
    Start,
    Sums,
    Tables,
)
from federated.regression.party import Words
from federated.regression.plan import RegressionPlan
from federated.regression.results import FeatureFit, Floats
from federated.regression.schedule import digest, table_bits
from federated.regression.states import Fitting, Linking
from federated.regression.steps import following, own_products, rough
from federated.sharing.kept import Index, widened
from federated.sharing.messages import (
    Offer,
)
from psi.protocol import Context, PeerError, Share, Turn

__all__ = ["FeatureParty"]

_MOST_ONE = 1024.0
"""Where no point is moved."""


class FeatureParty(FeatureEnd):
    """Holds columns; learns its own coefficients, the labelled rows and their folds.

    Args:
        context: of the session; its store keeps trees, up to 16 bytes a level, row and column.
        label_party: its name.
        x: `float64[n, b]`, design columns of the aligned rows, standardised; b at least 1.
            Columns of 0 and 1 that stand side by side and exclude each other are one category.
        plan: the contract's terms, from which the label party may not depart.
        partners: all feature parties in the contract's order, where there are several.
        others: how many design columns the other feature parties stated together.
        most: how many design columns the label party stated; None: whatever it says.
        records: `int64[n]`, each row's record, where one has several rows.
        repeats: `int64[n]`, the row of the table that each is, where one is in several pairs.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows, or a column that would speak of single rows.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, Setup): "on_setup",
        **LINKED,
        (Fitting, Start): "on_start",
        (Fitting, Tables): "on_tables",
        (Fitting, Answers): "on_answers",
        (Fitting, Handed): "on_handed",
        (Fitting, Limits): "on_limits",
        (Fitting, Pad): "on_pad",
        (Fitting, Lanes): "on_lanes",
        (Fitting, Sums): "on_sums",
        (Fitting, Products): "on_products",
    }

    def __init__(
        self,
        context: Context,
        label_party: str,
        x: Floats,
        *,
        plan: RegressionPlan,
        partners: Sequence[str] = (),
        others: int = 0,
        most: int | None = None,
        records: NDArray[np.int64] | None = None,
        repeats: NDArray[np.int64] | None = None,
    ) -> None:
        own = np.ascontiguousarray(x, dtype=np.float64)
        check_columns(own)
        super().__init__(context, label_party, own, plan, partners)
        self._most, self._records, self._repeats = most, records, repeats
        self._others = others

    def begin(self) -> Turn[FeatureFit]:
        """Wait for the terms."""
        return Turn(self._linking(0))

    def on_setup(self, state: Linking, sent: Setup, peer: str) -> Turn[FeatureFit]:
        """Check terms, rows and folds."""
        state = self._laid_out(self._heard(state, sent, peer), sent.layout, self._most)
        if sent.plan != digest(self._plan) or sent.folds != self._plan.folds:
            raise PeerError("terms of the regression that are not the contract's")
        if self._plan.link == "logistic" and not self._plan.weighted and sent.unit:
            raise PeerError("a unit of residuals that logistic regression does not have")
        if self._plan.link != "linear" and sent.scale:
            raise PeerError("a unit of scores that only linear regression has")
        # only the last feature party is told of the label party's columns
        own = sent.layout.columns if self._last else (self._most or 0)
        check_rows(sent, self._raw, own + self._others, self._records)
        self.context.store.put("labelled", 0, sent.labelled)
        self.context.store.put("fold", 0, sent.fold)
        return Turn(replace(state, unit=sent.unit, scale=sent.scale), progress=0.0)

    def on_offer(self, state: Linking, sent: Offer, peer: str) -> Turn[FeatureFit]:
        """Choose in the label party's base transfers; tell the own trees."""
        state, points = self._chosen(self._heard(state, sent, peer), sent)
        messages = [Ready(self._columns.layout), self._offer(state), points]
        return Turn(state, [(peer, each) for each in messages])

    def _first(self) -> tuple[Descent, ...]:
        return (Descent.at(np.zeros(self._raw.shape[1])),)

    def on_start(self, state: Fitting, sent: Start, peer: str) -> Turn[FeatureFit]:
        """All trees are made: begin."""
        state = self._heard(state, sent, peer)
        told = 0 < sent.curvature < np.inf and np.isfinite(sent.score)
        if state.started or not self._made(state) or not told:
            raise PeerError("a start that is not due")
        state = replace(state, started=True, curvature=sent.curvature, score=sent.score)
        state = self._veiled(state)
        return self._look(state, np.zeros(0))

    def on_tables(self, state: Fitting, sent: Tables, peer: str) -> Turn[FeatureFit]:
        """What the lookups of an evaluation weigh the grid's points by."""
        state = self._heard(state, sent, peer)
        models = len(self._evaluation(state).models)
        ins, outs = sent.shapes[::2], sent.shapes[1::2]
        due = state.running and sent.evaluation == state.number and not state.shapes
        if not due or not self._looks:
            raise PeerError("tables that are not due")
        if len(ins) != models or len(outs) != models or any(each % 2 for each in ins):
            raise PeerError("tables of another shape")
        if any(each != 1 if self._last else each % 2 for each in outs):
            raise PeerError("tables of another shape")
        entries = sum(i * o for i, o in zip(ins, outs, strict=True)) << self._plan.grid_bits
        if len(sent.tables) != entries or len(sent.ones) != sum(outs):
            raise PeerError("tables of another shape")
        if self._last and (sent.ones != 1.0).any():
            raise PeerError("weights of a mean that are not 1")  # they would undo moved points
        if np.abs(sent.tables.astype(np.int64)).max(initial=0) > 1 << table_bits(self._plan):
            raise PeerError("a table with entries beyond 1")
        every = np.split(np.abs(sent.ones), np.cumsum(outs)[:-1])
        most = MOST_ONES if self._plan.noise else _MOST_ONE
        if not all(each.sum() <= most * (1.0 + 1e-9) for each in every):
            raise PeerError("weights of a table's outcomes beyond any")
        self.context.store.put("tables", state.number, sent.tables)
        self.context.store.put("ones", state.number, sent.ones)
        return Turn(replace(state, shapes=sent.shapes))

    def on_answers(self, state: Fitting, sent: Answers, peer: str) -> Turn[FeatureFit]:
        """A chunk's lanes: own shares of what this party's lookups give."""
        state = self._heard(state, sent, peer)
        due = self._going(state, sent.evaluation) and sent.chunk == state.answers
        if not due or not state.shapes or sent.chunk >= self._own(state).chunks:
            raise PeerError("answers that are not due")
        index, places = Index(self.context.store, state.keys), self._own(state)
        rows = places.filled(sent.chunk)
        shares, at_byte = [], 0
        for at, table in enumerate(self._tables(state)):
            number, ins = places.lookup(state.number, at, sent.chunk), table.shape[1]
            part = sent.lanes[at_byte : at_byte + self._bytes * rows * ins]
            at_byte += len(part)
            lanes = widened(part, rows, ins, self._bytes)
            bins = self._numbers(state, places.of(number))
            shares.append(index.looked_up(number, bins, sent.nonce, lanes, table))
        if at_byte != len(sent.lanes):
            raise PeerError("answers of another shape")
        self.context.store.put("looked", sent.chunk, np.concatenate(shares, axis=1))
        return Turn(*self._passed(replace(state, answers=state.answers + 1)))

    def on_handed(self, state: Fitting, sent: Handed, peer: str) -> Turn[FeatureFit]:
        """Shares of the party before this one, or the last one's of the residuals."""
        before = self._at > 0 and peer == self._partners[self._at - 1]
        state = self._heard_of(state, sent, peer, before or (peer == self._ends and not self._last))
        if not state.running or sent.evaluation != state.number:
            raise PeerError("shares that are not due")
        store, chunks = self.context.store, self._own(state).chunks
        if not before:
            if sent.chunk != state.sent or sent.chunk >= state.passed:
                raise PeerError("shares that are not due")
            models = len(self._evaluation(state).models)
            state, _ = self._given(state, sent.chunk, self._words(state, sent, models))
            return Turn(*self._settled(state))
        if sent.chunk != state.handed or sent.chunk >= chunks:
            raise PeerError("shares that are not due")
        # its shape is looked at with the tables, which may come later
        store.put("handed", sent.chunk, sent.shares)
        return Turn(*self._passed(replace(state, handed=state.handed + 1)))

    def on_lanes(self, state: Fitting, sent: Lanes, peer: str) -> Turn[FeatureFit]:
        """Add the label party's residuals of a chunk up."""
        state = self._heard(state, sent, peer)
        if not self._going(state, sent.evaluation) or sent.chunk >= self._own(state).chunks:
            raise PeerError("lanes that are not due")
        if self._looks and state.answers <= sent.chunk:
            raise PeerError("lanes before a chunk's answers")
        state = self._take(state, sent)
        messages: list[tuple[str, Any]] = []
        if not self._looks:
            state, messages = self._given(state, sent.chunk, self._linear(state, sent.chunk))
        return Turn(state, messages)

    def on_sums(self, state: Fitting, sent: Sums, peer: str) -> Turn[FeatureFit]:
        """Open the own gradient once all residuals are in."""
        state = self._heard(state, sent, peer)
        self._due_sums(state, sent)
        self.context.store.put("sums", 0, sent.sums)
        return Turn(*self._settled(replace(state, summed=True)))

    def on_products(self, state: Fitting, sent: Products, peer: str) -> Turn[FeatureFit]:
        """Take the direction, as far as the range of scores may grow, and go on."""
        state = self._heard(state, sent, peer)
        if not len(state.gradients) or sent.evaluation != state.number:
            raise PeerError("inner products that are not due")
        evaluation = self._evaluation(state)
        given = evaluation, state, self._penalty, self._metric(state), sent.numbers, [0.0]
        state = following(*given, self._counted(state))
        limits = np.array([self._limit(state.models[model]) for model in evaluation.stepped])
        if len(self._partners) > 1:
            told = Limits(state.number, limits)
            return Turn(replace(state, limits=limits), [(peer, told)])
        return self._onward(state, limits)

    def on_limits(self, state: Fitting, sent: Limits, peer: str) -> Turn[FeatureFit]:
        """How far all parties go."""
        state = self._heard(state, sent, peer)
        if state.limited or not len(state.limits) or sent.evaluation != state.number:
            raise PeerError("limits that are not due")
        fits = len(sent.limits) == len(state.limits)
        if not fits or not ((sent.limits >= 0) & (sent.limits <= state.limits)).all():
            raise PeerError("limits of steps of another number, or out of range")
        return self._onward(replace(state, limits=np.zeros(0)), sent.limits)

    # one evaluation

    def _onward(self, state: Fitting, limits: Floats) -> Turn[FeatureFit]:
        """With the latest steps taken: the next evaluation, or the end."""
        models = list(state.models)
        for at, model in enumerate(self._planned(state)[state.number - 1].stepped):
            models[model] = moved(models[model], float(limits[at]))
        state = replace(state, models=tuple(models), limited=True)
        told = limits if len(self._partners) == 1 else np.zeros(0)
        if state.number == len(self._planned(state)):
            self.context.store.put("limits", 0, told)
            return self._scored(state)
        return self._look(state, told)

    def _look(self, state: Fitting, limits: Floats) -> Turn[FeatureFit]:
        """Tell the grids of an evaluation; ask for the trees of its lookups."""
        self._drop(state)
        state = replace(self._opened(replace(state, running=True)), shapes=())
        grids = Grids(state.number, limits, np.zeros((0, 2), np.int64))
        if self._looks:
            every = [self._grid(state, at) for at in range(len(self._evaluation(state).models))]
            for at in range(len(every)):
                self._blur(state, at)
            ranges = np.array([(grid.low, grid.high) for grid in every], np.int64)
            grids, state = replace(grids, ranges=ranges), replace(state, ranges=ranges)
        state, asked = self._ask(state)
        steps = len(self._planned(state))
        done = Share(state.number / steps, steps * self._rows)
        messages = [(self._peer, each) for each in (grids, *asked)]
        return Turn(state, messages, progress=done)

    def _going(self, state: Fitting, evaluation: int) -> bool:
        return state.running and self._made(state) and evaluation == state.number

    @property
    def _ends(self) -> str:
        """The feature party that has the residuals first."""
        return self._partners[-1]

    def _words(self, state: Fitting, sent: Handed, lanes: int) -> Words:
        rows = self._own(state).filled(sent.chunk)
        if len(sent.shares) != rows * lanes:
            raise PeerError(f"{len(sent.shares)} shares found, {rows * lanes} expected")
        return sent.shares.reshape(rows, lanes)

    def _passed(self, state: Fitting) -> tuple[Fitting, list[tuple[str, Any]]]:
        """Hand on what lookups gave, of chunks that the party before this one has handed on."""
        messages: list[tuple[str, Any]] = []
        until = min(state.answers, state.handed) if self._at else state.answers
        for chunk in range(state.passed, until):
            shares = self._summed_up(state, chunk)
            state = replace(state, passed=chunk + 1)
            if not self._last:
                handed = Handed(state.number, chunk, shares.ravel())
                messages.append((self._partners[self._at + 1], handed))
                continue
            low, high = self._own(state).range(chunk)
            shares[: high - low] *= self._labelled[low:high, None].astype(np.uint64)
            shares[high - low :] = 0
            handed = Handed(state.number, chunk, shares.ravel())
            messages += [(name, handed) for name in self._partners[:-1]]
            state, given = self._given(state, chunk, shares)
            messages += given
        state, settled = self._settled(state)
        return state, [*messages, *settled]

    def _summed_up(self, state: Fitting, chunk: int) -> Words:
        """All feature parties' shares, this one's included, of what its lookups give."""
        places, store = self._own(state), self.context.store
        (low, high), rows = places.range(chunk), places.filled(chunk)
        shares = store.get("looked", chunk).copy()
        tables, at_in, at_out = self._tables(state), 0, 0
        handed = np.zeros((rows, 0), np.uint64)
        if self._at:
            ins = sum(table.shape[1] for table in tables)
            given = Handed(state.number, chunk, store.get("handed", chunk))
            handed = self._words(state, given, ins)
        for at, table in enumerate(tables):
            ins, outs = table.shape[1:]
            own = shares[:, at_out : at_out + outs]
            if self._at:
                number = places.lookup(state.number, at, chunk)
                weights = table[self._numbers(state, places.of(number))]
                part = handed[:, at_in : at_in + ins, None]
                own += (weights * part).sum(axis=1, dtype=np.uint64)
            own[: high - low] -= self._slack(state, at)[low:high]
            at_in, at_out = at_in + ins, at_out + outs
        return shares

    def _given(
        self, state: Fitting, chunk: int, shares: Words
    ) -> tuple[Fitting, list[tuple[str, Any]]]:
        """Add the residuals up by own columns; the last party's under the label party's trees."""
        state, lanes = self._give(state, chunk, shares)
        return state, [(self._peer, lanes)] * self._last

    def _settled(self, state: Fitting) -> tuple[Fitting, list[tuple[str, Any]]]:
        """Open the own gradient once all is in; tell inner products, and the label party's sums."""
        if not state.summed or state.sent < self._own(state).chunks or len(state.gradients):
            return state, []
        told = self.context.store.get("sums", 0)
        opened = self._sums(state, told)
        spoilt = state.spoilt or self._beyond(state, told) or self._wild(state)
        gradients = (opened @ self._back) * 2.0**state.unit + self._own_term(state, self._back)
        evaluation, metric = self._evaluation(state), self._metric(state)
        gradients, longest = rough(evaluation, state, self._penalty, metric, gradients)
        noise = self._own_noise(state, self._back, self._unbounded(state))
        state = replace(state, gradients=gradients.ravel(), noise=noise.ravel(), spoilt=spoilt)
        state = replace(state, longest=longest)
        numbers = own_products(evaluation, state, self._penalty, metric)
        products = Products(state.number, np.concatenate(numbers))
        sums = [(self._peer, self._told(state, self._unbounded(state)))] * self._last
        return state, [*sums, (self._peer, products)]
