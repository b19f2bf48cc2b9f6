"""What both sides of a link of a regression do alike: transfers, trees, column sums.

Of the two directions each party is the bin holder of its own columns' trees, and the value holder
of the other's. A message of trees comes from one side of a direction only, so its sender says which
direction it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.columns import Columns, check_layout, depths, largest, weights_of
from federated.regression.descent import Descent, Metric
from federated.regression.messages import Lanes, Layout, Sums
from federated.regression.noise import OWN, Veil, gaussians, lasting_noise, noise_of
from federated.regression.plan import RegressionPlan
from federated.regression.results import Floats
from federated.regression.schedule import (
    Evaluation,
    Place,
    Places,
    farthest_bits,
    lane_bytes,
    scale_bits,
    schedule,
)
from federated.regression.states import Fitting, Linking
from federated.sharing.chunks import coin_of, name_of, window_of
from federated.sharing.kept import (
    Index,
    IndexKeys,
    ValueKeys,
    Values,
    batch_nonce,
    narrowed,
    signed,
    widened,
)
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
from federated.sharing.seeds import BASE, choosing_seeds, delta_seeds
from federated.sharing.transcript import SEED, Transcript
from psi.kernels.subset_sums import add_to_bins
from psi.protocol import Context, MisuseError, PeerError, Role, Turn, encode
from psi.vole_malicious import base_ot

__all__ = ["LINKED", "Party"]

R = TypeVar("R")
Words = NDArray[np.uint64]
Bins = NDArray[np.uint16]

WINDOW = 8
"""Whole chunks of trees under way at a time."""
AHEAD = 2
"""Chunks of lanes under way."""
_SLACK = 1.01


LINKED: Mapping[tuple[type, type], str] = {
    (Linking, Offer): "on_offer",
    (Linking, Points): "on_points",
    (Linking, Seeds): "on_seeds",
    (Fitting, Asked): "on_asked",
    (Fitting, Corrected): "on_corrected",
    (Fitting, Challenged): "on_challenged",
    (Fitting, Zeroed): "on_zeroed",
    (Fitting, Turned): "on_turned",
}
"""What both sides of a link hear alike."""


class Party(Role[R]):
    """One side; `x: float64[n, p]` are the columns that trees are made of."""

    holds_scores = False
    """Whether lookups are of this side's score."""

    def __init__(self, context: Context, peer: str, x: Floats, plan: RegressionPlan) -> None:
        super().__init__(context)
        if len(x) > plan.rows:
            raise MisuseError(f"{len(x)} rows found, at most {plan.rows} planned")
        self._peer, self._plan, self._rows = peer, plan, len(x)
        self._raw = x
        self._scale, self._bytes = scale_bits(plan), lane_bytes(plan)
        self._farthest = farthest_bits(plan)

    # links

    def _linking(self, unit: int) -> Linking:
        about = self.context.session + self.context.step.encode()
        transcript = Transcript.begin(self.context.random, about)
        secret, point = base_ot.offer(transcript.random("offer"))
        return Linking(
            transcript=transcript,
            secret=secret,
            point=point,
            unit=unit,
            bits=np.zeros(0, np.uint8),
            keys=np.zeros((0, 16), np.uint8),
        )

    def _offer(self, state: Linking) -> Offer:
        return Offer(state.point, self._rows, depths(self._columns.layout))

    def _laid_out(self, state: Linking, layout: Layout, most: int | None) -> Linking:
        """With the other side's trees."""
        if state.layout is not None:
            raise PeerError("a layout that was told before")
        check_layout(layout, self._plan.column_bits)
        if most is not None and layout.columns > most:
            raise PeerError(f"{layout.columns} columns found, {most} stated in the contract")
        return replace(state, layout=layout)

    def _heard(self, state: Any, sent: Any, peer: str) -> Any:
        if peer != self._peer:
            raise PeerError("a message that only the other party of the regression may send")
        return replace(state, transcript=state.transcript.hear(encode(sent)))

    def _chosen(self, state: Linking, sent: Offer) -> tuple[Linking, Points]:
        """Choose in the other side's base transfers by the bits of a secret."""
        if state.layout is None or state.said:
            raise PeerError("an offer that is not due")
        if sent.rows != self._rows:
            raise PeerError(f"{sent.rows} rows at the other party, {self._rows} here")
        if sent.depths != depths(state.layout):
            raise PeerError("an offer of other trees than the layout's")
        drawn = np.frombuffer(state.transcript.draw("delta", BASE // 8), np.uint8)
        bits = np.unpackbits(drawn, bitorder="little")
        name = self._name(self._peer, sent.depths)
        random = state.transcript.random("points")
        points, keys = base_ot.choose(sent.point, (1 - bits).astype(np.uint8), name, random)
        said = sent.point + points.tobytes()
        return replace(state, bits=bits, keys=keys, said=said), Points(points, 1)

    def on_points(self, state: Linking, sent: Points, peer: str) -> Turn[R]:
        """The keys of the base transfers, and trees of seeds."""
        state = self._heard(state, sent, peer)
        if not state.said or state.own is not None or len(sent.points) != 2 * BASE:
            raise PeerError("points of base transfers that are not due")
        name = self._name(self.context.party, depths(self._columns.layout))
        both = base_ot.give(state.secret, state.point, sent.points, name)
        seeds, told = choosing_seeds(both, state.transcript.random("seeds"), name)
        coin = coin_of(name, state.point, sent.points.tobytes(), told)
        state = replace(state, own=IndexKeys(seeds.tobytes(), coin))
        return Turn(state, [(peer, Seeds(told))])

    def on_seeds(self, state: Linking, sent: Seeds, peer: str) -> Turn[R]:
        """All seeds but one a group; the first trees."""
        state = self._heard(state, sent, peer)
        if state.own is None or state.layout is None:
            raise PeerError("seeds that are not due")
        name = self._name(self._peer, depths(state.layout))
        seeds = delta_seeds(state.keys, state.bits, sent.sent, name)
        coin = coin_of(name, state.said[:32], state.said[32:], sent.sent)
        none = np.zeros(0)
        fitting = Fitting(
            transcript=state.transcript,
            keys=state.own,
            peer=ValueKeys(seeds.tobytes(), state.bits, coin),
            layout=state.layout,
            unit=state.unit,
            scale=state.scale,
            own=np.zeros(0, np.uint64),
            theirs=np.zeros(0, np.uint64),
            gradients=none,
            noise=none,
            limits=none,
            told=none,
            ranges=np.zeros((0, 2), np.int64),
            models=self._first(),
            last=self._plan.evaluations - 1,
        )
        fitting, asked = self._ask(fitting)
        return Turn(fitting, [(peer, each) for each in asked], progress=0.0)

    def _first(self) -> tuple[Descent, ...]:
        """The full model's start."""
        raise NotImplementedError

    def _name(self, holder: str, levels: tuple[int, ...]) -> bytes:
        step = f"{self.context.step}/trees of {holder}"
        return name_of(self.context.session, step, self._rows, levels)

    # trees

    @cached_property
    def _columns(self) -> Columns:
        return Columns.of(self._raw, self._plan.column_bits)

    def _planned(self, state: Fitting) -> tuple[Evaluation, ...]:
        return schedule(self._plan, state.last)

    @property
    def _looks(self) -> bool:
        """Whether residuals take a lookup."""
        return self._plan.link != "linear"

    def _lookups(self, state: Fitting) -> tuple[int, ...]:
        if not self._looks:
            return ()
        return tuple(len(each.models) for each in self._planned(state))

    def _own(self, state: Fitting) -> Places:
        lookups = self._lookups(state) if self.holds_scores else ()
        return Places(self._rows, len(self._columns.layout.trees), lookups)

    def _theirs(self, state: Fitting) -> Places:
        lookups = () if self.holds_scores else self._lookups(state)
        return Places(self._rows, len(state.layout.trees), lookups)

    def _due(self, state: Fitting, places: Places) -> int:
        """How many of a direction's numbers may be asked for by now."""
        if not state.running or not places.lookups:
            return places.kept
        return places.until(state.number + 1)

    def _made(self, state: Fitting) -> bool:
        """Whether all trees that may be asked for by now are there."""
        own, theirs = self._due(state, self._own(state)), self._due(state, self._theirs(state))
        return state.turned == own and state.given == theirs

    def _depth(self, place: Place, layout: Layout) -> int:
        return self._plan.grid_bits if place.tree < 0 else depths(layout)[place.tree]

    def _numbers(self, state: Fitting, place: Place) -> Bins:
        """Own bins of a place's rows, filled up."""
        own = self._columns.numbers[place.tree] if place.tree >= 0 else self._points(state, place)
        found = np.zeros(place.rows, np.uint16)
        found[: place.high - place.low] = own[place.low : place.high]
        return found

    def _points(self, state: Fitting, place: Place) -> Bins:
        """Of each row the grid point of a model's score."""
        raise NotImplementedError

    def _ask(self, state: Fitting) -> tuple[Fitting, list[Asked]]:
        """Transfers for the trees that may be under way."""
        own = self._own(state)
        last = min(self._due(state, own), state.turned + window_of(self._rows, WINDOW))
        index, messages = Index(self.context.store, state.keys), []
        for number in range(state.asked, last):
            place = own.of(number)
            depth = self._depth(place, self._columns.layout)
            bins = self._numbers(state, place)
            messages.append(index.ask(state.transcript, number, bins, depth))
        return replace(state, asked=max(last, state.asked)), messages

    def on_asked(self, state: Fitting, sent: Asked, peer: str) -> Turn[R]:
        """Make trees, and send what corrects the other side's."""
        state = self._heard(state, sent, peer)
        theirs = self._theirs(state)
        if sent.place != state.answered or sent.place >= self._due(state, theirs):
            raise PeerError("transfers that are not due")
        place = theirs.of(sent.place)
        depth = self._depth(place, state.layout)
        values = Values(self.context.store, state.peer)
        told = values.answered(state.transcript, sent, place.rows, depth)
        return Turn(replace(state, answered=state.answered + 1), [(peer, told)])

    def on_corrected(self, state: Fitting, sent: Corrected, peer: str) -> Turn[R]:
        """Keep trees; ask for zeros."""
        state = self._heard(state, sent, peer)
        if sent.place != state.corrected or sent.place >= state.asked:
            raise PeerError("corrections that are not due")
        asked = Index(self.context.store, state.keys).corrected(state.transcript, sent)
        return Turn(replace(state, corrected=state.corrected + 1), [(peer, asked)])

    def on_challenged(self, state: Fitting, sent: Challenged, peer: str) -> Turn[R]:
        """Zeros under the other side's nonce."""
        state = self._heard(state, sent, peer)
        if sent.place != state.proved or sent.place >= state.answered:
            raise PeerError("a challenge that is not due")
        depth = self._depth(self._theirs(state).of(sent.place), state.layout)
        zeros = Values(self.context.store, state.peer).zeroed(sent, depth)
        return Turn(replace(state, proved=state.proved + 1), [(peer, zeros)])

    def on_zeroed(self, state: Fitting, sent: Zeroed, peer: str) -> Turn[R]:
        """Check trees, turn them to the bins, and ask for the next ones."""
        state = self._heard(state, sent, peer)
        if sent.place != state.turned or sent.place >= state.corrected:
            raise PeerError("zeros that are not due")
        bins = self._numbers(state, self._own(state).of(sent.place))
        told = Index(self.context.store, state.keys).turned(sent, bins)
        state, asked = self._ask(replace(state, turned=state.turned + 1))
        return self._went_on(state, [(peer, each) for each in (told, *asked)])

    def on_turned(self, state: Fitting, sent: Turned, peer: str) -> Turn[R]:
        """Keep the other side's turns."""
        state = self._heard(state, sent, peer)
        if sent.place != state.given or sent.place >= state.proved:
            raise PeerError("turns that are not due")
        depth = self._depth(self._theirs(state).of(sent.place), state.layout)
        Values(self.context.store, state.peer).turn(sent, depth)
        return self._went_on(replace(state, given=state.given + 1), [])

    def _went_on(self, state: Fitting, messages: list[tuple[str, Any]]) -> Turn[R]:
        """After a tree more: what follows once all are there."""
        return Turn(state, messages)

    def _drop(self, state: Fitting) -> None:
        """Forget the lookups of the evaluation before: a state that is past them is saved."""
        if not self._looks or not state.number:
            return
        places = self._own(state) if self.holds_scores else self._theirs(state)
        side = Index(self.context.store, state.keys) if self.holds_scores else None
        for number in range(places.until(state.number - 1), places.until(state.number)):
            if side is not None:
                side.drop(number)
            else:
                Values(self.context.store, state.peer).drop(number)

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
        inverse = veil.bent(square)
        spread = veil.blurred(float((inverse * noise).sum()), "spread")
        return Metric(inverse, veil.blurred(noise, "noise"), spread)

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
