"""Whether earlier leads tell managers apart, or differ by manager no more than by chance.

What came of leads beyond what their kind explains is added up by manager, and by kind of manager,
for each number that is known of a lead. The sums' squares are compared with those after the leads
have been dealt out to managers anew (a permutation test): no table of a distribution is needed,
and few leads are no matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["by_chance"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

_TIMES = 199
_RIDGE = 1.0


def by_chance(x: Floats, group: Ints, y: Floats, z: Floats) -> float:
    """How often managers would differ as much as these if all were alike, 1 of 200 or more.

    Args:
        x: float64[rows, width], what is known of leads, its first column ones.
        group: int64[rows], each one's manager.
        y: float64[rows], 0 or 1.
        z: float64[managers, kinds], what is known of managers, its first column ones.
    """
    whole = x.T @ x + _RIDGE * np.eye(x.shape[1])
    left = y - x @ np.linalg.solve(whole, x.T @ y)
    parts = x * left[:, None]
    parts /= np.maximum(np.sqrt((parts**2).sum(axis=0)), 1e-9)
    random = np.random.default_rng(0)  # the same leads are judged in the same way each time
    deals = [group, *(random.permutation(group) for _ in range(_TIMES))]
    found = np.array([_squares(parts, deal, z) for deal in deals])
    spread = np.maximum(found[1:].std(axis=0), 1e-12)
    most = ((found - found[1:].mean(axis=0)) / spread).max(axis=1)
    return float((1 + np.count_nonzero(most[1:] >= most[0])) / (1 + _TIMES))


def _squares(parts: Floats, group: Ints, z: Floats) -> Floats:
    """By managers themselves, by managers with kind of lead, and by kind of manager."""
    sums = np.stack([np.bincount(group, part, len(z)) for part in parts.T], axis=1)
    many = np.maximum(np.bincount(group, minlength=len(z)), 1)[:, None]
    of_kinds = z[:, 1:].T @ sums
    by = sums**2 / many
    kinds = of_kinds**2 / np.maximum(z[:, 1:].T @ many, 1)
    return np.array([by[:, 0].sum(), by.sum(), kinds.sum()])
