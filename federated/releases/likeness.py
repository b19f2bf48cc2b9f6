"""Which columns of a party's table say the same: copies, other units, other codes.

Limits of a column that another column passes by are none: a copy under another name would have
answers, an epsilon and thresholds of its own. So the book counts columns that say the same as one.
Measured at home, over the rows in which both have a value (of a large table over `MOST` of them,
evenly spread):

- numbers and dates that are in the same order, or in the reverse one: a rank correlation (Spearman
  1904) of `CLOSE` in magnitude or more;
- values of any type that determine each other: their mutual information is `CLOSE` of the larger
  entropy or more, where there are at least `OFTEN` rows for each value;
- values that are equal in `CLOSE` of the rows.

Columns that go together less closely are two. What is told of one says something of the other then,
as it does by any dependence between columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from federated.contract.terms import PartyTerms
from federated.tables.source import Source

__all__ = ["Alike", "Likeness", "apart", "same"]

CLOSE = 0.99
OFTEN = 5
MOST = 100_000
FEWEST = 20
"""Rows that both columns have; below, nothing is measured and they count as two."""

Alike = Callable[[str, Collection[str]], frozenset[str]]
"""Of a column and others: those of them that say the same, with itself."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


def apart(column: str, others: Collection[str]) -> frozenset[str]:
    """Columns of which nothing is known: each is one of its own."""
    del others
    return frozenset([column])


class Likeness:
    """Measures the table of `me`; `table` are columns of it that have been read already.

    A column that the table does not have any more is like no other.
    """

    def __init__(self, source: Source, me: PartyTerms, table: pa.Table | None = None) -> None:
        self._source, self._me, self._table = source, me, table
        self._columns: dict[str, pa.Array | None] = {}
        self._found: dict[frozenset[str], bool] = {}

    def __repr__(self) -> str:
        return f"<columns of {self._me.table} that say the same>"

    def __call__(self, column: str, others: Collection[str]) -> frozenset[str]:
        rest = set(others) - {column}
        self._read({column, *rest} if rest else set())
        return frozenset([column, *(other for other in rest if self._same(column, other))])

    def _same(self, one: str, other: str) -> bool:
        pair = frozenset([one, other])
        if pair not in self._found:
            left, right = self._columns[one], self._columns[other]
            self._found[pair] = left is not None and right is not None and same(left, right)
        return self._found[pair]

    def _read(self, wanted: set[str]) -> None:
        missing = wanted - set(self._columns)
        if not missing:
            return
        table = self._table
        if table is None or not missing <= set(table.column_names):
            names = sorted(missing & set(self._source.columns(self._me.table)))
            keys = [column for level in self._me.keys for column in level]
            table = self._source.load(self._me.table, names, keys=keys) if names else None
        for name in missing:
            there = table is not None and name in table.column_names
            self._columns[name] = _spread(table.column(name)) if there and table else None


def same(one: pa.Array, other: pa.Array) -> bool:
    """Whether two columns of the same rows say the same."""
    both = pc.and_(one.is_valid(), other.is_valid())
    left, right = one.filter(both), other.filter(both)
    if len(left) < FEWEST:
        return False
    first, second = _numbers(left), _numbers(right)
    if first is not None and second is not None and _in_order(first, second):
        return True
    return _determined(_codes(left), _codes(right)) or _equal(left, right)


def _spread(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    if isinstance(found, pa.ChunkedArray):  # of some types pyarrow keeps the chunks
        found = pa.concat_arrays(found.chunks)
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if pa.types.is_floating(found.type):
        found = pc.if_else(pc.is_nan(found), pa.scalar(None, found.type), found)
    if len(found) > MOST:
        rows = np.linspace(0, len(found) - 1, MOST).astype(np.int64)
        found = found.take(pa.array(rows))
    return found


def _numbers(column: pa.Array) -> Floats | None:
    """Numbers, truth and dates as numbers; None for others."""
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    elif pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        column = column.cast(pa.int64(), safe=False) if not pa.types.is_time32(kind) else column
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _in_order(first: Floats, second: Floats) -> bool:
    ranks = [_ranks(each) for each in (first, second)]
    spread = [float(each.std()) for each in ranks]
    if not all(spread):
        return False
    means = [each - each.mean() for each in ranks]
    return bool(abs(float(np.mean(means[0] * means[1]))) >= CLOSE * spread[0] * spread[1])


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)])


def _codes(column: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(column.dictionary_encode().indices.to_numpy(zero_copy_only=False), np.int64)


def _determined(
    first: np.ndarray[Any, np.dtype[np.int64]], second: np.ndarray[Any, np.dtype[np.int64]]
) -> bool:
    width = int(second.max()) + 1
    if OFTEN * max(int(first.max()) + 1, width) > len(first):
        return False
    one, other = _entropy(first), _entropy(second)
    if not one or not other or min(one, other) < CLOSE * max(one, other):
        return False
    return one + other - _entropy(first * width + second) >= CLOSE * max(one, other)


def _entropy(codes: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(max(0.0, -(shares * np.log2(shares)).sum()))


def _equal(left: pa.Array, right: pa.Array) -> bool:
    if left.type != right.type or len(left.unique()) < 2:
        return False
    return (pc.sum(pc.equal(left, right)).as_py() or 0) >= CLOSE * len(left)
