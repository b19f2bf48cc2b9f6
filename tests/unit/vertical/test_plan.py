"""How many passes, how many score vectors, and how many bits these tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from federated.vertical import choose_steps, score_vectors, told_bits
from federated.vertical.plan import passes, shown_rows, training_rows
from psi.protocol import MisuseError, Refused


@pytest.mark.parametrize(
    ("steps", "folds", "fold_steps", "vectors"),
    [(3, 0, 0, 4), (3, 5, 1, 4), (3, 5, 2, 8), (5, 5, 2, 10), (1, 2, 1, 2), (2, 10, 3, 21)],
)
def test_score_vectors_of_a_row(steps: int, folds: int, fold_steps: int, vectors: int) -> None:
    assert score_vectors(steps, folds, fold_steps) == vectors
    # counted from the plan, for a row that is held out in fold 0, or in none, and one without label
    labelled, fold = np.array([True, False]), np.array([0 if folds else -1, -1], np.int16)
    plan = passes(1000, steps, folds, fold_steps)
    shown = np.array([shown_rows(one, labelled, fold) for one in plan])
    assert shown.sum(axis=0).tolist() == [vectors, 1]
    final = np.array([one.last for one in plan])
    assert shown[final].sum(axis=0).tolist() == [1, 1]


@pytest.mark.parametrize("wrong", [(0, 0, 0), (21, 0, 0), (3, 1, 1), (3, 51, 1), (3, 5, 0)])
def test_counts_that_make_no_fit_are_misuse(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(MisuseError, match="allowed"):
        score_vectors(*wrong)


def test_the_bits_that_vectors_tell() -> None:
    # one vector of variance 1 under noise of variance 1/256: the Gaussian channel's capacity
    assert told_bits(1, 4) == pytest.approx(0.5 * math.log2(257))
    # what only steers is told by one bit: ½ log2(1 + 4)
    assert told_bits(2, 4) == pytest.approx(0.5 * math.log2(257) + 0.5 * math.log2(5))
    assert told_bits(0, 12) == 0.0


def chosen(
    rows: int,
    columns: int,
    folds: int,
    wanted: Any = (None, None),
    *,
    score: int = 4,
    row: int = 16,
) -> tuple[int, int, int]:
    found = choose_steps(rows, columns, folds, score_bits=score, row_bits=row, wanted=wanted)
    return found.steps, found.fold_steps, found.score_vectors


def test_as_few_passes_as_a_good_model_takes() -> None:
    assert chosen(24_000, 10, 5) == (1, 1, 2)
    assert chosen(24_000, 1, 5) == (1, 1, 2)  # a partner with one column can take part
    assert chosen(24_000, 10, 0) == (1, 0, 2)
    # few rows for the columns: two steps, if the bits allow
    assert chosen(328, 67, 5) == (2, 1, 3)
    assert chosen(682, 62, 5) == (2, 1, 3)  # berka: 71 columns, 62 of them independent
    assert chosen(328, 67, 5, row=6) == (1, 1, 2)


def test_what_is_wanted_is_taken_or_refused() -> None:
    assert chosen(24_000, 10, 5, (4, 1), row=9) == (4, 1, 5)
    assert chosen(24_000, 10, 5, (None, 2), row=10) == (1, 2, 6)
    with pytest.raises(Refused, match=r"8\.65 bits of a row, 8 allowed by row_bits"):
        chosen(24_000, 10, 5, (4, 1), row=8)
    with pytest.raises(Refused, match=r"5\.16 bits of a row, 5 allowed"):
        chosen(24_000, 10, 5, row=5)
    assert chosen(24_000, 10, 5, score=3, row=5) == (1, 1, 2)


def test_training_rows_are_labelled_and_outside_the_fold() -> None:
    labelled = np.array([True, True, True, False])
    folds = np.array([0, 1, 0, -1], dtype=np.int16)
    assert training_rows(labelled, folds, -1).tolist() == [True, True, True, False]
    assert training_rows(labelled, folds, 0).tolist() == [False, True, False, False]
