"""Which groups may be told apart: those large enough, and never all but one."""

from __future__ import annotations

import numpy as np

__all__ = ["suppress"]


def suppress(least: np.ndarray, minimum: int, rows: np.ndarray | None = None) -> np.ndarray:
    """Which groups stay: those of `minimum` or more; never exactly one non-empty group goes.

    `least` is how many values each group has at least, `rows` its rows where these differ. With
    a single group dropped, a total known otherwise would give it back, so the smallest of the
    others goes too.
    """
    kept = least >= minimum
    dropped = ((least if rows is None else rows) > 0) & ~kept
    if dropped.sum() == 1 and kept.any():
        smallest = np.flatnonzero(kept)[np.argmin(least[kept])]
        kept[smallest] = False
    return np.asarray(kept)
