"""The label party of the vertical logistic regression: holds the label and the key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from federated.paillier import EncryptedVector, Plaintexts, PrivateKey
from federated.vertical.budget import score_vectors
from federated.vertical.messages import Directions, Final, LabelState, Masked, Opened, Pass, Setup
from federated.vertical.newton import fit_logistic, logistic
from federated.vertical.numbers import (
    CURVATURE_BITS,
    ROW_BITS,
    ROW_VALUE_BITS,
    SCORE_BITS,
    fixed,
    haar,
    row_packing,
)
from psi.protocol import Context, Done, PeerError, Refused, Role, Turn

__all__ = ["LabelParty", "VerticalFit"]

LEAST_PER_CLASS = 20
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class VerticalFit:
    """The label party's result: its own coefficients, and scores of the whole model.

    `scores` are probabilities for all rows; `fold_scores` those of the models that did not see
    the row, NaN elsewhere. `log` has a row a step: fit, step, log-loss on its rows.
    """

    coefficients: Floats
    intercept: float
    scores: Floats
    fold_scores: Floats
    score_vectors: int
    log: Floats


class LabelParty(Role[VerticalFit]):
    """Sends encrypted rows, opens masked sums, and fits between over what it was shown."""

    transitions = {  # noqa: RUF012
        (LabelState, Masked): "on_masked",
        (LabelState, Directions): "on_directions",
    }

    def __init__(
        self,
        context: Context,
        partners: list[str],
        x: Floats,
        label: np.ndarray,
        *,
        folds: np.ndarray,
        steps: int,
        fold_steps: int,
        key: PrivateKey,
        penalty: float = 1.0,
    ) -> None:
        super().__init__(context)
        self._partners, self._key = partners, key
        self._x = np.hstack([x, np.ones((len(x), 1))])
        self._known = label >= 0
        self._y = np.where(self._known, label, 0).astype(np.float64)
        self._folds = np.where(self._known, np.maximum(folds, 0), -1).astype(np.int64)
        self._fold_count = int(folds.max(initial=-1)) + 1
        self._steps, self._fold_steps = steps, fold_steps
        self._penalty = penalty * np.eye(self._x.shape[1])
        self._penalty[-1, -1] = 0.0
        self._strength = penalty

    def begin(self) -> Turn[VerticalFit]:
        ones = int(self._y[self._known].sum())
        least = min(ones, int(self._known.sum()) - ones)
        if least < LEAST_PER_CLASS:
            raise Refused(f"{least} rows in the smaller class, {LEAST_PER_CLASS} needed")
        setup = Setup(
            self._key.public.to_bytes(),
            self._folds,
            self._x.shape[1],
            self._steps,
            self._fold_count,
            self._fold_steps,
        )
        n, a = self._x.shape
        empty, none = np.zeros((n, 0)), np.zeros(0)
        square = np.zeros((0, 0))
        own = fit_logistic(self._x[self._known], self._y[self._known], self._penalty)
        state = LabelState(
            0, 0, empty, square, own, none, np.zeros((a, a)), np.full(n, -1.0),
            empty, square, none, none, {}, none, np.zeros((0, 3)),
        )  # fmt: skip
        turn = self._pass(state)
        first = [(name, setup) for name in self._partners]
        return replace(turn, messages=[*first, *turn.messages])

    def _rows(self, state: LabelState) -> np.ndarray:
        """The training rows of the present fit."""
        return np.flatnonzero(self._known & (self._folds != state.fit - 1))

    def _last(self, state: LabelState) -> bool:
        return state.fit > 0 and state.step == self._fold_steps - 1

    def _pass(self, state: LabelState) -> Turn[VerticalFit]:
        """The encrypted rows of one Newton step at the present point."""
        rows = self._rows(state)
        x, n = self._x[rows], len(rows)
        z = x @ state.own + state.scores[rows] @ state.mix
        p = logistic(z)
        weight = p * (1 - p)
        curvature = (x * weight[:, None]).T @ x + self._penalty
        gradient = x.T @ (p - self._y[rows]) + self._penalty @ state.own
        size, basis = np.linalg.eigh(curvature)
        size = np.maximum(size, 1e-12 * size.max())
        turn = (basis / np.sqrt(size)) @ haar(len(size), self.context.random)
        reduced = p - self._y[rows] - weight * (x @ np.linalg.solve(curvature, gradient))
        mixed = (x * weight[:, None]) @ turn * np.sqrt(n)
        values = fixed(np.column_stack([reduced, mixed]), ROW_BITS, ROW_VALUE_BITS)
        packing, count = row_packing(self._key.bits, len(self._x), values.shape[1])
        parts = [
            packing.pack(values[:, i * packing.slots : (i + 1) * packing.slots])
            for i in range(count)
        ]
        single = Plaintexts.from_int64(
            fixed(weight, CURVATURE_BITS, CURVATURE_BITS), bound_bits=CURVATURE_BITS
        )
        encrypted = [self._encrypt(part) for part in parts]
        message = Pass(state.fit, state.step, state.mix, b"".join(encrypted), self._encrypt(single))
        total = self._steps + self._fold_count * self._fold_steps
        done = state.step if not state.fit else self._steps + (state.fit - 1) * self._fold_steps
        log_loss = float(np.logaddexp(0, z).sum() - self._y[rows] @ z)
        entry = np.array([[float(state.fit), float(state.step), log_loss]])
        state = replace(
            state, turn=turn, replies={}, cross=np.zeros(0), log=np.vstack([state.log, entry])
        )
        return Turn(
            state, [(name, message) for name in self._partners], progress=done / max(1, total)
        )

    def _encrypt(self, plain: Plaintexts) -> bytes:
        return EncryptedVector.encrypt(self._key, plain, random=self.context.random).to_bytes()

    def on_masked(self, state: LabelState, sums: Masked, peer: str) -> Turn[VerticalFit]:
        """Open what is masked and hand it back; nothing is learned from it."""
        crosses = {name: self._open(data) for name, data in sums.crosses.items()}
        opened = Opened(self._open(sums.linear), self._open(sums.pairs), crosses)
        return Turn(state, [(peer, opened)])

    def _open(self, data: bytes) -> bytes:
        public = self._key.public
        count, odd = divmod(len(data), public.ciphertext_bytes)
        if odd or count > 1 << 20:
            raise PeerError(f"{len(data)} bytes of masked sums")
        vector = EncryptedVector.from_bytes(public, data, count)
        return vector.decrypt(self._key).to_bytes() if count else b""

    def on_directions(self, state: LabelState, found: Directions, peer: str) -> Turn[VerticalFit]:
        """Scores of the partners' new directions: once all are here, fit again and go on."""
        if peer in state.replies:
            raise PeerError("a second answer in one step")
        rows = self._scored(state)
        if len(found.values) != len(rows) + state.scores.shape[1] + 1:
            raise PeerError(f"{len(found.values)} scores found, {len(rows)} rows asked")
        cross = found.cross if peer == self._partners[0] else state.cross
        state = replace(state, replies=state.replies | {peer: found.values}, cross=cross)
        if len(state.replies) < len(self._partners):
            return Turn(state)
        total = np.zeros(len(found.values), np.uint64)
        for values in state.replies.values():
            total = total + values.view(np.uint64)
        numbers = total.view(np.int64) / 2.0**SCORE_BITS
        scores, products = numbers[: len(rows)], numbers[len(rows) :]
        if np.abs(scores).max(initial=0.0) > 1e6:
            raise PeerError("scores beyond any sensible range")
        if self._last(state):
            return self._close_fold(state, rows, scores)
        return self._extend(state, rows, scores, products)

    def _scored(self, state: LabelState) -> np.ndarray:
        """Rows whose scores are disclosed in this step."""
        if state.fit == 0:
            return np.arange(len(self._x))
        return (
            np.flatnonzero(self._folds == state.fit - 1) if self._last(state) else self._rows(state)
        )

    def _extend(
        self, state: LabelState, rows: np.ndarray, scores: Floats, products: Floats
    ) -> Turn[VerticalFit]:
        """One more score vector to fit over."""
        column = np.zeros((len(self._x), 1))
        column[rows, 0] = scores
        count = state.scores.shape[1]
        gram = np.zeros((count + 1, count + 1))
        gram[:count, :count] = state.gram
        gram[count, :] = gram[:, count] = products * self._strength
        state = replace(state, scores=np.hstack([state.scores, column]), gram=gram)
        state = self._refit(replace(state, step=state.step + 1))
        if state.fit > 0:
            return self._pass(state)
        if state.step < self._steps:
            return self._pass(state)
        state = replace(
            state,
            full_scores=state.scores,
            full_gram=state.gram,
            full_own=state.own,
            full_mix=state.mix,
        )
        return self._next_fold(state, 1)

    def _refit(self, state: LabelState) -> LabelState:
        """Fit own columns and the mix of all score vectors seen; nothing is sent."""
        rows = self._rows(state)
        count, a = state.scores.shape[1], self._x.shape[1]
        joined = np.hstack([self._x[rows], state.scores[rows]])
        penalty = np.zeros((a + count, a + count))
        penalty[:a, :a], penalty[a:, a:] = self._penalty, state.gram
        mix = np.concatenate([state.mix, np.zeros(count - len(state.mix))])
        fit = fit_logistic(joined, self._y[rows], penalty, np.concatenate([state.own, mix]))
        return replace(state, own=fit[:a], mix=fit[a:])

    def _next_fold(self, state: LabelState, fit: int) -> Turn[VerticalFit]:
        if fit > self._fold_count:
            return self._finish(state)
        state = replace(
            state,
            fit=fit,
            step=0,
            scores=state.full_scores,
            gram=state.full_gram,
            own=state.full_own,
            mix=state.full_mix,
        )
        return self._pass(self._refit(state))

    def _close_fold(self, state: LabelState, held: np.ndarray, scores: Floats) -> Turn[VerticalFit]:
        """The fold's last step at this party, then scores of the rows it did not see."""
        rows = self._rows(state)
        x = self._x[rows]
        if len(state.cross) != x.shape[1]:
            raise PeerError("the lead's part of the step is missing")
        p = logistic(x @ state.own + state.scores[rows] @ state.mix)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + self._penalty
        gradient = x.T @ (p - self._y[rows]) + self._penalty @ state.own
        change = -np.linalg.solve(curvature, gradient)
        change -= state.turn @ state.cross / np.sqrt(len(rows))
        fold_scores = state.fold_scores.copy()
        fold_scores[held] = logistic(self._x[held] @ (state.own + change) + scores)
        return self._next_fold(replace(state, fold_scores=fold_scores), state.fit + 1)

    def _finish(self, state: LabelState) -> Turn[VerticalFit]:
        scores = logistic(self._x @ state.full_own + state.full_scores @ state.full_mix)
        fold_scores = np.where(state.fold_scores < 0, np.nan, state.fold_scores)
        disclosed = score_vectors(self._steps, self._fold_count, self._fold_steps)
        own = state.full_own
        fit = VerticalFit(own[:-1], float(own[-1]), scores, fold_scores, disclosed, state.log)
        final = Final(state.full_mix)
        return Turn(Done(), [(name, final) for name in self._partners], fit, 1.0)
