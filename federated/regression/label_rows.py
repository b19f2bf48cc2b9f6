"""The label party's own rows: scores, its shares of a chunk, what it knows before any message."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.alone import alone
from federated.regression.chain import Chain
from federated.regression.descent import Metric
from federated.regression.labels import Labels
from federated.regression.lines import Line
from federated.regression.links import MOST_RANGE, Grid, mean_of, slope_of
from federated.regression.messages import Answers, Start
from federated.regression.noise import dithered, told_start
from federated.regression.party import Words
from federated.regression.plan import RegressionPlan
from federated.regression.results import Floats, LabelFit
from federated.regression.schedule import (
    Evaluation,
    Places,
    beyond_any,
    farthest_bits,
    holds,
    scale_bits,
    schedule,
    table_bits,
)
from federated.regression.states import Fitting, Joined, link_of, put_link
from federated.sharing.kept import batch_nonce, narrowed
from psi.protocol import Context, PeerError, Role

__all__ = ["LabelRows"]

_FARTHER = 4.0
"""How far beyond the noise a mean of counts may lie: honest ranges reach beyond any row's mean."""


class LabelRows(Role[LabelFit]):
    """What the label party knows of its rows; arguments as those of `LabelParty`, checked.

    Args:
        x: `float64[n, 1 + a]`, ones first.
        labels: what is to be predicted; fold: -1 for none, `int8[n]`.
        lines: a link a partner.
    """

    def __init__(
        self,
        context: Context,
        x: Floats,
        plan: RegressionPlan,
        *,
        labels: Labels,
        fold: NDArray[np.int8],
        lines: list[Line],
    ) -> None:
        super().__init__(context)
        self._x, self._plan, self._scale = x, plan, scale_bits(plan)
        self._labels, self._fold, self._lines = labels, fold, lines
        self._known, self._y, self._weights = labels.known, labels.y, labels.weights
        self._held_metric: tuple[bytes, Metric] | None = None

    def _line(self, peer: str) -> tuple[int, Line]:
        for at, line in enumerate(self._lines):
            if line.peer == peer:
                line.incoming = self.incoming  # it hears what this role has
                return at, line
        raise PeerError("a message that only a party of the regression may send")

    def _planned(self, fit: Fitting) -> tuple[Evaluation, ...]:
        return schedule(self._plan, fit.last)

    def _evaluation(self, fit: Fitting) -> Evaluation:
        return self._planned(fit)[fit.number]

    @property
    def _looks(self) -> bool:
        return self._plan.link != "linear"

    def _counted(self, fit: Fitting) -> int:
        """By how many columns steps are held back; 0 of classes."""
        return self._x.shape[1] + fit.layout.columns if holds(self._plan) else 0

    @property
    def _chunks(self) -> int:
        return Places(len(self._y), 0).chunks

    def _grids(self, fit: Fitting) -> list[Grid]:
        bits, blurred = self._plan.grid_bits, self._plan.noise > 0
        return [Grid(int(low), int(high), bits, blurred) for low, high in fit.ranges]

    def _scores(self, fit: Fitting, at: int) -> Floats:
        model = fit.models[self._evaluation(fit).models[at]]
        scores = self._x @ model.weights + self._labels.offset
        if self._plan.link == "poisson":
            scores = np.clip(scores, -MOST_RANGE, MOST_RANGE)
        return np.asarray(scores)

    def _wild(self, fit: Fitting) -> bool:
        """Whether a step led own scores beyond what counts."""
        models = range(len(self._evaluation(fit).models) * (self._plan.link != "logistic"))
        return any(beyond_any(self._plan, self._scores(fit, at), self._unit) for at in models)

    @cached_property
    def _unit(self) -> int:
        """Of residuals."""
        return 0 if self._plan.link == "logistic" and not self._plan.weighted else self._labels.unit

    @cached_property
    def _weighed(self) -> Floats:
        return self._weights * self._y

    @cached_property
    def _penalty(self) -> Floats:
        found = np.full(self._x.shape[1], self._plan.penalty)
        found[0] = 0.0
        return found

    @cached_property
    def _alone(self) -> Floats:
        rows = self._known
        given = self._weights[rows], self._labels.offset[rows]
        return alone(self._plan.link, self._x[rows], self._y[rows], self._penalty, *given)

    @property
    def _scores_alone(self) -> Floats:
        return np.asarray(self._x @ self._alone + self._labels.offset)

    @cached_property
    def _slopes(self) -> Floats:
        slopes = self._weights * slope_of(self._plan.link, self._scores_alone)
        return np.asarray(slopes[self._known])

    @cached_property
    def _square(self) -> Floats:
        """The curvature of the own model's loss."""
        x = self._x[self._known]
        return np.asarray((x * self._slopes[:, None]).T @ x + np.diag(self._penalty))

    def _metric(self, fit: Fitting) -> Metric:
        if self._held_metric is None or self._held_metric[0] != fit.veil:
            made = self._lines[-1].metric_of(fit, self._square, self._back)
            self._held_metric = fit.veil, made
        return self._held_metric[1]

    def _start(self, seed: bytes) -> Start:
        """Of which only slopes of moved points and the scale of partners' metrics are made.

        Exactly that of the own model, or with noise that of the labels alone.
        """
        if self._plan.link == "linear":
            return Start(1.0, 0.0)
        if not self._plan.noise:
            score = float(self._scores_alone[self._known].mean())
            return Start(float(self._slopes.mean()), score)
        rows = self._known
        weights = float(self._weights[rows].sum()) if self._plan.weighted else None
        labels, count = float(self._weighed[rows].sum()), int(np.count_nonzero(rows))
        return Start(*told_start(seed, self._plan.link, count, labels, weights, self._unit))

    def _unbounded(self, fit: Fitting) -> Floats | None:
        """What nothing bounds of rows' residuals (`_told`).

        Of a linear model their part here. Of counts the means that they have at the end of the
        range that the partner tells: it could put a row there whose score it wants to read.
        """
        models = range(len(self._evaluation(fit).models))
        if self._plan.link == "linear":
            return np.stack([(self._scores(fit, at) - self._y)[self._known] for at in models])
        if self._plan.link == "poisson":
            ends = [float(grid.points[-1]) for grid in self._grids(fit)]
            every = [self._weights * np.exp(self._scores(fit, at) + ends[at]) for at in models]
            return np.stack(every)[:, self._known] / _FARTHER
        return None

    def _missed(self, fit: Fitting) -> Floats:
        """What is known of the gradients that rounded columns lose: `float64[vectors, k]`."""
        rows = [each.rows(self._known, self._fold) for each in self._evaluation(fit).vectors]
        residual = self._weights * (mean_of(self._plan.link, self._scores_alone) - self._y)
        values = np.stack([residual * mask for mask in rows], axis=1)
        return self._lines[-1].columns.missed(self._x, self._back, values)

    @cached_property
    def _back(self) -> Floats:
        """Sums over (all rows, integer columns) to gradients: `float64[1 + integers, k]`."""
        own = self._lines[-1].columns.back(self._x[:, 1:])
        total = np.zeros((len(own), 1))
        total[0] = 1.0
        return np.hstack([total, own])

    def _looked_up(self, state: Joined, chunk: int) -> tuple[Words, list[tuple[str, Any]]]:
        """This party's shares of the means of a chunk, `uint64[rows, models]`."""
        fit, store = link_of(state, 0), self.context.store
        places, bits = self._lines[0].places(fit), table_bits(self._plan)
        (low, high), rows = places.range(chunk), places.filled(chunk)
        values: list[Words] = []
        for model in range(len(self._evaluation(fit).models)):
            kept = (store.get(f"chain-{name}", model) for name in ("points", "values"))
            chain = Chain(self._plan.link, (), (), *kept)
            f = chain.lanes(self._scores(fit, model)[low:high]) * 2.0**-self._unit
            f *= self._weights[low:high, None]
            if self._plan.link == "poisson":
                f = np.minimum(f, _FARTHER * 2.0 ** farthest_bits(self._plan))
            found = np.zeros((rows, f.shape[1]), np.uint64)
            random = fit.transcript.random(f"dither {fit.number} {model} {chunk}")
            found[: high - low] = dithered(f, self._scale - bits * len(self._lines), random)
            values.append(found)
        messages: list[tuple[str, Any]] = []
        for at, line in enumerate(self._lines):
            fit, padded, shares = link_of(state, at), [], []
            name = f"lookup {fit.number} {chunk}"
            nonce = batch_nonce(fit.transcript, name, *values)
            tables = line.tables(fit, store.get("tables", at))
            for model, (given, table) in enumerate(zip(values, tables, strict=True)):
                sent, share = line.looked_up(fit, (model, chunk), nonce, given, table)
                padded.append(narrowed(sent, line.lane_bytes))
                shares.append(share)
            answers = Answers(fit.number, chunk, nonce, np.concatenate(padded))
            messages.append((line.peer, answers))
            values = shares
        return np.concatenate(values, axis=1), messages

    def _one(self, state: Joined, chunk: int) -> tuple[Joined, list[tuple[str, Any]]]:
        """A chunk's lookups, and its residuals under the partners' trees."""
        fit = link_of(state, 0)
        places = self._lines[0].places(fit)
        (low, high), rows = places.range(chunk), places.filled(chunk)
        models = len(self._evaluation(fit).models)
        messages: list[tuple[str, Any]] = []
        if self._looks:
            shares, messages = self._looked_up(state, chunk)
        else:
            shares = np.zeros((rows, models), np.uint64)
            scores = np.stack([self._scores(fit, at)[low:high] for at in range(models)], axis=1)
            shares[: high - low] = self._lines[0].fixed(scores, self._unit)
        shares[: high - low] -= self._lines[0].fixed(self._weighed[low:high, None], self._unit)
        shares[: high - low] *= self._known[low:high, None].astype(np.uint64)
        shares[high - low :] = 0
        for at, line in enumerate(self._lines):
            fit, given = line.given(link_of(state, at), chunk, shares)
            state = put_link(state, at, fit)
            messages.append((line.peer, given))
        return state, messages
