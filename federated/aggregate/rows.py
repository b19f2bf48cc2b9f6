"""From measured columns to the slots of a row, and from opened sums back to statistics.

A row is encrypted once for all sections of a contract that ask the same partner. Its slots are
first, for each set of columns that sections ask, counts that the partner will open: a one for the
row and, for each column, a one where its value counts (`history.followed`). For each column then
follow: a one where a value is there, the value, its square, and a one for each thing that is
counted; what any of the sections needs. Values are fixed point, integers throughout, so that a
variance is exact up to the rounding of its inputs.

Every slot has `GUARD` bits more than its sum: room for the blank that hides what is not told, be
it to the partner, which opens the counts of one section, or to the receiver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from federated.aggregate.adding import random_numbers
from federated.aggregate.history import Followed
from federated.aggregate.layout import Layout, flags
from federated.aggregate.statistics import Statistic
from psi.protocol import InputError, PeerError, Random

__all__ = ["GUARD", "Asked", "MeasureSlots", "MeasuredRows", "Section", "SectionSlots"]

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
    """What a section asks, and how many values must stand behind each answer."""

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

    def needs(self) -> set[tuple[str, Any]]:
        """The slots that its statistics are made of: (column, what)."""
        found: set[tuple[str, Any]] = set()
        for column, statistic in self.asked:
            found.add((column, "there"))
            if statistic.kind in ("sum", "mean", "variance"):
                found.add((column, "value"))
            if statistic.kind == "variance":
                found.add((column, "square"))
            found |= {(column, (statistic, j)) for j in range(len(statistic.numbers))}
        return found


class MeasureSlots:
    """Where the measures of `rows` records lie in the ciphertexts of one.

    `names[s]` is (column, what), what being "there", "value", "square" or a statistic and the
    number of its indicator; of counts ("", what is counted).
    """

    def __init__(self, sections: Sequence[Section], rows: int, key_bits: int) -> None:
        self.sections = list(sections)
        self.columns = list(dict.fromkeys(c for section in sections for c in section.columns))
        self.rows, self.headroom = rows, max(1, rows).bit_length()
        counted = dict.fromkeys(section.counted for section in sections)
        wanted = set().union(*(section.needs() for section in sections))
        bits: dict[tuple[str, Any], int] = {
            ("", found): (1 + len(found[0])) * self.headroom for found in counted
        }
        for column in self.columns:
            asked = [s for section in sections for c, s in section.asked if c == column]
            ones = [(s, j) for s in dict.fromkeys(asked) for j in range(len(s.numbers))]
            widths: list[tuple[Any, int]] = [
                ("there", 1), ("value", VALUE_BITS), ("square", 2 * VALUE_BITS),
                *((one, 1) for one in ones),
            ]  # fmt: skip
            bits |= {
                (column, what): width + self.headroom
                for what, width in widths
                if (column, what) in wanted
            }
        self.names = list(bits)
        self.layout = Layout.fit(key_bits, [size + GUARD + 1 for size in bits.values()])

    def of(self, number: int) -> SectionSlots:
        """The slots as one section reads them."""
        return SectionSlots(self, self.sections[number])


@dataclass(frozen=True)
class SectionSlots:
    """What one section reads of the slots: its counts and what its statistics are made of."""

    whole: MeasureSlots
    section: Section

    @property
    def layout(self) -> Layout:
        """Of the whole row."""
        return self.whole.layout

    @cached_property
    def columns(self) -> list[str]:
        """Those that the section asks."""
        return self.section.columns

    @cached_property
    def _counts(self) -> int:
        return self.whole.names.index(("", self.section.counted))

    @property
    def counted_in(self) -> int:
        """The ciphertext that the section's counts are in."""
        return self.layout.places[self._counts].cipher

    @cached_property
    def read(self) -> list[int]:
        """Of each slot the number of the section's column that it speaks of, -1 for none."""
        needs = self.section.needs()
        return [self.columns.index(n[0]) if n in needs else -1 for n in self.whole.names]

    @cached_property
    def ciphers(self) -> list[int]:
        """The ciphertexts of a row in which there is something for the section."""
        places = zip(self.layout.places, self.read, strict=True)
        return sorted({place.cipher for place, column in places if column >= 0} | {self.counted_in})

    def counts(self, opened: Sequence[int]) -> np.ndarray:
        """Rows and values there, `int64[cells, 1 + columns]`, of sums of `counted_in`.

        Raises `PeerError` for what no counts can be.
        """
        headroom, place = self.whole.headroom, self.layout.places[self._counts]
        at = self.layout.of(place.cipher).index(place)
        numbers = self.layout.unpack(opened, place.cipher)[at]
        names = self.section.counted[0]
        if any(not 0 <= number < 1 << headroom * (1 + len(names)) for number in numbers):
            raise PeerError("counts that do not add up to the aligned rows")
        mask = (1 << headroom) - 1
        shifts = [0, *(headroom * (1 + names.index(column)) for column in self.columns)]
        return np.array(
            [[int(number) >> shift & mask for shift in shifts] for number in numbers], np.int64
        ).reshape(len(opened), len(shifts))

    def hiding(self, count: int, random: Random) -> list[int]:
        """For `count` sums of `counted_in`: a random number in each slot but the counts."""
        kept = np.ones(len(self.whole.names), bool)
        kept[self._counts] = False
        return self._blanks(self.counted_in, kept, count, random)

    def blanks(self, kept: np.ndarray, random: Random) -> list[int]:
        """A random number in each slot that is not told, cipher by cipher.

        `kept` is `bool[groups, columns]`: which of the section's columns are told of a group.
        """
        found: list[int] = []
        told = np.hstack([kept, np.zeros((len(kept), 1), bool)])[:, self.read].T
        for cipher in self.ciphers:
            found += self._blanks(cipher, ~told, len(kept), random)
        return found

    def _blanks(self, cipher: int, hidden: np.ndarray, count: int, random: Random) -> list[int]:
        """`hidden` is `bool[slots]` or `bool[slots, count]`."""
        found = np.zeros(count, object)
        for place, each in zip(self.layout.places, hidden, strict=True):
            where = np.flatnonzero(np.broadcast_to(each, count))
            if place.cipher == cipher and len(where):
                numbers = random_numbers(len(where), place.bits - 1, random)
                found[where] += np.array([n << place.offset for n in numbers], object)
        return [int(number) for number in found]

    def unpack(self, numbers: Sequence[int], groups: int) -> dict[tuple[str, Any], np.ndarray]:
        """The slots of `groups` sums in each of `ciphers`, `object[groups]` each, by their names.

        Raises `PeerError` where one exceeds its bits.
        """
        found: dict[tuple[str, Any], np.ndarray] = {}
        for at, cipher in enumerate(self.ciphers):
            part = numbers[at * groups : (at + 1) * groups]
            places = zip(self.whole.names, self.layout.places, strict=True)
            names = [name for name, place in places if place.cipher == cipher]
            found |= dict(zip(names, self.layout.unpack(part, cipher), strict=True))
        return found

    def statistics(self, sums: dict[tuple[str, Any], np.ndarray], kept: np.ndarray) -> list[Floats]:
        """Each asked statistic: `float64[groups]`, a histogram's `[groups, bins]`.

        `sums` are those of `unpack`, over the groups of which something is told; `kept` is
        `bool[groups, columns]` over all, NaN where not. Raises `PeerError` for sums that no rows
        can have.
        """
        found, place = [], np.cumsum(kept.any(axis=1)) - 1
        for column, statistic in self.section.asked:
            number = self.columns.index(column)
            width = len(statistic.bins)
            values = np.full((len(kept), width) if width else len(kept), np.nan)
            slots = {what: whole for (name, what), whole in sums.items() if name == column}
            for group in np.flatnonzero(kept[:, number]).tolist():
                values[group] = _statistic(
                    statistic, {what: int(whole[place[group]]) for what, whole in slots.items()}
                )
            found.append(values)
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
    counted = [slots[statistic, j] for j in range(len(statistic.numbers))]
    if min(counted) < 0 or sum(counted) > there:
        raise PeerError("counts of values beyond the rows of their group")
    return counted[0] / there if statistic.kind == "share" else [there - sum(counted), *counted]


class MeasuredRows:
    """A partner's rows: `values` is `float64[rows, columns]`, NaN where one is missing.

    `counted` says of each section which records count, the rows' first, then those that are not
    aligned any more and have no values; `at` which record each row stands for, -1 for none, where
    that is not the record of its number.

    Raises `InputError` for infinite values, and for those of 2^41 and beyond where their sums
    are asked: names the column and the number of rows, never a value.
    """

    def __init__(
        self,
        slots: MeasureSlots,
        values: Floats,
        counted: Sequence[Followed],
        at: np.ndarray | None = None,
    ) -> None:
        self.slots, self.values = slots, values
        self._flags: dict[Any, np.ndarray] = {}
        for section, own in zip(slots.sections, counted, strict=True):
            order = [section.columns.index(column) for column in section.counted[0]]
            seen = np.column_stack([own.ones, own.flags[:, order]])
            if at is not None:
                nobody = np.zeros((1, seen.shape[1]), bool)
                seen = np.vstack([seen, nobody])[at]
            self._flags.setdefault(section.counted, seen)
        for number, name in enumerate(slots.columns):
            column = values[:, number]
            summed = (name, "value") in slots.names
            _check(name, len(column), "infinite", np.isinf(column), "clean the column")
            over = np.abs(column) >= LARGEST if summed else np.zeros(0, bool)
            _check(name, len(column), "too large to add up", over, "divide them by 1000")

    def pack(self, start: int, stop: int, cipher: int) -> Any:
        """Plaintexts of one ciphertext of records `start` to `stop`."""
        slots, part = self.slots, self.values[start:stop]
        gone = np.full((stop - start - len(part), part.shape[1]), np.nan)
        part = np.vstack([part, gone])
        columns: list[np.ndarray] = []
        ones: dict[tuple[str, Statistic], list[np.ndarray]] = {}
        for (name, what), place in zip(slots.names, slots.layout.places, strict=True):
            if place.cipher != cipher:
                continue
            values = part[:, slots.columns.index(name)] if name else part[:, 0]
            if not name:
                columns.append(flags(self._flags[what][start:stop].T, slots.headroom, place.bits))
            elif what == "there":
                columns.append(np.isfinite(values).astype(np.int64))
            elif what == "value":
                columns.append(_scaled(values))
            elif what == "square":
                columns.append(_square(_scaled(values)))
            else:
                statistic, number = what
                if (name, statistic) not in ones:
                    ones[name, statistic] = statistic.indicators(values)
                columns.append(ones[name, statistic][number].astype(np.int64))
        return slots.layout.pack(columns, cipher, slots.headroom)


def _check(column: str, rows: int, what: str, wrong: np.ndarray, hint: str) -> None:
    count = int(np.count_nonzero(wrong))
    if count:
        raise InputError(f"column {column!r}: {count} of {rows} values are {what}", hint=hint)


def _scaled(column: Floats) -> np.ndarray:
    """Fixed point, 0 where a value is missing: `int64[rows]`."""
    known = np.where(np.isfinite(column), column, 0.0)
    return np.rint(np.ldexp(known, FRACTION_BITS)).astype(np.int64)


def _square(whole: np.ndarray) -> np.ndarray:
    """Squares of `int64[n]` below 2^61 in magnitude: `uint64[n, 2]`."""
    size = np.abs(whole).astype(np.uint64)
    half, low_half = np.uint64(32), np.uint64((1 << 32) - 1)
    high, low = size >> half, size & low_half
    middle = (high * low) << np.uint64(1)
    bottom = low * low
    total = bottom + (middle << half)
    carry = (total < bottom).astype(np.uint64)
    return np.stack([total, high * high + (middle >> half) + carry], axis=1)
