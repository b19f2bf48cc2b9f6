"""Equal tags found: an open-addressing hash table over 128-bit tags.

Tags are outputs of a hash, so their own low bits serve as the place in the table.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel, part
from psi.kernels.simd import readonly

__all__ = ["first_occurrences", "match"]

Tags = np.ndarray[Any, np.dtype[np.uint64]]
Index = np.ndarray[Any, np.dtype[np.int64]]


@part
def _insert(tags, row, table, mask):  # type: ignore[no-untyped-def]
    """The row that holds this tag: an earlier one, or `row` itself, which is then entered."""
    place = np.int64(tags[row, 0] & mask)
    while table[place] >= 0:
        other = table[place]
        if tags[other, 0] == tags[row, 0] and tags[other, 1] == tags[row, 1]:
            return other
        place = np.int64(np.uint64(place + 1) & mask)
    table[place] = row
    return row


@kernel
def _first_rows(tags, table, mask, out):  # type: ignore[no-untyped-def]
    for row in range(len(tags)):
        out[row] = _insert(tags, row, table, mask)


@kernel
def _match_rows(receiver, sender, table, mask, out):  # type: ignore[no-untyped-def]
    for row in range(len(sender)):
        _insert(sender, row, table, mask)
    for row in range(len(receiver)):
        place = np.int64(receiver[row, 0] & mask)
        out[row] = -1
        while table[place] >= 0:
            other = table[place]
            if sender[other, 0] == receiver[row, 0] and sender[other, 1] == receiver[row, 1]:
                out[row] = other
                break
            place = np.int64(np.uint64(place + 1) & mask)


def _table(rows: int) -> tuple[Index, np.uint64]:
    size = 1 << max(4, (2 * rows).bit_length())
    return np.full(size, -1, np.int64), np.uint64(size - 1)


def match(receiver: Tags, sender: Tags) -> Index:
    """For each of the receiver's tags the sender's row with the same, or -1: `int64[n]`.

    Where the sender repeats a tag, its first row stands.
    """
    table, mask = _table(len(sender))
    out = np.empty(len(receiver), np.int64)
    tags = readonly(receiver), readonly(sender)
    _match_rows(*tags, table, mask, out)
    return out


def first_occurrences(tags: Tags) -> Index:
    """For each row the first row with the same tag: `int64[n]`."""
    table, mask = _table(len(tags))
    out = np.empty(len(tags), np.int64)
    _first_rows(readonly(tags), table, mask, out)
    return out
