"""The sender's values by place: fixed point, one row for each distinct key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federated.join_sum.layout import FRACTION_BITS, VALUE_BITS
from psi.protocol import InputError, MisuseError

__all__ = ["Placed", "place_values"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Placed:
    """`values: int64[places, columns]` in fixed point, 0 where `there: bool[...]` is false."""

    values: Ints
    there: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<values of {len(self)} places>"

    def slots(self, start: int, stop: int) -> Ints:
        """Values, flags and ones of places `start` to `stop`: `int64[n, 2 columns + 1]`."""
        ones = np.ones((stop - start, 1), np.int64)
        return np.hstack([self.values[start:stop], self.there[start:stop].astype(np.int64), ones])


def place_values(
    values: Floats, places: Ints, names: Sequence[str], *, duplicates: str = "collapse"
) -> Placed:
    """Put `values: float64[rows, columns]` (NaN: missing) at the places of their rows (-1: none).

    Rows with one key share a place: with `collapse` the first of them stands for all, with
    `join` their values are added up, missing ones left out.

    Args:
        duplicates: "collapse" or "join".

    Raises:
        InputError: infinite values, or some beyond 2^41: names the columns and how many.
    """
    if values.ndim != 2 or values.shape != (len(places), len(names)):
        raise MisuseError(f"values of shape {values.shape} for {len(places)} rows")
    total = int(places.max(initial=-1)) + 1
    if duplicates == "collapse":
        first = np.full(total, -1, np.int64)
        kept = np.flatnonzero(places >= 0)
        first[places[kept[::-1]]] = kept[::-1]
        values = values[first]
        there = ~np.isnan(values)
        return Placed(_fixed(values, names), there)
    if duplicates != "join":
        raise MisuseError(f"duplicates {duplicates!r} found, collapse or join allowed")
    keyed = places >= 0
    place, values = places[keyed], values[keyed]
    fixed = _fixed(values, names)
    sums = np.zeros((total, len(names)), np.int64)
    there = np.zeros((total, len(names)), bool)
    for column, name in enumerate(names):
        reach = np.bincount(place, np.abs(fixed[:, column]).astype(np.float64), total)
        _refuse(int((reach >= 2.0**VALUE_BITS).sum()), total, name)
        np.add.at(sums[:, column], place, fixed[:, column])
        known = ~np.isnan(values[:, column])
        there[place[known], column] = True
    return Placed(sums, there)


def _fixed(values: Floats, names: Sequence[str]) -> Ints:
    """round(x 2^20), 0 where missing."""
    scaled = np.rint(np.where(np.isnan(values), 0.0, values) * 2.0**FRACTION_BITS)
    for column, name in enumerate(names):
        over = int((np.abs(scaled[:, column]) >= 2.0**VALUE_BITS).sum())
        _refuse(over, len(values), name)
    return scaled.astype(np.int64)


def _refuse(over: int, of: int, name: str) -> None:
    if over:
        limit = VALUE_BITS - FRACTION_BITS
        raise InputError(
            f"column {name!r}: {over} of {of} values are infinite or beyond 2^{limit}",
            hint="clean the column, or use a larger unit",
        )
