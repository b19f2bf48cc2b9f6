"""The label party of a regression on private sums: answers lookups, and learns final scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.alone import alone
from federated.regression.descent import (
    Descent,
    Metric,
    moved,
)
from federated.regression.guards import check_answers
from federated.regression.links import TABLE_BITS, Grid, check_table, lanes, mean_of, slope_of
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
from federated.regression.noise import dithered
from federated.regression.party import AHEAD, Bins, Party, Words
from federated.regression.plan import RegressionPlan, opened_numbers
from federated.regression.results import Floats, LabelFit
from federated.regression.schedule import EVERY, Place, digest
from federated.regression.states import Fitting, Linking
from federated.regression.steps import following, own_products
from federated.sharing.kept import Values, batch_nonce, narrowed
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
from federated.vertical.guards import check_folds, check_own_columns, folds_of
from federated.vertical.rounding import FRACTION_BITS
from psi.protocol import Context, Done, MisuseError, PeerError, Share, Turn

__all__ = ["LabelParty"]


class LabelParty(Party[LabelFit]):
    """Holds the labels; learns its own part of the model and every row's score.

    Args:
        context: of the session; its store keeps trees, up to 16 bytes a level, row and column.
        partners: the feature parties, in the contract's order; one.
        x: `float64[n, a]`, own design columns of the aligned rows, standardised, no intercept.
            Columns of 0 and 1 that stand side by side and exclude each other are one category.
        label: `[n]`: logistic 1 and 0, -1 where there is none: these rows are only scored; else
            `float64`, NaN where there is none.
        plan: the contract's terms.
        folds: `int[n]`, the fold of each labelled row, -1 elsewhere; None for no folds.
        records: `int64[n]`, each row's record, where one has several rows.
        most: how many design columns each partner stated; None: whatever it says.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together or to the plan.
        Refused: too few rows, or too few of a class.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Linking, Ready): "on_ready",
        (Linking, Offer): "on_offer",
        (Linking, Points): "on_points",
        (Linking, Seeds): "on_seeds",
        (Fitting, Asked): "on_asked",
        (Fitting, Corrected): "on_corrected",
        (Fitting, Challenged): "on_challenged",
        (Fitting, Zeroed): "on_zeroed",
        (Fitting, Turned): "on_turned",
        (Fitting, Grids): "on_grids",
        (Fitting, Lanes): "on_lanes",
        (Fitting, Sums): "on_sums",
        (Fitting, Products): "on_products",
        (Fitting, Learned): "on_learned",
    }

    def __init__(
        self,
        context: Context,
        partners: Sequence[str],
        x: Floats,
        label: NDArray[Any],
        *,
        plan: RegressionPlan,
        folds: NDArray[Any] | None = None,
        records: NDArray[np.int64] | None = None,
        most: Mapping[str, int] | None = None,
    ) -> None:
        if len(partners) != 1 or context.party in partners:
            raise MisuseError(f"{len(partners)} partners found, one other party allowed")
        own = check_own_columns(x)
        super().__init__(context, partners[0], own, plan)
        self._most = (most or {}).get(partners[0])
        self._known, self._y = check_answers(plan.link, label, own)
        known = np.where(self._known, 1 if plan.link != "logistic" else self._y, -1).astype(np.int8)
        self._fold = folds_of(folds, known).astype(np.int8)
        count = int(self._fold.max(initial=-1)) + 1
        if count != plan.folds:
            raise MisuseError(f"{count} folds found, {plan.folds} planned")
        if plan.link == "logistic":
            check_folds(self._fold.astype(np.int16), known, records)
        self._x = np.column_stack([np.ones(len(own)), own])

    def begin(self) -> Turn[LabelFit]:
        """Send the terms, and the own trees."""
        state = self._linking(self._unit)
        setup = Setup(
            plan=digest(self._plan),
            folds=self._plan.folds,
            labelled=self._known.astype(np.uint8),
            fold=self._fold,
            unit=self._unit,
            layout=self._columns.layout,
        )
        return Turn(state, [(self._peer, setup), (self._peer, self._offer(state))], progress=0.0)

    def on_ready(self, state: Linking, sent: Ready, peer: str) -> Turn[LabelFit]:
        """The partner's trees."""
        return Turn(self._laid_out(self._heard(state, sent, peer), sent.layout, self._most))

    def on_offer(self, state: Linking, sent: Offer, peer: str) -> Turn[LabelFit]:
        """Choose in the partner's base transfers."""
        state, points = self._chosen(self._heard(state, sent, peer), sent)
        return Turn(state, [(peer, points)])

    def _first(self) -> tuple[Descent, ...]:
        return (Descent.at(self._alone),)

    def _went_on(self, state: Fitting, messages: list[tuple[str, Any]]) -> Turn[LabelFit]:
        if not self._made(state):
            return Turn(state, messages)
        if not state.started:
            scores = self._x[self._known] @ self._alone
            start = Start(float(self._slopes.mean()), float(scores.mean()))
            return Turn(replace(state, started=True), [*messages, (self._peer, start)])
        if state.running and not state.sent:
            state, given = self._answered(state)
            messages = [*messages, *given]
        return Turn(state, messages)

    def on_grids(self, state: Fitting, sent: Grids, peer: str) -> Turn[LabelFit]:
        """Take the latest step; check the tables of the partner's scores."""
        state = self._heard(state, sent, peer)
        if not state.started or state.running or sent.evaluation != state.number:
            raise PeerError("grids that are not due")
        self._drop(state)
        state = self._limited(state, sent.limits)
        models = len(self._evaluation(state).models) if self._looks else 0
        entries = sum(sent.ranks) << self._plan.grid_bits
        shapes = len(sent.ranges), len(sent.ranks), len(sent.tables)
        if shapes != (models, models, entries) or any(rank % 2 for rank in sent.ranks):
            raise PeerError("grids of another shape")
        self.context.store.put("tables", state.number, sent.tables)
        state = replace(state, running=True, ranges=sent.ranges, ranks=sent.ranks)
        for at, (grid, table) in enumerate(self._tables(state)):
            grid.check()
            check_table(self._plan.link, grid, table, self._scores(state, at))
        return self._went_on(self._opened(state), [])

    def on_lanes(self, state: Fitting, sent: Lanes, peer: str) -> Turn[LabelFit]:
        """Add the partner's residuals of a chunk up; send the next chunk's own."""
        state = self._heard(state, sent, peer)
        if sent.chunk >= state.sent:
            raise PeerError("lanes that are not due")
        state, given = self._answered(self._take(state, sent))
        return Turn(state, given)

    def on_sums(self, state: Fitting, sent: Sums, peer: str) -> Turn[LabelFit]:
        """Open the own gradient."""
        return Turn(self._opening(self._heard(state, sent, peer), sent))

    def on_products(self, state: Fitting, sent: Products, peer: str) -> Turn[LabelFit]:
        """Take the direction, and send what the partner needs for it."""
        state = self._heard(state, sent, peer)
        if not len(state.gradients) or sent.evaluation != state.number:
            raise PeerError("inner products that are not due")
        numbers = own_products(self._evaluation(state), state, self._penalty, self._metric)
        told = Products(state.number, np.concatenate(numbers))
        spans = [grid.span for grid, _ in self._tables(state)] or [0.0]
        state = following(
            self._evaluation(state), state, self._penalty, self._metric, sent.numbers, spans
        )
        steps = len(self._planned(state))
        done = Share(state.number / steps, steps * self._rows)
        return Turn(state, [(peer, told)], progress=done)

    def on_learned(self, state: Fitting, sent: Learned, peer: str) -> Turn[LabelFit]:
        """The end: every row's score."""
        state = self._heard(state, sent, peer)
        if state.number < len(self._planned(state)) or len(sent.scores) != self._rows:
            raise PeerError("final scores that are not due")
        models = self._limited(state, sent.limits).models
        own = np.stack([self._x @ model.weights for model in models])
        mine = own[np.where(self._fold >= 0, self._fold + 1, 0), np.arange(self._rows)]
        theirs = np.ldexp(sent.scores.astype(np.float64), -FRACTION_BITS)
        scores = mean_of(self._plan.link, mine + theirs)
        full = models[0].weights
        fit = LabelFit(
            coefficients=full[1:],
            intercept=float(full[0]) - sent.shift,
            scores=scores,
            fold_scores=np.where(self._fold >= 0, scores, np.nan),
            score_bits=self._plan.score_bits,
            gradient_left=[each.left for each in state.log if each.fold == EVERY][-1],
            evaluations=state.last + 1,
            opened=opened_numbers(self._ran(state), self._x.shape[1] - 1),
            log=tuple(
                {
                    "evaluation": each.evaluation,
                    "fold": each.fold,
                    "gradient_left": each.left,
                    "range": each.span,
                }
                for each in state.log
            ),
        )
        return Turn(Done(), result=fit, progress=1.0)

    # one evaluation

    def _answered(self, state: Fitting) -> tuple[Fitting, list[tuple[str, Any]]]:
        """Lookups and lanes of the chunks that may be under way; at the end the own sums."""
        messages: list[tuple[str, Any]] = []
        last = min(state.heard + AHEAD, self._own(state).chunks)
        for chunk in range(state.sent, last):
            state, sent = self._one(state, chunk)
            messages += [(self._peer, each) for each in sent]
            if state.sent == self._own(state).chunks:
                messages.append((self._peer, self._told(state)))
        return state, messages

    def _one(self, state: Fitting, chunk: int) -> tuple[Fitting, list[Any]]:
        """A chunk's lookups, and its residuals under the partner's trees."""
        low, high = self._own(state).range(chunk)
        rows = self._own(state).filled(chunk)
        models = len(self._evaluation(state).models)
        shares = np.zeros((rows, models), np.uint64)
        messages: list[Any] = []
        if self._looks:
            shares[:], answers = self._looked_up(state, chunk, rows)
            messages.append(answers)
        else:
            scores = np.stack([self._scores(state, at)[low:high] for at in range(models)], axis=1)
            shares[: high - low] = self._fixed(scores, state.unit)
        shares[: high - low] -= self._fixed(self._y[low:high, None], state.unit)
        shares[: high - low] *= self._known[low:high, None].astype(np.uint64)
        shares[high - low :] = 0
        state, given = self._give(state, chunk, shares)
        return state, [*messages, given]

    def _looked_up(self, state: Fitting, chunk: int, rows: int) -> tuple[Words, Answers]:
        low, high = self._own(state).range(chunk)
        tables = self._tables(state)
        weights = []
        for at, (grid, table) in enumerate(tables):
            found = np.zeros((rows, table.shape[1]), np.uint64)
            scores = self._scores(state, at)[low:high]
            f = lanes(self._plan.link, grid, table, scores) * 2.0**-state.unit
            random = state.transcript.random(f"dither {state.number} {at} {chunk}")
            found[: high - low] = dithered(f, self._scale - TABLE_BITS, random)
            weights.append(found)
        name = f"lookup {state.number} {chunk}"
        nonce = batch_nonce(state.transcript, name, *weights)
        values, places = Values(self.context.store, state.peer), self._theirs(state)
        padded, shares = [], []
        for at, (found, (_, table)) in enumerate(zip(weights, tables, strict=True)):
            number = places.lookup(state.number, at, chunk)
            sent, share = values.looked_up(number, nonce, found, _words(table))
            padded.append(narrowed(sent))
            shares.append(share)
        answers = Answers(state.number, chunk, nonce, np.concatenate(padded))
        return np.stack(shares, axis=1), answers

    def _limited(self, state: Fitting, limits: Floats) -> Fitting:
        """With the latest directions taken, as far as the partner says."""
        taken = self._planned(state)[state.number - 1].stepped if state.number else ()
        if len(limits) != len(taken) or not ((limits > 0) & (limits <= 1)).all():
            raise PeerError("limits of steps of another number, or out of range")
        models = list(state.models)
        for at, limit in zip(taken, limits, strict=True):
            models[at] = moved(models[at], float(limit))
        return replace(state, models=tuple(models))

    # what is at hand

    def _points(self, state: Fitting, place: Place) -> Bins:
        raise MisuseError("the label party's score has no grid")

    @property
    def _labelled(self) -> NDArray[np.bool_]:
        return self._known

    @property
    def _folds(self) -> NDArray[np.int8]:
        return self._fold

    def _scores(self, state: Fitting, at: int) -> Floats:
        return np.asarray(self._x @ state.models[self._evaluation(state).models[at]].weights)

    def _tables(self, state: Fitting) -> list[tuple[Grid, NDArray[np.int16]]]:
        if not len(state.ranges):
            return []
        flat, size = self.context.store.get("tables", state.number), 1 << self._plan.grid_bits
        ends = np.cumsum([size * rank for rank in state.ranks])[:-1]
        bits, blurred = self._plan.grid_bits, self._plan.noise > 0
        grids = [Grid(int(low), int(high), bits, blurred) for low, high in state.ranges]
        parts = np.split(flat, ends)
        return [(grid, part.reshape(size, -1)) for grid, part in zip(grids, parts, strict=True)]

    @cached_property
    def _unit(self) -> int:
        """Of residuals: the power of two from the largest label's magnitude on."""
        if self._plan.link == "logistic":
            return 0
        most = float(np.abs(self._y[self._known]).max(initial=2.0**-60))
        return int(np.clip(np.ceil(np.log2(most)), -60, 60))

    @cached_property
    def _penalty(self) -> Floats:
        found = np.full(self._x.shape[1], self._plan.penalty)
        found[0] = 0.0
        return found

    @cached_property
    def _alone(self) -> Floats:
        rows = self._known
        return alone(self._plan.link, self._x[rows], self._y[rows], self._penalty)

    @cached_property
    def _slopes(self) -> Floats:
        return slope_of(self._plan.link, self._x[self._known] @ self._alone)

    @cached_property
    def _metric(self) -> Metric:
        x = self._x[self._known]
        square = (x * self._slopes[:, None]).T @ x + np.diag(self._penalty)
        return Metric(
            np.asarray(np.linalg.pinv(square, hermitian=True)), self._noise_within(self._unit)
        )

    def _missed(self, state: Fitting) -> Floats:
        vectors = self._evaluation(state).vectors
        rows = [each.rows(self._known, self._fold) for each in vectors]
        residual = mean_of(self._plan.link, self._x @ self._alone) - self._y
        values = np.stack([residual * mask for mask in rows], axis=1)
        return self._columns.missed(self._x, self._back, values)

    @cached_property
    def _back(self) -> Floats:
        own = self._columns.back(self._x[:, 1:])
        total = np.zeros((len(own), 1))
        total[0] = 1.0
        return np.hstack([total, own])


def _words(table: NDArray[np.int16]) -> Words:
    return np.ascontiguousarray(table.astype(np.int64).view(np.uint64))
