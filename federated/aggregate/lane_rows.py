"""A partner's rows as lanes: what each row adds to the sums of a section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from federated.aggregate.grid import NO_ATOM, atoms_of
from federated.aggregate.history import Followed
from federated.aggregate.lanes import Kind, SectionLanes, lanes_of
from federated.aggregate.measured import check_values, scaled, square, standing
from federated.aggregate.rows import Asking, Floats

__all__ = ["LaneRows"]

Lanes = np.ndarray[Any, np.dtype[np.uint64]]
_ONE = np.uint64(1)


class LaneRows:
    """One section's rows at the partner.

    `values` is `float64[rows, columns]` of the section's columns, NaN where one is missing;
    `counted` says which records count, the rows' first, then those that are not aligned any more
    and have no values; `at` which record each row stands for, -1 for none, where that is not the
    record of its number. `bound` is a secret odd number.

    Raises `InputError` for values that `measured.check_values` refuses.
    """

    def __init__(
        self,
        asking: Asking,
        number: int,
        values: Floats,
        counted: Followed,
        bound: int,
        at: np.ndarray | None = None,
    ) -> None:
        section = asking.sections[number]
        self._values, self._rows = values, asking.rows
        summed = {column for column, what in section.needs() if what == "value"}
        check_values(section.columns, values, summed)
        self._ones = standing(counted.ones, at, False)
        self._flags = standing(counted.flags, at, False)
        self._atoms = [
            None if bins is None else standing(bins.atoms, at, NO_ATOM)
            for bins in counted.bins or [None] * len(section.columns)
        ]
        grids = [asking.grids[column] for column in section.columns]
        kinds = [self._kind(place, grid) for place, grid in enumerate(grids)]
        self.lanes: SectionLanes = lanes_of(asking, number, kinds)
        self._bound = np.uint64(bound)

    def _kind(self, place: int, grid: Sequence[float]) -> Kind:
        """Whether the column is counted as it is there, and whether its sum needs limbs."""
        column = self._column(place, 0, self._rows)
        there = np.isfinite(column)
        own = not np.array_equal(there, self._flags[:, place])
        atoms = self._atoms[place]
        if atoms is not None and not own:
            own = not np.array_equal(atoms_of(column, tuple(grid)), atoms)
        total = np.abs(scaled(column)).astype(np.float64).sum()
        return Kind(own, bool(total >= 2.0**62))  # half of the room: the float is rounded

    def _column(self, place: int, start: int, stop: int) -> Floats:
        found = np.full(stop - start, np.nan)
        part = self._values[start:stop, place]
        found[: len(part)] = part
        return found

    def give(self, start: int, stop: int) -> Lanes:
        """Rows `start` to `stop`: `uint64[stop - start, lanes]`."""
        lanes = self.lanes
        found = np.zeros((stop - start, lanes.lanes), np.uint64)
        found[:, 0] = np.where(self._ones[start:stop], self._bound, np.uint64(0))
        for number, (place, atom) in enumerate(lanes.counts):
            flags = self._flags[start:stop, place]
            if atom >= 0:
                atoms = self._atoms[place]
                flags = np.zeros(stop - start, bool) if atoms is None else atoms[start:stop] == atom
            lane, shift = divmod(number, lanes.packed)
            found[:, 1 + lane] |= flags.astype(np.uint64) << np.uint64(shift * lanes.headroom)
        at = lanes.first_told
        for (name, what), limbs in lanes.told:
            column = self._column(lanes.columns.index(name), start, stop)
            found[:, at : at + limbs] = _told(column, what, limbs, lanes.limb)
            at += limbs
        return found


def _told(column: Floats, what: Any, limbs: int, bits: int) -> Any:
    """What a column's rows add to the lanes of one name: `uint64[rows, limbs]`."""
    if what == "there":
        return np.isfinite(column).astype(np.uint64)[:, None]
    if what == "value":
        whole = scaled(column)
        words = np.stack([whole, whole >> 63], axis=1).view(np.uint64)
    elif what == "square":
        words = square(scaled(column))
    else:
        with np.errstate(invalid="ignore"):
            return (column >= what).astype(np.uint64)[:, None]
    return _limbs(words, limbs, bits)


def _limbs(words: Lanes, limbs: int, bits: int) -> Lanes:
    """Numbers of two words, two's complement, as limbs of so many bits, the last with the sign."""
    found = np.zeros((len(words), limbs), np.uint64)
    low, high = words[:, 0], words[:, 1].view(np.int64)
    mask = np.uint64((1 << bits) - 1)
    for number in range(limbs):
        word, shift = divmod(number * bits, 64)
        if word:
            part = (high >> shift).view(np.uint64)
        else:
            part = low >> np.uint64(shift)
            if shift:
                part = part | (high.view(np.uint64) << np.uint64(64 - shift))
        found[:, number] = part if number == limbs - 1 else part & mask
    return found
