"""The slots of a row, and from opened sums back to statistics.

A row is encrypted once for all sections of a contract that ask the same partner. Its slots are
first, for each set of columns that sections ask, counts that the partner will open: a one for the
row and, for each column, a one where its value counts (`history.followed`); and for each column of
which shares or bins are asked, a one in the place of the atom in which it counts (`binned`). For
each column then follow: a one where a value is there, the value, its square, and for each edge a
one for a value above it; what any of the sections needs. Values are fixed point, integers
throughout, so that a variance is exact up to the rounding of its inputs.

Every slot has `GUARD` bits more than its sum: room for the blank that hides what is not told, be
it to the partner, which opens the counts of one section, or to the receiver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from federated.aggregate.adding import random_numbers
from federated.aggregate.grid import Edges, grid_of
from federated.aggregate.layout import Layout
from federated.aggregate.statistics import Statistic
from psi.protocol import PeerError, Random

__all__ = [
    "FRACTION_BITS",
    "GUARD",
    "LARGEST",
    "VALUE_BITS",
    "Asked",
    "Asking",
    "Bins",
    "MeasureSlots",
    "Section",
    "SectionNames",
    "SectionSlots",
]

GUARD = 40
"""Bits by which a blank is wider than what it hides: it shows with probability below 2^-40."""

FRACTION_BITS = 20
VALUE_BITS = 61
LARGEST = 2.0 ** (VALUE_BITS - FRACTION_BITS)
"""Values reach up to 2^41, in steps of 2^-20."""

Floats = np.ndarray[Any, np.dtype[np.float64]]
Asked = tuple[str, Statistic]
"""A column and what is asked of it."""


@dataclass(frozen=True)
class Section:
    """What a section asks, and how many values must stand behind each answer.

    Attributes:
        asked: statistics, each of one column.
        minimum: fewest values behind an answer.
    """

    asked: tuple[Asked, ...]
    minimum: int

    @property
    def columns(self) -> list[str]:
        """Once each, in the order in which they are asked."""
        return list(dict.fromkeys(column for column, _ in self.asked))

    @property
    def counted(self) -> tuple[tuple[str, ...], int]:
        """Which values are counted: sections that agree in it share their counts."""
        return tuple(sorted(self.columns)), self.minimum

    @cached_property
    def edges(self) -> list[Edges]:
        """Of each of its columns, those of its shares and histograms."""
        return [grid_of(s.edges for c, s in self.asked if c == column) for column in self.columns]

    def needs(self) -> set[tuple[str, Any]]:
        """The slots that its statistics are made of: (column, what)."""
        found: set[tuple[str, Any]] = set()
        for column, statistic in self.asked:
            found.add((column, "there"))
            if statistic.kind in ("sum", "mean", "variance"):
                found.add((column, "value"))
            if statistic.kind == "variance":
                found.add((column, "square"))
            found |= {(column, edge) for edge in statistic.edges}
        return found


class Bins(NamedTuple):
    """Counts that one slot holds: of a column's atoms from `start` to `stop`."""

    column: str
    minimum: int
    start: int
    stop: int


class Asking:
    """What some sections ask of `rows` records of one partner's, whatever adds them up.

    `grids` are the edges of each column, of this contract and of `earlier` jobs that asked of the
    same columns. `headroom` is the bits that a count of the records takes.
    """

    def __init__(
        self, sections: Sequence[Section], rows: int, earlier: Sequence[Asked] = ()
    ) -> None:
        self.sections = list(sections)
        self.columns = list(dict.fromkeys(c for section in sections for c in section.columns))
        self.rows, self.headroom = rows, max(1, rows).bit_length()
        self.every = [asked for section in sections for asked in section.asked]
        self.grids = {
            column: grid_of(s.edges for c, s in [*self.every, *earlier] if c == column)
            for column in self.columns
        }


class MeasureSlots(Asking):
    """Where the measures of `rows` records lie in the ciphertexts of one.

    `names[s]` is (column, what), what being "there", "value", "square" or an edge; of counts
    ("", what is counted).

    Args:
        sections: what is asked, a section each.
        key_bits: bits of n of the Paillier key.
        earlier: shares and histograms of the same columns that earlier jobs told.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        rows: int,
        key_bits: int,
        earlier: Sequence[Asked] = (),
    ) -> None:
        super().__init__(sections, rows, earlier)
        wanted = set().union(*(section.needs() for section in sections))
        room = max(1, (key_bits // 2 - GUARD) // self.headroom)
        bits: dict[tuple[str, Any], int] = {}
        for section in sections:
            names = section.counted[0]
            bits["", section.counted] = (1 + len(names)) * self.headroom
            for column in names:
                for bins in self.bins(column, section.minimum, room):
                    bits["", bins] = (bins.stop - bins.start) * self.headroom
        for column in self.columns:
            edges = grid_of(s.edges for c, s in self.every if c == column)
            widths: list[tuple[Any, int]] = [
                ("there", 1), ("value", VALUE_BITS), ("square", 2 * VALUE_BITS),
                *((edge, 1) for edge in edges),
            ]  # fmt: skip
            bits |= {
                (column, what): width + self.headroom
                for what, width in widths
                if (column, what) in wanted
            }
        self.names, self.key_bits = list(bits), key_bits
        self.layout = Layout.fit(key_bits, [size + GUARD + 1 for size in bits.values()])

    def bins(self, column: str, minimum: int, room: int) -> list[Bins]:
        """The counts of a column's atoms, `room` of them in a slot; none where none are asked."""
        atoms = 1 + len(self.grids[column]) if self.grids[column] else 0
        return [
            Bins(column, minimum, start, min(atoms, start + room))
            for start in range(0, atoms, room)
        ]

    def of(self, number: int) -> SectionSlots:
        """The slots as one section reads them."""
        return SectionSlots(self, self.sections[number])


class SectionNames:
    """What one section makes its statistics of, from sums by (column, what)."""

    section: Section

    @property
    def names(self) -> Sequence[tuple[str, Any]]:
        """All that is summed, in its order; other sections' too."""
        raise NotImplementedError

    @cached_property
    def columns(self) -> list[str]:
        """Those that the section asks."""
        return self.section.columns

    def shown(self, kept: np.ndarray) -> np.ndarray:
        """Which slots are told of each group, `bool[slots, groups]`.

        `kept` is `bool[groups, columns + edges]`: the section's columns, then the edges of each.
        """
        found = np.zeros((len(self.names), len(kept)), bool)
        needs, at = self.section.needs(), len(self.columns)
        for number, (column, edges) in enumerate(
            zip(self.columns, self.section.edges, strict=True)
        ):
            own = {edge: kept[:, at + place] for place, edge in enumerate(edges)}
            at += len(edges)
            for slot, name in enumerate(self.names):
                if name[0] == column and name in needs:
                    found[slot] = own.get(name[1], kept[:, number])
        return found

    def statistics(self, sums: dict[tuple[str, Any], np.ndarray], kept: np.ndarray) -> list[Floats]:
        """Each asked statistic: `float64[groups]`, a histogram's `[groups, bins]`.

        `sums` are those of `unpack`, over the groups of which something is told; `kept` is as in
        `shown`, over all groups; NaN where something is not told. Raises `PeerError` for sums that
        no rows can have.
        """
        found = []
        told = kept[:, : len(self.columns)]
        place, shown = np.cumsum(told.any(axis=1)) - 1, self.shown(kept)
        for column, statistic in self.section.asked:
            width = len(statistic.bins)
            values = np.full((len(kept), width) if width else len(kept), np.nan)
            for group in np.flatnonzero(told[:, self.columns.index(column)]).tolist():
                slots = {
                    name[1]: int(sums[name][place[group]])
                    for number, name in enumerate(self.names)
                    if name[0] == column and shown[number, group]
                }
                values[group] = _statistic(statistic, slots)
            found.append(values)
        return found

    def there(
        self, sums: dict[tuple[str, Any], np.ndarray], kept: np.ndarray
    ) -> dict[str, np.ndarray]:
        """How many values of each column each group has, 0 where the column is not told of it."""
        told = kept[:, : len(self.columns)]
        place = np.cumsum(told.any(axis=1)) - 1
        return {
            column: np.where(own, np.append(sums[column, "there"], 0)[place], 0).astype(np.int64)
            for column, own in zip(self.columns, told.T, strict=True)
        }


@dataclass(frozen=True)
class SectionSlots(SectionNames):
    """What one section reads of the slots: its counts and what its statistics are made of."""

    whole: MeasureSlots
    section: Section

    @property
    def names(self) -> Sequence[tuple[str, Any]]:
        """All slots of a row, in their order."""
        return self.whole.names

    @property
    def layout(self) -> Layout:
        """Of the whole row."""
        return self.whole.layout

    @cached_property
    def _counts(self) -> list[int]:
        """The slots that the partner opens: the section's own counts, then those of its atoms."""
        own = set(self.columns), self.section.minimum
        found = [self.whole.names.index(("", self.section.counted))]
        for number, (_, what) in enumerate(self.whole.names):
            if isinstance(what, Bins) and what.column in own[0] and what.minimum == own[1]:
                found.append(number)
        return found

    @cached_property
    def counted_in(self) -> list[int]:
        """The ciphertexts that the section's counts are in."""
        return sorted({self.layout.places[number].cipher for number in self._counts})

    @cached_property
    def ciphers(self) -> list[int]:
        """The ciphertexts of a row in which there is something for the section."""
        needs = self.section.needs()
        places = zip(self.layout.places, self.whole.names, strict=True)
        return sorted({p.cipher for p, name in places if name in needs} | {*self.counted_in})

    def counts(self, opened: Sequence[int]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Rows and values there, `int64[cells, 1 + columns]`, and each column's atoms.

        Those are `int64[cells, atoms]`, of no atoms where none count. `opened` are the sums of all
        of `counted_in`, one after the other. Raises `PeerError` for what no counts can be.
        """
        cells = len(opened) // len(self.counted_in)
        each = {
            cipher: opened[at * cells : (at + 1) * cells]
            for at, cipher in enumerate(self.counted_in)
        }
        rows, *atoms = (self._numbers(number, each) for number in self._counts)
        names = self.section.counted[0]
        order = [0, *(1 + names.index(column) for column in self.columns)]
        nothing = np.zeros((cells, 0), np.int64)
        return rows[:, order], [
            np.hstack(
                [nothing]
                + [
                    part
                    for part, number in zip(atoms, self._counts[1:], strict=True)
                    if self.whole.names[number][1].column == column
                ]
            )
            for column in self.columns
        ]

    def _numbers(self, number: int, opened: Mapping[int, Sequence[int]]) -> np.ndarray:
        """The counts in one slot, `int64[cells, counts]`."""
        headroom, place = self.whole.headroom, self.layout.places[number]
        what = self.whole.names[number][1]
        width = what.stop - what.start if isinstance(what, Bins) else 1 + len(what[0])
        at = self.layout.of(place.cipher).index(place)
        numbers = self.layout.unpack(opened[place.cipher], place.cipher, masked_above=True)[at]
        if any(not 0 <= value < 1 << headroom * width for value in numbers):
            raise PeerError("counts that do not add up to the aligned rows")
        mask = (1 << headroom) - 1
        return np.array(
            [[int(value) >> headroom * i & mask for i in range(width)] for value in numbers],
            np.int64,
        ).reshape(len(numbers), width)

    @property
    def most_blank(self) -> int:
        """No blank exceeds it: with a row's sum, which is as large at most, it fits any modulus."""
        return 1 << (self.whole.key_bits - 3)

    def hiding(self, count: int, random: Random) -> list[int]:
        """For `count` sums of each of `counted_in`: random numbers wherever no own counts are."""
        hidden = np.ones((len(self.whole.names), count), bool)
        hidden[self._counts] = False
        return [n for cipher in self.counted_in for n in self._blanks(cipher, hidden, random)]

    def blanks(self, kept: np.ndarray, random: Random) -> list[int]:
        """Random numbers wherever nothing is told, cipher by cipher; `kept` as in `shown`."""
        hidden = ~self.shown(kept)
        return [n for cipher in self.ciphers for n in self._blanks(cipher, hidden, random)]

    def _blanks(self, cipher: int, hidden: np.ndarray, random: Random) -> list[int]:
        """`hidden` is `bool[slots, count]`; no number exceeds `most_blank`.

        One number covers all bits above the topmost slot that is told, to the end of the plaintext:
        where honest parties have nothing, one that lies could have the other open what it likes.
        """
        count = hidden.shape[1]
        found, low = np.zeros(count, object), np.zeros(count, np.int64)
        own = [
            (place, each)
            for place, each in zip(self.layout.places, hidden, strict=True)
            if place.cipher == cipher
        ]
        for place, each in own:
            low[~each] = place.offset + place.bits + 1
        for place, each in own:
            where = np.flatnonzero(each & (place.offset < low))
            if len(where):
                numbers = random_numbers(len(where), place.bits - 1, random)
                found[where] += np.array([n << place.offset for n in numbers], object)
        for start in np.unique(low).tolist():
            where, room = np.flatnonzero(low == start), self.whole.key_bits - 2 - start
            if room > 0:
                middle = 1 << (room - 1)
                numbers = random_numbers(len(where), room, random)
                found[where] += np.array([(n - middle) << start for n in numbers], object)
        return [int(number) for number in found]

    def unpack(self, numbers: Sequence[int], groups: int) -> dict[tuple[str, Any], np.ndarray]:
        """The slots of `groups` sums in each of `ciphers`, `object[groups]` each, by their names.

        What is not told is random.
        """
        found: dict[tuple[str, Any], np.ndarray] = {}
        for at, cipher in enumerate(self.ciphers):
            part = numbers[at * groups : (at + 1) * groups]
            places = zip(self.whole.names, self.layout.places, strict=True)
            names = [name for name, place in places if place.cipher == cipher]
            slots = self.layout.unpack(part, cipher, masked_above=True)
            found |= dict(zip(names, slots, strict=True))
        return found


def _statistic(statistic: Statistic, slots: dict[Any, int]) -> Any:
    """One statistic of one group from the exact sums of its slots."""
    there = slots["there"]
    if there < 1:
        raise PeerError("a kept group without any value")
    if statistic.kind == "count":
        return there
    if statistic.kind in ("sum", "mean"):
        return slots["value"] / ((1 << FRACTION_BITS) * (there if statistic.kind == "mean" else 1))
    if statistic.kind == "variance":
        spread = there * slots["square"] - slots["value"] ** 2
        if spread < 0 or there < 2:
            raise PeerError("sums of squares that no values have")
        return float(Fraction(spread, (there * (there - 1)) << (2 * FRACTION_BITS)))
    known = [there, *(slots[edge] for edge in statistic.edges if edge in slots), 0]
    if any(low > high for high, low in pairwise(known)):
        raise PeerError("counts of values beyond the rows of their group")
    counted = statistic.counts(there, slots)
    return counted if statistic.kind == "histogram" else counted[0] / there
