"""From measured columns to the slots of a row, and from opened sums back to statistics.

Slot 0 holds counts that the partner will open: a one for the row and, for each column, a one where
its value counts (`history.followed`). For each column then follow: a one where a
value is there, the value, its square, and a one for each thing that is counted; only what the
statistics need. Values are fixed point, integers throughout, so that a variance is exact up to
the rounding of its inputs.

Every slot has `GUARD` bits more than its sum: room for the blank that hides what is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from federated.aggregate.layout import Layout, flags
from federated.aggregate.statistics import Statistic
from psi.protocol import InputError, PeerError

__all__ = ["GUARD", "Asked", "MeasureSlots", "MeasuredRows"]

GUARD = 40
"""Bits by which a blank is wider than what it hides: it shows with probability below 2^-40."""

FRACTION_BITS = 20
VALUE_BITS = 60
LARGEST = 2.0 ** (VALUE_BITS - FRACTION_BITS)
"""Values reach up to 2^40, in steps of 2^-20."""

Floats = np.ndarray[Any, np.dtype[np.float64]]
Asked = tuple[str, Statistic]
"""A column and what is asked of it."""


class MeasureSlots:
    """Where the measures of `rows` records lie in the ciphertexts of one.

    `names[s]` is (column number, what), what being "counts", "there", "value", "square" or the
    number of an asked statistic and of its indicator.
    """

    def __init__(self, asked: Sequence[Asked], rows: int, key_bits: int) -> None:
        self.asked = list(asked)
        self.columns = list(dict.fromkeys(column for column, _ in asked))
        self.rows, self.headroom = rows, max(1, rows).bit_length()
        self.names: list[tuple[int, Any]] = [(-1, "counts")]
        sizes = [(1 + len(self.columns)) * self.headroom]
        for number, column in enumerate(self.columns):
            for what, bits in self._needed(column):
                self.names.append((number, what))
                sizes.append(bits + self.headroom)
        # one spare blank above the first ciphertext hides all but its counts from the partner
        padded = [bits + GUARD + 1 for bits in sizes]
        self.layout = Layout.fit(key_bits, padded, spare=GUARD + 1)

    def _needed(self, column: str) -> list[tuple[Any, int]]:
        wanted = [(i, s) for i, (name, s) in enumerate(self.asked) if name == column]
        kinds = {statistic.kind for _, statistic in wanted}
        slots: list[tuple[Any, int]] = [("there", 1)]
        if kinds & {"sum", "mean", "variance"}:
            slots.append(("value", VALUE_BITS))
        if "variance" in kinds:
            slots.append(("square", 2 * VALUE_BITS))
        for i, statistic in wanted:
            if statistic.kind in ("share", "histogram"):
                slots += [((i, j), 1) for j in range(len(statistic.numbers))]
        return slots

    @property
    def count_bits(self) -> int:
        """Everything below this bit of the first ciphertext is counts, or their blank."""
        place = self.layout.places[0]
        return place.bits + 1

    def counts(self, opened: Sequence[int]) -> np.ndarray:
        """Rows and values there, `int64[groups, 1 + columns]`, of first ciphertexts' sums."""
        mask = (1 << self.headroom) - 1
        shifts = [self.headroom * i for i in range(1 + len(self.columns))]
        return np.array(
            [[int(number) >> shift & mask for shift in shifts] for number in opened], np.int64
        ).reshape(len(opened), len(shifts))

    def statistics(self, sums: Sequence[np.ndarray], kept: np.ndarray) -> list[Floats]:
        """Each asked statistic: `float64[groups]`, a histogram's `[groups, bins]`.

        `sums` has one `object[groups]` a slot; `kept` is `bool[groups, columns]`, NaN where not.
        Raises `PeerError` for sums that no rows can have.
        """
        by_name = dict(zip(self.names, sums, strict=True))
        found = []
        for i, (column, statistic) in enumerate(self.asked):
            number = self.columns.index(column)
            width = len(statistic.bins)
            values = np.full((len(kept), width) if width else len(kept), np.nan)
            slots = {what: by_name[number, what] for at, what in self.names if at == number}
            for group in np.flatnonzero(kept[:, number]).tolist():
                values[group] = _statistic(
                    i, statistic, {what: int(sums[group]) for what, sums in slots.items()}
                )
            found.append(values)
        return found


def _statistic(number: int, statistic: Statistic, slots: dict[Any, int]) -> Any:
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
    counted = [slots[number, j] for j in range(len(statistic.numbers))]
    if min(counted) < 0 or sum(counted) > there:
        raise PeerError("counts of values beyond the rows of their group")
    return counted[0] / there if statistic.kind == "share" else [there - sum(counted), *counted]


class MeasuredRows:
    """A partner's rows: `values` is `float64[rows, columns]`, NaN where one is missing.

    `flags` is `bool[records, columns]`, the rows first, then records that are not aligned any more
    and have no values: of which the partner opens counts, in slot 0.

    Raises `InputError` for infinite values, and for those of 2^40 and beyond where their sums
    are asked: names the column and the number of rows, never a value.
    """

    def __init__(self, slots: MeasureSlots, values: Floats, flags: np.ndarray) -> None:
        self.slots, self.values, self.flags = slots, values, flags
        for number, name in enumerate(slots.columns):
            column = values[:, number]
            summed = (number, "value") in slots.names
            _check(name, len(column), "infinite", np.isinf(column), "clean the column")
            over = np.abs(column) >= LARGEST if summed else np.zeros(0, bool)
            _check(name, len(column), "too large to add up", over, "divide them by 1000")

    def pack(self, start: int, stop: int, cipher: int) -> Any:
        """Plaintexts of one ciphertext of records `start` to `stop`."""
        slots = self.slots
        part = self.values[start:stop]
        gone = np.full((stop - start - len(part), part.shape[1]), np.nan)
        part = np.vstack([part, gone])
        there = np.isfinite(part)
        seen = np.vstack([np.ones((1, len(part)), bool), self.flags[start:stop].T])
        bits = slots.layout.places[0].bits
        columns: list[np.ndarray] = [flags(seen, slots.headroom, bits)]
        for number in range(len(slots.columns)):
            values = part[:, number]
            found: dict[Any, np.ndarray] = {"there": there[:, number].astype(np.int64)}
            found["value"] = _scaled(values)
            for i, (column, statistic) in enumerate(slots.asked):
                if column == slots.columns[number] and statistic.numbers:
                    counted = statistic.indicators(values)
                    found |= {(i, j): one.astype(np.int64) for j, one in enumerate(counted)}
            wanted = [what for at, what in slots.names if at == number]
            if "square" in wanted:
                found["square"] = _square(found["value"])
            columns += [found[what] for what in wanted]
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
    """Squares of `int64[n]` below 2^60 in magnitude: `uint64[n, 2]`."""
    size = np.abs(whole).astype(np.uint64)
    half, low_half = np.uint64(32), np.uint64((1 << 32) - 1)
    high, low = size >> half, size & low_half
    middle = (high * low) << np.uint64(1)
    bottom = low * low
    total = bottom + (middle << half)
    carry = (total < bottom).astype(np.uint64)
    return np.stack([total, high * high + (middle >> half) + carry], axis=1)
