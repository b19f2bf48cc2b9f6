"""Which kind of lead goes to which manager, so that the expected gain is the largest.

The transportation problem: kinds of leads have so many leads, managers so much room, each pair a
value. All leads are given out as far as there is room, and among the ways to do so the best is
taken. The linear programme has whole numbers at its corners, so HiGHS (Huangfu and Hall,
"Parallelizing the dual revised simplex method", Math. Prog. Comp. 10, 2018) ends at one. Of many
pairs only the promising ones are in the programme; others join while they would better it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.protocol.errors import FedprofileError

__all__ = ["transported"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_FEW = 60_000
"""Pairs up to which all are in the programme at once."""
_FIRST = 12
"""Of many pairs: how many managers each kind of lead begins with, and kinds each manager."""
_ROUNDS = 20
_CLOSE = 1e-7


def transported(value: Floats, leads: Ints, room: Ints) -> Ints:
    """How many leads of each kind each manager takes.

    Args:
        value: float64[kinds, managers], the expected gain of a pair, between 0 and 1.
        leads: int64[kinds], how many there are.
        room: int64[managers], how many each takes.

    Returns:
        int64[kinds, managers]: as many leads in all as there are leads and room.
    """
    kinds, managers = value.shape
    if not kinds or not managers or not leads.sum() or not room.sum():
        return np.zeros((kinds, managers), np.int64)
    # one more manager takes what nobody else does, one more kind fills empty places: every kind and
    # every manager is used up whatever pairs are in, and any lead beats any empty place
    wide = np.full((kinds + 1, managers + 1), -2.0)
    wide[:kinds, :managers] = value
    wide[kinds] = 0.0
    supply = np.append(leads, room.sum()).astype(np.float64)
    demand = np.append(room, leads.sum()).astype(np.float64)
    taken = _solved(wide, supply, demand)
    return np.asarray(np.rint(taken[:kinds, :managers]), np.int64)


def _solved(value: Floats, supply: Floats, demand: Floats) -> Floats:
    from scipy.optimize import linprog  # a node reads job files and has no SciPy

    kinds, managers = value.shape
    inside = np.ones(value.shape, bool) if value.size <= _FEW else _promising(value, supply, demand)
    for _ in range(_ROUNDS):
        rows, columns = np.nonzero(inside)
        found = linprog(
            -value[rows, columns],
            A_eq=_constraints(rows, columns, kinds, managers),
            b_eq=np.concatenate([supply, demand]),
            method="highs",
        )
        if found.status != 0:
            raise FedprofileError(f"leads cannot be given out: {found.message}")
        prices = -found.eqlin.marginals
        better = value - prices[:kinds, None] - prices[None, kinds:] > _CLOSE
        if not (better & ~inside).any():
            break
        inside |= _best(np.where(better & ~inside, value - prices[None, kinds:], -np.inf), 4)
    taken = np.zeros(value.shape)
    taken[rows, columns] = found.x
    return taken


def _promising(value: Floats, supply: Floats, demand: Floats) -> np.ndarray:
    """Pairs to begin with: the best of each side, twice as many as it needs."""
    inside = np.zeros(value.shape, bool)
    for side, pairs, mine, others in (
        (value, inside, supply, demand),
        (value.T, inside.T, demand, supply),
    ):
        need = np.ceil(2 * mine / max(1.0, others[:-1].mean())).astype(int) + _FIRST
        for many in np.unique(need[:-1]):
            rows = np.flatnonzero(need[:-1] == many)
            pairs[rows] |= _best(side[rows], min(int(many), side.shape[1]))
    inside[-1] = inside[:, -1] = True
    return inside


def _best(value: Floats, many: int) -> np.ndarray:
    """The best finite pairs of each row."""
    at = np.argpartition(-value, min(many, value.shape[1]) - 1, axis=1)[:, :many]
    found = np.zeros(value.shape, bool)
    np.put_along_axis(found, at, True, axis=1)
    return np.asarray(found & np.isfinite(value), bool)


def _constraints(rows: Ints, columns: Ints, kinds: int, managers: int) -> Any:
    from scipy.sparse import coo_array

    pairs = np.arange(len(rows))
    at = (np.concatenate([rows, columns + kinds]), np.concatenate([pairs, pairs]))
    return coo_array((np.ones(2 * len(rows)), at), shape=(kinds + managers, len(rows))).tocsr()
