"""Levels of waterfall keys: distinct keys of the rows still free, and what each level matched."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.ecdh import Items, Matches
from psi.identifiers import key_buffer
from psi.kernels.distinct import distinct

__all__ = ["Book", "Index", "Level", "distinct_keys"]

Index = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]


@dataclass(frozen=True)
class Level:
    """Distinct keys of one level: items, and each row's item (-1: none)."""

    items: Items
    code: Index
    first: Index


def distinct_keys(keys: pa.Array, free: np.ndarray | None = None) -> Level:
    """The distinct keys of all rows, or of those that are still `free`."""
    known = pc.is_valid(keys).to_numpy(zero_copy_only=False).astype(bool)
    data, offsets = key_buffer(keys.fill_null("") if keys.null_count else keys)
    code, first = distinct(
        data, offsets, known if free is None else known & free, secrets.randbits(64)
    )
    every = Items(data, offsets)
    return Level(every if len(first) == len(code) else every.take(first), code, first)


@dataclass
class Book:
    """What one side gathers over the levels: per match its level and its own rows."""

    keys: Sequence[pa.Array]
    free: np.ndarray
    levels: list[Level]
    matched: list[Index]
    sizes: list[int]

    @classmethod
    def open(cls, keys: Sequence[pa.Array]) -> Book:
        return cls(keys, np.ones(len(keys[0]), bool), [], [], [])

    def next_level(self) -> Level:
        """The distinct keys of the rows that hold no key which matched before."""
        if self.matched:
            level = self.levels[-1]
            hit = np.zeros(len(level.first) + 1, bool)
            hit[self.matched[-1]] = True
            self.free &= ~hit[level.code]
        level = distinct_keys(self.keys[len(self.levels)], self.free)
        self.levels.append(level)
        return level

    def close_level(self, found: Matches) -> None:
        """Note the matches."""
        self.matched.append(found.own)
        self.sizes.append(found.size_peer)

    def match_of_row(self) -> Index:
        """For each own row the number of its match, counted over all levels; -1: none."""
        result = np.full(len(self.free), -1, np.int64)
        base = 0
        for level, own in zip(self.levels, self.matched, strict=True):
            number = np.full(len(level.first) + 1, -1, np.int64)
            number[own] = base + np.arange(len(own))
            found = number[level.code]
            result = np.where(found >= 0, found, result)
            base += len(own)
        return result

    def match_of_first_row(self) -> Index:
        """The same for the first row of each match only; -1 for the others."""
        first = self.first_rows()
        result = np.full(len(self.free), -1, np.int64)
        result[first] = np.arange(len(first))
        return result

    def first_rows(self) -> Index:
        """For each match the first own row with its key."""
        parts = [lv.first[own] for lv, own in zip(self.levels, self.matched, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def grades(self) -> np.ndarray:
        """For each match its level."""
        counts = [len(own) for own in self.matched]
        return np.repeat(np.arange(len(counts), dtype=np.uint8), counts)

    @property
    def keyed(self) -> int:
        """Rows with a usable key of any level."""
        if any(keys.null_count == 0 for keys in self.keys):
            return len(self.free)
        usable = np.zeros(len(self.free), bool)
        for keys in self.keys:
            usable |= pc.is_valid(keys).to_numpy(zero_copy_only=False).astype(bool)
        return int(usable.sum())

    @property
    def repeats(self) -> int:
        """Rows that share their key with an earlier row, at the level that takes them."""
        return sum(int((lv.code >= 0).sum()) - len(lv.first) for lv in self.levels)
