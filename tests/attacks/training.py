"""A vertical training in plain numpy: what each side sees of it, without the ciphertexts.

The arithmetic of `federated.vertical`'s roles, pass by pass, with noise from a seeded generator; a
test holds it to the roles themselves. So attacks can look at many rows and many seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.models.logistic import sigmoid
from federated.vertical import fit_logistic
from federated.vertical.newton import solve_symmetric
from federated.vertical.plan import DIRECTION_BITS, passes

__all__ = ["Seen", "train"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Seen:
    """`vectors` [rows, steps] and `held` [rows] are the label party's, as they were told;
    `coefficients` [passes, columns] and `final` the partner's own."""

    vectors: Floats
    held: Floats
    coefficients: Floats
    final: Floats
    fold_scores: Floats


def train(
    own: Floats,
    x: Floats,
    label: np.ndarray,
    fold: np.ndarray,
    *,
    steps: int,
    score_bits: float,
    direction_bits: float = DIRECTION_BITS,
    draw: np.random.Generator,
) -> Seen:
    """One partner, all rows labelled, one pass a fold; bits of infinity: no noise."""
    rows, k = x.shape
    a = np.column_stack([np.ones(rows), own])
    width = a.shape[1]
    penalty = np.ones(width + k)
    penalty[0] = 0.0

    def told(vector: Floats, bits: float) -> Floats:
        noise = draw.normal(size=len(vector)) * vector.std() * 2.0**-bits
        return np.asarray(vector + noise)

    def refit(chosen: np.ndarray) -> Floats:
        design = np.column_stack([a, *vectors])[chosen]
        square = np.zeros((design.shape[1],) * 2)
        square[:width, :width] = np.diag(penalty[:width])
        if directions:
            square[width:, width:] = np.array(directions) @ np.array(directions).T
        return fit_logistic(design, label[chosen], square).coefficients

    directions: list[Floats] = []
    vectors: list[Floats] = []
    found: list[Floats] = []
    held, fold_scores = np.zeros(rows), np.zeros(rows)
    kept, final = np.zeros((0, 0)), np.zeros(k)
    for one in passes(rows, steps, int(fold.max()) + 1, 1):
        chosen = fold != one.fold if one.fold >= 0 else np.ones(rows, bool)
        mix = refit(chosen)
        weights = np.array(directions).T @ mix[width:] if directions else np.zeros(k)
        score = np.column_stack([a, *vectors])[chosen] @ mix
        p = sigmoid(score)
        joined = np.column_stack([a, x])[chosen]
        slope = joined.T @ (p - label[chosen]) + penalty * np.append(mix[:width], weights)
        curvature = p * (1 - p)
        if one.curvature:
            kept = matrix = (joined * curvature[:, None]).T @ joined + np.diag(penalty)
        else:
            matrix = kept * (curvature.sum() / kept[0, 0])
        step = -solve_symmetric(matrix, slope)
        if one.last:
            model, out = weights + step[width:], fold == one.fold
            held[out] = told(x @ model, score_bits)[out]
            fold_scores[out] = a[out] @ (mix[:width] + step[:width]) + held[out]
            found.append(model)
            if one.fold < 0:
                final = model
        else:
            directions.append(step[width:])
            vectors.append(told(x @ step[width:], direction_bits))
            found.append(np.array(directions).T @ refit(chosen)[width:])
    return Seen(np.column_stack(vectors), held, np.array(found), final, fold_scores)
