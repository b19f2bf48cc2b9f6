"""Rows put together by group, rows put in order, and equal rows found, on all cores.

Rows go to their groups in one pass over as many write positions as there are groups. Tags are
grouped by some of their bits first, so that each group's table or sort stays in a core's cache.
Of tags, word 1 is whole and uniform; word 0 may hold fewer bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel
from psi.kernels.simd import parallel_rows, readonly, room_for, threads

__all__ = ["group_rows", "join", "sort_tags"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Index = np.ndarray[Any, np.dtype[np.int64]]
Groups = np.ndarray[Any, np.dtype[np.int32]]

_PARTITION = 1 << 13
"""Rows of a partition, about: with their table they fit into a core's second cache."""
_FINE = 11
"""Bits by which a partition is sorted further: a few tags each are left to insertion."""
_LAST = np.uint64((1 << _FINE) - 1)


@kernel
def _count_pieces(low, high, group, step, counts):  # type: ignore[no-untyped-def]
    for piece in range(low, high):
        for i in range(piece * step, min((piece + 1) * step, len(group))):
            counts[piece, group[i]] += 1


@kernel
def _scatter_pieces(low, high, rows, group, step, places, out, index):  # type: ignore[no-untyped-def]
    """`places[piece, g]`: where this piece's first row of group g goes; it is moved on."""
    for piece in range(low, high):
        for i in range(piece * step, min((piece + 1) * step, len(group))):
            place = places[piece, group[i]]
            places[piece, group[i]] = place + 1
            index[place] = i
            if rows.shape[1] == 4:
                out[place, 0], out[place, 1] = rows[i, 0], rows[i, 1]
                out[place, 2], out[place, 3] = rows[i, 2], rows[i, 3]
            elif rows.shape[1] == 2:
                out[place, 0], out[place, 1] = rows[i, 0], rows[i, 1]
            else:
                for word in range(rows.shape[1]):
                    out[place, word] = rows[i, word]


def group_rows(
    rows: Words, group: Groups, groups: int, into: Words | None = None
) -> tuple[Words, Groups, Index]:
    """Rows in the order of their groups, which row each was, and where each group begins.

    `rows: uint64[n, w]`, `group: int32[n]` below `groups`; rows of one group keep their order.
    To `uint64[n, w]` (`into`, if it is given), `int32[n]`, `int64[groups + 1]`.
    """
    if len(group) != len(rows) or (len(group) and not 0 <= group.min() <= group.max() < groups):
        raise ValueError("a group for each row is needed, below their number")
    pieces = 4 * threads() if len(rows) > 1 << 14 else 1
    step = -(-len(rows) // pieces)
    counts = np.zeros((pieces, groups), np.int64)
    parallel_rows(_count_pieces, pieces, readonly(group), step, counts, block=1, least=1)
    ends = np.cumsum(counts.T.reshape(-1)).reshape(groups, pieces).T
    places = np.ascontiguousarray(ends - counts)
    starts = np.zeros(groups + 1, np.int64)
    np.cumsum(counts.sum(axis=0), out=starts[1:])
    out = room_for(rows.shape, into)
    index = np.empty(len(rows), np.int32)
    inputs = readonly(rows), readonly(group), step, places, out, index
    parallel_rows(_scatter_pieces, pieces, *inputs, block=1, least=1)
    return out, index, starts


@kernel
def _bits_rows(low, high, tags, shift, mask, out):  # type: ignore[no-untyped-def]
    for i in range(low, high):
        out[i] = (tags[i, 1] >> shift) & mask


def _partitioned(tags: Words, bits: int, shift: int) -> tuple[Words, Groups, Index]:
    group = np.empty(len(tags), np.int32)
    mask = np.uint64((1 << bits) - 1)
    args = readonly(tags), np.uint64(shift), mask, group
    parallel_rows(_bits_rows, len(tags), *args, least=1 << 14)
    return group_rows(tags, group, 1 << bits)


def _partition_bits(rows: int) -> int:
    return min(14, max(0, (rows // _PARTITION).bit_length()))


@kernel
def _sort_partitions(low, high, starts, shift, tags, index):  # type: ignore[no-untyped-def]
    """Sort each partition by its tags: by some more bits into a buffer, then by insertion."""
    most = np.int64(0)
    for p in range(low, high):
        most = max(most, starts[p + 1] - starts[p])
    held, rows = np.empty((most, 2), np.uint64), np.empty(most, np.int32)
    places = np.empty((1 << _FINE) + 1, np.int64)
    for p in range(low, high):
        first, count = starts[p], starts[p + 1] - starts[p]
        places[:] = 0
        for i in range(first, first + count):
            places[((tags[i, 1] >> shift) & _LAST) + np.uint64(1)] += 1
        for g in range(1 << _FINE):
            places[g + 1] += places[g]
        for i in range(first, first + count):
            g = (tags[i, 1] >> shift) & _LAST
            at = places[g]
            places[g] = at + 1
            held[at, 0], held[at, 1], rows[at] = tags[i, 0], tags[i, 1], index[i]
        for i in range(count):
            t0, t1, row, at = held[i, 0], held[i, 1], rows[i], first + i
            while at > first and (
                tags[at - 1, 1] > t1 or (tags[at - 1, 1] == t1 and tags[at - 1, 0] > t0)
            ):
                tags[at, 0], tags[at, 1] = tags[at - 1, 0], tags[at - 1, 1]
                index[at] = index[at - 1]
                at -= 1
            tags[at, 0], tags[at, 1], index[at] = t0, t1, row


def sort_tags(tags: Words, shared: int = 0) -> tuple[Words, Groups]:
    """Tags in ascending order (word 1, then word 0), and which row each was.

    `uint64[n, 2]` to the same and `int32[n]`. Tags are taken to be uniform but for their leading
    `shared` bits, which are the same in all: others are sorted too, but slowly.
    """
    bits = _partition_bits(len(tags))
    shift = 64 - shared - bits
    out, index, starts = _partitioned(tags, bits, shift if bits else 0)
    args = readonly(starts), np.uint64(shift - _FINE), out, index
    parallel_rows(_sort_partitions, len(starts) - 1, *args, block=1, least=1)
    return out, index


@kernel
def _join_partitions(  # type: ignore[no-untyped-def]
    low, high, mine, own, my_starts, theirs, peer, their_starts, shift, partner
):
    """partner[own row] = the peer's row with the same tag; tables are made of the peer's."""
    most = np.int64(0)
    for p in range(low, high):
        most = max(most, their_starts[p + 1] - their_starts[p])
    size = 16
    while size < 2 * most:
        size *= 2
    table, mask = np.empty(size, np.int32), np.uint64(size - 1)
    for p in range(low, high):
        first, last = their_starts[p], their_starts[p + 1]
        table[:] = -1
        for i in range(first, last):
            at = (theirs[i, 1] >> shift) & mask
            while table[at] >= 0:
                at = (at + np.uint64(1)) & mask
            table[at] = i - first
        for i in range(my_starts[p], my_starts[p + 1]):
            at = (mine[i, 1] >> shift) & mask
            while table[at] >= 0:
                other = first + table[at]
                if theirs[other, 1] == mine[i, 1] and theirs[other, 0] == mine[i, 0]:
                    partner[own[i]] = peer[other]
                    break
                at = (at + np.uint64(1)) & mask


def join(mine: Words, theirs: Words) -> Index:
    """For each own tag the peer's row with the same, or -1: `uint64[n, w]` each to `int64[n]`.

    A tag is a row's first two words. Where the peer repeats one, its first row stands.
    """
    bits = _partition_bits(max(len(mine), len(theirs)))
    ours, peers = _partitioned(mine, bits, 0), _partitioned(theirs, bits, 0)
    partner = np.full(len(mine), -1, np.int64)
    inputs = [readonly(x) for x in (*ours, *peers)]
    parallel_rows(_join_partitions, 1 << bits, *inputs, np.uint64(bits), partner, block=1, least=1)
    return partner
