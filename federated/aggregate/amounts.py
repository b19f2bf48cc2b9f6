"""The slots of a receiver's row: for each of its segments a one and its amounts.

An amount is a whole number clipped to a range that the contract states: what noise has to hide is
how far one record can move a sum, and a record moves from one category to another at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from federated.aggregate.layout import Layout
from federated.aggregate.noise import most_noise
from federated.paillier import Plaintexts
from psi.protocol import InputError, MisuseError

__all__ = ["LARGEST_AMOUNT", "Amount", "AmountRows", "AmountSizes", "AmountSlots"]

LARGEST_AMOUNT = 10**12
MOST_PARTS = 256
Floats = np.ndarray[Any, np.dtype[np.float64]]

_AMOUNT = re.compile(r"sum\s*\[\s*(-?\d{1,13})\s*,\s*(-?\d{1,13})\s*\]")


@dataclass(frozen=True)
class Amount:
    """A column of the receiver's, rounded to whole numbers and clipped to `low` to `high`."""

    column: str
    low: int
    high: int

    @classmethod
    def parse(cls, column: str, text: str) -> Amount:
        """From "sum[0,100000]"; raises `MisuseError` that says what is allowed."""
        found = _AMOUNT.fullmatch(text.strip())
        amount = cls(column, int(found[1]), int(found[2])) if found else None
        if amount is None or not amount.valid:
            raise MisuseError(f"sum[LOW,HIGH], whole numbers up to {LARGEST_AMOUNT}, allowed")
        return amount

    @property
    def valid(self) -> bool:
        """Whether this is a range that is not empty, within what there is room for."""
        return -LARGEST_AMOUNT <= self.low < self.high <= LARGEST_AMOUNT

    @property
    def largest(self) -> int:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @property
    def text(self) -> str:
        """As in a job file."""
        return f"sum[{self.low},{self.high}]"


class AmountSizes:
    """How large counts and sums of `parts` segments over so many rows can be, noise included.

    `epsilon` is the whole release's, in thousandths; 0: no noise. It is shared out evenly over the
    counts and each amount. One record is in `most` rows: if it moves to another category, two cells
    of each change by as much as these rows hold.
    """

    def __init__(
        self, amounts: Sequence[Amount], parts: int, rows: int, epsilon: int, most: int = 1
    ) -> None:
        if not 1 <= parts <= MOST_PARTS:
            raise MisuseError(f"{parts} segments found, 1 to {MOST_PARTS} allowed")
        self.amounts, self.parts = list(amounts), parts
        self.rows, self.headroom = rows, max(1, rows).bit_length()
        self.largest = [1, *(amount.largest for amount in amounts)]
        shares = len(self.largest)
        self.scales = [
            -(-2 * most * largest * shares * 1000 // epsilon) if epsilon else 0
            for largest in self.largest
        ]
        """Of the noise on counts, and on each amount's sums."""
        self.bits = [
            max(largest.bit_length() + self.headroom, most_noise(scale).bit_length()) + 1
            for largest, scale in zip(self.largest, self.scales, strict=True)
        ]
        """Of the magnitude of a count, and of each amount's sum."""

    @property
    def slot_scales(self) -> list[int]:
        """The noise's scale in each slot."""
        return self.scales * self.parts


class AmountSlots(AmountSizes):
    """Where counts and amounts of `parts` segments lie in the ciphertexts of a row."""

    def __init__(
        self,
        amounts: Sequence[Amount],
        parts: int,
        rows: int,
        key_bits: int,
        epsilon: int,
        most: int = 1,
    ) -> None:
        super().__init__(amounts, parts, rows, epsilon, most)
        self.layout = Layout.fit(key_bits, self.bits * parts)


class AmountRows:
    """The receiver's rows: `values` is `float64[rows, amounts]`; `codes` their segments, or -1.

    A missing amount counts as 0. Raises `InputError` for infinite ones: names the column and the
    number of rows.
    """

    def __init__(self, slots: AmountSizes, values: Floats, codes: np.ndarray) -> None:
        self.slots, self.values, self.codes = slots, values, codes
        for number, amount in enumerate(slots.amounts):
            wrong = int(np.count_nonzero(np.isinf(values[:, number])))
            if wrong:
                raise InputError(
                    f"column {amount.column!r}: {wrong} of {len(values)} values are infinite",
                    hint="clean the column",
                )

    @cached_property
    def whole(self) -> np.ndarray:
        """Rounded and clipped: `int64[rows, 1 + amounts]`, the first a one."""
        columns = [np.ones(len(self.values), np.int64)]
        for number, amount in enumerate(self.slots.amounts):
            known = np.nan_to_num(self.values[:, number], nan=0.0)
            clipped = np.clip(np.rint(known), amount.low, amount.high)
            missing = np.isnan(self.values[:, number])
            columns.append(np.where(missing, 0, clipped).astype(np.int64))
        return np.stack(columns, axis=1)

    @cached_property
    def clipped(self) -> list[int]:
        """How many rows of each amount lie outside of its range."""
        return [
            int(np.count_nonzero((column < amount.low) | (column > amount.high)))
            for amount, column in zip(self.slots.amounts, np.rint(self.values).T, strict=True)
        ]

    def pack(self, start: int, stop: int, cipher: int) -> Plaintexts:
        """Plaintexts of one ciphertext of rows `start` to `stop`."""
        part, codes = self.whole[start:stop], self.codes[start:stop]
        if not isinstance(self.slots, AmountSlots):
            raise MisuseError("rows of lanes have no ciphertexts")
        layout, width = self.slots.layout, part.shape[1]
        columns = [
            np.where(codes == place // width, part[:, place % width], 0)
            for place, slot in enumerate(layout.places)
            if slot.cipher == cipher
        ]
        return layout.pack(columns, cipher, self.slots.headroom)

    def lanes(self, start: int, stop: int) -> np.ndarray:
        """The same rows for private sums: `uint64[rows, parts * (1 + amounts)]`."""
        part, codes = self.whole[start:stop], self.codes[start:stop]
        inside = codes[:, None] == np.arange(self.slots.parts)
        found = np.where(inside[:, :, None], part[:, None, :], 0)
        return found.reshape(len(part), -1).view(np.uint64)
