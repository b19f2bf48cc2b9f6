"""A feature party of a regression on private sums: its score picks points of a grid.

Where there are several, each hands its shares of a lookup to the next one, and the last one its
shares of the residuals to all (docs/protocols/private_regression.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.descent import Descent, Metric, moved
from federated.regression.guards import check_columns, check_rows
from federated.regression.links import MOST_RANGE, Grid, slope_of
from federated.regression.messages import (
    Answers,
    Grids,
    Handed,
    Lanes,
    Learned,
    Limits,
    Pad,
    Products,
    Ready,
    Setup,
    Start,
    Sums,
    Tables,
)
from federated.regression.noise import WILD
from federated.regression.party import Bins, Party, Words
from federated.regression.plan import RegressionPlan, opened_numbers
from federated.regression.results import FeatureFit, Floats
from federated.regression.rounding import rounded
from federated.regression.schedule import EVERY, Place, digest, table_bits
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
from psi.protocol import Context, Done, MisuseError, PeerError, Refused, Share, Turn, encode

__all__ = ["FeatureParty"]

T = TypeVar("T")

GROWTH = 8.0
"""How much wider a step may make the range of this party's scores."""
_MODELS = 64
"""More than an evaluation has."""
_SEED = 32
_MOST_ONE = 1024.0
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
        super().__init__(context, label_party, own, plan)
        self._most, self._records, self._repeats = most, records, repeats
        self._others = others
        self._partners = list(partners) or [context.party]
        if len(self._partners) != plan.partners or context.party not in self._partners:
            raise MisuseError(f"{len(self._partners)} feature parties, {plan.partners} planned")
        self._at = self._partners.index(context.party)
        self._last = self._at == len(self._partners) - 1
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
        # only the last feature party is told of the label party's columns
        own = sent.layout.columns if self._last else (self._most or 0)
        check_rows(sent, self._raw, own + self._others, self._records)
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
        if np.abs(sent.tables.astype(np.int64)).max(initial=0) > 1 << table_bits(self._plan):
            raise PeerError("a table with entries beyond 1")
        if not (np.abs(sent.ones) <= _MOST_ONE).all():
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
        state = following(
            evaluation, state, self._penalty, self._metric(state), sent.numbers, [0.0]
        )
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
        if not fits or not ((sent.limits > 0) & (sent.limits <= state.limits)).all():
            raise PeerError("limits of steps of another number, or out of range")
        return self._onward(replace(state, limits=np.zeros(0)), sent.limits)

    def on_pad(self, state: Fitting, sent: Pad, peer: str) -> Turn[FeatureFit]:
        """The half of a pad that a party beside this one has drawn."""
        side = self._beside.get(peer, "")
        state = self._heard_of(state, sent, peer, side != "")
        if (state.before if side == "before" else state.after) or len(sent.seed) != _SEED:
            raise PeerError("a pad that is not due")
        if side == "before":
            return self._finish(replace(state, before=sent.seed), [])
        return self._finish(replace(state, after=sent.seed), [])

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

    def _heard_of(self, state: Fitting, sent: Any, peer: str, known: bool) -> Fitting:
        """A message of another feature party."""
        if not known:
            raise PeerError("a message that only another party of the regression may send")
        return replace(state, transcript=state.transcript.hear(encode(sent)))

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
        opened = self._sums(state, self.context.store.get("sums", 0))
        gradients = (opened @ self._back) * 2.0**state.unit
        state = replace(state, gradients=gradients.ravel())
        numbers = own_products(self._evaluation(state), state, self._penalty, self._metric(state))
        told = Products(state.number, np.concatenate(numbers))
        sums = [(self._peer, self._told(state))] * self._last
        return state, [*sums, (self._peer, told)]

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

    def _slack(self, state: Fitting, at: int) -> Words:
        """How far a row's mean is off because its score is not on the grid, `uint64[n, outs]`.

        The slope at a row is not known here; that of the label party's mean score, brought to the
        mean of its slopes, does: what remains has no bias.
        """

        def made() -> Words:
            scores, grid = self._scores(state, at), self._grid(state, at)
            slope = slope_of(self._plan.link, scores + state.score)
            slope *= state.curvature / slope[self._labelled].mean()
            off = grid.points[self._points(state, Place(0, 0, -1, state.number, at))] - scores
            low = sum(state.shapes[1 : 2 * at : 2])
            ones = self.context.store.get("ones", state.number)[low:][: state.shapes[2 * at + 1]]
            # of what a lookup gives the tables after it are yet to be taken
            left = table_bits(self._plan) * (len(self._partners) - 1 - self._at)
            return self._fixed(np.ldexp((slope * off)[:, None] * ones, -left), state.unit)

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

    @property
    def _beside(self) -> dict[str, str]:
        """The feature parties next to this one, and on which side."""
        places = ((self._at - 1, "before"), (self._at + 1, "after"))
        every = range(len(self._partners))
        return {self._partners[at]: side for at, side in places if at in every}

    def _scored(self, state: Fitting) -> Turn[FeatureFit]:
        """Each row's final score by the one model that shows it; of several the half of a pad."""
        fold = self._folds
        told = np.zeros(self._rows, np.int64)
        random = state.transcript.random("final scores")
        for model, descent in enumerate(state.models):
            rows = fold == model - 1
            scores = self._x @ descent.weights
            # the noise is measured by all rows: few, or chosen ones, may lie close together
            told[rows] = rounded(scores, self._plan.score_bits, random, self._repeats)[rows]
        self.context.store.put("final", 0, told)
        # no pad for two texts, at neither end of a pad: each half is drawn by what it is to pad
        text = hashlib.sha256(told.tobytes()).hexdigest()
        state = replace(state, pad=state.transcript.draw(f"pad {text}", _SEED))
        return self._finish(state, [(name, Pad(state.pad)) for name in self._beside])

    def _finish(self, state: Fitting, messages: list[tuple[str, Any]]) -> Turn[FeatureFit]:
        """Tell the final scores; of several, under pads that add up to zero."""
        came = [side for side in ("before", "after") if getattr(state, side)]
        if not state.pad or len(came) < len(self._beside):
            return Turn(state, messages)
        told = self.context.store.get("final", 0).copy()
        if state.before:
            told -= _pad(state.before + state.pad, self._rows)
        if state.after:
            told += _pad(state.pad + state.after, self._rows)
        full = state.models[0].weights
        fit = FeatureFit(
            coefficients=full,
            told_rows=self._rows,
            score_bits=self._plan.score_bits,
            gradient_left=[each.left for each in state.log if each.fold == EVERY][-1],
            evaluations=state.last + 1,
            opened=opened_numbers(self._ran(state), self._raw.shape[1]),
        )
        limits = self.context.store.get("limits", 0)
        learned = Learned(limits, float(self._mean @ full), told)
        return Turn(Done(), [*messages, (self._peer, learned)], fit, 1.0)

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
        if self._held_metric is None:
            x = self._x[self._labelled]
            square = state.curvature * x.T @ x + np.diag(self._penalty)
            inverse = np.asarray(np.linalg.pinv(square, hermitian=True))
            self._held_metric = Metric(inverse, self._noise_within(self._back, state.unit))
        return self._held_metric

    _held_metric: Metric | None = None

    @cached_property
    def _back(self) -> Floats:
        """Sums over (all rows, integer columns) to gradients: `float64[1 + integers, k]`."""
        return self._columns.back(self._x)


def _pad(seed: bytes, rows: int) -> NDArray[np.int64]:
    """Uniform numbers modulo 2^64."""
    drawn = hashlib.shake_256(b"regression pad" + seed).digest(8 * rows)
    return np.frombuffer(drawn, "<i8").astype(np.int64)


def _farthest(scores: Floats) -> float:
    return float(np.abs(scores).max())
