"""The feature party of a regression on private sums: its score picks points of a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.descent import Descent, Metric, moved
from federated.regression.links import MOST_RANGE, Grid, slope_of, table_of
from federated.regression.messages import (
    Answers,
    Grids,
    Lanes,
    Learned,
    Products,
    Ready,
    Setup,
    Start,
    Sums,
)
from federated.regression.noise import WILD
from federated.regression.party import Bins, Party, Words
from federated.regression.plan import RegressionPlan, opened_numbers
from federated.regression.results import FeatureFit, Floats
from federated.regression.schedule import EVERY, Place, digest
from federated.regression.states import Fitting, Linking
from federated.regression.steps import following, own_products
from federated.sharing.kept import Index, widened
from federated.sharing.messages import (
    Asked,
    Challenged,
    Corrected,
    Offer,
    Points,
    Seeds,
    Turned,
    Zeroed,
)
from federated.vertical.guards import check_columns, check_rows
from federated.vertical.rounding import rounded
from psi.protocol import Context, Done, PeerError, Refused, Share, Turn

__all__ = ["FeatureParty"]

T = TypeVar("T")

GROWTH = 8.0
"""How much wider a step may make the range of this party's scores."""
_MODELS = 64
"""More than an evaluation has."""
_PARTS = 64
"""Steps are shortened to a multiple of one over so many."""


class FeatureParty(Party[FeatureFit]):
    """Holds columns; learns its own coefficients, the labelled rows and their folds.

    Args:
        context: of the session; its store keeps trees, up to 16 bytes a level, row and column.
        label_party: its name.
        x: `float64[n, b]`, design columns of the aligned rows, standardised; b at least 1.
            Columns of 0 and 1 that stand side by side and exclude each other are one category.
        plan: the contract's terms, from which the label party may not depart.
        most: how many design columns the label party stated; None: whatever it says.
        records: `int64[n]`, each row's record, where one has several rows.
        repeats: `int64[n]`, the row of the table that each is, where one is in several pairs.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows, or a column that would speak of single rows.
    """

    holds_scores = True
    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, Setup): "on_setup",
        (Linking, Offer): "on_offer",
        (Linking, Points): "on_points",
        (Linking, Seeds): "on_seeds",
        (Fitting, Asked): "on_asked",
        (Fitting, Corrected): "on_corrected",
        (Fitting, Challenged): "on_challenged",
        (Fitting, Zeroed): "on_zeroed",
        (Fitting, Turned): "on_turned",
        (Fitting, Start): "on_start",
        (Fitting, Answers): "on_answers",
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
        most: int | None = None,
        records: NDArray[np.int64] | None = None,
        repeats: NDArray[np.int64] | None = None,
    ) -> None:
        own = np.ascontiguousarray(x, dtype=np.float64)
        check_columns(own)
        super().__init__(context, label_party, own, plan)
        self._most, self._records, self._repeats = most, records, repeats
        self._cache: dict[Any, Any] = {}

    def begin(self) -> Turn[FeatureFit]:
        """Wait for the terms."""
        return Turn(self._linking(0))

    def on_setup(self, state: Linking, sent: Setup, peer: str) -> Turn[FeatureFit]:
        """Check terms, rows and folds."""
        state = self._laid_out(self._heard(state, sent, peer), sent.layout, self._most)
        if sent.plan != digest(self._plan) or sent.folds != self._plan.folds:
            raise PeerError("terms of the regression that are not the contract's")
        if self._plan.link == "logistic" and sent.unit:
            raise PeerError("a unit of residuals that logistic regression does not have")
        check_rows(sent, self._raw, sent.layout.columns, self._records)
        self.context.store.put("labelled", 0, sent.labelled)
        self.context.store.put("fold", 0, sent.fold)
        return Turn(replace(state, unit=sent.unit), progress=0.0)

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
        if state.started or not self._made(state) or not sent.curvature > 0:
            raise PeerError("a start that is not due")
        state = replace(state, started=True, curvature=sent.curvature, score=sent.score)
        return self._look(state, np.zeros(0))

    def on_answers(self, state: Fitting, sent: Answers, peer: str) -> Turn[FeatureFit]:
        """A chunk's shares of the means."""
        state = self._heard(state, sent, peer)
        if not self._going(state, sent.evaluation) or sent.chunk != state.answers:
            raise PeerError("answers that are not due")
        index, places = Index(self.context.store, state.keys), self._own(state)
        low, high = places.range(sent.chunk)
        rows = places.filled(sent.chunk)
        ranks, shares, at_byte = state.ranks, [], 0
        for at, rank in enumerate(ranks):
            number = places.lookup(state.number, at, sent.chunk)
            part = sent.lanes[at_byte : at_byte + 7 * rows * rank]
            at_byte += len(part)
            lanes = widened(part, rows, rank)
            bins = self._numbers(state, places.of(number))
            table = self._tables(state)[at]
            share = index.looked_up(number, bins, sent.nonce, lanes, table)
            share[: high - low] -= self._slack(state, at)[low:high]
            shares.append(share)
        if at_byte != len(sent.lanes):
            raise PeerError("answers of another shape")
        self._keep(state, sent.chunk, np.stack(shares, axis=1))
        return Turn(replace(state, answers=state.answers + 1))

    def on_lanes(self, state: Fitting, sent: Lanes, peer: str) -> Turn[FeatureFit]:
        """Add the label party's residuals of a chunk up; send the own ones."""
        state = self._heard(state, sent, peer)
        if not self._going(state, sent.evaluation) or sent.chunk >= self._own(state).chunks:
            raise PeerError("lanes that are not due")
        if not self._looks:
            self._linear(state, sent.chunk)
        elif state.answers <= sent.chunk:
            raise PeerError("lanes before a chunk's answers")
        state = self._take(state, sent)
        shares = self.context.store.get("shares", sent.chunk)
        state, given = self._give(state, sent.chunk, shares)
        return Turn(state, [(peer, given)])

    def on_sums(self, state: Fitting, sent: Sums, peer: str) -> Turn[FeatureFit]:
        """Open the own gradient; tell the label party's sums and inner products."""
        state = self._opening(self._heard(state, sent, peer), sent)
        numbers = own_products(self._evaluation(state), state, self._penalty, self._metric(state))
        told = Products(state.number, np.concatenate(numbers))
        return Turn(state, [(peer, self._told(state)), (peer, told)])

    def on_products(self, state: Fitting, sent: Products, peer: str) -> Turn[FeatureFit]:
        """Take the direction, as far as the range of scores may grow, and go on."""
        state = self._heard(state, sent, peer)
        if not len(state.gradients) or sent.evaluation != state.number:
            raise PeerError("inner products that are not due")
        evaluation = self._evaluation(state)
        state = following(
            evaluation, state, self._penalty, self._metric(state), sent.numbers, [0.0]
        )
        models, limits = list(state.models), np.ones(len(evaluation.stepped))
        for at, model in enumerate(evaluation.stepped):
            limits[at] = self._limit(models[model])
            models[model] = moved(models[model], float(limits[at]))
        state = replace(state, models=tuple(models))
        if state.number == len(self._planned(state)):
            return self._finish(state, limits)
        return self._look(state, limits)

    # one evaluation

    def _look(self, state: Fitting, limits: Floats) -> Turn[FeatureFit]:
        """Tell the grids of an evaluation; ask for the trees of its lookups."""
        self._drop(state)
        state = self._opened(replace(state, running=True))
        grids = Grids(state.number, limits, np.zeros((0, 2), np.int64), (), np.zeros(0, np.int16))
        if self._looks:
            every = [self._grid(state, at) for at in range(len(self._evaluation(state).models))]
            for at in range(len(every)):
                self._blur(state, at)
            tables = [table_of(self._plan.link, grid) for grid in every]
            ranks = tuple(table.shape[1] for table in tables)
            ranges = np.array([(grid.low, grid.high) for grid in every], np.int64)
            flat = np.concatenate([table.ravel() for table in tables])
            self.context.store.put("tables", state.number, flat)
            grids = replace(grids, ranges=ranges, ranks=ranks, tables=flat)
            state = replace(state, ranges=ranges, ranks=ranks)
        state, asked = self._ask(state)
        steps = len(self._planned(state))
        done = Share(state.number / steps, steps * self._rows)
        messages = [(self._peer, each) for each in (grids, *asked)]
        return Turn(state, messages, progress=done)

    def _going(self, state: Fitting, evaluation: int) -> bool:
        return state.running and self._made(state) and evaluation == state.number

    def _keep(self, state: Fitting, chunk: int, shares: Words) -> None:
        low, high = self._own(state).range(chunk)
        shares[: high - low] *= self._labelled[low:high, None].astype(np.uint64)
        shares[high - low :] = 0
        self.context.store.put("shares", chunk, shares)

    def _linear(self, state: Fitting, chunk: int) -> None:
        """Own scores are shares of the residuals already."""
        low, high = self._own(state).range(chunk)
        rows = self._own(state).filled(chunk)
        models = range(len(self._evaluation(state).models))
        shares = np.zeros((rows, len(models)), np.uint64)
        for at in models:
            shares[: high - low, at] = self._fixed(self._scores(state, at)[low:high], state.unit)
        self._keep(state, chunk, shares)

    def _slack(self, state: Fitting, at: int) -> Words:
        """How far a row's mean is off because its score is not on the grid: in fixed point.

        The slope at a row is not known here; that of the label party's mean score, brought to the
        mean of its slopes, does: what remains has no bias.
        """

        def made() -> Words:
            scores, grid = self._scores(state, at), self._grid(state, at)
            slope = slope_of(self._plan.link, scores + state.score)
            slope *= state.curvature / slope[self._labelled].mean()
            off = grid.points[self._points(state, Place(0, 0, -1, state.number, at))] - scores
            return self._fixed(slope * off, state.unit)

        return self._once(("slack", state.number, at), made)

    def _limit(self, model: Descent) -> float:
        """The part of a step that lets the range of scores grow by GROWTH at most, and stay."""
        if self._plan.link == "linear":
            return 1.0
        scores, more = self._x @ model.weights, self._x @ model.step
        growth, farthest = max(float(np.ptp(more)), 1e-9), max(float(np.abs(more).max()), 1e-9)
        wider, further = (MOST_RANGE - 1.0 - float(f(scores)) for f in (np.ptp, _farthest))
        parts = int(_PARTS * min(1.0, min(GROWTH, wider) / growth, further / farthest))
        return max(1, parts) / _PARTS

    def _finish(self, state: Fitting, limits: Floats) -> Turn[FeatureFit]:
        """Tell each row's final score by the one model that shows it."""
        fold = self._folds
        told = np.zeros(self._rows, np.int64)
        random = state.transcript.random("final scores")
        for model, descent in enumerate(state.models):
            rows = fold == model - 1
            scores = self._x @ descent.weights
            # the noise is measured by all rows: few, or chosen ones, may lie close together
            told[rows] = rounded(scores, self._plan.score_bits, random, self._repeats)[rows]
        full = state.models[0].weights
        fit = FeatureFit(
            coefficients=full,
            told_rows=self._rows,
            score_bits=self._plan.score_bits,
            gradient_left=[each.left for each in state.log if each.fold == EVERY][-1],
            evaluations=state.last + 1,
            opened=opened_numbers(self._ran(state), self._raw.shape[1]),
        )
        learned = Learned(limits, float(self._mean @ full), told)
        return Turn(Done(), [(self._peer, learned)], fit, 1.0)

    # what is at hand

    def _points(self, state: Fitting, place: Place) -> Bins:
        def made() -> Bins:
            grid, moved = (
                self._grid(state, place.model),
                self._moved(state.number, place.model),
            )
            return grid.numbers(self._scores(state, place.model), moved)

        return self._once(("points", state.number, place.model), made)

    def _moved(self, number: int, at: int) -> NDArray[np.int16]:
        return np.asarray(self.context.store.get("moved", number * _MODELS + at))

    def _blur(self, state: Fitting, at: int) -> None:
        """Draw how far each row's point is moved in this evaluation."""
        wide = 2 * self._grid(state, at).reach + 1
        drawn = state.transcript.draw(f"moved {state.number} {at}", 4 * self._rows)
        moved = (np.frombuffer(drawn, "<u4") % wide).astype(np.int16) - np.int16(wide // 2)
        self.context.store.put("moved", state.number * _MODELS + at, moved)

    def restore(self, data: bytes) -> None:
        super().restore(data)
        self._cache.clear()

    def _once(self, key: tuple[str, int, int], make: Callable[[], T]) -> T:
        """What is made once an evaluation; that of others is forgotten."""
        if key not in self._cache:
            self._cache = {k: v for k, v in self._cache.items() if k[1] == key[1]}
            self._cache[key] = make()
        found: T = self._cache[key]
        return found

    def _scores(self, state: Fitting, at: int) -> Floats:
        def made() -> Floats:
            model = self._evaluation(state).models[at]
            return np.asarray(self._x @ state.models[model].weights)

        return self._once(("scores", state.number, at), made)

    def _grid(self, state: Fitting, at: int) -> Grid:
        blurred = self._plan.noise > 0
        grid = Grid.over(self._scores(state, at), self._plan.grid_bits, blurred=blurred)
        try:
            grid.check()
        except PeerError:
            raise Refused("a step led to scores beyond any model's", hint=WILD) from None
        return grid

    def _tables(self, state: Fitting) -> list[Words]:
        def made() -> list[Words]:
            flat, size = self.context.store.get("tables", state.number), 1 << self._plan.grid_bits
            ends = np.cumsum([size * rank for rank in state.ranks])[:-1]
            words = [part.astype(np.int64).view(np.uint64) for part in np.split(flat, ends)]
            return [np.ascontiguousarray(part.reshape(size, -1)) for part in words]

        return self._once(("tables", state.number, 0), made)

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        return np.asarray(self.context.store.get("labelled", 0) == 1)

    @property
    def _labelled(self) -> NDArray[np.bool_]:
        return self._known

    @cached_property
    def _told_folds(self) -> NDArray[np.int8]:
        return np.asarray(self.context.store.get("fold", 0))

    @property
    def _folds(self) -> NDArray[np.int8]:
        return self._told_folds

    @cached_property
    def _mean(self) -> Floats:
        return np.asarray(self._raw[self._labelled].mean(axis=0))

    @cached_property
    def _x(self) -> Floats:
        """Columns less their mean, which the label party's intercept takes up."""
        return np.asarray(self._raw - self._mean)

    @cached_property
    def _penalty(self) -> Floats:
        return np.full(self._raw.shape[1], self._plan.penalty)

    def _metric(self, state: Fitting) -> Metric:
        if self._held_metric is None:
            x = self._x[self._labelled]
            square = state.curvature * x.T @ x + np.diag(self._penalty)
            inverse = np.asarray(np.linalg.pinv(square, hermitian=True))
            self._held_metric = Metric(inverse, self._noise_within(state.unit))
        return self._held_metric

    _held_metric: Metric | None = None

    @cached_property
    def _back(self) -> Floats:
        return self._columns.back(self._x)


def _farthest(scores: Floats) -> float:
    return float(np.abs(scores).max())
