"""What is told of a table leaves what is not told uncertain: against an attacker of its own."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from federated.aggregate.audit import count_needs, intervals, protect
from psi.protocol import MisuseError


def attack(table: np.ndarray, shown: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The least and most of each cell, written apart: one variable a cell, one row a known number.

    `shown` holds masks: "cells", "rows", "columns", "total".
    """
    rows, columns = table.shape
    equations: list[np.ndarray] = []
    numbers: list[float] = []

    def known(mask: np.ndarray) -> None:
        equations.append(mask.astype(float).reshape(-1))
        numbers.append(float(table[mask].sum()))

    for r, c in product(range(rows), range(columns)):
        if shown["cells"][r, c]:
            mask = np.zeros(table.shape, bool)
            mask[r, c] = True
            known(mask)
    for r in np.flatnonzero(shown["rows"]).tolist():
        known(np.arange(rows)[:, None] == np.full((1, columns), r))
    for c in np.flatnonzero(shown["columns"]).tolist():
        known(np.full((rows, 1), c) == np.arange(columns)[None, :])
    if shown["total"].all():
        known(np.ones(table.shape, bool))
    low, high = np.zeros(table.size), np.zeros(table.size)
    for cell in range(table.size):
        goal = np.zeros(table.size)
        goal[cell] = 1.0
        options: dict[str, Any] = {"bounds": (0, None), "method": "highs-ds"}
        if equations:
            options |= {"A_eq": np.array(equations), "b_eq": np.array(numbers)}
        least, most = linprog(goal, **options), linprog(-goal, **options)
        low[cell] = least.fun
        high[cell] = np.inf if most.status == 3 else -most.fun
    return low.reshape(table.shape), high.reshape(table.shape)


def two_way(rows: int, columns: int) -> np.ndarray:
    """Items of a two-way table over its cells, row by row: cells, row and column totals, total."""
    cells = np.eye(rows * columns)
    across = np.kron(np.eye(rows), np.ones((1, columns)))
    down = np.kron(np.ones((1, rows)), np.eye(columns))
    return np.vstack([cells, across, down, np.ones((1, rows * columns))])


def split(told: np.ndarray, rows: int, columns: int) -> dict[str, np.ndarray]:
    size = rows * columns
    return {
        "cells": told[:size].reshape(rows, columns),
        "rows": told[size : size + rows],
        "columns": told[size + rows : size + rows + columns],
        "total": told[size + rows + columns :],
    }


tables = st.tuples(st.integers(2, 4), st.integers(2, 4)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(0, 30), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


@settings(deadline=None, max_examples=15)
@given(tables, st.integers(3, 6))
def test_no_count_that_is_not_told_can_be_pinned_down(cells: list[list[int]], k: int) -> None:
    table = np.array(cells)
    rows, columns = table.shape
    items, values = two_way(rows, columns), table.reshape(-1).astype(float)
    primary = items @ values >= k
    total = np.zeros(len(items), bool)
    total[-1] = True  # both know how many rows there are
    told = protect(values, items, primary, count_needs(items, k), fixed=total)
    again = protect(values, items, primary, count_needs(items, k), fixed=total)
    assert told.tolist() == again.tolist()
    assert not (told & ~primary & ~total).any()
    low, high = attack(table, split(told, rows, columns))
    hidden = ~split(told, rows, columns)["cells"]
    if values.sum() >= k:
        assert (high - low)[hidden].min(initial=np.inf) >= k - 1e-5


@settings(deadline=None, max_examples=12)
@given(tables, st.lists(st.booleans(), min_size=25, max_size=25))
def test_the_programmes_agree_whatever_is_told(cells: list[list[int]], flags: list[bool]) -> None:
    table = np.array(cells)
    rows, columns = table.shape
    items = two_way(rows, columns)
    told = np.array(flags[: len(items)] + [False] * max(0, len(items) - len(flags)))
    found = intervals(table.reshape(-1).astype(float), items, told)
    low, high = attack(table, split(told, rows, columns))
    size = table.size
    assert found[:size, 0] == pytest.approx(low.reshape(-1), abs=1e-5)
    finite = np.isfinite(high.reshape(-1))
    assert found[:size, 1][finite] == pytest.approx(high.reshape(-1)[finite], abs=1e-5)
    assert np.isinf(found[:size, 1][~finite]).all()


def test_a_total_gives_back_the_only_cell_that_is_missing() -> None:
    items, values = two_way(1, 3), np.array([2.0, 9.0, 30.0])
    told = np.array([False, True, True, *[True] * 5])[: len(items)]
    assert intervals(values, items, told)[0].tolist() == pytest.approx([2.0, 2.0])
    kept = protect(values, items[[0, 1, 2, -1]], told[:4], np.full(4, 3.0))
    assert kept.tolist() in ([False, False, True, True], [False, True, True, False])


def test_two_small_cells_that_make_a_small_total_are_not_enough() -> None:
    items = np.vstack([np.eye(4), np.ones((1, 4))])
    values, total = np.array([1.0, 1.0, 8.0, 40.0]), np.array([False] * 4 + [True])
    told = protect(values, items, items @ values >= 3, count_needs(items, 3), fixed=total)
    assert told.tolist() == [False, False, False, True, True]


def test_what_was_told_before_counts() -> None:
    # now by industry; last month "construction" and "retail" were told as one
    items = np.vstack([np.eye(4), [[1, 1, 0, 0]], np.ones((1, 4))])
    values = np.array([2.0, 12.0, 2.0, 40.0])
    primary, before = items @ values >= 3, np.array([False] * 4 + [True, True])
    alone = protect(values, items[[0, 1, 2, 3, 5]], primary[[0, 1, 2, 3, 5]], np.full(5, 3.0))
    assert alone[:4].tolist() == [False, True, False, True]
    both = protect(values, items, primary, count_needs(items, 3), fixed=before)
    assert not both[1]


def test_what_is_known_anyway_cannot_be_hidden_and_the_audit_ends() -> None:
    items = np.vstack([np.eye(2), np.ones((1, 2))])
    fixed = np.array([False, False, True])
    told = protect(np.array([1.0, 0.0]), items, fixed.copy(), count_needs(items, 3), fixed=fixed)
    assert told.tolist() == [False, False, True]


def test_tables_of_other_shapes_are_misuse() -> None:
    with pytest.raises(MisuseError, match="different tables"):
        intervals(np.ones(3), np.eye(2), np.ones(2, bool))
