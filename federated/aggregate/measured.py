"""A partner's rows as plaintexts: every row's counts, values and flags in their slots."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from federated.aggregate.grid import NO_ATOM
from federated.aggregate.history import Followed
from federated.aggregate.layout import flags
from federated.aggregate.rows import FRACTION_BITS, LARGEST, Bins, Floats, MeasureSlots
from psi.protocol import InputError

__all__ = ["MeasuredRows", "check_values", "scaled", "square", "standing"]


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
        self._atoms: dict[tuple[str, int], np.ndarray] = {}
        for section, own in zip(slots.sections, counted, strict=True):
            order = [section.columns.index(column) for column in section.counted[0]]
            seen = np.column_stack([own.ones, own.flags[:, order]])
            self._flags.setdefault(section.counted, standing(seen, at, False))
            for number, name in enumerate(section.columns):
                bins = own.bins[number] if own.bins else None
                if bins is not None:
                    atoms = standing(bins.atoms, at, NO_ATOM)
                    self._atoms.setdefault((name, section.minimum), atoms)
        summed = {name for name in slots.columns if (name, "value") in slots.names}
        check_values(slots.columns, values, summed)

    def pack(self, start: int, stop: int, cipher: int) -> Any:
        """Plaintexts of one ciphertext of records `start` to `stop`."""
        slots, part = self.slots, self.values[start:stop]
        gone = np.full((stop - start - len(part), part.shape[1]), np.nan)
        part = np.vstack([part, gone])
        columns: list[np.ndarray] = []
        for (name, what), place in zip(slots.names, slots.layout.places, strict=True):
            if place.cipher != cipher:
                continue
            if not name:
                seen = self._seen(what, start, stop)
                columns.append(flags(seen, slots.headroom, place.bits))
                continue
            values = part[:, slots.columns.index(name)]
            if what == "there":
                columns.append(np.isfinite(values).astype(np.int64))
            elif what == "value":
                columns.append(scaled(values))
            elif what == "square":
                columns.append(square(scaled(values)))
            else:
                with np.errstate(invalid="ignore"):
                    columns.append((values >= what).astype(np.int64))
        return slots.layout.pack(columns, cipher, slots.headroom)

    def _seen(self, what: Any, start: int, stop: int) -> np.ndarray:
        """The flags of a slot of counts: `bool[counts, rows]`."""
        if not isinstance(what, Bins):
            return np.asarray(self._flags[what][start:stop].T)
        atoms = self._atoms[what.column, what.minimum][start:stop]
        return np.asarray(np.arange(what.start, what.stop)[:, None] == atoms)


def standing(found: np.ndarray, at: np.ndarray | None, otherwise: Any) -> np.ndarray:
    """Of what records have, `found[records, ...]`, what each row stands for: `at` are its records.

    None: those of its number. A row that stands for nobody, -1, has `otherwise`.
    """
    if at is None:
        return found
    nobody = np.full((1, *found.shape[1:]), otherwise, found.dtype)
    return np.asarray(np.concatenate([found, nobody])[at])


def check_values(columns: Sequence[str], values: Floats, summed: Collection[str]) -> None:
    """Raise `InputError` for infinite values, and for too large ones in columns that are `summed`.

    Names the column and the number of rows, never a value.
    """
    for name, column in zip(columns, values.T, strict=True):
        _check(name, len(column), "infinite", np.isinf(column), "clean the column")
        over = np.abs(column) >= LARGEST if name in summed else np.zeros(0, bool)
        _check(name, len(column), "too large to add up", over, "divide them by 1000")


def _check(column: str, rows: int, what: str, wrong: np.ndarray, hint: str) -> None:
    count = int(np.count_nonzero(wrong))
    if count:
        raise InputError(f"column {column!r}: {count} of {rows} values are {what}", hint=hint)


def scaled(column: Floats) -> np.ndarray:
    """Fixed point, 0 where a value is missing: `int64[rows]`."""
    known = np.where(np.isfinite(column), column, 0.0)
    return np.rint(np.ldexp(known, FRACTION_BITS)).astype(np.int64)


def square(whole: np.ndarray) -> np.ndarray:
    """Squares of `int64[n]` below 2^61 in magnitude: `uint64[n, 2]`."""
    size = np.abs(whole).astype(np.uint64)
    half, low_half = np.uint64(32), np.uint64((1 << 32) - 1)
    high, low = size >> half, size & low_half
    middle = (high * low) << np.uint64(1)
    bottom = low * low
    total = bottom + (middle << half)
    carry = (total < bottom).astype(np.uint64)
    return np.stack([total, high * high + (middle >> half) + carry], axis=1)
