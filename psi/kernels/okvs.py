"""An oblivious key-value store: one vector from which every encoded item's value can be read.

Items are 256-bit digests. A digest names a bin, three places among the bin's sparse columns,
a mask over its dense columns and a value of 128 bits; its equation says that the store's
elements at these places and under that mask add up to the value. `encode` solves all
equations, bin by bin: columns with one row left are peeled off, and rows that no peeling
reaches (the gap, nearly always empty) are solved by elimination over the dense columns.
`decode` adds up. Digest words: 0, 1 the value; 2 bin, first and second place; 3 third place
and mask. Places are taken from a word by products, so each leaves its remainder to the next.

Sources: Garimella et al. 2021 (eprint 2021/883); Raghuraman and Rindal 2022 (eprint 2022/320),
whose weight 3, bins and number of columns these are; `psi.vole.parameters` computes the sizes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels.cache import kernel, part
from psi.kernels.okvs_gap import close_gap
from psi.kernels.okvs_rows import DENSE, row_of
from psi.kernels.simd import parallel_rows, readonly

__all__ = ["DENSE", "LARGEST_BIN", "check", "decode", "dense_tables", "encode", "value_of"]

LARGEST_BIN = 1 << 16
"""Sparse columns of a bin at most: what the digest's words have bits for."""

Words = np.ndarray[Any, np.dtype[np.uint64]]
Index = np.ndarray[Any, np.dtype[np.int64]]


@part
def _toggle(columns, column, row, change):  # type: ignore[no-untyped-def]
    """Add or remove a row of a column: its count is above bit 32, the sum of its rows below."""
    value = columns[column]
    columns[column] = ((value + change) & np.uint64(0xFFFFFFFF00000000)) | (
        (value ^ np.uint64(row)) & np.uint64(0xFFFFFFFF)
    )


@part
def _peel(rows, columns, stack, order, pivots, live, gap):  # type: ignore[no-untyped-def]
    """Peel columns with one row left; how many rows were peeled and how many are in the gap.

    Where nothing can be peeled the first row that is left goes to the gap.
    """
    count, sparse = len(rows), len(columns)
    one, less = np.uint64(1), np.uint64(0) - (np.uint64(1) << np.uint64(32))
    top = peeled = held = scan = 0
    row, column = np.int64(0), np.int64(0)
    for start in range(sparse):
        if columns[start] >> np.uint64(32) == one:
            stack[top] = start
            top += 1
    live[:count] = True
    while peeled + held < count:
        if top == 0:
            while not live[scan]:
                scan += 1
            row = np.int64(scan)
            if held == len(gap):
                return peeled, -1
            gap[held] = row
            held += 1
        else:
            top -= 1
            column = np.int64(stack[top])
            if columns[column] >> np.uint64(32) != one:
                continue
            row = np.int64(columns[column] & np.uint64(0xFFFFFFFF))
            order[peeled], pivots[peeled] = row, column
            peeled += 1
        live[row] = False
        for k in range(3):
            column = np.int64(rows[row, k])
            _toggle(columns, column, row, less)
            if columns[column] >> np.uint64(32) == one:
                stack[top] = column
                top += 1
    return peeled, held


def _encoder(closing: bool) -> Any:
    """A kernel that solves bins low..high; `failed[b]` where there is a gap that is not closed.

    Nearly no set has a gap, and what closes them takes long to compile: a kernel of its own.
    """

    @kernel
    def encode_bins(low, high, digests, starts, bins, sparse, out, failed):  # type: ignore[no-untyped-def]
        most = np.int64(0)
        for b in range(low, high):
            most = max(most, starts[b + 1] - starts[b])
        rows = np.empty((most, 3), np.uint32)
        columns = np.empty(sparse, np.uint64)
        stack = np.empty(sparse + 3 * most, np.uint32)
        order, pivots = np.empty(most, np.uint32), np.empty(most, np.uint32)
        live = np.empty(most + 1, np.bool_)
        gap = np.empty(DENSE, np.int64)
        more = np.uint64(1) << np.uint64(32)
        for b in range(low, high):
            count, first = starts[b + 1] - starts[b], starts[b]
            store = out[b * (sparse + DENSE) : (b + 1) * (sparse + DENSE)]
            columns[:] = np.uint64(0)
            for r in range(count):
                places = row_of(digests[first + r, 2], digests[first + r, 3], bins, sparse)
                for k in range(3):
                    rows[r, k] = places[k]
                    _toggle(columns, np.int64(places[k]), r, more)
            peeled, held = _peel(rows[:count], columns, stack, order, pivots, live, gap)
            store[:] = np.uint64(0)
            for i in range(peeled - 1, -1, -1):
                row, pivot = np.int64(order[i]), np.int64(pivots[i])
                r0, r1, r2 = rows[row, 0], rows[row, 1], rows[row, 2]
                for word in range(2):
                    # the pivot's own element is still zero
                    value = digests[first + row, word] ^ store[r0, word] ^ store[r1, word]
                    store[pivot, word] = value ^ store[r2, word]
            failed[b] = held != 0
            if closing and held > 0:
                solved = close_gap(
                    digests[first : first + count], rows, order, pivots, peeled, gap, held,
                    bins, sparse, store,
                )  # fmt: skip
                failed[b] = not solved

    return encode_bins


_encode_bins, _encode_gaps = _encoder(False), _encoder(True)


@part
def dense_tables(store, sparse, tables):  # type: ignore[no-untyped-def]
    """tables[g, m] = sum of a bin's dense elements 8 g + i over the bits i of m."""
    for group in range(DENSE // 8):
        tables[group, 0, 0], tables[group, 0, 1] = np.uint64(0), np.uint64(0)
        for i in range(8):
            element, half = sparse + 8 * group + i, 1 << i
            for m in range(half):
                for word in range(2):
                    tables[group, half + m, word] = tables[group, m, word] ^ store[element, word]


@part
def value_of(w2, w3, bins, sparse, store, tables):  # type: ignore[no-untyped-def]
    """What a bin's elements hold for the item with these digest words."""
    r0, r1, r2, mask = row_of(w2, w3, bins, sparse)
    low = store[r0, 0] ^ store[r1, 0] ^ store[r2, 0]
    high = store[r0, 1] ^ store[r1, 1] ^ store[r2, 1]
    for group in range(DENSE // 8):
        chosen = (mask >> np.uint64(8 * group)) & np.uint64(255)
        low ^= tables[group, chosen, 0]
        high ^= tables[group, chosen, 1]
    return low, high


@kernel
def _decode_bins(low, high, digests, starts, bins, sparse, store, out):  # type: ignore[no-untyped-def]
    tables = np.empty((DENSE // 8, 256, 2), np.uint64)
    for b in range(low, high):
        mine = store[b * (sparse + DENSE) : (b + 1) * (sparse + DENSE)]
        if starts[b + 1] > starts[b]:
            dense_tables(mine, sparse, tables)
        for row in range(starts[b], starts[b + 1]):
            found = value_of(digests[row, 2], digests[row, 3], bins, sparse, mine, tables)
            out[row, 0], out[row, 1] = found


def encode(digests: Words, starts: Index, bins: int, sparse: int) -> Words | None:
    """The store of items sorted by bin, or None if some bin cannot be solved.

    `digests: uint64[n, 4]`; those of bin b of this part are `starts[b]` to `starts[b + 1]`
    (`int64[k + 1]`); `bins` is the number of bins of the whole set, which digests refer to.
    Elements: `uint64[k · (sparse + DENSE), 2]`. All digests must differ.
    """
    check(digests, starts, sparse)
    count = len(starts) - 1
    out = np.empty((count * (sparse + DENSE), 2), np.uint64)
    failed = np.zeros(count, np.bool_)
    args = readonly(digests), readonly(starts), bins, sparse, out, failed
    parallel_rows(_encode_bins, count, *args, block=1, least=1)
    for b in np.flatnonzero(failed):
        _encode_gaps(b, b + 1, *args)
    return None if failed.any() else out


def decode(digests: Words, starts: Index, bins: int, sparse: int, store: Words) -> Words:
    """What the store holds for each item: `uint64[n, 2]`; the rest as for `encode`."""
    check(digests, starts, sparse, store)
    count = len(starts) - 1
    out = np.empty((len(digests), 2), np.uint64)
    args = readonly(digests), readonly(starts), bins, sparse, readonly(store), out
    parallel_rows(_decode_bins, count, *args, block=1, least=1)
    return out


def check(digests: Words, starts: Index, sparse: int, store: Words | None = None) -> None:
    """Kernels check no bounds. Raises `ValueError` on what does not fit together."""
    if digests.ndim != 2 or digests.shape[1] != 4 or not 3 <= sparse <= LARGEST_BIN:
        raise ValueError(f"digests {digests.shape} and {sparse} sparse columns found")
    if starts[0] != 0 or starts[-1] != len(digests) or (np.diff(starts) < 0).any():
        raise ValueError("starts of bins that do not fit the digests")
    if store is not None and store.shape != ((len(starts) - 1) * (sparse + DENSE), 2):
        raise ValueError(f"a store {store.shape} for {len(starts) - 1} bins")
