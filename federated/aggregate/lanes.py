"""The lanes of a row by which private sums add a section up, and from sums back to statistics.

A lane is a number modulo 2^64 (`federated.sharing`). A row of the partner's has

- the *bound*: a secret odd number where the row's record counts, else 0. It holds the receiver to
  the number of rows that it says a cell has (`share_segment`);
- *counted* lanes, which the partner opens: for each column a one where its value counts in the
  audit, and a one in the atom in which it does; as many counts side by side as the lane holds;
- *told* lanes, of which the receiver gets sums: the value, its square, and of columns that are
  counted otherwise than they are there, a one where a value is there, one for each edge below it.

Values are those of `rows`: fixed point, exact. Where their magnitudes, all together, stay below
2^63 a lane holds their sum; else, and for squares, a number is cut into limbs whose sums do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from federated.aggregate.grid import Edges
from federated.aggregate.rows import VALUE_BITS, Asking, Section, SectionNames
from psi.protocol import PeerError

__all__ = ["Kind", "SectionLanes", "lanes_of", "most_lanes"]

Lanes = np.ndarray[Any, np.dtype[np.uint64]]
_WORD = 64


@dataclass(frozen=True)
class Kind:
    """How a column is summed: `own` lanes for what is there, `wide` values of several limbs."""

    own: bool
    wide: bool


@dataclass(frozen=True)
class SectionLanes(SectionNames):
    """The lanes of one section over `rows` records, whose `kinds` are of its columns in order.

    `edges` is how many edges each column's grid has: of all sections and of earlier jobs.
    """

    section: Section
    rows: int
    kinds: tuple[Kind, ...]
    edges: tuple[int, ...]

    @cached_property
    def headroom(self) -> int:
        """Bits of a count."""
        return max(1, self.rows).bit_length()

    @cached_property
    def limb(self) -> int:
        """Bits of a limb: sums of all rows stay below 2^63."""
        return _WORD - 1 - self.headroom

    @cached_property
    def names(self) -> Sequence[tuple[str, Any]]:
        """What is summed: (column, what), what being "there", "value", "square" or an edge."""
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
    def told(self) -> list[tuple[tuple[str, Any], int]]:
        """Names that have lanes, with how many limbs: those that the receiver gets sums of."""
        found = []
        for name in self.names:
            kind = self.kinds[self.columns.index(name[0])]
            if name[1] == "value":
                found.append((name, self.limbs(VALUE_BITS + 1) if kind.wide else 1))
            elif name[1] == "square":
                found.append((name, self.limbs(2 * VALUE_BITS + 1)))
            elif kind.own:
                found.append((name, 1))
        return found

    def limbs(self, bits: int) -> int:
        """Limbs of a number of so many bits, its sign among them."""
        return -(-bits // self.limb)

    @cached_property
    def lanes(self) -> int:
        """Lanes of a row, in the order bound, counted, told."""
        return 1 + self.counted + sum(limbs for _, limbs in self.told)

    @cached_property
    def first_told(self) -> int:
        """The number of the first told lane."""
        return 1 + self.counted

    def shown_lanes(self, kept: np.ndarray) -> np.ndarray:
        """Of which groups each told lane is told: `bool[groups, lanes]`; `kept` as in `shown`."""
        shown = dict(zip(self.names, self.shown(kept), strict=True))
        columns = [shown[name] for name, limbs in self.told for _ in range(limbs)]
        return np.array(columns, bool).reshape(len(columns), len(kept)).T

    def opened(self, sums: Lanes) -> tuple[np.ndarray, list[np.ndarray]]:
        """Values that count and atoms of each cell from opened lanes `uint64[cells, counted]`.

        `int64[cells, columns]`, and of each column `int64[cells, atoms]`. Raises `PeerError` where
        a lane has more than its counts.
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
        found, at = dict[tuple[str, Any], np.ndarray](), 0
        for name, limbs in self.told:
            total = lanes[:, at + limbs - 1].view(np.int64).astype(object)
            for number in reversed(range(limbs - 1)):
                total = (total << self.limb) + lanes[:, at + number].astype(object)
            found[name], at = total, at + limbs
        return found


def lanes_of(asking: Asking, number: int, kinds: Sequence[Kind]) -> SectionLanes:
    """The lanes of the section of this number."""
    section = asking.sections[number]
    edges = tuple(len(asking.grids[column]) for column in section.columns)
    return SectionLanes(section, asking.rows, tuple(kinds), edges)


def most_lanes(section: Section, grids: Sequence[Edges], rows: int) -> int:
    """The most lanes that a section takes, whatever the values are."""
    kinds = tuple(Kind(True, True) for _ in section.columns)
    lanes = SectionLanes(section, rows, kinds, tuple(len(grid) for grid in grids))
    return lanes.lanes
