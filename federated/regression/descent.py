"""Quasi-Newton steps of a model whose coefficients lie at several parties, from inner products.

Each party keeps its own part of the gradient g, of the latest steps s and of the gradient's changes
y, and a block H of the first metric. The BFGS direction (Nocedal and Wright 2006, algorithm 7.4,
all pairs kept)

    d = -(H g - Σ α_j H y_j + Σ (α_j - β_j) s_j)

has coefficients that follow from inner products of whole vectors. A party's numbers are its part of
each; the label party adds them up, and all take the same step. Coefficients are computed number by
number, so that all get the same bits.

A pair whose s·y is not far above what noise in the gradients makes of it is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from federated.regression.noise import WILD, gaussians
from federated.regression.plan import MOST_EVALUATIONS
from psi.protocol import Array, Random, Refused

__all__ = [
    "Descent",
    "Metric",
    "averaged",
    "fork_products",
    "forked",
    "held",
    "moved",
    "products",
    "rounded_products",
    "stepped",
]

Floats = NDArray[np.float64]

DIGITS = 16
"""Bits that an inner product is told with."""
ROUGHLY = 4
"""Bits that the size of noise is told with."""
NEAR = 1.5
"""How many times the least decrement still counts as at the optimum."""
SIGMAS = 3.0
CLEAR = 2.0
"""How many times what noise makes of y·H y it must be: a noisy y bends the metric."""
"""How many standard deviations of its noise s·y must be, to say something."""
HELD = 16.0
"""How many times the square of what fresh noise makes is taken off a decrement's: with what stays
and what a party adds to its own noise makes 2.5 in the mean, most of it by one far column, so that
one in a hundred is 16 or more."""
_FARTHEST = 2.0**64
"""Beyond any step, and any multiple of one: what comes of such numbers is a number still."""
_MOST = 4096 * 2 * MOST_EVALUATIONS
_PAIRS = 2 * MOST_EVALUATIONS
_Vector = Annotated[NDArray[np.float64], Array("float64", most=4096)]
_Rows = Annotated[NDArray[np.float64], Array("float64", most=_MOST)]
_Square = Annotated[NDArray[np.float64], Array("float64", most=_PAIRS**2)]


@dataclass(frozen=True, repr=False)
class Metric:
    """This party's block of the first metric, and what noise is in its gradients.

    inverse: H, `float64[k, k]`; noise: the covariance of the noise in a change of the gradient,
    `float64[k, k]`; spread: the mean of what that adds to y·H y. Where there is noise all three are
    a little off, and stay so (`noise.Veil`): they are told, and steer only where a fit ends.
    root: of the curvature, `float64[k, directions]`; None without noise.
    """

    inverse: Floats
    noise: Floats
    spread: float = 0.0
    root: Floats | None = None

    def lengths(self, gradients: Floats) -> Floats:
        """Of gradients `float64[v, k]` by H."""
        squares = np.einsum("ij,ij->i", gradients @ self.inverse, gradients)
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))

    def drawn(self, lengths: Floats, random: Random) -> Floats:
        """Gaussian vectors about as long by H, all directions alike, `float64[v, k]`."""
        if self.root is None:
            return np.zeros((len(lengths), len(self.inverse)))
        many, size = len(lengths), max(1, self.root.shape[1])
        drawn = gaussians(many * size, random).reshape(many, size) / size**0.5
        return np.asarray(lengths[:, None] * drawn[:, : self.root.shape[1]] @ self.root.T)


@dataclass(frozen=True, repr=False, kw_only=True)
class Descent:
    """One model's way: all that a party keeps of it; k is at least 1.

    weights: `float64[k]`; step: of the latest direction, yet to be taken; gradient: at the weights
    before it (none: no step yet); past: all weights before these, flat; steps, changes:
    `float64[m, k]`, flat; products of all pairs, the same at both: `along[i, j]` = s_i·y_j and
    `across[i, j]` = y_i·H y_j, `float64[m, m]`, flat.
    """

    weights: _Vector
    step: _Vector
    gradient: _Vector
    past: _Rows
    steps: _Rows
    changes: _Rows
    along: _Square
    across: _Square

    @classmethod
    def at(cls, weights: Floats) -> Descent:
        """Before the first step."""
        none = np.zeros(0)
        return cls(
            weights=weights,
            step=none,
            gradient=none,
            past=none,
            steps=none,
            changes=none,
            along=none,
            across=none,
        )

    def pairs(self) -> tuple[Floats, Floats]:
        """Steps and changes `float64[m, k]`."""
        width = len(self.weights)
        return self.steps.reshape(-1, width), self.changes.reshape(-1, width)


def moved(descent: Descent, limit: float) -> Descent:
    """With the latest direction taken, shortened to `limit` of it."""
    step, past = descent.step * limit, np.concatenate([descent.past, descent.weights])
    return replace(descent, weights=descent.weights + step, step=step, past=past)


def products(descent: Descent, gradient: Floats, metric: Metric) -> Floats:
    """This party's part of the inner products at a new gradient.

    With the pair of the latest step among m: s_i·g, y_i·H g, s_i·y_m, y_i·H y_m, g·H g, the
    variance that noise gives s_m·y_m, and the mean of what it adds to y_m·H y_m. Before the first
    step g·H g and the last of these.
    """
    steps, changes = _with_latest(descent, gradient)
    turned = metric.inverse @ gradient
    own, last = [steps @ gradient, changes @ turned], [float(gradient @ turned)]
    sizes = [metric.spread]
    if len(descent.step):
        own += [steps @ changes[-1], changes @ (metric.inverse @ changes[-1])]
        sizes = [float(steps[-1] @ metric.noise @ steps[-1]), metric.spread]
    last += list(rounded_products(np.array(sizes), ROUGHLY))
    return rounded_products(np.concatenate([*own, last]))


def fork_products(descent: Descent, gradient: Floats, fork: Floats, metric: Metric) -> Floats:
    """This party's part of those of the sums `fork` over some of the rows, at the same weights.

    s_i·f, y_i·H f and f·H f, with the pair of the latest step and the new `gradient` among them.
    """
    steps, changes = _with_latest(descent, gradient)
    turned = metric.inverse @ fork
    return rounded_products(np.concatenate([steps @ fork, changes @ turned, [fork @ turned]]))


def rounded_products(numbers: Floats, digits: int = DIGITS) -> Floats:
    """To so many significant bits."""
    mantissa, exponent = np.frexp(numbers)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, digits)), exponent - digits))


def stepped(
    descent: Descent,
    gradient: Floats,
    own: Floats,
    metric: Metric,
    whole: Floats,
    columns: int = 0,
) -> tuple[Descent, float, float]:
    """With the pair of the latest step, if it says something, and a new direction.

    Also the Newton decrement by the metric at hand, which is how far the optimum is, in standard
    errors; and what noise alone makes of it by the first metric. `whole` are all parties'
    `products`; `own` is what the gradient has of this party's own, for these only: the direction
    is without it by the first metric. The direction is `held` by all parties' `columns`.
    """
    numbers = [float(number) for number in whole]
    steps, changes = descent.pairs()
    many = len(steps)
    on: list[float] = []
    turned: list[float] = []
    length, size, spread = numbers[0], many + 1, max(0.0, numbers[1])
    if len(descent.step):
        on, turned, length = numbers[:many], numbers[size : size + many], numbers[4 * size]
        new_along, new_across = numbers[2 * size : 3 * size], numbers[3 * size : 4 * size]
        noise, spread = max(0.0, numbers[4 * size + 1]), max(0.0, numbers[4 * size + 2])
        clear = new_along[-1] > SIGMAS * noise**0.5 and new_across[-1] > CLEAR * spread
        if clear and new_along[-1] > 0.0:
            along, across = _table(descent.along, many), _table(descent.across, many)
            along = [[*row, new] for row, new in zip(along, new_along, strict=False)]
            along.append([0.0] * many + [new_along[-1]])
            across = [[*row, new] for row, new in zip(across, new_across, strict=False)]
            across.append(list(new_across))
            on, turned = numbers[:size], numbers[size : 2 * size]
            steps, changes = _with_latest(descent, gradient)
            descent = replace(
                descent,
                steps=steps.ravel(),
                changes=changes.ravel(),
                along=np.array(along).ravel(),
                across=np.array(across).ravel(),
            )
    direction, decrement = _direction(descent, gradient, metric, (on, turned, length))
    # the spread is that of a change: of two gradients
    floor = (spread / 2) ** 0.5
    direction = (direction + metric.inverse @ own) * held(decrement, floor, columns)
    return replace(descent, step=direction, gradient=gradient), decrement, floor


def held(decrement: float, floor: float, columns: int) -> float:
    """The part of a direction that is taken: all of it where noise is less than rows' own chance.

    `floor` is what fresh noise makes of the decrement, and what stays is about as much again.
    Chance alone makes about √columns of it. Of larger noise what is left of the square after
    noise's share counts (a James-Stein factor), so that a step that noise could have made is not
    taken: of means of counts it would lead far off, where noise is larger still. `columns` is 0
    where nothing is held back.
    """
    if not columns or floor * floor <= columns:
        return 1.0
    return max(0.0, 1.0 - HELD * (floor * floor - columns) / max(decrement, floor) ** 2)


def forked(
    descent: Descent,
    fork: Floats,
    own: Floats,
    metric: Metric,
    share: float,
    whole: Floats,
    floor: float = 0.0,
    columns: int = 0,
) -> tuple[Descent, float]:
    """The first step of the model without some rows, from the weights before the latest direction.

    Where the full model goes the gradient is zero, and without these rows it is minus theirs.

    Args:
        descent: what `stepped` gave.
        fork: sums `float64[k]` over the rows that are left out.
        own: what they have of this party's own, as in `stepped`.
        share: which part of the rows stay: the pairs are of all.
        whole: all parties' `fork_products`.
        floor, columns: by which the step is `held`.
    """
    numbers = [float(number) for number in whole]
    size, many = len(whole) // 2, len(descent.pairs()[0])  # the latest pair may be left out
    at = numbers[:many], numbers[size : size + many], numbers[-1]
    direction, decrement = _direction(descent, fork, metric, at)
    direction = (direction + metric.inverse @ own) * held(decrement, floor, columns)
    step, gradient = descent.step - direction / share, descent.gradient - fork
    return replace(descent, step=step, gradient=gradient), decrement


def averaged(descent: Descent, lefts: list[float]) -> Descent:
    """A last step that leads to the mean of the latest models, where noise is all they differ by.

    `lefts` are the decrements of all evaluations: those near the least are as good as it gets. The
    noise of two evaluations is independent (Polyak and Juditsky 1992).
    """
    many, least = 1, min(lefts)
    while many < len(lefts) and lefts[-1 - many] < NEAR * least:
        many += 1
    # model t + 1 follows evaluation t: the last is yet to come, that before it is at hand
    past = np.concatenate([descent.past, descent.weights]).reshape(-1, len(descent.weights))
    following = descent.weights + descent.step
    mean = (following + past[len(past) - many + 1 :].sum(axis=0)) / many
    return replace(descent, step=mean - descent.weights)


def _table(flat: Floats, many: int) -> list[list[float]]:
    return [[float(v) for v in row] for row in flat.reshape(many, many)]


def _direction(
    descent: Descent,
    gradient: Floats,
    metric: Metric,
    at: tuple[list[float], list[float], float],
) -> tuple[Floats, float]:
    """The direction, and the decrement; `at`: s_i·g, y_i·H g, g·H g of all pairs."""
    on, turned, length = at
    steps, changes = descent.pairs()
    many = len(steps)
    along, across = _table(descent.along, many), _table(descent.across, many)
    alpha, gain = [0.0] * many, [0.0] * many
    for i in reversed(range(many)):
        left = on[i] - sum(alpha[j] * along[i][j] for j in range(i + 1, many))
        alpha[i] = left / along[i][i]
    for i in range(many):
        beta = turned[i] - sum(alpha[j] * across[i][j] for j in range(many))
        beta += sum(gain[j] * along[j][i] for j in range(i))
        gain[i] = alpha[i] - beta / along[i][i]
    if not np.abs([*alpha, *gain]).max(initial=0.0) < _FARTHEST:  # all parties have these numbers
        raise Refused("inner products that no descent has", hint=WILD)
    direction = metric.inverse @ (gradient - np.array(alpha) @ changes if many else gradient)
    direction = -(direction + np.array(gain) @ steps) if many else -direction
    direction = np.clip(direction, -_FARTHEST, _FARTHEST)
    # g·d from what both have: g·H g - Σ α_j y_j·H g + Σ gain_j s_j·g
    square = length - sum(a * t for a, t in zip(alpha, turned, strict=True))
    square += sum(c * o for c, o in zip(gain, on, strict=True))
    return np.asarray(direction), max(0.0, square) ** 0.5


def _with_latest(descent: Descent, gradient: Floats) -> tuple[Floats, Floats]:
    steps, changes = descent.pairs()
    if not len(descent.step):
        return steps, changes
    step, change = descent.step[None], (gradient - descent.gradient)[None]
    return np.concatenate([steps, step]), np.concatenate([changes, change])
