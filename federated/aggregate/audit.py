"""What can be worked out of a table from what is told of it, and what else must go.

A table has atoms (cells that nobody may see) and items, each a known combination of atoms: a
cell, a subtotal, a margin, a total, or the same again in another table on the same columns. Who
is told some items knows that many sums of atoms, and that no atom is negative; two linear
programmes (HiGHS, by SciPy) give the least and the most that any other item can then be. `protect`
withdraws items until every item that is not told is uncertain enough: a count by at least the
minimum group.

Source: Fischetti and Salazar, "Solving the cell suppression problem on tabular data with linear
constraints" (2001), for the attacker's programme; what is withdrawn is chosen item by item by the
linear relaxation of theirs (Kelly, Golden and Assad 1992), which is not the least possible.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from federated.aggregate import linear
from psi.protocol import MisuseError

__all__ = ["Told", "count_needs", "intervals", "protect"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

SLACK = 1e-6


class Told(Protocol):
    """What one party has told before, by subject: a column over a set of rows."""

    def earlier(self, subject: str) -> list[list[list[str]]]:
        """Each release's items that were told, an item being its atoms' names."""

    def add(self, subject: str, told: list[list[str]]) -> None:
        """Keep one more release."""


def intervals(values: Floats, items: Floats, told: Flags) -> Floats:
    """The least and most that each item can be: `float64[items, 2]`; of a told one its value.

    Args:
        values: the atoms' true values, `float64[atoms]`, none negative.
        items: what each item adds up, `float64[items, atoms]`.
        told: which items are known, `bool[items]`.
    """
    if items.shape != (len(told), len(values)) or (values < 0).any():
        raise MisuseError("items, told and values of different tables, or negative values")
    found = np.repeat((items @ values)[:, None], 2, axis=1)
    for number in np.flatnonzero(~told):
        found[number] = _interval(values, items, told, items[number])
    return found


def _interval(values: Floats, items: Floats, told: Flags, item: Floats) -> tuple[float, float]:
    known = items[told]
    # atoms that are told by themselves are no unknowns
    alone = known[np.count_nonzero(known, axis=1) == 1]
    unknown = ~alone.any(axis=0)
    known = known[:, unknown]
    known = known[known.any(axis=1)]
    base, rest = float(item[~unknown] @ values[~unknown]), item[unknown]
    if not rest.any():
        return base, base
    left = values[unknown]
    scale = max(1.0, float(left.max(initial=0.0)))
    ends = []
    for sign in (1.0, -1.0):
        equal = (linear.Matrix.of(known), known @ left / scale)
        solved = linear.least(sign * rest, equal=equal)
        unbounded = solved.status == linear.UNBOUNDED
        ends.append(-sign * np.inf if unbounded else sign * solved.cost * scale)
        if solved.status not in (linear.SOLVED, linear.UNBOUNDED):
            raise MisuseError("the audit's linear programme has no solution")
    return base + ends[0], base + ends[1]


def protect(
    values: Floats,
    items: Floats,
    told: Flags,
    needs: Floats,
    *,
    fixed: Flags | None = None,
) -> Flags:
    """Which items may be told: those of `told`, less what would give away one that is not.

    `needs` is how wide each item's interval must be where it is not told. `fixed` items are known
    already and cannot be withdrawn: an item that these alone give away stays exposed. The same
    table gives the same answer, and every round withdraws an item or gives one up, so it ends.
    """
    known = np.zeros(len(told), bool) if fixed is None else fixed
    told, hopeless = told | known, np.zeros(len(told), bool)
    while True:
        exposed = _first_exposed(values, items, told, needs, told | hopeless)
        if exposed is None:
            return told
        withdrawn = _cheapest(values, items, told, known, exposed, needs[exposed])
        told[withdrawn] = False
        hopeless[exposed] = not len(withdrawn)


def _first_exposed(
    values: Floats,
    items: Floats,
    told: Flags,
    needs: Floats,
    passed_over: Flags,
) -> int | None:
    seen: dict[bytes, float] = {}
    for number in np.flatnonzero(~passed_over).tolist():
        name = items[number].tobytes()
        if seen.get(name, -1.0) >= needs[number] or needs[number] <= 0:
            continue  # the same as another item, or nothing to protect
        low, high = _interval(values, items, told, items[number])
        seen[name] = needs[number]
        if high - low < needs[number] * (1 - SLACK) - SLACK:
            return int(number)
    return None


def _cheapest(
    values: Floats,
    items: Floats,
    told: Flags,
    known: Flags,
    exposed: int,
    need: float,
) -> np.ndarray:
    """The told items to withdraw so that `exposed` could be one number or another, `need` apart.

    Of all pairs of tables in which it is, those with the least total change to told items (each
    weighted by its size); what either changes is withdrawn. Nothing if no pair of tables that
    agree with what is `known` has it.
    """
    free = np.flatnonzero(told & ~known)
    size, scale = len(values), max(1.0, float(values.max(initial=0.0)))
    shown, item = items[free], items[exposed]
    # variables, for each of the two tables: the change of each atom, of each told item its size
    part, minus = linear.Matrix.of(shown), linear.Matrix.diagonal(len(free), -1.0)
    one = part.beside(minus).above((-part).beside(minus))
    fixed = linear.Matrix.of(items[known]).widened(len(free)).twice()
    apart = np.concatenate([item, np.zeros(len(free)), -item, np.zeros(len(free))])
    cost = np.concatenate([np.zeros(size), (shown @ values + 1.0) / scale])
    solved = linear.least(
        np.tile(cost, 2),
        at_most=(one.twice(), np.zeros(4 * len(free))),
        equal=(
            fixed.above(linear.Matrix.of(apart[None, :])),
            np.append(np.zeros(fixed.shape[0]), need / scale),
        ),
        low=np.tile(np.append(-values / scale, np.zeros(len(free))), 2),
    )
    if solved.status != linear.SOLVED:
        return free[:0]
    width = size + len(free)
    changes = np.stack([solved.x[:size], solved.x[width : width + size]])
    return np.asarray(free[(np.abs(shown @ changes.T) * scale > SLACK).any(axis=1)])


def count_needs(items: Floats, minimum: int) -> Floats:
    """A count that is not told must be uncertain by `minimum`."""
    return np.full(len(items), float(minimum))
