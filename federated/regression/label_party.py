"""The label party of a regression on private sums: answers lookups, and learns final scores.

It has a link to each feature party. Sums of its own columns are of the last one's shares of the
residuals, which all feature parties have alike (docs/protocols/private_regression.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.alone import alone
from federated.regression.chain import Chain, chain_of
from federated.regression.descent import (
    Descent,
    Metric,
    moved,
)
from federated.regression.guards import check_answers, check_folds, check_own_columns, folds_of
from federated.regression.lines import Line
from federated.regression.links import Grid, mean_of, slope_of
from federated.regression.messages import (
    Answers,
    Grids,
    Lanes,
    Learned,
    Limits,
    Products,
    Setup,
    Start,
    Sums,
    Tables,
)
from federated.regression.noise import dithered
from federated.regression.party import AHEAD, Words
from federated.regression.plan import RegressionPlan, opened_numbers
from federated.regression.results import Floats, LabelFit
from federated.regression.rounding import FRACTION_BITS
from federated.regression.schedule import (
    EVERY,
    Evaluation,
    Places,
    digest,
    scale_bits,
    schedule,
    table_bits,
)
from federated.regression.states import Fitting, Joined, Linking
from federated.regression.steps import following, own_products
from federated.sharing.kept import batch_nonce, narrowed
from psi.protocol import Context, Done, MisuseError, PeerError, PhaseError, Role, Share, Turn

__all__ = ["LabelParty"]


class LabelParty(Role[LabelFit]):
    """Holds the labels; learns its own part of the model and every row's score.

    Args:
        context: of the session; its store keeps trees, up to 16 bytes a level, row and column.
        partners: the feature parties, in the contract's order; as many as the plan has.
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
        **{(Joined, kind): "on_link" for _, kind in Line.transitions},
        (Joined, Grids): "on_grids",
        (Joined, Lanes): "on_lanes",
        (Joined, Sums): "on_sums",
        (Joined, Products): "on_products",
        (Joined, Limits): "on_limits",
        (Joined, Learned): "on_learned",
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
        super().__init__(context)
        if len(partners) != plan.partners or len({context.party, *partners}) <= len(partners):
            raise MisuseError(f"partners {', '.join(partners)} found, {plan.partners} planned")
        own = check_own_columns(x)
        self._plan, self._scale = plan, scale_bits(plan)
        self._known, self._y = check_answers(plan.link, label, own)
        known = np.where(self._known, 1 if plan.link != "logistic" else self._y, -1).astype(np.int8)
        self._fold = folds_of(folds, known).astype(np.int8)
        count = int(self._fold.max(initial=-1)) + 1
        if count != plan.folds:
            raise MisuseError(f"{count} folds found, {plan.folds} planned")
        if plan.link == "logistic":
            check_folds(self._fold.astype(np.int16), known, records)
        self._x = np.column_stack([np.ones(len(own)), own])
        stated, last = most or {}, len(partners) - 1
        self._lines = [
            Line(
                context,
                name,
                own if at == last else own[:, :0],
                plan,
                number=at,
                known=self._known,
                fold=self._fold,
                most=stated.get(name),
            )
            for at, name in enumerate(partners)
        ]

    def begin(self) -> Turn[LabelFit]:
        """Send the terms, and the own trees."""
        linking, messages = [], []
        for line in self._lines:
            state, offer = line.opened_link(self._unit)
            setup = Setup(
                plan=digest(self._plan),
                folds=self._plan.folds,
                labelled=self._known.astype(np.uint8),
                fold=self._fold,
                unit=self._unit,
                layout=line.layout,
            )
            linking.append(state)
            messages += [(line.peer, setup), (line.peer, offer)]
        return Turn(Joined(tuple(linking), (None,) * len(linking)), messages, progress=0.0)

    # what comes by a link

    def on_link(self, state: Joined, sent: Any, peer: str) -> Turn[LabelFit]:
        """Transfers and trees: the link's own business; then what waits for all links."""
        at, line = self._line(peer)
        now = state.fitting[at] or state.linking[at]
        handler = Line.transitions.get((type(now), type(sent)))
        if handler is None:
            raise PhaseError(f"{type(sent).__qualname__} found, which is not due")
        turn = getattr(line, handler)(now, sent, peer)
        if isinstance(turn.state, Fitting) and state.fitting[at] is None:
            first = (Descent.at(self._alone),)
            turn = replace(turn, state=replace(turn.state, models=first))
        state = _put(state, at, turn.state)
        return self._went_on(state, list(turn.messages))

    def on_grids(self, state: Joined, sent: Grids, peer: str) -> Turn[LabelFit]:
        """The range of a partner's scores; after the last one all tables."""
        at, line = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if not fit.started or fit.running or sent.evaluation != fit.number:
            raise PeerError("grids that are not due")
        state = self._limited_alone(state, sent.limits)
        fit = _of(state, at)
        models = len(self._evaluation(fit).models) if self._looks else 0
        if len(sent.ranges) != models:
            raise PeerError("grids of another number of models")
        line.forget(fit)
        state = _put(state, at, line.begun(replace(fit, ranges=sent.ranges)))
        for grid in self._grids(_of(state, at)):
            grid.check()
        messages: list[tuple[str, Any]] = []
        if self._looks and all(each.running for each in _all(state)):
            state, messages = self._tabled(state)
        return self._went_on(state, messages)

    def on_lanes(self, state: Joined, sent: Lanes, peer: str) -> Turn[LabelFit]:
        """Add the last partner's residuals of a chunk up; send the next chunk's own."""
        at, line = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if at != len(self._lines) - 1 or not fit.running or sent.chunk >= fit.sent:
            raise PeerError("lanes that are not due")
        return Turn(*self._answered(_put(state, at, line.taken(fit, sent))))

    def on_sums(self, state: Joined, sent: Sums, peer: str) -> Turn[LabelFit]:
        """Open the own gradient."""
        at, line = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if at != len(self._lines) - 1:
            raise PeerError("sums that are not due")
        opened = line.opened_sums(fit, sent)
        gradients = (opened @ self._back) * 2.0**self._unit + self._missed(fit)
        return self._stepped(_put(state, at, replace(fit, gradients=gradients.ravel())))

    def on_products(self, state: Joined, sent: Products, peer: str) -> Turn[LabelFit]:
        """A partner's inner products; after the last one the sums of all, and the direction."""
        at, _ = self._line(peer)
        state, fit = self._heard(state, at, sent)
        late = fit.sent < self._chunks or len(fit.told)
        if not fit.running or late or sent.evaluation != fit.number:
            raise PeerError("inner products that are not due")
        if not len(sent.numbers):
            raise PeerError("0 inner products found, some expected")
        return self._stepped(_put(state, at, replace(fit, told=sent.numbers)))

    def on_limits(self, state: Joined, sent: Limits, peer: str) -> Turn[LabelFit]:
        """How far a partner's step would go; after the last one how far all do."""
        at, _ = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if len(self._lines) == 1 or fit.limited or len(fit.limits) or sent.evaluation != fit.number:
            raise PeerError("limits that are not due")
        self._check_limits(fit, sent.limits)
        state = _put(state, at, replace(fit, limits=sent.limits))
        if not all(len(each.limits) for each in _all(state)):
            return Turn(state)
        least = np.min([each.limits for each in _all(state)], axis=0)
        told = Limits(fit.number, least)
        return Turn(self._limited(state, least), [(line.peer, told) for line in self._lines])

    def on_learned(self, state: Joined, sent: Learned, peer: str) -> Turn[LabelFit]:
        """A partner's final scores; after the last one every row's."""
        at, _ = self._line(peer)
        state, fit = self._heard(state, at, sent)
        store, rows = self.context.store, len(self._y)
        due = fit.started and fit.number == len(self._planned(fit)) and not fit.summed
        if not due or len(sent.scores) != rows or not np.isfinite(sent.shift):
            raise PeerError("final scores that are not due")
        state = self._limited_alone(state, sent.limits)
        store.put("learned", at, sent.scores)
        store.put("shift", at, np.array([sent.shift]))
        state = _put(state, at, replace(_of(state, at), summed=True))
        if not all(each.summed for each in _all(state)):
            return Turn(state)
        return self._finish(_of(state, at))

    # once all partners are there

    def _went_on(self, state: Joined, messages: list[tuple[str, Any]]) -> Turn[LabelFit]:
        fits = [fit for fit in state.fitting if fit is not None]
        pairs = zip(self._lines, fits, strict=False)
        if len(fits) < len(self._lines) or not all(line.made(fit) for line, fit in pairs):
            return Turn(state, messages)
        if not fits[0].started:
            scores = self._x[self._known] @ self._alone
            start = Start(float(self._slopes.mean()), float(scores.mean()))
            state = _with(state, started=True)
            messages = [*messages, *((line.peer, start) for line in self._lines)]
        elif all(fit.running for fit in fits) and not fits[0].sent:
            state, given = self._answered(state)
            messages = [*messages, *given]
        return Turn(state, messages)

    def _tabled(self, state: Joined) -> tuple[Joined, list[tuple[str, Any]]]:
        """Tables of all partners' lookups, and what lanes are made by."""
        fits, store = _all(state), self.context.store
        number, bits = fits[0].number, table_bits(self._plan)
        chains = [
            chain_of(self._plan.link, grids, bits)
            for grids in zip(*(self._grids(fit) for fit in fits), strict=True)
        ]
        for model, chain in enumerate(chains):
            store.put("chain-points", model, chain.points)
            store.put("chain-values", model, chain.values)
        messages: list[tuple[str, Any]] = []
        for at, line in enumerate(self._lines):
            tables = [chain.tables[at] for chain in chains]
            flat = np.concatenate([table.ravel() for table in tables])
            shapes = tuple(size for table in tables for size in table.shape[1:])
            store.put("tables", at, flat)
            state = _put(state, at, replace(_of(state, at), shapes=shapes))
            ones = np.concatenate([chain.ones[at] for chain in chains])
            messages.append((line.peer, Tables(number, shapes, flat, ones)))
        return state, messages

    def _stepped(self, state: Joined) -> Turn[LabelFit]:
        """The direction, once the own gradient and all inner products are there."""
        main = _of(state, len(self._lines) - 1)
        if not len(main.gradients) or not all(len(fit.told) for fit in _all(state)):
            return Turn(state)
        evaluation = self._evaluation(main)
        own = np.concatenate(own_products(evaluation, main, self._penalty, self._metric))
        for fit in _all(state):
            if len(fit.told) != len(own):
                raise PeerError(f"{len(fit.told)} inner products found, {len(own)} expected")
            own = own + fit.told
        told = Products(main.number, own)
        grids = [self._grids(fit) for fit in _all(state)]
        spans = [max(grid.span for grid in each) for each in zip(*grids, strict=True)] or [0.0]
        after = following(evaluation, main, self._penalty, self._metric, own, spans)
        same = ("number", "last", "running", "limited", "limits", "models", "log")
        state = _with(state, **{name: getattr(after, name) for name in same})
        state = _with(state, gradients=np.zeros(0), told=np.zeros(0))
        steps = len(self._planned(after))
        done = Share(after.number / steps, steps * len(self._y))
        return Turn(state, [(line.peer, told) for line in self._lines], progress=done)

    def _finish(self, fit: Fitting) -> Turn[LabelFit]:
        store, models, parties = self.context.store, fit.models, range(len(self._lines))
        own = np.stack([self._x @ model.weights for model in models])
        mine = own[np.where(self._fold >= 0, self._fold + 1, 0), np.arange(len(self._y))]
        # pads of several partners add up to zero modulo 2^64
        told = np.sum([store.get("learned", at) for at in parties], axis=0, dtype=np.int64)
        theirs = np.ldexp(told.astype(np.float64), -FRACTION_BITS)
        shift = sum(float(store.get("shift", at)[0]) for at in parties)
        scores = mean_of(self._plan.link, mine + theirs)
        full = models[0].weights
        ran = replace(self._plan, evaluations=fit.last + 1)
        found = LabelFit(
            coefficients=full[1:],
            intercept=float(full[0]) - shift,
            scores=scores,
            fold_scores=np.where(self._fold >= 0, scores, np.nan),
            score_bits=self._plan.score_bits,
            gradient_left=[each.left for each in fit.log if each.fold == EVERY][-1],
            evaluations=fit.last + 1,
            opened=opened_numbers(ran, self._x.shape[1] - 1),
            log=tuple(
                {
                    "evaluation": each.evaluation,
                    "fold": each.fold,
                    "gradient_left": each.left,
                    "range": each.span,
                }
                for each in fit.log
            ),
        )
        return Turn(Done(), result=found, progress=1.0)

    # one evaluation

    def _answered(self, state: Joined) -> tuple[Joined, list[tuple[str, Any]]]:
        """Lookups and lanes of the chunks that may be under way; at the end the own sums."""
        messages: list[tuple[str, Any]] = []
        main = _of(state, len(self._lines) - 1)
        for chunk in range(main.sent, min(main.heard + AHEAD, self._chunks)):
            state, sent = self._one(state, chunk)
            messages += sent
            if chunk == self._chunks - 1:
                for at, line in enumerate(self._lines):
                    messages.append((line.peer, line.told_sums(_of(state, at))))
        return state, messages

    def _one(self, state: Joined, chunk: int) -> tuple[Joined, list[tuple[str, Any]]]:
        """A chunk's lookups, and its residuals under the partners' trees."""
        fit = _of(state, 0)
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
        shares[: high - low] -= self._lines[0].fixed(self._y[low:high, None], self._unit)
        shares[: high - low] *= self._known[low:high, None].astype(np.uint64)
        shares[high - low :] = 0
        for at, line in enumerate(self._lines):
            fit, given = line.given(_of(state, at), chunk, shares)
            state = _put(state, at, fit)
            messages.append((line.peer, given))
        return state, messages

    def _looked_up(self, state: Joined, chunk: int) -> tuple[Words, list[tuple[str, Any]]]:
        """This party's shares of the means of a chunk, `uint64[rows, models]`."""
        fit, store = _of(state, 0), self.context.store
        places, bits = self._lines[0].places(fit), table_bits(self._plan)
        (low, high), rows = places.range(chunk), places.filled(chunk)
        values: list[Words] = []
        for model in range(len(self._evaluation(fit).models)):
            kept = (store.get(f"chain-{name}", model) for name in ("points", "values"))
            chain = Chain(self._plan.link, (), (), *kept)
            f = chain.lanes(self._scores(fit, model)[low:high]) * 2.0**-self._unit
            found = np.zeros((rows, f.shape[1]), np.uint64)
            random = fit.transcript.random(f"dither {fit.number} {model} {chunk}")
            found[: high - low] = dithered(f, self._scale - bits * len(self._lines), random)
            values.append(found)
        messages: list[tuple[str, Any]] = []
        for at, line in enumerate(self._lines):
            fit, padded, shares = _of(state, at), [], []
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

    def _limited_alone(self, state: Joined, limits: Floats) -> Joined:
        """With the latest step taken as far as the one partner says; of several all agreed."""
        fit = _of(state, 0)
        if len(self._lines) > 1 or not fit.number:
            if len(limits) or not fit.limited:
                raise PeerError("limits that are not due")
            return state
        self._check_limits(fit, limits)
        return self._limited(state, limits)

    def _check_limits(self, fit: Fitting, limits: Floats) -> None:
        taken = self._planned(fit)[fit.number - 1].stepped
        if len(limits) != len(taken) or not ((limits > 0) & (limits <= 1)).all():
            raise PeerError("limits of steps of another number, or out of range")

    def _limited(self, state: Joined, limits: Floats) -> Joined:
        fit = _of(state, 0)
        models = list(fit.models)
        for at, limit in zip(self._planned(fit)[fit.number - 1].stepped, limits, strict=True):
            models[at] = moved(models[at], float(limit))
        return _with(state, models=tuple(models), limited=True)

    # what is at hand

    def _line(self, peer: str) -> tuple[int, Line]:
        for at, line in enumerate(self._lines):
            if line.peer == peer:
                return at, line
        raise PeerError("a message that only a party of the regression may send")

    def _heard(self, state: Joined, at: int, sent: Any) -> tuple[Joined, Fitting]:
        line, fit = self._lines[at], state.fitting[at]
        if fit is None:
            raise PeerError("a message before the link's trees")
        return _put(state, at, line.heard(fit, sent)), line.heard(fit, sent)

    def _planned(self, fit: Fitting) -> tuple[Evaluation, ...]:
        return schedule(self._plan, fit.last)

    def _evaluation(self, fit: Fitting) -> Evaluation:
        return self._planned(fit)[fit.number]

    @property
    def _looks(self) -> bool:
        return self._plan.link != "linear"

    @property
    def _chunks(self) -> int:
        return Places(len(self._y), 0).chunks

    def _grids(self, fit: Fitting) -> list[Grid]:
        bits, blurred = self._plan.grid_bits, self._plan.noise > 0
        return [Grid(int(low), int(high), bits, blurred) for low, high in fit.ranges]

    def _scores(self, fit: Fitting, at: int) -> Floats:
        return np.asarray(self._x @ fit.models[self._evaluation(fit).models[at]].weights)

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
        noise = self._lines[-1].noise_within(self._back, self._unit)
        return Metric(np.asarray(np.linalg.pinv(square, hermitian=True)), noise)

    def _missed(self, fit: Fitting) -> Floats:
        """What is known of the gradients that rounded columns lose: `float64[vectors, k]`."""
        rows = [each.rows(self._known, self._fold) for each in self._evaluation(fit).vectors]
        residual = mean_of(self._plan.link, self._x @ self._alone) - self._y
        values = np.stack([residual * mask for mask in rows], axis=1)
        return self._lines[-1].columns.missed(self._x, self._back, values)

    @cached_property
    def _back(self) -> Floats:
        """Sums over (all rows, integer columns) to gradients: `float64[1 + integers, k]`."""
        own = self._lines[-1].columns.back(self._x[:, 1:])
        total = np.zeros((len(own), 1))
        total[0] = 1.0
        return np.hstack([total, own])


def _all(state: Joined) -> list[Fitting]:
    return [fit for fit in state.fitting if fit is not None]


def _of(state: Joined, at: int) -> Fitting:
    fit = state.fitting[at]
    if fit is None:
        raise PeerError("a message before the link's trees")
    return fit


def _put(state: Joined, at: int, new: Linking | Fitting) -> Joined:
    """With the state of one link; all others have heard what it has."""
    linking, fitting = list(state.linking), list(state.fitting)
    heard = new.transcript.heard
    for each in range(len(linking)):
        link, fit = linking[each], fitting[each]
        if link is not None:
            linking[each] = replace(link, transcript=replace(link.transcript, heard=heard))
        if fit is not None:
            fitting[each] = replace(fit, transcript=replace(fit.transcript, heard=heard))
    if isinstance(new, Linking):
        linking[at] = new
    else:
        linking[at], fitting[at] = None, new
    return Joined(tuple(linking), tuple(fitting))


def _with(state: Joined, **fields: Any) -> Joined:
    """With fields that are the same of all links."""
    return replace(state, fitting=tuple(replace(fit, **fields) for fit in _all(state)))
