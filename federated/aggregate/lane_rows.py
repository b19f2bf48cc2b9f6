"""A partner's rows as lanes: what each row adds to the sums of a section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from federated.aggregate.grid import NO_ATOM, atoms_of
from federated.aggregate.history import Followed
from federated.aggregate.lanes import FULL, SectionLanes, lanes_of
from federated.aggregate.measured import check_values, scaled, standing
from federated.aggregate.rows import Asking, Floats
from federated.aggregate.squares import HIGH, check_squares, square_lanes
from federated.sharing.bound_counts import tag_numbers
from psi.protocol import InputError

__all__ = ["LaneRows", "check_room"]

Lanes = np.ndarray[Any, np.dtype[np.uint64]]
_ONE = np.uint64(1)


class LaneRows:
    """One section's rows at the partner.

    `values` is `float64[rows, columns]` of the section's columns, NaN where one is missing;
    `counted` says which records count, the rows' first, then those that are not aligned any more
    and have no values; `at` which record each row stands for, -1 for none, where that is not the
    record of its number. `bound` is a secret odd number, `seed` 32 secret bytes that the peer never
    learns, where a variance is asked.

    Raises `InputError` for values that `measured.check_values` or `check_room` refuses.
    """

    def __init__(
        self,
        asking: Asking,
        number: int,
        values: Floats,
        counted: Followed,
        bound: int,
        at: np.ndarray | None = None,
        seed: bytes = b"",
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
        squared = {column for column, what in section.needs() if what == "square"}
        self._squares: dict[str, Lanes] = {}
        for place, name in enumerate(section.columns):
            if name in summed:
                check_room(name, values[:, place])
            if name in squared:
                check_squares(name, values[:, place])
                whole = self._column(place, 0, self._rows)
                self._squares[name] = square_lanes(whole, seed, f"{number} {name}")
        own = [self._own(place, grid) for place, grid in enumerate(grids)]
        self.lanes: SectionLanes = lanes_of(asking, number, own)
        self._bound = np.uint64(bound)

    def _own(self, place: int, grid: Sequence[float]) -> bool:
        """Whether the column is counted otherwise than it is there."""
        column = self._column(place, 0, self._rows)
        if not np.array_equal(np.isfinite(column), self._flags[:, place]):
            return True
        atoms = self._atoms[place]
        return atoms is not None and not np.array_equal(atoms_of(column, tuple(grid)), atoms)

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
        numbers = tag_numbers(int(self._bound), len(lanes.counts))
        tag = found[:, lanes.first_told - 1]
        for number, (place, atom) in enumerate(lanes.counts):
            flags = self._flags[start:stop, place]
            if atom >= 0:
                atoms = self._atoms[place]
                flags = np.zeros(stop - start, bool) if atoms is None else atoms[start:stop] == atom
            lane, shift = divmod(number, lanes.packed)
            found[:, 1 + lane] |= flags.astype(np.uint64) << np.uint64(shift * lanes.headroom)
            tag += np.where(flags, numbers[number], np.uint64(0))
        for at, (name, what) in enumerate(lanes.told, start=lanes.first_told):
            if what in ("square", HIGH):
                found[:, at] = self._squares[name][start:stop, int(what == HIGH)]
                continue
            found[:, at] = _told(self._column(lanes.columns.index(name), start, stop), what)
        return found


def check_room(name: str, column: Floats, where: str = "") -> None:
    """Raise `InputError` where a column's values are too large, all together, for a lane."""
    if np.abs(scaled(column)).astype(np.float64).sum() >= FULL:
        raise InputError(
            f"{where}column {name!r}: the magnitudes of {len(column):,} values add up to 2^42 or "
            "more, which private sums do not hold",
            hint='divide them by 1000, or take protocol = "paillier"',
        )


def _told(column: Floats, what: Any) -> Any:
    """What a column's rows add to the lane of one name: `uint64[rows]`."""
    if what == "there":
        return np.isfinite(column).astype(np.uint64)
    if what == "value":
        return scaled(column).view(np.uint64)
    with np.errstate(invalid="ignore"):
        return (column >= what).astype(np.uint64)
