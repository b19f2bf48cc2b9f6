"""Tags in buckets by their leading bits, so that large sets meet one bucket at a time.

Tags are outputs of a hash under the sender's key: their leading bits say nothing of an item
(buckets by an item's prefix would). Every part that a role receives or computes is spread over
the buckets of a `Store` at once; what must be in memory at the end is one bucket of both sides
and the matches, however large the sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.grouping import group_rows, join
from psi.protocol import Store, gathered

__all__ = ["BUCKET", "bucket_bits", "meet", "meet_opened", "spread"]

BUCKET = 1 << 21
"""Rows a bucket holds, about: 100 MB for both sides and their tables."""

Index = np.ndarray[Any, np.dtype[np.int64]]
Tags = np.ndarray[Any, np.dtype[np.uint64]]
_NONE = np.empty((0, 3), np.uint64)
_HALF, _ROW = np.uint64(32), np.uint64(2**32 - 1)


def bucket_bits(rows: int) -> int:
    """How many leading bits name a bucket, for a set of so many rows."""
    return max(0, (-(-rows // BUCKET) - 1).bit_length())


def spread(
    store: Store,
    name: str,
    part: int,
    tags: Tags,
    start: int,
    bits: int,
    extra: np.ndarray | None = None,
) -> None:
    """Put `tags: uint64[m, 2]`, those of rows `start` onwards, into the buckets as one part.

    `extra`: 32 bits with each, or none of them (see `meet_opened`).
    """
    rows = np.empty((len(tags), 3), np.uint64)
    rows[:, :2] = tags
    rows[:, 2] = np.arange(start, start + len(tags), dtype=np.uint64)
    if extra is not None and extra.size:
        rows[:, 2] |= extra.reshape(-1).astype(np.uint64) << _HALF
    if bits == 0:
        store.put(f"{name}.0", part, rows)
        return
    bucket = (tags[:, 1] >> np.uint64(64 - bits)).astype(np.int32)
    grouped, _, starts = group_rows(rows, bucket, 1 << bits)
    for number in range(1 << bits):
        store.put(f"{name}.{number}", part, grouped[starts[number] : starts[number + 1]])


def meet(
    store: Store, own: tuple[str, int], peer: tuple[str, int], rows: int, bits: int
) -> tuple[Index, Index]:
    """Rows with equal tags: (own rows, ascending; the peer's rows).

    `own` and `peer` are a name and how many parts were spread; `rows` is the number of own rows.
    """
    return meet_opened(store, own, peer, rows, bits)[:2]


def meet_opened(
    store: Store, own: tuple[str, int], peer: tuple[str, int], rows: int, bits: int
) -> tuple[Index, Index, np.ndarray]:
    """The same, and the exclusive or of what was put with both tags: a number under its pad."""
    partner, opened = np.full(rows, -1, np.int64), np.zeros(rows, np.uint32)
    for number in range(1 << bits):
        mine, theirs = (
            gathered(store, f"{name}.{number}", parts, _NONE) for name, parts in (own, peer)
        )
        found = join(mine, theirs)
        here = np.flatnonzero(found >= 0)
        left, right = mine[here, 2], theirs[found[here], 2]
        row = (left & _ROW).astype(np.int64)
        partner[row] = (right & _ROW).astype(np.int64)
        opened[row] = ((left ^ right) >> _HALF).astype(np.uint32)
    matched = np.flatnonzero(partner >= 0)
    return matched, partner[matched], opened[matched]
