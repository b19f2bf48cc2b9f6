"""How a feature party ends: final scores, rounded, and where there are several, under pads."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.regression.feature_rows import FeatureRows
from federated.regression.messages import Learned, Pad
from federated.regression.plan import opened_numbers
from federated.regression.results import FeatureFit
from federated.regression.rounding import rounded
from federated.regression.schedule import EVERY, beyond_any
from federated.regression.states import Fitting
from psi.protocol import Done, PeerError, Turn

__all__ = ["FeatureEnd"]

_SEED = 32


class FeatureEnd(FeatureRows):
    """What a feature party tells of its scores once all models are fitted."""

    _repeats: NDArray[np.int64] | None = None

    def on_pad(self, state: Fitting, sent: Pad, peer: str) -> Turn[FeatureFit]:
        """The half of a pad that a party beside this one has drawn."""
        side = self._beside.get(peer, "")
        state = self._heard_of(state, sent, peer, side != "")
        if (state.before if side == "before" else state.after) or len(sent.seed) != _SEED:
            raise PeerError("a pad that is not due")
        if side == "before":
            return self._finish(replace(state, before=sent.seed), [])
        return self._finish(replace(state, after=sent.seed), [])

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
            if self._plan.score_bits:
                # the noise is measured by all rows: few, or chosen ones, may lie close together
                told[rows] = rounded(scores, self._plan.score_bits, random, self._repeats)[rows]
        if not self._plan.score_bits:
            told = told[:0]
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
            told -= _pad(state.before + state.pad, len(told))
        if state.after:
            told += _pad(state.pad + state.after, len(told))
        full, own = state.models[0].weights, self._own_scores(state)
        fit = FeatureFit(
            coefficients=np.ldexp(full, state.scale),
            told_rows=len(told),
            own=own,
            labelled=self._labelled,
            folds=self._folds,
            score_bits=self._plan.score_bits,
            gradient_left=[each.left for each in state.log if each.fold == EVERY][-1],
            evaluations=state.last + 1,
            opened=opened_numbers(self._ran(state), self._raw.shape[1]),
            bounded=self._columns.bounded,
            spoilt=state.spoilt or beyond_any(self._plan, own, state.unit),
        )
        limits = self.context.store.get("limits", 0)
        learned = Learned(limits, float(self._mean @ full), told)
        return Turn(Done(), [*messages, (self._peer, learned)], fit, 1.0)

    def _own_scores(self, state: Fitting) -> NDArray[np.float64]:
        """Of each row the own part, by the model that did not see it."""
        every = np.stack([self._x @ model.weights for model in state.models])
        return np.asarray(every[np.maximum(self._folds + 1, 0), np.arange(self._rows)])

    def _heard_of(self, state: Fitting, sent: Any, peer: str, known: bool) -> Fitting:
        """A message of another feature party."""
        if not known:
            raise PeerError("a message that only another party of the regression may send")
        return replace(state, transcript=state.transcript.hear(self.incoming))


def _pad(seed: bytes, rows: int) -> NDArray[np.int64]:
    """Uniform numbers modulo 2^64."""
    drawn = hashlib.shake_256(b"regression pad" + seed).digest(8 * rows)
    return np.frombuffer(drawn, "<i8").astype(np.int64)
