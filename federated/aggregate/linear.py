"""Linear programmes of the audits, by HiGHS (Huangfu and Hall, Parallelizing the dual revised
simplex method, 2018; highs.dev), on one thread, so that the same table gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from psi.protocol import EnvironmentFailed

__all__ = ["INFEASIBLE", "SOLVED", "UNBOUNDED", "Matrix", "Solution", "least"]

SOLVED, INFEASIBLE, UNBOUNDED, UNSOLVED = "solved", "infeasible", "unbounded", "unsolved"

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A sparse matrix by its entries, none of them twice.

    Attributes:
        shape: rows and columns.
        rows: `int64[k]`, each entry's row.
        columns: `int64[k]`, its column.
        values: `float64[k]`.
    """

    shape: tuple[int, int]
    rows: Ints
    columns: Ints
    values: Floats

    @classmethod
    def of(cls, dense: Floats) -> Matrix:
        """The entries of an array that are not zero."""
        rows, columns = np.nonzero(dense)
        count, width = dense.shape
        values = np.asarray(dense[rows, columns], np.float64)
        return cls(shape=(count, width), rows=rows, columns=columns, values=values)

    @classmethod
    def diagonal(cls, size: int, value: float) -> Matrix:
        """One value down the diagonal."""
        at = np.arange(size)
        return cls(shape=(size, size), rows=at, columns=at, values=np.full(size, value))

    def __neg__(self) -> Matrix:
        return Matrix(shape=self.shape, rows=self.rows, columns=self.columns, values=-self.values)

    def widened(self, columns: int) -> Matrix:
        """The same with so many columns of zeros behind."""
        shape = (self.shape[0], self.shape[1] + columns)
        return Matrix(shape=shape, rows=self.rows, columns=self.columns, values=self.values)

    def beside(self, right: Matrix) -> Matrix:
        """Both in one, of the same rows."""
        return Matrix(
            shape=(self.shape[0], self.shape[1] + right.shape[1]),
            rows=np.append(self.rows, right.rows),
            columns=np.append(self.columns, right.columns + self.shape[1]),
            values=np.append(self.values, right.values),
        )

    def above(self, below: Matrix) -> Matrix:
        """Both in one, of the same columns."""
        return Matrix(
            shape=(self.shape[0] + below.shape[0], self.shape[1]),
            rows=np.append(self.rows, below.rows + self.shape[0]),
            columns=np.append(self.columns, below.columns),
            values=np.append(self.values, below.values),
        )

    def twice(self) -> Matrix:
        """Two of it on a diagonal, zeros elsewhere."""
        count, width = self.shape
        return Matrix(
            shape=(2 * count, 2 * width),
            rows=np.append(self.rows, self.rows + count),
            columns=np.append(self.columns, self.columns + width),
            values=np.tile(self.values, 2),
        )

    def taken(self, rows: Sequence[int] | Ints) -> Matrix:
        """These rows in this order."""
        found = [self._of_row(int(row)) for row in rows]
        lengths = [len(places) for places in found]
        at = np.concatenate([*found, np.zeros(0, np.int64)]).astype(np.int64)
        return Matrix(
            shape=(len(found), self.shape[1]),
            rows=np.repeat(np.arange(len(found)), lengths),
            columns=self.columns[at],
            values=self.values[at],
        )

    def _of_row(self, row: int) -> Ints:
        order, starts = self._by_row
        return np.asarray(order[starts[row] : starts[row + 1]])

    @cached_property
    def _by_row(self) -> tuple[Ints, Ints]:
        """The entries' order by row, and where each row begins in it."""
        order = np.lexsort((self.columns, self.rows))
        counts = np.bincount(self.rows, minlength=self.shape[0])
        return order, np.append(0, np.cumsum(counts))


@dataclass(frozen=True)
class Solution:
    """How it ended, the variables (`float64[columns]`) and what they cost; none unless solved."""

    status: str
    x: Floats
    cost: float


def least(
    cost: Floats,
    *,
    at_most: tuple[Matrix, Floats] | None = None,
    equal: tuple[Matrix, Floats] | None = None,
    low: Floats | float = 0.0,
    high: Floats | float = np.inf,
) -> Solution:
    """The variables x that cost least.

    Args:
        cost: `float64[n]`, of one of each.
        at_most: a matrix of n columns and what its rows times x may come to.
        equal: the same, and what they must come to.
        low: the least that each may be, or all may.
        high: the most.

    Raises:
        EnvironmentFailed: HiGHS does not take the programme.
    """
    highspy: Any = import_module("highspy")  # not needed by most jobs
    blocks = [(*at_most, True)] if at_most is not None else []
    blocks += [(*equal, False)] if equal is not None else []
    whole, lower, upper = Matrix.of(np.zeros((0, len(cost)))), np.zeros(0), np.zeros(0)
    for matrix, limits, above in blocks:
        whole = whole.above(matrix)
        lower = np.append(lower, np.full(len(limits), -np.inf) if above else limits)
        upper = np.append(upper, limits)
    order, starts = whole._by_row
    programme = highspy.HighsLp()
    programme.num_col_, programme.num_row_ = len(cost), whole.shape[0]
    programme.col_cost_ = np.asarray(cost, np.float64)
    programme.col_lower_ = np.broadcast_to(np.asarray(low, np.float64), len(cost)).copy()
    programme.col_upper_ = np.broadcast_to(np.asarray(high, np.float64), len(cost)).copy()
    programme.row_lower_, programme.row_upper_ = lower, upper
    programme.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    programme.a_matrix_.start_ = starts.astype(np.int32)
    programme.a_matrix_.index_ = whole.columns[order].astype(np.int32)
    programme.a_matrix_.value_ = whole.values[order]
    solver = highspy.Highs()
    for name, value in (("output_flag", False), ("threads", 1)):
        solver.setOptionValue(name, value)
    if solver.passModel(programme) == highspy.HighsStatus.kError:
        raise EnvironmentFailed("the audit's linear programme cannot be solved here")
    return _solved(highspy, solver)


def _solved(highspy: Any, solver: Any) -> Solution:
    kinds, nothing = highspy.HighsModelStatus, np.zeros(0)
    solver.run()
    if solver.getModelStatus() == kinds.kUnboundedOrInfeasible:  # presolve does not say which
        solver.setOptionValue("presolve", "off")
        solver.run()
    status = solver.getModelStatus()
    if status == kinds.kOptimal:
        x = np.asarray(solver.getSolution().col_value, np.float64)
        return Solution(SOLVED, x, float(solver.getInfo().objective_function_value))
    names = {kinds.kInfeasible: INFEASIBLE, kinds.kUnbounded: UNBOUNDED}
    return Solution(names.get(status, UNSOLVED), nothing, np.nan)
