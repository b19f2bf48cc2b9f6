"""What both parties derive alike: evaluations in order, and chunks' numbers."""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass
from functools import cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from federated.regression.links import MOST_RANGE
from federated.regression.plan import RegressionPlan
from federated.sharing.kept import WIDE, WIDTH
from federated.sharing.trees import CHUNK, padded

__all__ = [
    "EVERY",
    "Evaluation",
    "Place",
    "Places",
    "Vector",
    "beyond_any",
    "digest",
    "farthest_bits",
    "holds",
    "lane_bytes",
    "scale_bits",
    "schedule",
    "table_bits",
]

EVERY = -1
"""In place of a fold: all labelled rows."""
_TABLE_BITS = 12
"""Fraction bits of a lookup's table, at most."""


@dataclass(frozen=True)
class Vector:
    """A set of rows whose residuals by one model are summed: those in `fold`, or those outside."""

    model: int
    fold: int
    outside: bool

    def rows(self, labelled: NDArray[np.bool_], folds: NDArray[np.int8]) -> NDArray[np.bool_]:
        """`bool[n]`."""
        if self.fold == EVERY:
            return np.asarray(labelled)
        return np.asarray(
            labelled & ((folds != self.fold) if self.outside else (folds == self.fold))
        )


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of gradients.

    models: which ones' scores, 0 for the full one, 1 on for folds; vectors: the sums that are
    opened, each of one of `models` by its place; stepped: the models that have a step after it;
    last: of the full model.
    """

    number: int
    models: tuple[int, ...]
    vectors: tuple[Vector, ...]
    stepped: tuple[int, ...]
    last: bool = False


@cache
def schedule(plan: RegressionPlan, last: int) -> tuple[Evaluation, ...]:
    """Every evaluation of a plan, if the full model's last one is number `last`."""
    found = []
    every = tuple(range(1, plan.folds + 1))
    for number in range(last + 1):
        if plan.folds and number == last:
            # all rows too, though they are the folds' sum: noise would add up in that
            vectors = tuple(Vector(0, fold, False) for fold in (EVERY, *range(plan.folds)))
            found.append(Evaluation(number, (0,), vectors, (0, *every), last=True))
        else:
            vectors = (Vector(0, EVERY, False),)
            found.append(Evaluation(number, (0,), vectors, (0,), last=number == last))
    for number in range(last + 1, last + 1 + plan.fold_evaluations):
        vectors = tuple(Vector(fold, fold, True) for fold in range(plan.folds))
        found.append(Evaluation(number, every, vectors, every))
    return tuple(found)


def lane_bytes(plan: RegressionPlan) -> int:
    """Bytes of a lane, modulo which everything is."""
    return WIDTH if plan.partners == 1 else WIDE


def table_bits(plan: RegressionPlan) -> int:
    """Fraction bits of each lookup's table."""
    if plan.partners == 1:
        return _TABLE_BITS
    return min(_TABLE_BITS, scale_bits(plan) // (plan.partners + 1))


def farthest_bits(plan: RegressionPlan) -> int:
    """What counts as the farthest part of a residual where nothing bounds it, 2^this units.

    Noise as large, on the largest column, is a number of 64 bits still.
    """
    noise = max(0, math.ceil(math.log2(plan.noise))) if plan.noise else 0
    room = 62 - 4 - scale_bits(plan) - _column_bits(plan) - noise
    return max(0, min(room, 8 * lane_bytes(plan) - 2 - scale_bits(plan)))


def beyond_any(plan: RegressionPlan, scores: NDArray[np.float64], unit: int) -> bool:
    """Whether a party's own part of the scores is as far as the farthest that counts.

    Of classes nothing is cut off: a mean lies between 0 and 1.
    """
    if plan.link == "logistic":
        return False
    most = math.ldexp(1.0, farthest_bits(plan) + unit) if plan.link == "linear" else MOST_RANGE
    return not bool(np.abs(scores).max(initial=0.0) < most)


def holds(plan: RegressionPlan) -> bool:
    """Whether steps are held back by noise: a row's residual may be far above the mean one."""
    return plan.link != "logistic"


def _column_bits(plan: RegressionPlan) -> int:
    return 11 if plan.column_bits <= 8 else plan.column_bits


def scale_bits(plan: RegressionPlan) -> int:
    """Fraction bits of residuals: their sum over all rows stays below 1/16 of the lanes' range."""
    columns = _column_bits(plan)
    most = _TABLE_BITS * plan.partners + (12 if plan.column_bits <= 8 else 16)
    return min(most, 8 * lane_bytes(plan) - 4 - columns - plan.rows.bit_length())


def digest(plan: RegressionPlan) -> bytes:
    """32 bytes that name the terms."""
    return hashlib.sha256(f"regression {astuple(plan)}".encode()).digest()


@dataclass(frozen=True)
class Place:
    """A chunk of rows `low` to `high` of a tree, or of a model's lookup in an evaluation.

    tree: -1 for a lookup; model: its place in the evaluation's.
    """

    low: int
    high: int
    tree: int
    evaluation: int
    model: int

    @property
    def rows(self) -> int:
        """Rows of the chunk's arrays, those that fill up included."""
        return padded(self.high - self.low)


@dataclass(frozen=True)
class Places:
    """Numbers of one direction's chunks: of `trees` kept ones, then of each evaluation's lookups.

    lookups: models of each evaluation, for the direction that has lookups; else none.
    """

    rows: int
    trees: int
    lookups: tuple[int, ...] = ()

    @property
    def chunks(self) -> int:
        """Of all rows."""
        return -(-self.rows // CHUNK)

    @property
    def kept(self) -> int:
        """Numbers of kept trees."""
        return self.trees * self.chunks

    def until(self, evaluation: int) -> int:
        """Numbers before the lookups of an evaluation."""
        return self.kept + sum(self.lookups[:evaluation]) * self.chunks

    def of(self, number: int) -> Place:
        """What a number stands for."""
        if number < self.kept:
            chunk, tree = divmod(number, self.trees)
            return Place(*self.range(chunk), tree, -1, -1)
        serial, chunk = divmod(number - self.kept, self.chunks)
        ends = list(accumulate(self.lookups))
        evaluation = int(np.searchsorted(ends, serial, side="right"))
        model = serial - (ends[evaluation - 1] if evaluation else 0)
        return Place(*self.range(chunk), -1, evaluation, model)

    def tree(self, tree: int, chunk: int) -> int:
        """The number of a kept tree's chunk."""
        return chunk * self.trees + tree

    def lookup(self, evaluation: int, model: int, chunk: int) -> int:
        """The number of a lookup's chunk."""
        serial = sum(self.lookups[:evaluation]) + model
        return self.kept + serial * self.chunks + chunk

    def range(self, chunk: int) -> tuple[int, int]:
        """The rows of a chunk."""
        return chunk * CHUNK, min((chunk + 1) * CHUNK, self.rows)

    def filled(self, chunk: int) -> int:
        """Rows of a chunk's arrays, those that fill up included."""
        low, high = self.range(chunk)
        return padded(high - low)
