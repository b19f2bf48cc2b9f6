"""The label party: encrypts rows, opens sums, solves Newton systems, fits the subspace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federated.models.logistic import LOGISTIC
from federated.paillier import ObfuscatorPool, PrivateKey, generate_keypair
from federated.vertical.guards import (
    check_folds,
    check_label,
    check_own_columns,
    check_width,
    folds_of,
)
from federated.vertical.messages import (
    MOST_EXPONENT,
    Direction,
    EncryptedRows,
    Final,
    Moments,
    Ready,
    Scores,
    Setup,
)
from federated.vertical.newton import Floats, fit_logistic, solve_symmetric
from federated.vertical.plan import (
    Pass,
    Rows,
    passes,
    score_vectors,
    shown_rows,
    training_rows,
)
from federated.vertical.rounding import FRACTION_BITS
from federated.vertical.size import fits
from federated.vertical.states import Calling, Entry, Gathering, Progress, Scoring
from federated.vertical.sums import Layout, RowCiphertexts, encrypt_residuals, encrypt_rows
from federated.vertical.system import System
from psi.protocol import (
    Context,
    Done,
    MisuseError,
    PeerError,
    Refused,
    Role,
    Share,
    Turn,
)

__all__ = ["PENALTY", "LabelParty", "VerticalFit"]

PENALTY = 1.0
"""λ: scikit-learn's C = 1."""

# scores of all partners together stay below 2^SUM_BITS
SUM_BITS = 30
# obfuscators made for the next pass while this one goes on: 26 MB at 3072 bits
MOST_AHEAD = 1 << 15


@dataclass(frozen=True, repr=False, kw_only=True)
class VerticalFit:
    """What the label party holds at the end.

    coefficients: `float64[a]` of its own columns; intercept;
    scores: `float64[n]`, a probability for every aligned row; of a row with a fold by the model
    that did not see it, since no other tells its final number;
    fold_scores: `float64[n]`, these alone; NaN elsewhere;
    score_vectors: the most numbers it learned of one row's partner score;
    log: for each pass fold (-1: none), training rows, the objective before it, the Newton
    decrement and the number of the partners' columns.
    """

    coefficients: Floats
    intercept: float
    scores: Floats
    fold_scores: Floats
    score_vectors: int
    log: tuple[dict[str, Any], ...] = field(default=())


SPARE_COLUMNS = 2
"""Columns that aligned rows may have more than the whole table: how rare categories are pooled."""


class LabelParty(Role[VerticalFit]):
    """Holds the labels; learns its own part of the model and every row's score.

    Args:
        context: of the session.
        partners: the feature parties, in the contract's order.
        x: `float64[n, a]`, own design columns of the aligned rows, standardised, no intercept.
        label: `int8[n]`, 1 and 0, -1 where there is none: these rows are only scored.
        folds: `int[n]`, the fold of each labelled row, -1 elsewhere; None for no folds.
        steps: passes over all labelled rows before the last one.
        fold_steps: passes of each fold.
        key: for Paillier; made anew (3072 bits) if None.
        most: how many independent columns each partner stated; None: whatever it says.
        records: `int64[n]`, each row's record, where one has several rows.

    Raises:
        InputError: columns that are not finite.
        MisuseError: arguments that do not fit together.
        Refused: too few rows, or too few of a class.
    """

    transitions: ClassVar[Mapping[tuple[type, type], str]] = {
        (Calling, Ready): "on_ready",
        (Gathering, Moments): "on_moments",
        (Scoring, Scores): "on_scores",
    }

    def __init__(
        self,
        context: Context,
        partners: Sequence[str],
        x: Floats,
        label: NDArray[Any],
        *,
        folds: NDArray[Any] | None = None,
        steps: int = 3,
        fold_steps: int = 2,
        key: PrivateKey | None = None,
        records: NDArray[np.int64] | None = None,
        most: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(context)
        self._partners, self._most = list(partners), most or {}
        if not partners or len(set(partners)) != len(partners) or context.party in partners:
            raise MisuseError("partners must be distinct, at least one, without the label party")
        own = check_own_columns(x)
        self._x = np.column_stack([np.ones(len(own)), own])
        self._y = check_label(label, own)
        self._fold = folds_of(folds, self._y)
        check_folds(self._fold, self._y, records)
        self._folds = int(self._fold.max(initial=-1)) + 1
        self._steps, self._fold_steps = steps, fold_steps if self._folds else 0
        self._plan = passes(len(self._x), self._steps, self._folds, self._fold_steps)
        self._key = key
        self._obfuscators: ObfuscatorPool | None = None

    def begin(self) -> Turn[VerticalFit]:
        """Send the plan to all."""
        if self._key is None:
            self._key = generate_keypair(random=self.context.random)
        size = self._key.public.ciphertext_bytes
        layout = self._layout(self._key)
        if not fits(layout, len(self._x), size):
            raise Refused(
                f"{len(self._x)} aligned rows are too many for one message",
                hint="train on a sample of the rows",
            )
        setup = Setup(
            key=self._key.public.to_bytes(),
            labelled=(self._y >= 0).astype(np.uint8),
            fold=self._fold,
            steps=self._steps,
            folds=self._folds,
            fold_steps=self._fold_steps,
            own=self._x.shape[1],
        )
        state = Calling(self._key.to_bytes(), {})
        return Turn(state, [(name, setup) for name in self._partners], progress=0.0)

    def ahead(self) -> None:
        """Make the obfuscators of the next pass while the partners add up."""
        if isinstance(self.state, Calling):
            number, alone, data = 0, False, self.state.key
        elif isinstance(self.state, Gathering | Scoring):
            progress = self.state.progress
            number, data = progress.number + 1, progress.key
            alone = self._layout(self._private(data)).alone(list(progress.columns.values()))
        else:
            return
        if number < len(self._plan):
            key, following = self._private(data), self._plan[number]
            rows = int(np.count_nonzero(self._training(following.fold)))
            pool = self._pool(key)
            each = self._layout(key).row_groups + alone if following.curvature else 1
            wanted = min(MOST_AHEAD, rows * each)
            pool.prepare(max(0, wanted - pool.ahead))

    def on_ready(self, state: Calling, ready: Ready, peer: str) -> Turn[VerticalFit]:
        """Once all are ready, fit the own columns alone and ask for the first sums."""
        most = self._most.get(peer)
        if most is not None and ready.columns > most + SPARE_COLUMNS:
            raise PeerError(
                f"{ready.columns} columns brought to a training, {most} stated in the contract"
            )
        columns = self._collect(state.columns, peer, ready.columns)
        if len(columns) < len(self._partners):
            return Turn(replace(state, columns=columns))
        labelled = int(np.count_nonzero(self._y >= 0))
        check_width(labelled, self._x.shape[1] + sum(columns.values()))
        none = np.zeros(0)
        start = np.zeros(self._x.shape[1])
        progress = Progress(
            key=state.key,
            columns=columns,
            number=0,
            own=start,
            mix=none,
            final_own=start,
            final_mix=none,
            scores=none,
            gram=none,
            fold_scores=none,
            fold_gram=none,
            final=np.zeros(len(self._x)),
            newton=none,
            log=(),
        )
        return self._ask(self._refitted(progress, -1))

    def on_moments(self, state: Gathering, moments: Moments, peer: str) -> Turn[VerticalFit]:
        """Once all sums are there, open them and send every partner its direction."""
        progress = state.progress
        if moments.number != progress.number:
            raise PeerError("sums of another pass")
        found = self._collect(state.moments, peer, moments)
        if len(found) < len(self._partners):
            return Turn(replace(state, moments=found))
        progress, matrix, gradient, total = self._newton(progress, found)
        own_step, steps, decrement, exponent = self._direction(progress, matrix, gradient, total)
        messages = [
            (name, Direction(progress.number, steps[name], exponent)) for name in self._partners
        ]
        return Turn(Scoring(progress, own_step, decrement, {}), messages)

    def on_scores(self, state: Scoring, scores: Scores, peer: str) -> Turn[VerticalFit]:
        """Once all scores are there, add them up and go on."""
        progress = state.progress
        if scores.number != progress.number:
            raise PeerError("scores of another pass")
        found = self._collect(state.scores, peer, scores)
        if len(found) < len(self._partners):
            return Turn(replace(state, scores=found))
        present = self._plan[progress.number]
        rows = self._disclosed(present)
        products = 0 if present.last else len(progress.mix) + 1
        numbers = _summed(list(found.values()), int(np.count_nonzero(rows)) + products)
        progress = self._logged(progress, present, state.decrement)
        progress = replace(progress, number=progress.number + 1)
        shown, gram = np.split(numbers, [int(np.count_nonzero(rows))])
        if present.last:
            own, final = progress.own + state.own_step, progress.final.copy()
            final[rows] = self._x[rows] @ own + shown
            progress = replace(progress, final=final)
            if present.fold < 0:
                progress = replace(progress, final_own=own)
        else:
            progress = self._extended(progress, present, rows, shown, gram)
        if progress.number == len(self._plan):
            return self._finish(progress)
        following = self._plan[progress.number].fold
        if following != present.fold:
            progress = replace(
                progress,
                own=progress.final_own,
                mix=progress.final_mix,
                fold_scores=np.zeros(0),
                fold_gram=progress.gram,
            )
            progress = self._refitted(progress, following)
        return self._ask(progress)

    # one pass

    def _ask(self, progress: Progress) -> Turn[VerticalFit]:
        """Encrypt the present residuals, and curvatures where they are summed."""
        present = self._plan[progress.number]
        rows = self._training(present.fold)
        _, curvature, residual = self._present_model(progress, rows)
        key, random = self._private(progress.key), self.context.random
        if present.curvature:
            layout = self._layout(key)
            sent = encrypt_rows(
                key,
                layout,
                self._x[rows] / self._scale,
                curvature,
                residual,
                random,
                alone=layout.alone(list(progress.columns.values())),
                obfuscators=self._pool(key),
            )
        else:
            sent = RowCiphertexts(encrypt_residuals(key, residual, random, self._pool(key)), b"")
        asked = EncryptedRows(progress.number, progress.mix, sent.rows, sent.weights)
        return Turn(
            Gathering(progress, {}),
            [(name, asked) for name in self._partners],
            progress=Share(progress.number / len(self._plan), len(self._plan) * len(self._x)),
        )

    def _newton(
        self, progress: Progress, found: dict[str, Moments]
    ) -> tuple[Progress, Floats, Floats, float]:
        """The pass's matrix, kept if the next one wants it, its gradient, and sum of curvatures."""
        present = self._plan[progress.number]
        rows = self._training(present.fold)
        _, curvature, residual = self._present_model(progress, rows)
        own, total = self._x[rows], float(curvature.sum())
        system = System(
            self._private(progress.key),
            self._layout(self._private(progress.key)),
            own.shape[1],
            progress.columns,
            self._partners,
        )
        gradient = own.T @ residual + self._own_penalty * progress.own
        if not present.curvature:
            kept = progress.newton.reshape(system.size, -1)
            # the intercept's entry is the sum of the curvatures then
            return progress, kept * (total / kept[0, 0]), system.gradient(gradient, found), total
        square = (own * curvature[:, None]).T @ own + np.diag(self._own_penalty)
        matrix, gradient = system.whole(square, gradient, self._scale, found)
        following = self._plan[progress.number + 1 : progress.number + 2]
        keeps = any(not one.curvature for one in following)
        return (
            replace(progress, newton=matrix.ravel() if keeps else np.zeros(0)),
            matrix,
            gradient,
            total,
        )

    def _direction(
        self, progress: Progress, matrix: Floats, gradient: Floats, total: float
    ) -> tuple[Floats, dict[str, Floats], float, int]:
        """The Newton step: own, every partner's, the decrement, and the scores' scale."""
        a = self._x.shape[1]
        step = -solve_symmetric(matrix, gradient)
        ends = np.cumsum([progress.columns[name] for name in self._partners])
        moved = step[a:]
        steps = dict(zip(self._partners, np.split(moved, ends[:-1]), strict=True))
        power = float(moved @ matrix[a:, a:] @ moved) / max(total, 1e-300)
        exponent = 0
        # one partner scales its scores by itself; several need one scale, to be added up
        if len(self._partners) > 1 and np.isfinite(power) and power > 0:
            exponent = int(np.clip(np.rint(-0.5 * np.log2(power)), -MOST_EXPONENT, MOST_EXPONENT))
        decrement = float(-gradient @ step)
        if not np.isfinite(decrement):
            raise PeerError("sums that make no Newton system")
        return step[:a], steps, decrement, exponent

    def _extended(
        self,
        progress: Progress,
        present: Pass,
        rows: Rows,
        shown: Floats,
        products: Floats,
    ) -> Progress:
        """One direction more: the best model in the larger subspace."""
        vector = np.zeros(len(self._x))
        vector[rows] = shown
        size = len(products)
        before = progress.gram if present.fold < 0 else progress.fold_gram
        gram = np.zeros((size, size))
        gram[:-1, :-1] = before.reshape(size - 1, size - 1)
        gram[-1], gram[:, -1] = products, products
        mix = np.append(progress.mix, 0.0)
        if present.fold < 0:
            progress = replace(
                progress,
                mix=mix,
                scores=np.append(progress.scores, vector),
                gram=gram.ravel(),
                fold_gram=gram.ravel(),
            )
        else:
            progress = replace(
                progress,
                mix=mix,
                fold_scores=np.append(progress.fold_scores, vector),
                fold_gram=gram.ravel(),
            )
        progress = self._refitted(progress, present.fold)
        return progress if present.fold >= 0 else replace(progress, final_mix=progress.mix)

    def _refitted(self, progress: Progress, fold: int) -> Progress:
        """The best model over own columns and disclosed scores, on the training rows."""
        rows = self._training(fold)
        vectors = self._vectors(progress)
        a, t = self._x.shape[1], len(vectors)
        penalty = np.zeros((a + t, a + t))
        penalty[:a, :a] = np.diag(self._own_penalty)
        penalty[a:, a:] = PENALTY * progress.fold_gram.reshape(t, t)
        design = np.column_stack([self._x[rows], vectors[:, rows].T])
        fit = fit_logistic(
            design, self._y[rows], penalty, start=np.append(progress.own, progress.mix)
        )
        return replace(progress, own=fit.coefficients[:a], mix=fit.coefficients[a:])

    def _finish(self, progress: Progress) -> Turn[VerticalFit]:
        scores = LOGISTIC.predict(progress.final)
        fit = VerticalFit(
            coefficients=progress.final_own[1:],
            intercept=float(progress.final_own[0]),
            scores=scores,
            fold_scores=np.where(self._fold >= 0, scores, np.nan),
            score_vectors=score_vectors(self._steps, self._folds, self._fold_steps),
            log=tuple(
                {
                    "fold": one.fold,
                    "rows": one.rows,
                    "objective": one.objective,
                    "decrement": one.decrement,
                    "columns": sum(progress.columns.values()),
                }
                for one in progress.log
            ),
        )
        return Turn(Done(), [(name, Final()) for name in self._partners], fit, 1.0)

    # what is at hand

    @cached_property
    def _scale(self) -> Floats:
        """A power of two for each own column that brings its magnitudes to at most 1."""
        largest = np.abs(self._x).max(axis=0)
        return np.asarray(np.exp2(np.ceil(np.log2(np.maximum(largest, 2.0**-60)))))

    @cached_property
    def _own_penalty(self) -> Floats:
        penalty = np.full(self._x.shape[1], PENALTY)
        penalty[0] = 0.0
        return penalty

    def _layout(self, key: PrivateKey) -> Layout:
        return Layout(key.bits, len(self._x), self._x.shape[1])

    def _private(self, data: bytes) -> PrivateKey:
        """The key of this state: a restored role may have been built with another."""
        if self._key is None or self._key.to_bytes() != data:
            self._key = PrivateKey.from_bytes(data)
        return self._key

    def _pool(self, key: PrivateKey) -> ObfuscatorPool:
        if self._obfuscators is None or self._obfuscators.public != key.public:
            self._obfuscators = ObfuscatorPool(key, random=self.context.random)
        return self._obfuscators

    def _training(self, fold: int) -> Rows:
        return training_rows(self._y >= 0, self._fold, fold)

    def _disclosed(self, present: Pass) -> Rows:
        return shown_rows(present, self._y >= 0, self._fold)

    def _vectors(self, progress: Progress) -> Floats:
        """`float64[t, n]`: score vectors of the full fit, then of the present fold."""
        return np.append(progress.scores, progress.fold_scores).reshape(-1, len(self._x))

    def _present_model(self, progress: Progress, rows: Rows) -> tuple[Floats, Floats, Floats]:
        """Scores, curvatures and residuals of the training rows."""
        scores = self._x[rows] @ progress.own + progress.mix @ self._vectors(progress)[:, rows]
        return scores, LOGISTIC.curvature(scores), LOGISTIC.slope(scores, self._y[rows])

    def _logged(self, progress: Progress, present: Pass, decrement: float) -> Progress:
        rows = self._training(present.fold)
        scores, _, _ = self._present_model(progress, rows)
        t = len(progress.mix)
        partners = float(progress.mix @ progress.fold_gram.reshape(t, t) @ progress.mix)
        own = float(self._own_penalty @ progress.own**2)
        value = LOGISTIC.loss(scores, self._y[rows]) + 0.5 * (own + PENALTY * partners)
        entry = Entry(present.fold, int(np.count_nonzero(rows)), value, decrement)
        return replace(progress, log=(*progress.log, entry))

    def _collect(self, found: dict[str, Any], peer: str, value: Any) -> dict[str, Any]:
        if peer not in self._partners or peer in found:
            raise PeerError("a message of a party that is not asked, or asked once")
        return found | {peer: value}


def _summed(parts: list[Scores], count: int) -> Floats:
    """The partners' scores together: their masks cancel modulo 2^64. Raises PeerError."""
    if any(len(part.values) != count for part in parts):
        raise PeerError(f"scores of another length than the {count} asked for")
    total = np.zeros(count, dtype=np.uint64)
    for part in parts:
        total += part.values
    numbers = np.ldexp(total.view(np.int64).astype(np.float64), -FRACTION_BITS)
    if not np.abs(numbers).max(initial=0.0) < 2.0**SUM_BITS:
        raise PeerError("scores out of range: the partners' masks do not cancel")
    return np.asarray(numbers)
