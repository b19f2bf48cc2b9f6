"""How far from 0 a labelled row's score can come, by what the label party knows: nothing wraps.

The label party knows a row's leaf but for the partner's splits above it, so of each tree it knows
which leaves are left, and of their sums of values the highest and the lowest. A leaf is worth no
more than leaves the highest of its rows within `REACH`, where slopes are looked up, and no less.
No leaf gives way before hundreds of trees, even of labels that a column tells apart whole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.plan import REACH, VALUE_BITS

__all__ = ["begun", "held"]

Whole = NDArray[np.int64]
Units = NDArray[np.int32]
_MOST = REACH << VALUE_BITS


def begun(base: float, rows: int) -> Units:
    """Lowest and highest score of so many rows before the first tree: `int32[2, n]`, in units of
    2^-16; base: that of no tree."""
    return np.full((2, rows), round(base * 2.0**VALUE_BITS), np.int32)


def held(values: Whole, inside: NDArray[np.bool_], bounds: Units) -> tuple[Whole, Units]:
    """A tree's values that let no row come further, and both bounds with it.

    Args:
        values: of the leaves, in units.
        inside: which leaves rows may reach by the label party's splits, `bool[leaves, n]`; each row
            one at least.
        bounds: `int32[2, n]`, -31 to 31.
    """
    low, high = bounds
    kept, added = values.copy(), np.empty_like(bounds)
    added[0], added[1] = _MOST, -_MOST
    for leaf, own in enumerate(inside):
        most = _MOST - int(high.max(where=own, initial=-_MOST))
        least = _MOST + int(low.min(where=own, initial=_MOST))
        value = np.int32(min(max(int(values[leaf]), -least), most))
        kept[leaf] = value
        np.minimum(added[0], value, out=added[0], where=own)
        np.maximum(added[1], value, out=added[1], where=own)
    return kept, bounds + added
