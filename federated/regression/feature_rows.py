"""A feature party's own rows: scores, the points they pick, and how far these are off.

What is made once an evaluation is kept for it; all of it follows from the role's state and store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.descent import Descent, Metric
from federated.regression.growing import Bins
from federated.regression.links import MOST_RANGE, Grid, slope_of
from federated.regression.noise import WILD
from federated.regression.party import Party, Words
from federated.regression.plan import RegressionPlan
from federated.regression.results import FeatureFit, Floats
from federated.regression.schedule import Place, beyond_any, holds, table_bits
from federated.regression.states import Fitting
from psi.protocol import Context, MisuseError, PeerError, Refused

__all__ = ["FeatureRows"]

T = TypeVar("T")

GROWTH = 8.0
"""How much wider a step may make the range of this party's scores."""
_STEEPEST = {"logistic": 0.25, "poisson": 1.0}
"""Of a mean, in the unit of residuals."""
_MODELS = 64
"""More than an evaluation has."""
_PARTS = 64
"""Steps are shortened to a multiple of one over so many."""


class FeatureRows(Party[FeatureFit]):
    """What a feature party knows of its rows; arguments as those of `FeatureParty`."""

    holds_scores = True

    def __init__(
        self,
        context: Context,
        label_party: str,
        x: Floats,
        plan: RegressionPlan,
        partners: Sequence[str],
    ) -> None:
        super().__init__(context, label_party, x, plan)
        self._partners = list(partners) or [context.party]
        if len(self._partners) != plan.partners or context.party not in self._partners:
            raise MisuseError(f"{len(self._partners)} feature parties, {plan.partners} planned")
        self._at = self._partners.index(context.party)
        self._last = self._at == len(self._partners) - 1
        self._cache: dict[Any, Any] = {}
        self._held_metric: tuple[bytes, Metric] | None = None

    def _slack(self, state: Fitting, at: int) -> Words:
        """How far a row's mean is off because its score is not on the grid, `uint64[n, outs]`.

        The slope at a row is not known here; that of the label party's mean score, brought to the
        mean of its slopes, does: what remains has no bias.
        """

        def made() -> Words:
            scores, grid = self._scores(state, at), self._grid(state, at)
            slope = slope_of(self._plan.link, scores + state.score)
            slope *= state.curvature / slope[self._labelled].mean()
            # whatever curvature is told, this is below the noise and shows no point's way
            slope = np.minimum(slope, 2.0**state.unit * _STEEPEST[self._plan.link])
            off = grid.points[self._points(state, Place(0, 0, -1, state.number, at))] - scores
            low = sum(state.shapes[1 : 2 * at : 2])
            ones = self.context.store.get("ones", state.number)[low:][: state.shapes[2 * at + 1]]
            # of what a lookup gives the tables after it are yet to be taken
            left = table_bits(self._plan) * (len(self._partners) - 1 - self._at)
            return self._fixed(np.ldexp((slope * off)[:, None] * ones, -left), state.unit)

        return self._once(("slack", state.number, at), made)

    def _counted(self, state: Fitting) -> int:
        """By how many columns of all parties steps are held back; 0 where they are not."""
        if not holds(self._plan):
            return 0
        return 1 + state.layout.columns + int(self._raw.shape[1])

    def _limit(self, model: Descent) -> float:
        """The part of a step that lets the range of scores grow by GROWTH at most, and stay."""
        if self._plan.link == "linear":
            return 1.0
        scores, more = self._x @ model.weights, self._x @ model.step
        growth, farthest = max(float(np.ptp(more)), 1e-9), max(float(np.abs(more).max()), 1e-9)
        wider, further = (MOST_RANGE - 1.0 - float(f(scores)) for f in (np.ptp, _farthest))
        parts = int(_PARTS * min(1.0, min(GROWTH, wider) / growth, further / farthest))
        return max(0, parts) / _PARTS

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

    def _wild(self, state: Fitting) -> bool:
        """Whether a step led own scores of a linear model beyond what counts."""
        models = range(len(self._evaluation(state).models) * (not self._looks))
        return any(beyond_any(self._plan, self._scores(state, at), state.unit) for at in models)

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
            return self._shaped(state, self.context.store.get("tables", state.number))

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
        if self._held_metric is None or self._held_metric[0] != state.veil:
            x = self._x[self._labelled]
            square = state.curvature * x.T @ x + np.diag(self._penalty)
            self._held_metric = state.veil, self._metric_of(state, square, self._back)
        return self._held_metric[1]

    @cached_property
    def _back(self) -> Floats:
        """Sums over (all rows, integer columns) to gradients: `float64[1 + integers, k]`."""
        return self._columns.back(self._x)

    def _unbounded(self, state: Fitting) -> Floats | None:
        """What nothing bounds of rows' residuals: own scores of a linear model (`_told`)."""
        if self._looks:
            return None
        models = range(len(self._evaluation(state).models))
        return np.stack([self._scores(state, at)[self._labelled] for at in models])

    def _linear(self, state: Fitting, chunk: int) -> Words:
        """Own scores are shares of the residuals already."""
        low, high = self._own(state).range(chunk)
        rows = self._own(state).filled(chunk)
        models = range(len(self._evaluation(state).models))
        shares = np.zeros((rows, len(models)), np.uint64)
        for at in models:
            shares[: high - low, at] = self._fixed(self._scores(state, at)[low:high], state.unit)
        shares[: high - low] *= self._labelled[low:high, None].astype(np.uint64)
        return shares


def _farthest(scores: Floats) -> float:
    return float(np.abs(scores).max())
