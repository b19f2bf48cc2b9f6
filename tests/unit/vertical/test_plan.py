"""How many passes, how many score vectors, and when there are too few columns."""

from __future__ import annotations

import numpy as np
import pytest

from federated.vertical import choose_steps, score_vectors
from federated.vertical.plan import passes, training_rows
from psi.protocol import MisuseError, Refused


@pytest.mark.parametrize(
    ("steps", "folds", "fold_steps", "vectors"),
    [(3, 0, 0, 3), (3, 5, 1, 4), (3, 5, 2, 8), (5, 5, 2, 10), (1, 2, 1, 2), (2, 10, 3, 21)],
)
def test_score_vectors_of_a_row(steps: int, folds: int, fold_steps: int, vectors: int) -> None:
    assert score_vectors(steps, folds, fold_steps) == vectors
    # counted from the plan, for a row that is held out in fold 0
    plan = passes(1000, steps, folds, fold_steps)
    shown = [one for one in plan if one.fold < 0 or one.last == (one.fold == 0)]
    assert len(shown) == vectors


@pytest.mark.parametrize("wrong", [(0, 0, 0), (21, 0, 0), (3, 1, 1), (3, 51, 1), (3, 5, 0)])
def test_counts_that_make_no_fit_are_misuse(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(MisuseError, match="allowed"):
        score_vectors(*wrong)


def test_the_most_accurate_plan_that_the_columns_allow() -> None:
    assert choose_steps(24_000, 10, 5).score_vectors == 4
    few = choose_steps(24_000, 6, 5)
    assert (few.steps, few.fold_steps, few.score_vectors) == (3, 1, 4)
    fewer = choose_steps(24_000, 4, 5)
    assert (fewer.steps, fewer.fold_steps, fewer.score_vectors) == (2, 1, 3)
    assert choose_steps(24_000, 4, 0).score_vectors == 3
    short = choose_steps(328, 67, 5)
    assert (short.steps, short.fold_steps, short.score_vectors) == (5, 2, 10)


def test_what_is_wanted_is_taken_or_refused() -> None:
    assert choose_steps(24_000, 10, 5, (4, 1)).score_vectors == 5
    assert choose_steps(24_000, 10, 5, (None, 1)).steps == 3
    with pytest.raises(Refused, match="10 score vectors, fewer than the partners' 10 columns"):
        choose_steps(24_000, 10, 5, (5, 2))
    with pytest.raises(Refused, match="folds = 0"):
        choose_steps(24_000, 3, 5)


def test_training_rows_are_labelled_and_outside_the_fold() -> None:
    labelled = np.array([True, True, True, False])
    folds = np.array([0, 1, 0, -1], dtype=np.int16)
    assert training_rows(labelled, folds, -1).tolist() == [True, True, True, False]
    assert training_rows(labelled, folds, 0).tolist() == [False, True, False, False]
