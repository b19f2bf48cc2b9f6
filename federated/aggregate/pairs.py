"""Aligned pairs, and which of them count.

With `duplicates = "join"` a record of the partner's is in as many pairs as the receiver has rows of
it, and the other way round. Sums are over pairs. What guards them is counted in records, and each
counts once at most:

- A record of which the receiver has one row counts there, once: all its pairs lie in that row's
  group, whatever the section. So a combination of told sums that speaks of the group speaks of it,
  and one that does not, does not.
- A record of which the receiver has several rows counts nowhere. They may lie in several groups,
  with weights that the receiver chose: the difference of two sums may be it alone, times a number.
- A row of the receiver's counts once, whatever it was paired with. The partner opens counts: a row
  that counted as often as the partner has loans of that customer would show its group by its size.

Where no row is in two pairs, every pair counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Pairs"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Pairs:
    """Which of the receiver's aligned rows each pair is of, and which record of the partner's.

    `row` and `record` are `int64[pairs]`, the rows rising from 0. The receiver does not know the
    partner's records and takes those of a row for one.
    """

    row: Ints
    record: Ints

    @classmethod
    def single(cls, count: int) -> Pairs:
        """So many, each of a row and a record of its own."""
        return cls(np.arange(count), np.arange(count))

    def __len__(self) -> int:
        return len(self.row)

    @property
    def rows(self) -> int:
        """The receiver's aligned rows."""
        return len(self.first)

    @cached_property
    def first(self) -> Ints:
        """Each row's first pair."""
        return np.flatnonzero(np.diff(self.row, prepend=-1))

    @cached_property
    def stands(self) -> Ints:
        """The pair that counts for each row, -1 where none does."""
        width = self.rows + 1
        _, records = np.unique(self.record, return_inverse=True)
        records = records.reshape(-1).astype(np.int64)
        held = np.bincount(np.unique(records * width + self.row) // width)
        alone = np.flatnonzero(held[records] == 1)
        found = np.full(self.rows, -1)
        found[self.row[alone[::-1]]] = alone[::-1]
        return found

    @cached_property
    def counts(self) -> Flags:
        """Whether a record counts in each row."""
        return self.stands >= 0

    @cached_property
    def all_count(self) -> bool:
        """Whether every record does."""
        return len(np.unique(self.record)) == int(self.counts.sum())

    @cached_property
    def at(self) -> Ints:
        """The row that each pair counts for, -1 where it does not."""
        found = np.full(len(self), -1)
        found[self.stands[self.counts]] = np.flatnonzero(self.counts)
        return found

    @cached_property
    def own(self) -> Flags:
        """Which pairs are of the record that counts in their row."""
        standing = np.append(self.record, -1)[self.stands][self.row]
        return np.asarray(self.record == standing)

    def any(self, flags: Flags) -> Flags:
        """Of `bool[pairs, columns]`, whether the record that counts has one in each row."""
        own = flags & self.own[:, None]
        return np.asarray(np.logical_or.reduceat(own, self.first, axis=0)) if len(own) else own

    def one(self, codes: np.ndarray) -> np.ndarray:
        """Of codes of pairs, the one of the record that counts in each row; -1 is none.

        And -1 is where its pairs have several.
        """
        if not len(codes):
            return codes
        known = self.own & (codes >= 0)
        most = np.maximum.reduceat(np.where(known, codes, -1), self.first)
        least = np.minimum.reduceat(np.where(known, codes, np.iinfo(codes.dtype).max), self.first)
        return np.where(most == least, most, -1).astype(codes.dtype)

    def within(self, most: int) -> Flags:
        """Which pairs are among the first `most` of their record."""
        order = np.argsort(self.record, kind="stable")
        own = self.record[order]
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        sizes = np.diff(np.append(starts, len(own)))
        found = np.empty(len(own), bool)
        found[order] = np.arange(len(own)) - np.repeat(starts, sizes) < most
        return found
