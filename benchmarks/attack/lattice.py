"""The receiver recovers the partner's columns from score vectors, knowing no row of it.

A row's scores are an integer combination of unknown reals, one for each of the partner's columns
that holds few values, and a constant: a multidimensional hidden subset sum problem (P. Nguyen,
J. Stern, "The hardness of the hidden subset sum problem", 1999; J.-S. Coron, A. Gini, "A
polynomial-time algorithm for solving the hidden subset sum problem", 2020). In three steps:

1. over some dozens of rows, short integer vectors that the scores and the constant are orthogonal
   to (LLL): all but the last of them are orthogonal to the hidden columns too;
2. the lattice orthogonal to those holds the hidden columns; a short basis of it is they, up to a
   unimodular map;
3. least squares gives the unknown reals in that basis, and the nearest plane every other row.

The judge, who knows the columns, says of how many rows they are an affine map of what was found.
Needs fpylll (`benchmarks/attack/requirements.txt`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack.data import Floats

__all__ = ["decoded_blind", "exact_rows", "recover"]

Exact = NDArray[Any]  # Python integers

# more rows than unknowns: the hidden vectors must be the shortest by far
ROWS_A_COLUMN, SPARE_ROWS = 2.6, 14
TRIALS = 3
# the constant's weight: no short vector that it is not orthogonal to
HEAVY = 1 << 40
HUGE = 10**12
# how far off the scores of a decoded row may lie, in units of the scores' last place
SLACK = 64.0
PLACES = 1 << 20
# fraction bits that told numbers are read with: values that were rounded are no exact multiples
RESOLUTIONS = (30, 22, 16, 12, 8, 5)
# what a column may be off, in standard deviations, to count as recovered
CLOSE = 1e-3


def decoded_blind(told: Floats, partner: Floats) -> float:
    """The judge's share of rows that the attack recovers, at the resolution that serves it best.

    told: `float64[n, t]`, every number told of each row; partner: `float64[n, b]`.
    """
    best, columns = 0.0, int(np.linalg.matrix_rank(partner))
    for bits in RESOLUTIONS:
        scores = np.rint(np.ldexp(told / told.std(axis=0), bits)).astype(np.int64)
        best = max(best, exact_rows(recover(scores, columns), partner))
        if best > 0.95:
            break
    return best


def recover(scores: NDArray[np.int64], columns: int, seed: int = 0) -> Floats | None:
    """Integer coordinates of every row, `float64[n, columns]`, of the unknown columns.

    Args:
        scores: `int64[n, t]`, told numbers in units of their last place.
        columns: how many unknown columns there are.

    Returns None where no trial leads to a basis.
    """
    best: tuple[float, Floats] | None = None
    for trial in range(TRIALS):
        rng = np.random.default_rng([seed, trial])
        size = min(len(scores), int(ROWS_A_COLUMN * columns) + SPARE_ROWS)
        chosen = rng.permutation(len(scores))[:size]
        found = _trial(scores, chosen, columns)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
            if best[0] < SLACK:
                break
    return None if best is None else best[1]


def exact_rows(coordinates: Floats | None, columns: Floats) -> float:
    """The judge: share of rows of which every column is one affine map of the coordinates."""
    if coordinates is None or not np.isfinite(coordinates).all():
        return 0.0
    design = np.column_stack([coordinates, np.ones(len(coordinates))])
    left = np.arange(len(design))
    for _ in range(4):  # rows that were decoded wrongly do not count against the others
        fit = np.linalg.lstsq(design[left], columns[left], rcond=None)[0]
        off = np.abs(design @ fit - columns).max(axis=1)
        kept = np.flatnonzero(off < max(CLOSE, float(np.median(off))))
        if len(kept) <= 2 * design.shape[1] or np.array_equal(kept, left):
            break
        left = kept
    return float((off < CLOSE).mean())


def _trial(
    scores: NDArray[np.int64], chosen: NDArray[np.int64], columns: int
) -> tuple[float, Floats] | None:
    m, t = len(chosen), scores.shape[1]
    part = scores[chosen]
    basis = [
        [int(i == j) for j in range(m)] + [int(x) for x in part[i]] + [HEAVY] for i in range(m)
    ]
    reduced = [row for row in _lll(basis) if row[m + t] == 0]
    relations = np.array([row[:m] for row in reduced[: m - columns - 1]], dtype=object)
    hidden = _orthogonal(relations, m)[: columns + 1]
    if len(hidden) < columns + 1:
        return None
    ones = np.rint(np.linalg.lstsq(hidden.T.astype(float), np.ones(m), rcond=None)[0])
    if not np.array_equal(hidden.T.astype(float) @ ones, np.ones(m)):
        return None
    last = _unimodular([int(x) for x in ones])
    if last is None:
        return None
    whole = (last @ hidden).astype(float)  # the constant comes last
    reals = np.linalg.lstsq(whole.T, part.astype(float), rcond=None)[0]
    error = float(np.abs(whole.T @ reals - part).max())
    spread = np.maximum(1.0, whole[:-1].std(axis=1))
    return error, _nearest_plane(reals[:-1], scores - reals[-1], spread)


def _lll(rows: list[list[int]]) -> list[list[int]]:
    from fpylll import LLL, IntegerMatrix

    matrix = IntegerMatrix.from_matrix(rows)
    LLL.reduction(matrix, delta=0.999)
    return [[int(x) for x in row] for row in matrix]


def _orthogonal(vectors: Exact, size: int) -> Exact:
    """A short basis of the integer vectors that are orthogonal to all of these."""
    rows = [
        [int(i == j) for j in range(size)] + [HUGE * int(x) for x in vectors[:, i]]
        for i in range(size)
    ]
    return np.array([row[:size] for row in _lll(rows) if not any(row[size:])], dtype=object)


def _unimodular(vector: list[int]) -> Exact | None:
    """An integer matrix of determinant ±1 whose last row is `vector`; None if it has a divisor."""
    size, rest = len(vector), list(vector)
    rows = [[int(i == j) for j in range(size)] for i in range(size)]
    while sum(1 for x in rest if x) > 1:
        small = min((i for i in range(size) if rest[i]), key=lambda i: abs(rest[i]))
        for j in range(size):
            if j != small and rest[j]:
                times = rest[j] // rest[small]
                rest[j] -= times * rest[small]
                # vector = rest @ rows stays true
                pairs = zip(rows[small], rows[j], strict=True)
                rows[small] = [a + times * b for a, b in pairs]
    place = next(i for i in range(size) if rest[i])
    if abs(rest[place]) != 1:
        return None
    rows[place], rows[-1] = rows[-1], [rest[place] * x for x in rows[place]]
    return np.array(rows, dtype=object)


def _nearest_plane(reals: Floats, targets: Floats, spread: Floats) -> Floats:
    """Babai's nearest plane: small integers c with c @ reals close to each target."""
    from fpylll import LLL, IntegerMatrix

    k = len(reals)
    rows = [
        [int(round(PLACES / spread[i])) * int(i == j) for j in range(k)]
        + [int(round(PLACES * x / 4)) for x in reals[i]]
        for i in range(k)
    ]
    matrix, change = IntegerMatrix.from_matrix(rows), IntegerMatrix.identity(k)
    LLL.reduction(matrix, change, delta=0.999)
    basis = np.array([[float(int(x)) for x in row] for row in matrix]) / PLACES
    back = np.array([[int(x) for x in row] for row in change], dtype=object).astype(float)
    q, r = np.linalg.qr(basis.T)
    along = np.hstack([np.zeros((len(targets), k)), targets / 4]) @ q
    found = np.zeros((len(targets), k))
    for i in range(k - 1, -1, -1):
        found[:, i] = np.rint((along[:, i] - found[:, i + 1 :] @ r[i, i + 1 :]) / r[i, i])
    return np.asarray(np.rint(found @ back))
