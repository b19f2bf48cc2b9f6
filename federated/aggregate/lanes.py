"""The lanes of a row by which private sums add a section up, and from sums back to statistics.

A lane is a number modulo 2^64 (`federated.sharing`). A row of the partner's has

- the *bound*: a secret odd number where the row's record counts, else 0. It holds the receiver to
  the number of rows that it says a cell has (`share_segment`);
- *counted* lanes, which the partner opens: for each column a one where its value counts in the
  audit, and a one in the atom in which it does; as many counts side by side as the lane holds;
- the *tag* of these counts, which holds the receiver to them (`federated.sharing.bound_counts`);
- *told* lanes, of which the receiver gets sums: the value, its square in two lanes (`squares`), and
  of columns that are counted otherwise than they are there, a one where a value is there and one
  for each edge below it.

Values are those of `rows`: fixed point, exact. One lane holds a column's sum: where the magnitudes
of all rows together reach 2^62 the partner refuses. (Numbers cut into parts would tell the sum of
each part, so more than their sum.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from federated.aggregate.grid import Edges
from federated.aggregate.rows import Asking, Section, SectionNames
from federated.aggregate.squares import HIGH, whole_squares
from federated.sharing.bound_counts import tags
from psi.protocol import PeerError

__all__ = ["FULL", "SectionLanes", "lanes_of", "most_lanes"]

Lanes = np.ndarray[Any, np.dtype[np.uint64]]
_WORD = 64
FULL = 2.0**62
"""Magnitudes that a lane holds, all rows together, in units of 2^-20: half of its room."""


@dataclass(frozen=True)
class SectionLanes(SectionNames):
    """The lanes of one section over `rows` records; `own` says which columns have such for all.

    That is for what is there and for edges. `edges` is how many edges each column's grid has: of
    all sections and of earlier jobs.
    """

    section: Section
    rows: int
    own: tuple[bool, ...]
    edges: tuple[int, ...]

    @cached_property
    def headroom(self) -> int:
        """Bits of a count."""
        return max(1, self.rows).bit_length()

    @cached_property
    def names(self) -> Sequence[tuple[str, Any]]:
        """What is summed: (column, what), what being "there", "value" or an edge."""
        needs = self.section.needs()
        found: list[tuple[str, Any]] = []
        for column, edges in zip(self.columns, self.section.edges, strict=True):
            found += [(column, what) for what in ("there", "value", "square", *edges)]
        return [name for name in found if name in needs]

    @cached_property
    def counts(self) -> list[tuple[int, int]]:
        """What is counted for the audit: (column's number, atom), -1 for values that count."""
        return [
            (number, atom)
            for number, edges in enumerate(self.edges)
            for atom in range(-1, 1 + edges if edges else 0)
        ]

    @cached_property
    def packed(self) -> int:
        """Counts in a lane."""
        return _WORD // self.headroom

    @cached_property
    def counted(self) -> int:
        """Lanes that the partner opens, after the bound."""
        return -(-len(self.counts) // self.packed)

    @cached_property
    def told(self) -> list[tuple[str, Any]]:
        """Names that have a lane: those that the receiver gets sums of."""
        own, found = dict(zip(self.columns, self.own, strict=True)), list[tuple[str, Any]]()
        for name in self.names:
            found += [name] if name[1] in ("value", "square") or own[name[0]] else []
            found += [(name[0], HIGH)] if name[1] == "square" else []
        return found

    @cached_property
    def lanes(self) -> int:
        """Lanes of a row, in the order bound, counted, tag, told."""
        return self.first_told + len(self.told)

    @cached_property
    def first_told(self) -> int:
        """The number of the first told lane."""
        return 2 + self.counted

    def shown_lanes(self, kept: np.ndarray) -> np.ndarray:
        """Of which groups each told lane is told: `bool[groups, lanes]`; `kept` as in `shown`."""
        shown = dict(zip(self.names, self.shown(kept), strict=True))
        shown |= {(name, HIGH): told for (name, what), told in shown.items() if what == "square"}
        columns = [shown[name] for name in self.told]
        return np.array(columns, bool).reshape(len(columns), len(kept)).T

    def opened(self, sums: Lanes, bound: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Values that count and atoms of each cell from opened `uint64[cells, counted and tag]`.

        `int64[cells, columns]`, and of each column `int64[cells, atoms]`. Raises `PeerError` where
        a lane has more than its counts, or the tag, by the secret `bound`, is not theirs.
        """
        mask, bits = np.uint64((1 << self.headroom) - 1), self.headroom
        found = np.zeros((len(sums), len(self.counts)), np.int64)
        for number in range(len(self.counts)):
            lane, place = divmod(number, self.packed)
            part = (sums[:, lane] >> np.uint64(place * bits)) & mask
            found[:, number] = part.astype(np.int64)
        for lane in range(self.counted):
            held = min(self.packed, len(self.counts) - lane * self.packed) * bits
            if held < _WORD and (sums[:, lane] >> np.uint64(held)).any():
                raise PeerError("counts that do not add up to the aligned rows")
        if (tags(found, bound) != sums[:, self.counted]).any():
            raise PeerError("counts of values that are not those of the rows")
        flags = [number for number, (_, atom) in enumerate(self.counts) if atom < 0]
        atoms = [
            [
                number
                for number, (own, atom) in enumerate(self.counts)
                if own == column and atom >= 0
            ]
            for column in range(len(self.columns))
        ]
        return found[:, flags], [found[:, own] for own in atoms]

    def sums(self, lanes: Lanes) -> dict[tuple[str, Any], np.ndarray]:
        """Whole numbers `object[groups]` by name; `lanes` is `uint64[groups, told lanes]`."""
        words = dict(zip(self.told, lanes.T, strict=True))
        found = {
            name: np.ascontiguousarray(column).view(np.int64).astype(object)
            for name, column in words.items()
        }
        for name, _ in [each for each in self.told if each[1] == HIGH]:
            both = (np.ascontiguousarray(words[name, what]) for what in ("square", HIGH))
            found[name, "square"] = whole_squares(*both)
            del found[name, HIGH]
        return found


def lanes_of(asking: Asking, number: int, own: Sequence[bool]) -> SectionLanes:
    """The lanes of the section of this number."""
    section = asking.sections[number]
    edges = tuple(len(asking.grids[column]) for column in section.columns)
    return SectionLanes(section, asking.rows, tuple(own), edges)


def most_lanes(section: Section, grids: Sequence[Edges], rows: int) -> int:
    """The most lanes that a section takes, whatever the values are."""
    own = (True,) * len(section.columns)
    lanes = SectionLanes(section, rows, own, tuple(len(grid) for grid in grids))
    return lanes.lanes
