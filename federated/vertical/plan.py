"""How many passes a fit takes, and how many score vectors these disclose.

Pure functions that the job's plan, the contract and both roles share: a number that one party
derives differently ends the session.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psi.protocol import MisuseError, Refused

__all__ = [
    "DIRECTION_BITS",
    "Pass",
    "Rows",
    "TrainingPlan",
    "choose_steps",
    "passes",
    "score_vectors",
    "shown_rows",
    "told_bits",
    "training_rows",
]

Rows = NDArray[np.bool_]

MOST_STEPS = 20
MOST_FOLDS = 50
DIRECTION_BITS = 1
"""How finely a number is told that only steers the training: with noise of half its deviation.

A row's final number is told at the contract's `score_bits`.
"""
# below this many rows a column, Newton needs more steps to come as close
ROWS_A_COLUMN = 20
MANY_ROWS = 4096
"""Aligned rows from which on sums are precise enough, and costly enough, to be kept."""
# of many rows, the passes that sum the curvature; the others keep it
CURVATURE_PASSES = 2


@dataclass(frozen=True)
class TrainingPlan:
    """`steps` passes over all labelled rows and a last one; in each of `folds`, `fold_steps`."""

    steps: int
    folds: int
    fold_steps: int

    @property
    def score_vectors(self) -> int:
        """Numbers a row that the label party learns of the partners' score part."""
        return score_vectors(self.steps, self.folds, self.fold_steps)


@dataclass(frozen=True)
class Pass:
    """One Newton pass: over all labelled rows (`fold` -1) or over those outside `fold`.

    `last` marks a model's last one, which shows its final scores, for the rows that it was not
    trained on, in place of a direction's for those that it was.
    `curvature` marks one that sums the curvature, in a fresh basis; the others keep curvature
    and basis of the latest that did.
    """

    number: int
    fold: int
    last: bool
    curvature: bool

    def bits(self, score_bits: int) -> int:
        """How finely its scores are told."""
        return score_bits if self.last else DIRECTION_BITS


def score_vectors(steps: int, folds: int, fold_steps: int) -> int:
    """The most numbers a row: one a step, one a fold step but the last in each fold it trains in,
    and the final one.

    Raises MisuseError for counts that make no fit.

    Args:
        steps: of the final fit.
        folds: of the evaluation; 0: none.
        fold_steps: of each fold's fit.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise MisuseError(f"{steps} steps found, 1 to {MOST_STEPS} allowed")
    if folds == 0:
        return steps + 1
    if not 2 <= folds <= MOST_FOLDS:
        raise MisuseError(f"{folds} folds found, 0 or 2 to {MOST_FOLDS} allowed")
    if not 1 <= fold_steps <= MOST_STEPS:
        raise MisuseError(f"{fold_steps} steps a fold found, 1 to {MOST_STEPS} allowed")
    return steps + (folds - 1) * (fold_steps - 1) + 1


def told_bits(vectors: int, score_bits: int) -> float:
    """The most that so many score vectors tell of a row together, in bits, in the mean of rows.

    The final one is told at `score_bits`, the others at DIRECTION_BITS. A vector of variance 1
    under independent Gaussian noise of sd 2^-b tells ½ log2(1 + 4^b) bits at most, with equality
    for a Gaussian one (Shannon 1948); noise is fresh in each, so bits of several add up at most.
    A row far from the mean tells more.
    """
    if not vectors:
        return 0.0
    final, steering = (0.5 * math.log2(1.0 + 4.0**b) for b in (score_bits, DIRECTION_BITS))
    return final + (vectors - 1) * steering


def passes(rows: int, steps: int, folds: int, fold_steps: int) -> tuple[Pass, ...]:
    """Every pass of a fit over so many aligned rows, in order."""
    score_vectors(steps, folds, fold_steps)
    order = [(-1, False)] * steps + [(-1, True)]
    for fold in range(folds):
        order += [(fold, step == fold_steps - 1) for step in range(fold_steps)]
    summed = CURVATURE_PASSES if rows >= MANY_ROWS else len(order)
    return tuple(
        Pass(number, fold, last, number < summed) for number, (fold, last) in enumerate(order)
    )


def training_rows(labelled: Rows, folds: NDArray[np.int16], fold: int) -> Rows:
    """`bool[n]`: labelled rows outside `fold`, all of them for -1."""
    outside: Rows = folds != fold if fold >= 0 else np.ones(len(folds), dtype=np.bool_)
    return labelled & outside


def shown_rows(one: Pass, labelled: Rows, folds: NDArray[np.int16]) -> Rows:
    """`bool[n]`: the rows whose scores a pass shows. Each row is in one last pass only."""
    if not one.last:
        return training_rows(labelled, folds, one.fold)
    held: Rows = folds == one.fold  # for -1 those of no fold: without label, or without folds all
    return held


def choose_steps(
    rows: int,
    columns: int,
    folds: int,
    *,
    score_bits: int,
    row_bits: int,
    wanted: tuple[int | None, int | None] = (None, None),
) -> TrainingPlan:
    """The passes to run: what is wanted, else as few as a good model takes and the bits allow.

    One step and a pass a fold come within .002 of the mean AUC where rows are many for the
    columns; where they are few, two steps (docs/protocols/vertical_logistic.md).

    Args:
        rows: aligned rows, at most.
        columns: the feature parties' design columns together.
        folds: of the cross-validation, 0 for none.
        score_bits, row_bits: of a number, and of a row in all: see `told_bits`.
        wanted: steps and steps a fold, None for a choice by this function.

    Raises:
        Refused: every choice would tell more than `row_bits` of a row.
    """
    few = rows < ROWS_A_COLUMN * columns
    fold_steps = (wanted[1] or 1) if folds else 0
    vectors = 0
    for steps in [wanted[0]] if wanted[0] else [2, 1] if few else [1]:
        chosen = TrainingPlan(steps, folds, fold_steps)
        vectors = chosen.score_vectors
        if told_bits(vectors, score_bits) <= row_bits:
            return chosen
    raise Refused(
        f"the fit would tell {told_bits(vectors, score_bits):.2f} bits of a row, "
        f"{row_bits} allowed by row_bits",
        hint="lower score_bits, steps or fold_steps, set folds = 0, or agree on more row_bits",
    )
