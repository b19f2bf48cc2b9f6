"""Which groups may be told apart: those large enough, and never so that another is given back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.aggregate.audit import count_needs, protect

__all__ = ["suppress", "tell_counts"]


def suppress(
    least: np.ndarray,
    minimum: int,
    *,
    rows: np.ndarray | None = None,
    allowed: np.ndarray | bool = True,
    rest: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Which groups stay: those of `minimum` or more, less what others need for protection.

    `least` is how many values each group has at least, `rows` its rows where these differ, `rest`
    the same two of the rows in no group; only `allowed` groups may stay. A total may be known
    otherwise, and gives back what all that is not told adds up to: the smallest groups go until
    that is at least `minimum` values.
    """
    sizes = np.append(least if rows is None else rows, rest[1])
    known = np.append(least, rest[0])
    kept = np.append((least >= minimum) & allowed, False)
    for number in np.argsort(least, kind="stable").tolist():
        gone = (sizes > 0) & ~kept
        if not gone.any() or known[gone].sum() >= minimum:
            break
        kept[number] = False
    return np.asarray(kept[:-1])


def tell_counts(
    counts: np.ndarray,
    minimum: int,
    parts: np.ndarray | None = None,
    earlier: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Which categories' exact counts may be told, by the audit: `bool[categories]`.

    The number of all rows is known and an empty category hides nobody. Every count that is not
    told, and that of every atom below `minimum`, must be uncertain by `minimum`. `counts` are of
    atoms; `parts` says which atoms each category adds up (default: one each), `bool[categories,
    atoms]`; `earlier` are sums of atoms that were told before.
    """
    atoms = np.eye(len(counts))
    cells = atoms if parts is None else parts.astype(float)
    before = np.stack([*earlier, np.ones(len(counts))])
    items = np.vstack([cells, atoms, before])
    values = counts.astype(float)
    sizes = items @ values
    place = np.arange(len(items))
    is_cell, fixed = place < len(cells), place >= len(cells) + len(atoms)
    safe = ~is_cell & ~fixed & ((sizes >= minimum) | (sizes == 0))
    needs = np.where(safe, 0.0, count_needs(items, minimum))
    primary = is_cell & ((sizes >= minimum) | (sizes == 0))
    told = protect(values, items, primary, needs, fixed=fixed)
    return np.asarray(told[: len(cells)])
