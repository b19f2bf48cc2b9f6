"""What both sides of a link do alike with residuals: sums over columns, under noise."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.columns import depths, largest, weights_of
from federated.regression.descent import Metric
from federated.regression.growing import Growing
from federated.regression.messages import Lanes, Layout, Sums
from federated.regression.noise import AMONG, OWN, TERM, Veil, gaussians, lasting_noise, noise_of
from federated.regression.plan import RegressionPlan
from federated.regression.results import Floats
from federated.regression.schedule import Evaluation
from federated.regression.states import Fitting
from federated.sharing.kept import Index, Values, batch_nonce, narrowed, signed, widened
from federated.sharing.transcript import SEED
from psi.kernels.subset_sums import add_to_bins
from psi.protocol import PeerError

__all__ = ["Party"]

R = TypeVar("R")
Words = NDArray[np.uint64]

AHEAD = 2
"""Chunks of lanes under way."""
_SLACK = 1.01


class Party(Growing[R]):
    """One side, with sums over columns."""

    def _ran(self, state: Fitting) -> RegressionPlan:
        """The terms as they were run."""
        return replace(self._plan, evaluations=state.last + 1)

    def _shaped(self, state: Fitting, flat: NDArray[np.int16]) -> list[Words]:
        """An evaluation's tables, `uint64[2^grid_bits, ins, outs]` each."""
        size, shapes = 1 << self._plan.grid_bits, zip(*[iter(state.shapes)] * 2, strict=True)
        found, low = [], 0
        for ins, outs in shapes:
            part = flat[low : low + size * ins * outs].astype(np.int64).view(np.uint64)
            found.append(np.ascontiguousarray(part.reshape(size, ins, outs)))
            low += size * ins * outs
        return found

    # sums over columns

    @property
    def _labelled(self) -> NDArray[np.bool_]:
        raise NotImplementedError

    @property
    def _folds(self) -> NDArray[np.int8]:
        raise NotImplementedError

    def _evaluation(self, state: Fitting) -> Evaluation:
        return self._planned(state)[state.number]

    def _opened(self, state: Fitting) -> Fitting:
        """An evaluation begins: no sums yet, of nothing."""
        vectors = len(self._evaluation(state).vectors)
        own = np.zeros(vectors * (1 + self._columns.layout.integers), np.uint64)
        theirs = np.zeros(vectors * (1 + state.layout.integers), np.uint64)
        none = np.zeros(0)
        return replace(
            state,
            sent=0,
            answers=0,
            handed=0,
            passed=0,
            heard=0,
            summed=False,
            own=own,
            theirs=theirs,
            gradients=none,
            noise=none,
            told=none,
        )

    def _vectors(self, state: Fitting, chunk: int, shares: Words) -> Words:
        """Shares of a chunk's residuals by model `uint64[rows, models]`, as `uint64[rows, v]`."""
        low, high = self._own(state).range(chunk)
        found = []
        for vector in self._evaluation(state).vectors:
            rows = vector.rows(self._labelled[low:high], self._folds[low:high])
            mask = np.zeros(len(shares), np.uint64)
            mask[: high - low] = rows
            found.append(shares[:, vector.model] * mask)
        return np.stack(found, axis=1)

    def _give(self, state: Fitting, chunk: int, shares: Words) -> tuple[Fitting, Lanes]:
        """This side's residuals of a chunk under the other's trees; own sums of them."""
        values, vectors = (
            Values(self.context.store, state.peer),
            self._vectors(state, chunk, shares),
        )
        nonce = batch_nonce(state.transcript, f"sums {state.number} {chunk}", vectors)
        width = vectors.shape[1]
        theirs, own = state.theirs.reshape(width, -1).copy(), state.own.reshape(width, -1).copy()
        total = vectors.sum(axis=0, dtype=np.uint64)
        theirs[:, 0] += total
        own[:, 0] += total
        places, lanes = self._theirs(state), [np.zeros(0, np.uint8)]
        for at, (tree, depth) in enumerate(
            zip(state.layout.trees, depths(state.layout), strict=True)
        ):
            padded, share = values.summed(places.tree(at, chunk), depth, nonce, vectors)
            lanes.append(narrowed(padded, self._bytes))
            weights = weights_of(tree).astype(np.uint64)
            theirs[:, 1 + tree.first : 1 + tree.first + weights.shape[1]] += share.T @ weights
        for at, tree in enumerate(self._columns.layout.trees):
            weights = weights_of(tree).astype(np.uint64)
            sums = np.zeros((len(weights), width), np.uint64)
            number = self._own(state).tree(at, chunk)
            bins = self._numbers(state, self._own(state).of(number))
            add_to_bins(vectors, np.zeros_like(vectors), bins, sums)
            own[:, 1 + tree.first : 1 + tree.first + weights.shape[1]] += sums.T @ weights
        state = replace(state, sent=state.sent + 1, own=own.ravel(), theirs=theirs.ravel())
        return state, Lanes(state.number, chunk, nonce, np.concatenate(lanes))

    def _take(self, state: Fitting, sent: Lanes) -> Fitting:
        """The other side's residuals of a chunk under own trees: added to the own sums."""
        if sent.evaluation != state.number or sent.chunk != state.heard:
            raise PeerError("lanes that are not due")
        index, width = Index(self.context.store, state.keys), len(self._evaluation(state).vectors)
        trees = self._columns.layout.trees
        rows = self._own(state).filled(sent.chunk)
        lanes = widened(sent.lanes, rows * len(trees), width, self._bytes)
        lanes = lanes.reshape(len(trees), rows, width)
        own = state.own.reshape(width, -1).copy()
        for at, tree in enumerate(trees):
            number = self._own(state).tree(at, sent.chunk)
            bins = self._numbers(state, self._own(state).of(number))
            sums = index.summed(number, bins, sent.nonce, lanes[at])
            weights = weights_of(tree).astype(np.uint64)
            own[:, 1 + tree.first : 1 + tree.first + weights.shape[1]] += sums.T @ weights
        return replace(state, heard=state.heard + 1, own=own.ravel())

    def _fixed(self, numbers: Floats, unit: int) -> Words:
        """In fixed point; what no settled fit has counts as the farthest that there is.

        Whether a run ends would tell the other side, which steers steps, how far a row's score is.
        """
        most = 2.0**self._farthest
        near = np.clip(np.ldexp(np.nan_to_num(numbers), -unit), -most, most)
        whole = np.rint(np.ldexp(near, self._scale))
        return np.asarray(whole.astype(np.int64).view(np.uint64))

    def _told(self, state: Fitting, own: Floats | None = None) -> Sums:
        """This side's share of the other's sums, with its noise.

        `own` is what rows' residuals have of this side where nothing bounds it, in scores' units:
        the other side could tell a unit, or steer a step, so that noise of one unit hides nothing.
        """
        vectors, deviations = self._evaluation(state).vectors, self._deviations(state.layout)
        random = state.transcript.random(f"noise {state.number}")
        fresh = deviations * _covering(own, state.unit, self._farthest)
        noise = noise_of((len(vectors), len(deviations)), fresh, self._scale, random)
        if state.lasting:
            noise = noise + lasting_noise(state.lasting, vectors, deviations, self._scale)
        return Sums(state.number, state.theirs + noise.ravel())

    def _deviations(self, layout: Layout) -> Floats:
        """Of noise on sums over all rows and a layout's columns, `float64[1 + integers]`."""
        return np.append(1.0, largest(layout)) * self._plan.noise

    def _due_sums(self, state: Fitting, sent: Sums) -> None:
        """Raise `PeerError` unless the other side's share of the own sums is due."""
        late = state.heard < self._own(state).chunks or state.summed or len(state.gradients)
        if sent.evaluation != state.number or not state.running or late:
            raise PeerError("sums that are not due")
        if len(sent.sums) != len(state.own):
            raise PeerError(f"{len(sent.sums)} sums found, {len(state.own)} expected")

    def _sums(self, state: Fitting, told: Words) -> Floats:
        """The sums over own integer columns, opened: `float64[vectors, 1 + integers]`.

        Those that residuals of these rows cannot have are `folded`.
        """
        return folded(*self._within(state, told))

    def _beyond(self, state: Fitting, told: Words) -> bool:
        """Whether there are such sums: this party's officer is told at the end, and nobody else."""
        opened, reach, _ = self._within(state, told)
        return bool((np.abs(opened) > reach).any())

    def _within(self, state: Fitting, told: Words) -> tuple[Floats, Floats, float]:
        """Opened sums, how far they can go, and half of what they are modulo."""
        width = len(self._evaluation(state).vectors)
        opened = signed(state.own + told, self._bytes).astype(np.float64).reshape(width, -1)
        opened *= 2.0 ** (-self._scale)
        most = np.append(1.0, largest(self._columns.layout))
        # the furthest that residuals of at most 1 and noise can go; a spoilt tree or a wrong lane
        # makes a number of random bits
        reach = most * (self._reach() * _SLACK + 12.0 * self._plan.noise)
        half = 2.0 ** (8 * self._bytes - 1 - self._scale)
        return opened, np.minimum(reach, half / 2), half

    def _own_noise(self, state: Fitting, back: Floats, own: Floats | None) -> Floats:
        """What this side's own inner products have on its opened gradients, `float64[vectors, k]`.

        The other side knows its noise, so that these would be exact numbers of rows to it. `own`
        is as in `_told`, `back` as in `_noise_within`.
        """
        size = len(self._evaluation(state).vectors), len(back)
        if not state.veil:
            return np.zeros((size[0], back.shape[1]))
        drawn = gaussians(size[0] * size[1], state.transcript.random(f"own noise {state.number}"))
        deviations = self._deviations(self._columns.layout) * OWN
        deviations = deviations * _covering(own, state.unit, self._farthest)
        return np.asarray((drawn.reshape(size) * deviations) @ back) * 2.0**state.unit

    def _own_term(self, state: Fitting, back: Floats) -> Floats:
        """What own gradients have besides, the same in all evaluations, `float64[vectors, k]`.

        A linear term of the own loss: the model is the optimum with it. `back` is as in
        `_noise_within`.
        """
        vectors = self._evaluation(state).vectors
        if not state.veil:
            return np.zeros((len(vectors), back.shape[1]))
        deviations = np.maximum(self._deviations(self._columns.layout) * TERM, self._hiding)
        drawn = lasting_noise(state.veil, vectors, deviations, self._scale).view(np.int64)
        return np.asarray(drawn * 2.0**-self._scale @ back) * 2.0**state.unit

    @cached_property
    def _hiding(self) -> Floats:
        """Noise by which a row that outweighs a column hides its label as among `AMONG` rows.

        A label moves a sum by half a weight to each side, and those of the other rows hide it.
        """
        farthest, whole = self._columns.lone(self._labelled)
        return np.append(0.0, np.sqrt(np.maximum(AMONG * farthest - whole, 0.0)) / 2)

    def _reach(self) -> float:
        """The most that magnitudes of residuals can add up to, in their unit."""
        rows = float(np.count_nonzero(self._labelled))
        return rows if self._plan.link == "logistic" else 2.0 ** (54 - self._scale)

    def _noise_within(self, back: Floats, unit: int) -> Floats:
        """The covariance of the noise in s·y's y.

        `back`: sums over (all rows, integer columns) to gradients, `float64[1 + integers, k]`.
        """
        spread = back * self._deviations(self._columns.layout)[:, None]
        # of two gradients, each with noise of both parties
        return np.asarray(spread.T @ spread) * 2.0 * (1.0 + OWN**2) * 4.0**unit

    def _metric_of(self, state: Fitting, square: Floats, back: Floats) -> Metric:
        """The own block of the first metric: about the inverse of the curvature `square`."""
        noise = self._noise_within(back, state.unit)
        if not state.veil:
            return Metric(np.asarray(np.linalg.pinv(square, hermitian=True)), noise)
        veil = Veil(state.veil)
        inverse, root = veil.bent(square)
        spread = veil.blurred(float((inverse * noise).sum()), "spread")
        return Metric(inverse, veil.blurred(noise, "noise"), spread, root)

    def _veiled(self, state: Fitting) -> Fitting:
        """With the seed of what own numbers are off by, drawn once all trees are turned."""
        if not self._plan.noise:
            return state
        return replace(state, veil=state.transcript.draw("own veil", SEED))


def folded(opened: Floats, reach: Floats, half: float) -> Floats:
    """Sums modulo 2 `half` as numbers within `reach`, which is half of `half` at most.

    The other side adds what it likes to a sum. Nothing may change at once where it passes a bound,
    be it by an error, by a number cut off on one side and turned round on the other, or by a flag
    that others see: that would compare the sum with a number of its choosing, without any noise.
    So what is beyond goes back the way it came, slower: f(x + d) is never further from f(x) than d.
    """
    size = np.abs(opened)
    back = reach * (half - size) / (half - reach)
    return np.where(size > reach, np.copysign(back, opened), opened)


def _covering(own: Floats | None, unit: int, most: int) -> float:
    """How many units cover all of these: a power of two, 1 at least and 2^`most` at most."""
    farthest = 0.0 if own is None else float(np.abs(own).max(initial=0.0)) * 2.0**-unit
    return 2.0 ** min(most, max(0, math.ceil(math.log2(farthest)))) if farthest > 1.0 else 1.0
