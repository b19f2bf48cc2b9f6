"""How many bits a row of a party's table holds: the measure of its budget.

The plug-in estimate: the entropy of the rows' own frequencies, H = -sum p log2 p over the distinct
rows. It is what an insider who knows which rows there are, and how often each, does not know of
one of them. It is at most log2 of the number of rows, which is less than what columns of many
digits hold: a budget that is a share of it errs on the careful side.

Computed at home, over the whole table; nothing of it leaves but where a refusal or an officer says
so. Source: Miller 1955 for the bias of the estimate, which is downwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from psi.protocol import InputError

__all__ = ["joint_entropy"]

Words = np.ndarray[Any, np.dtype[np.uint64]]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def joint_entropy(table: pa.Table, columns: Sequence[str]) -> float:
    """Bits that a row holds in these columns together; 0 for no row or no column.

    A missing value is a value of its own. Rows are told apart by 64-bit words: two different ones
    pass for the same with a probability of 2^-64 a pair. Takes 8 bytes a row, whatever the number
    of columns, and those of one column. Raises `InputError` for columns of lists or records.
    """
    names = list(dict.fromkeys(columns))
    if not names or not len(table):
        return 0.0
    words = np.zeros(len(table), np.uint64)
    for name in names:
        for numbers in _numbers(table, name):
            words += numbers
            _mix(words)
    return _entropy(np.unique(words, return_counts=True)[1])


def _numbers(table: pa.Table, name: str) -> Iterator[Words]:
    """`uint64[rows]`, once or twice: equal values have equal numbers, missing ones too."""
    column = table.column(name).combine_chunks()
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        if column.null_count:
            yield column.is_null().to_numpy(zero_copy_only=False).astype(np.uint64)
            column = column.fill_null(pa.scalar(0).cast(kind))
        values = column.to_numpy(zero_copy_only=False)
        if pa.types.is_floating(kind):
            values = values.astype(np.float64) + 0.0  # one zero, and below one NaN
            values[np.isnan(values)] = np.nan
            yield values.view(np.uint64)
        else:
            yield values.astype(np.int64).view(np.uint64)
        return
    try:
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        coded = column.dictionary_encode(null_encoding="encode")
    except pa.ArrowException:
        raise InputError(f"column {name!r}: {kind} has no values that can be counted") from None
    yield coded.indices.to_numpy(zero_copy_only=False).astype(np.uint64)


def _mix(words: Words) -> None:
    """Stir in place: the finaliser of splitmix64 (Steele, Lea and Flood 2014), one to one."""
    words += _STEP
    words ^= words >> np.uint64(30)
    words *= _FIRST
    words ^= words >> np.uint64(27)
    words *= _SECOND
    words ^= words >> np.uint64(31)


def _entropy(counts: np.ndarray) -> float:
    shares = np.sort(counts) / counts.sum()  # sorted: whatever the order of rows and columns
    return float(max(0.0, -(shares * np.log2(shares)).sum()))
