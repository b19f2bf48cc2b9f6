"""The label party of a regression on private sums: answers lookups, and learns final scores.

It has a link to each feature party. Sums of its own columns are of the last one's shares of the
residuals, which all feature parties have alike (docs/protocols/private_regression.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.regression.chain import chain_of
from federated.regression.descent import (
    Descent,
    moved,
)
from federated.regression.guards import check_folds, check_own_columns, folds_of
from federated.regression.label_rows import LabelRows
from federated.regression.labels import Labels
from federated.regression.lines import Line
from federated.regression.links import mean_of
from federated.regression.messages import (
    Grids,
    Lanes,
    Learned,
    Limits,
    Products,
    Setup,
    Sums,
    Tables,
)
from federated.regression.party import AHEAD
from federated.regression.plan import RegressionPlan, opened_numbers
from federated.regression.results import Floats, LabelFit
from federated.regression.rounding import FRACTION_BITS
from federated.regression.schedule import (
    EVERY,
    beyond_any,
    digest,
    table_bits,
)
from federated.regression.states import Fitting, Joined, link_of, links, put_link, with_all
from federated.regression.steps import following, own_products, rough
from psi.protocol import Context, Done, MisuseError, PeerError, PhaseError, Share, Turn

__all__ = ["LabelParty"]


class LabelParty(LabelRows):
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
        weights: `float64[n]`, above 0, of the rows with a label, where the plan is weighted.
        offset: `float64[n]`, what is added to each row's score; None for nothing.

    Raises:
        InputError: columns, labels, weights or offsets that are not finite, or not allowed.
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
        weights: Floats | None = None,
        offset: Floats | None = None,
    ) -> None:
        if len(partners) != plan.partners or len({context.party, *partners}) <= len(partners):
            raise MisuseError(f"partners {', '.join(partners)} found, {plan.partners} planned")
        own = check_own_columns(x)
        if (weights is not None) != plan.weighted:
            raise MisuseError(f"weights {'un' * (not plan.weighted)}expected by the plan")
        labels = Labels.of(plan.link, label, own, plan.penalty, weights, offset)
        classes = np.where(labels.known, 1 if plan.link != "logistic" else labels.y, -1)
        fold = folds_of(folds, classes.astype(np.int8)).astype(np.int8)
        count = int(fold.max(initial=-1)) + 1
        if count != plan.folds:
            raise MisuseError(f"{count} folds found, {plan.folds} planned")
        if plan.link == "logistic":
            check_folds(fold.astype(np.int16), classes.astype(np.int8), records)
        stated, last = most or {}, len(partners) - 1
        lines = [
            Line(
                context,
                name,
                own if at == last else own[:, :0],
                plan,
                number=at,
                known=labels.known,
                fold=fold,
                most=stated.get(name),
            )
            for at, name in enumerate(partners)
        ]
        design = np.column_stack([np.ones(len(own)), own])
        super().__init__(context, design, plan, labels=labels, fold=fold, lines=lines)

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
                scale=self._labels.scale,
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
        state = put_link(state, at, turn.state)
        return self._went_on(state, list(turn.messages))

    def on_grids(self, state: Joined, sent: Grids, peer: str) -> Turn[LabelFit]:
        """The range of a partner's scores; after the last one all tables."""
        at, line = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if not fit.started or fit.running or sent.evaluation != fit.number:
            raise PeerError("grids that are not due")
        state = self._limited_alone(state, sent.limits)
        fit = link_of(state, at)
        models = len(self._evaluation(fit).models) if self._looks else 0
        if len(sent.ranges) != models:
            raise PeerError("grids of another number of models")
        line.forget(fit)
        state = put_link(state, at, line.begun(replace(fit, ranges=sent.ranges)))
        for grid in self._grids(link_of(state, at)):
            grid.check()
        messages: list[tuple[str, Any]] = []
        if self._looks and all(each.running for each in links(state)):
            state, messages = self._tabled(state)
        return self._went_on(state, messages)

    def on_lanes(self, state: Joined, sent: Lanes, peer: str) -> Turn[LabelFit]:
        """Add the last partner's residuals of a chunk up; send the next chunk's own."""
        at, line = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if at != len(self._lines) - 1 or not fit.running or sent.chunk >= fit.sent:
            raise PeerError("lanes that are not due")
        return Turn(*self._answered(put_link(state, at, line.taken(fit, sent))))

    def on_sums(self, state: Joined, sent: Sums, peer: str) -> Turn[LabelFit]:
        """Open the own gradient."""
        at, line = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if at != len(self._lines) - 1:
            raise PeerError("sums that are not due")
        opened = line.opened_sums(fit, sent)
        spoilt = fit.spoilt or line.beyond(fit, sent) or self._wild(fit)
        gradients = (opened @ self._back) * 2.0**self._unit + self._missed(fit)
        gradients = gradients + line.own_term(fit, self._back)
        given = self._evaluation(fit), fit, self._penalty, self._metric(fit)
        gradients, longest = rough(*given, gradients)
        noise = line.own_noise(fit, self._back, self._unbounded(link_of(state, 0)))
        fit = replace(fit, gradients=gradients.ravel(), noise=noise.ravel(), spoilt=spoilt)
        fit = replace(fit, longest=longest)
        return self._stepped(put_link(state, at, fit))

    def on_products(self, state: Joined, sent: Products, peer: str) -> Turn[LabelFit]:
        """A partner's inner products; after the last one the sums of all, and the direction."""
        at, _ = self._line(peer)
        state, fit = self._heard(state, at, sent)
        late = fit.sent < self._chunks or len(fit.told)
        if not fit.running or late or sent.evaluation != fit.number:
            raise PeerError("inner products that are not due")
        if not len(sent.numbers):
            raise PeerError("0 inner products found, some expected")
        return self._stepped(put_link(state, at, replace(fit, told=sent.numbers)))

    def on_limits(self, state: Joined, sent: Limits, peer: str) -> Turn[LabelFit]:
        """How far a partner's step would go; after the last one how far all do."""
        at, _ = self._line(peer)
        state, fit = self._heard(state, at, sent)
        if len(self._lines) == 1 or fit.limited or len(fit.limits) or sent.evaluation != fit.number:
            raise PeerError("limits that are not due")
        self._check_limits(fit, sent.limits)
        state = put_link(state, at, replace(fit, limits=sent.limits))
        if not all(len(each.limits) for each in links(state)):
            return Turn(state)
        least = np.min([each.limits for each in links(state)], axis=0)
        told = Limits(fit.number, least)
        return Turn(self._limited(state, least), [(line.peer, told) for line in self._lines])

    def on_learned(self, state: Joined, sent: Learned, peer: str) -> Turn[LabelFit]:
        """A partner's final scores; after the last one every row's."""
        at, _ = self._line(peer)
        state, fit = self._heard(state, at, sent)
        store, told = self.context.store, len(self._y) * bool(self._plan.score_bits)
        due = fit.started and fit.number == len(self._planned(fit)) and not fit.summed
        if not due or len(sent.scores) != told or not np.isfinite(sent.shift):
            raise PeerError("final scores that are not due")
        state = self._limited_alone(state, sent.limits)
        store.put("learned", at, sent.scores)
        store.put("shift", at, np.array([sent.shift]))
        state = put_link(state, at, replace(link_of(state, at), summed=True))
        if not all(each.summed for each in links(state)):
            return Turn(state)
        return self._finish(state, link_of(state, len(self._lines) - 1))

    # once all partners are there

    def _went_on(self, state: Joined, messages: list[tuple[str, Any]]) -> Turn[LabelFit]:
        fits = [fit for fit in state.fitting if fit is not None]
        pairs = zip(self._lines, fits, strict=False)
        if len(fits) < len(self._lines) or not all(line.made(fit) for line, fit in pairs):
            return Turn(state, messages)
        if not fits[0].started:
            start = self._start(fits[0].transcript.seed)
            for at, line in enumerate(self._lines):
                state = put_link(state, at, line.started(link_of(state, at)))
            messages = [*messages, *((line.peer, start) for line in self._lines)]
        elif all(fit.running for fit in fits) and not fits[0].sent:
            state, given = self._answered(state)
            messages = [*messages, *given]
        return Turn(state, messages)

    def _tabled(self, state: Joined) -> tuple[Joined, list[tuple[str, Any]]]:
        """Tables of all partners' lookups, and what lanes are made by."""
        fits, store = links(state), self.context.store
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
            state = put_link(state, at, replace(link_of(state, at), shapes=shapes))
            ones = np.concatenate([chain.ones[at] for chain in chains])
            messages.append((line.peer, Tables(number, shapes, flat, ones)))
        return state, messages

    def _stepped(self, state: Joined) -> Turn[LabelFit]:
        """The direction, once the own gradient and all inner products are there."""
        main = link_of(state, len(self._lines) - 1)
        if not len(main.gradients) or not all(len(fit.told) for fit in links(state)):
            return Turn(state)
        evaluation = self._evaluation(main)
        metric = self._metric(main)
        own = np.concatenate(own_products(evaluation, main, self._penalty, metric))
        for fit in links(state):
            if len(fit.told) != len(own):
                raise PeerError(f"{len(fit.told)} inner products found, {len(own)} expected")
            own = own + fit.told
        told = Products(main.number, own)
        grids = [self._grids(fit) for fit in links(state)]
        spans = [max(grid.span for grid in each) for each in zip(*grids, strict=True)] or [0.0]
        after = following(evaluation, main, self._penalty, metric, own, spans, self._counted(main))
        same = ("number", "last", "running", "limited", "limits", "models", "log")
        state = with_all(state, **{name: getattr(after, name) for name in same})
        state = with_all(state, gradients=np.zeros(0), noise=np.zeros(0), told=np.zeros(0))
        steps = len(self._planned(after))
        done = Share(after.number / steps, steps * len(self._y))
        return Turn(state, [(line.peer, told) for line in self._lines], progress=done)

    def _finish(self, state: Joined, fit: Fitting) -> Turn[LabelFit]:
        store, models, parties = self.context.store, fit.models, range(len(self._lines))
        own = np.stack([self._x @ model.weights + self._labels.offset for model in models])
        mine = own[np.where(self._fold >= 0, self._fold + 1, 0), np.arange(len(self._y))]
        # pads of several partners add up to zero modulo 2^64
        told = np.sum([store.get("learned", at) for at in parties], axis=0, dtype=np.int64)
        theirs = np.ldexp(told.astype(np.float64), -FRACTION_BITS)
        shift = sum(float(store.get("shift", at)[0]) for at in parties)
        scores = np.full(len(mine), np.nan)  # where only counts are told
        if self._plan.score_bits:
            scores = self._labels.told(mean_of(self._plan.link, mine + theirs))
        full = models[0].weights
        ran = replace(self._plan, evaluations=fit.last + 1)
        found = LabelFit(
            coefficients=np.ldexp(full[1:], self._labels.scale),
            intercept=float(self._labels.told(full[:1] - shift)[0]),
            scores=scores,
            own=mine,
            centre=self._labels.centre,
            scale=self._labels.scale,
            fold_scores=np.where(self._fold >= 0, scores, np.nan),
            brought=sum(each.layout.columns for each in links(state)),
            score_bits=self._plan.score_bits,
            gradient_left=[each.left for each in fit.log if each.fold == EVERY][-1],
            evaluations=fit.last + 1,
            opened=opened_numbers(ran, self._x.shape[1] - 1),
            bounded=self._lines[-1].columns.bounded,
            spoilt=fit.spoilt or beyond_any(self._plan, own, self._unit),
            log=tuple(
                {
                    "evaluation": each.evaluation,
                    "fold": each.fold,
                    "gradient_left": each.left,
                    "noise": each.floor,
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
        main = link_of(state, len(self._lines) - 1)
        for chunk in range(main.sent, min(main.heard + AHEAD, self._chunks)):
            state, sent = self._one(state, chunk)
            messages += sent
            if chunk == self._chunks - 1:
                for at, line in enumerate(self._lines):
                    messages.append(
                        (
                            line.peer,
                            line.told_sums(link_of(state, at), self._unbounded(link_of(state, 0))),
                        )
                    )
        return state, messages

    def _limited_alone(self, state: Joined, limits: Floats) -> Joined:
        """With the latest step taken as far as the one partner says; of several all agreed."""
        fit = link_of(state, 0)
        if len(self._lines) > 1 or not fit.number:
            if len(limits) or not fit.limited:
                raise PeerError("limits that are not due")
            return state
        self._check_limits(fit, limits)
        return self._limited(state, limits)

    def _check_limits(self, fit: Fitting, limits: Floats) -> None:
        taken = self._planned(fit)[fit.number - 1].stepped
        if len(limits) != len(taken) or not ((limits >= 0) & (limits <= 1)).all():
            raise PeerError("limits of steps of another number, or out of range")

    def _limited(self, state: Joined, limits: Floats) -> Joined:
        fit = link_of(state, 0)
        models = list(fit.models)
        for at, limit in zip(self._planned(fit)[fit.number - 1].stepped, limits, strict=True):
            models[at] = moved(models[at], float(limit))
        return with_all(state, models=tuple(models), limited=True)

    def _heard(self, state: Joined, at: int, sent: Any) -> tuple[Joined, Fitting]:
        line, fit = self._lines[at], link_of(state, at)
        return put_link(state, at, line.heard(fit, sent)), line.heard(fit, sent)
