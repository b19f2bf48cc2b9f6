"""One party's side of horizontal training: bounded sums over its own rows, noised and masked.

What a row adds is bounded before it is summed, by this party's own rows and the plan alone, so
that a receiver's question, whatever it says, meets the noise that the plan promises. Before the
party answers it looks at the question as well: a model, or a mean and scale, under which few of its
rows carry the answer asks about these, and is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.horizontal.noise import LARGEST_NOISE, NoiseKey
from federated.horizontal.plan import BINS, CLIP, LEAST, Plan
from federated.horizontal.secure_sum import FRACTION_BITS, SecureSum
from federated.models.logistic import LOGISTIC
from psi.protocol import InputError, PeerError, Refused

__all__ = ["Branch", "Question", "clipped", "effective_rows"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Parts = tuple[Floats, Floats]
"""Sums, and the deviation of the noise that each is to carry."""

LARGEST_MODEL = 1e3
"""Of a coefficient, in standardised units: the penalty keeps honest ones far below."""


@dataclass(frozen=True)
class Question:
    """What the coordinator asks in one round, the same of every party.

    `stage` is one of the plan's; `models` is `float64[m, d + 1]`, the intercept last: none for
    sums and spread, one for products, steps and folds, one a fold for scores. `mean` and `scale`
    standardise (for spread, `scale` is a unit); `edges` are of the bins of scores.
    """

    number: int
    stage: str
    models: Floats
    mean: Floats
    scale: Floats
    edges: Floats

    @property
    def label(self) -> bytes:
        """Names the question with all that it says."""
        arrays = (self.models, self.mean, self.scale, self.edges)
        content = b"".join(np.ascontiguousarray(a, "<f8").tobytes() for a in arrays)
        return f"{self.number} {self.stage} ".encode() + hashlib.sha256(content).digest()


def clipped(x: Floats, mean: Floats, scale: Floats) -> Floats:
    """Standardised columns, at most `CLIP` deviations out: as training and scoring take them."""
    found = np.asarray(x - mean, np.float64)  # one copy: of a million rows half a gigabyte
    with np.errstate(over="ignore"):
        found /= scale
    return np.clip(found, -CLIP, CLIP, out=found)


def effective_rows(weights: Floats) -> float:
    """(Σw)² / Σw²: as many rows of equal weight carry a sum as evenly (Kish 1965)."""
    largest = float(weights.max(initial=0.0))
    if largest <= 0:
        return 0.0
    even = weights / largest  # weights near 0 would underflow when squared
    return float(even.sum() ** 2 / (even**2).sum())


class Branch:
    """Rows of one party: `x` float64[n, d] without missing values, `y` of 0 and 1, `fold`.

    Raises `Refused` where it has fewer than 20 rows.

    Args:
        masks: this party's masks, which cancel out over all parties.
        plan: columns, folds, steps and bits, as in the contract.
        key: the key of this party's noise.
    """

    def __init__(
        self,
        x: Floats,
        y: np.ndarray,
        fold: np.ndarray,
        masks: SecureSum,
        plan: Plan,
        key: NoiseKey,
    ) -> None:
        if len(x) < LEAST:
            raise Refused(f"{len(x)} rows with a label at this party, at least {LEAST} needed")
        self._x, self._y, self._fold = x, y.astype(np.float64), fold
        self._masks, self._plan, self._key = masks, plan, key
        self._centre = x.mean(axis=0)
        with np.errstate(over="ignore"):
            self._half = CLIP * x.std(axis=0)
        """What one row may lie off the centre in sums of values."""
        self._near = np.clip(x, self._centre - self._half, self._centre + self._half)
        self._standardised: tuple[bytes, Floats, Floats] | None = None

    def __repr__(self) -> str:
        return f"<branch of {len(self._x)} rows>"

    def answer(self, question: Question) -> np.ndarray:
        """The noised and masked sums: `uint64[m]`.

        Raises `PeerError` for a malformed question, `Refused` for one that rests on few rows.
        """
        self._check(question)
        stage = question.stage
        values, sd = self.sums(question)
        sd = sd * 2.0**FRACTION_BITS
        if not (sd < LARGEST_NOISE).all():
            if stage != "sums":
                raise PeerError("a mean or unit that no training has", step="horizontal")
            over = int((~(self._half * 2.0**FRACTION_BITS < LARGEST_NOISE)).sum())
            raise InputError(
                f"{over} columns have values too large to add up", hint="give them in larger units"
            )
        noise = self._key.draw(sd, question.label)
        return self._masks.mask(values, f"{question.number} {stage}", noise)

    def sums(self, question: Question) -> Parts:
        """Bounded sums before noise and masks, and the deviation of that noise; never sent."""
        return {
            "sums": self._sums,
            "spread": self._spread,
            "products": self._products,
            "step": self._step,
            "folds": self._folds,
            "scores": self._scores,
        }[question.stage](question)

    # what may be asked

    def _check(self, question: Question) -> None:
        plan, stage = self._plan, question.stage
        if stage != plan.stage(question.number):
            raise PeerError("a stage that the plan does not have", step="horizontal")
        models = (plan.models(stage), plan.width)
        found = (question.models.shape, question.mean.shape, question.scale.shape)
        if found != (models, (plan.columns,), (plan.columns,)):
            raise PeerError("a model of another shape", step="horizontal")
        if question.edges.shape != (plan.edges(stage),):
            raise PeerError("bins of another number", step="horizontal")
        bounded = np.abs(question.models).max(initial=0.0) <= LARGEST_MODEL  # not of a NaN
        finite = np.isfinite(question.mean).all() and np.isfinite(question.scale).all()
        if not bounded or not finite or not (question.scale > 0).all():
            raise PeerError("a model, mean or scale that no training has", step="horizontal")
        if np.isnan(question.edges).any() or (np.diff(question.edges) < 0).any():
            raise PeerError("bins that are not in order", step="horizontal")
        if question.models.size:
            self._check_carried(question)

    def _check_carried(self, question: Question) -> None:
        """Raise `Refused` where a few rows carry what is asked."""
        z, _ = self._rows(question)
        low, high = (z[:, :-1] <= -CLIP).sum(axis=0), (z[:, :-1] >= CLIP).sum(axis=0)
        inside = len(z) - low - high
        apart = np.where(inside > 0, inside, np.minimum(low, high))
        few = int(((apart > 0) & (apart < LEAST)).sum())
        if few:
            raise Refused(
                f"a mean and scale that tell fewer than {LEAST} of this party's rows from the "
                f"others in {few} columns"
            )
        for model in question.models:
            rows = effective_rows(LOGISTIC.curvature(z @ model))
            if rows < LEAST:
                raise Refused(
                    f"a model that {rows:.1f} of this party's rows decide on, at least {LEAST} "
                    "needed",
                    hint="labels that the columns tell apart perfectly end so too",
                )

    # sums, each with the noise's deviation

    def _sums(self, question: Question) -> Parts:
        """Rows, positives, and of each column its sum and that of its distances from the centre."""
        del question
        half = np.concatenate([self._half, self._half / 2])
        distance = np.abs(self._near - self._centre).sum(axis=0)
        values = np.concatenate([self._near.sum(axis=0), distance])
        # a quarter of the bits for positives, however many columns there are
        sd = self._plan.noise("sums") * half * np.sqrt(len(half) * 4 / 3)
        counts = [len(self._x), self._y.sum()]
        return np.append(counts, values), np.append([0.0, self._plan.noise("sums")], sd)

    def _spread(self, question: Question) -> Parts:
        """Of each column the sum of squares about the mean, in a unit."""
        unit, off = question.scale, np.abs(self._centre - question.mean)
        farthest, nearest = off + self._half, np.maximum(off - self._half, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is refused
            squares = (((self._near - question.mean) / unit) ** 2).sum(axis=0)
            half = ((farthest / unit) ** 2 - (nearest / unit) ** 2) / 2
        return squares, self._plan.noise("spread") * half * np.sqrt(len(half))

    def _products(self, question: Question) -> Parts:
        """Products of columns, and the gradient of the model."""
        (z, shrunk), plan = self._rows(question), self._plan
        rows = z * shrunk[:, None]
        upper = (rows.T @ rows)[np.triu_indices(plan.width)]
        gradient, sd = self._step(question)
        return (
            np.concatenate([upper, gradient]),
            np.concatenate([np.full(plan.products, plan.noise("products") * plan.radius**2), sd]),
        )

    def _step(self, question: Question) -> Parts:
        """The gradient of the model's log-loss."""
        residual, z = self._residual(question)
        width = self._plan.width
        return z.T @ residual, np.full(width, self._plan.noise("step") * self._plan.radius)

    def _folds(self, question: Question) -> Parts:
        """The same of each fold's rows."""
        residual, z = self._residual(question)
        plan = self._plan
        parts = [z[at].T @ residual[at] for at in (self._fold == f for f in range(plan.folds))]
        sd = np.full(plan.size("folds"), plan.noise("folds") * plan.radius)
        return np.concatenate(parts), sd

    def _scores(self, question: Question) -> Parts:
        """Histograms of held-out scores, by fold and label; a row is in one place of them all."""
        z, _ = self._rows(question)
        parts = []
        for number, model in enumerate(question.models):
            rows = self._fold == number
            place = np.searchsorted(question.edges, z[rows] @ model, side="right")
            for label in (0.0, 1.0):
                parts.append(np.bincount(place[self._y[rows] == label], minlength=BINS))
        values = np.concatenate(parts).astype(np.float64)
        return values, np.full(len(values), self._plan.noise("scores"))

    def _residual(self, question: Question) -> tuple[Floats, Floats]:
        """What each row adds to a gradient: its residual, and itself at its bounded length."""
        z, shrunk = self._rows(question)
        rows = z * shrunk[:, None]
        return LOGISTIC.slope(rows @ question.models[0], self._y), rows

    def _rows(self, question: Question) -> tuple[Floats, Floats]:
        """Standardised rows with a 1 at the end, and the factor that bounds each one's length."""
        key = question.mean.tobytes() + question.scale.tobytes()
        if self._standardised is None or self._standardised[0] != key:
            z = clipped(self._x, question.mean, question.scale)
            z = np.column_stack([z, np.ones(len(z))])
            length = np.sqrt((z**2).sum(axis=1))
            self._standardised = key, z, np.minimum(1.0, self._plan.radius / length)
        return self._standardised[1:]
