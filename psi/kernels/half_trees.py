"""Half-trees: trees of seeds whose levels all add up to one secret, and sums of their leaves.

The value holder has the secret Δ and the first node Q of each row's tree; below, a node x has the
children H(x) and x + H(x), so every level adds up to Δ. The bin holder has all nodes but those on
the path to its row's bin b. Bit l of a leaf's number is the way that its path goes below level l.

Leaf k of row i gives lanes s_ik: blocks E(key_j, s(x)) + s(x) under the keys of a batch, cut into
unsigned integers of 16, 32 or 64 bits. Both sides add them over the leaves of a row (`row_sums`)
and over the rows of a leaf (`bin_sums`), modulo 2^bits. The bin holder has a wrong leaf at b, which
stands in both of its sums alike, so what is computed does not depend on b; the two nodes a level
that are mended are found by b in the pack's own working memory.

A tree that was made for a random number b' serves any b: with `turns` x = b + b' (bit by bit,
public then) both sides turn its leaves round, leaf k standing where k + x was.

Keys are public: one for `GROUP` rows' trees and one for each block of a batch and group. Where the
CPU has no AES the same is computed by OpenSSL's, a group at a time.

Source: Guo et al. 2022 (eprint 2022/1431).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import half_trees_portable as portable
from psi.kernels.aes_streams import expanded_keys
from psi.kernels.cache import kernel, part
from psi.kernels.half_tree_steps import (
    PACK,
    PIECES,
    grow_both,
    grow_left,
    spread16,
    spread32,
    spread64,
    weigh,
)
from psi.kernels.half_trees_portable import GROUP, LeafSums, groups_of
from psi.kernels.simd import block_path, readonly

__all__ = [
    "GROUP",
    "LANES",
    "BinTrees",
    "LeafSums",
    "bin_lookup",
    "bin_pass",
    "groups_of",
    "value_lookup",
    "value_pass",
]

LANES = (16, 32, 64)
"""Bits of a lane."""
_MULTIPLE = 64
"""Rows come in multiples of so many: words of choice bits, and whole packs."""

Words = np.ndarray[Any, np.dtype[np.uint64]]
Keys = np.ndarray[Any, np.dtype[np.uint8]]
Bins = np.ndarray[Any, np.dtype[np.uint16]]
BinTrees = Words
"""`uint64[depth, n, 2]`: of each level the sum of the nodes beside the path."""


@part
def _leaves(nodes, size, blocks, bits, keys, key, sums, rows):  # type: ignore[no-untyped-def]
    """Lanes of all leaves of a pack, added up both ways."""
    rows[:] = np.uint64(0)
    for j in range(blocks):
        if bits == 16:
            for k in range(size):
                spread16(nodes, k, keys, key + j, sums, k * blocks + j, rows, j)
        elif bits == 32:
            for k in range(size):
                spread32(nodes, k, keys, key + j, sums, k * blocks + j, rows, j)
        else:
            for k in range(size):
                spread64(nodes, k, keys, key + j, sums, k * blocks + j, rows, j)


@part
def _kept(rows, blocks, base, row_sums):  # type: ignore[no-untyped-def]
    for j in range(blocks):
        for t in range(PACK):
            for w in range(2):
                row_sums[base + t, 2 * j + w] = rows[2 * (j * PACK + t) + w]


@part
def _turned(turns, base, level, masks):  # type: ignore[no-untyped-def]
    """All ones for the trees whose children change sides on this level."""
    for t in range(PACK):
        mask = np.uint64(0) - np.uint64((turns[base + t] >> level) & 1)
        masks[2 * t], masks[2 * t + 1] = mask, mask


@part
def _grow_values(  # type: ignore[no-untyped-def]
    depth, base, first, turns, delta, tree_keys, told, nodes, masks, left
):
    """The leaves of a pack from its first nodes; `told` gets sums of first children."""
    group = base // GROUP
    for t in range(PACK):
        right = np.uint64(0) - np.uint64(turns[base + t] & 1)
        for w in range(2):
            nodes[2 * t + w] = first[base + t, w] ^ (delta[w] & right)
            nodes[2 * (PACK + t) + w] = first[base + t, w] ^ (delta[w] & ~right)
    for level in range(1, depth):
        half = 1 << level
        _turned(turns, base, level, masks)
        left[:] = np.uint64(0)
        for j in range(half):
            grow_left(nodes, j, half, tree_keys, group, masks, left)
        if told.shape[0]:
            for t in range(PACK):
                for w in range(2):
                    told[base + t, level - 1, w] = left[2 * t + w]


@part
def _grow_bins(  # type: ignore[no-untyped-def]
    depth, base, bins, turns, beside, tree_keys, nodes, masks, both
):
    """The leaves of a pack but those on the rows' paths, from the sums beside them."""
    group = base // GROUP
    for t in range(PACK):
        on = np.uint64(0) - np.uint64(bins[base + t] & 1)  # all ones where the path goes right
        for w in range(2):
            value = beside[0, base + t, w]
            nodes[2 * t + w] = value & on
            nodes[2 * (PACK + t) + w] = value & ~on
    for level in range(1, depth):
        half = 1 << level
        _turned(turns, base, level, masks)
        both[:] = np.uint64(0)
        for j in range(half):
            grow_both(nodes, j, half, tree_keys, group, masks, both)
        for t in range(PACK):
            b = np.int64(bins[base + t])
            path = b & (half - 1)
            right = np.uint64(0) - np.uint64((b >> level) & 1)
            for w in range(2):
                first, second = 2 * (path * PACK + t) + w, 2 * ((path + half) * PACK + t) + w
                told = beside[level, base + t, w]
                # both children of the missing node are wrong: the one beside the path becomes
                # what its level's sum says, the other zero
                mended_first = nodes[first] ^ both[2 * t + w] ^ told
                mended_second = nodes[second] ^ both[2 * (PACK + t) + w] ^ told
                nodes[first] = mended_first & right
                nodes[second] = mended_second & ~right


@kernel
def _value_rows(  # type: ignore[no-untyped-def]
    depth, blocks, bits, first, turns, delta, tree_keys, leaf_keys, told, row_sums, sums
):
    size, masks = 1 << depth, np.empty(2 * PACK, np.uint64)
    nodes, left = np.empty(size * PACK * 2, np.uint64), np.zeros(4 * PACK, np.uint64)
    rows = np.empty(max(1, blocks) * PACK * 2, np.uint64)
    for base in range(0, first.shape[0], PACK):
        _grow_values(depth, base, first, turns, delta, tree_keys, told, nodes, masks, left)
        if blocks:
            key = base // GROUP * blocks
            _leaves(nodes, size, blocks, bits, leaf_keys, key, sums, rows)
            _kept(rows, blocks, base, row_sums)


@kernel
def _bin_rows(  # type: ignore[no-untyped-def]
    depth, blocks, bits, bins, turns, beside, tree_keys, leaf_keys, row_sums, sums
):
    size, masks = 1 << depth, np.empty(2 * PACK, np.uint64)
    nodes, both = np.empty(size * PACK * 2, np.uint64), np.zeros(4 * PACK, np.uint64)
    rows = np.empty(max(1, blocks) * PACK * 2, np.uint64)
    for base in range(0, bins.shape[0], PACK):
        _grow_bins(depth, base, bins, turns, beside, tree_keys, nodes, masks, both)
        if blocks:
            key = base // GROUP * blocks
            _leaves(nodes, size, blocks, bits, leaf_keys, key, sums, rows)
            _kept(rows, blocks, base, row_sums)


@part
def _weighted(nodes, size, blocks, keys, key, table, rows, products):  # type: ignore[no-untyped-def]
    rows[:], products[:] = np.uint64(0), np.uint64(0)
    for j in range(blocks):
        for k in range(size):
            weigh(nodes, k, keys, key + j, rows, products, j, table[k, 2 * j], table[k, 2 * j + 1])


@kernel
def _value_lookup(  # type: ignore[no-untyped-def]
    depth, blocks, first, turns, delta, tree_keys, leaf_keys, table, told, row_sums, products
):
    """`products: uint64[n]` gets the sum of all lanes of a row times their weights."""
    size, masks = 1 << depth, np.empty(2 * PACK, np.uint64)
    nodes, left = np.empty(size * PACK * 2, np.uint64), np.zeros(4 * PACK, np.uint64)
    rows, each = np.empty(blocks * PACK * 2, np.uint64), np.empty(blocks * PACK * 2, np.uint64)
    for base in range(0, first.shape[0], PACK):
        _grow_values(depth, base, first, turns, delta, tree_keys, told, nodes, masks, left)
        _weighted(nodes, size, blocks, leaf_keys, base // GROUP * blocks, table, rows, each)
        _kept(rows, blocks, base, row_sums)
        _totals(each, blocks, base, products)


@kernel
def _bin_lookup(  # type: ignore[no-untyped-def]
    depth, blocks, bins, turns, beside, tree_keys, leaf_keys, table, row_sums, products
):
    size, masks = 1 << depth, np.empty(2 * PACK, np.uint64)
    nodes, both = np.empty(size * PACK * 2, np.uint64), np.zeros(4 * PACK, np.uint64)
    rows, each = np.empty(blocks * PACK * 2, np.uint64), np.empty(blocks * PACK * 2, np.uint64)
    for base in range(0, bins.shape[0], PACK):
        _grow_bins(depth, base, bins, turns, beside, tree_keys, nodes, masks, both)
        _weighted(nodes, size, blocks, leaf_keys, base // GROUP * blocks, table, rows, each)
        _kept(rows, blocks, base, row_sums)
        _totals(each, blocks, base, products)


@part
def _totals(each, blocks, base, products):  # type: ignore[no-untyped-def]
    for t in range(PACK):
        total = np.uint64(0)
        for j in range(blocks):
            total += each[2 * (j * PACK + t)] + each[2 * (j * PACK + t) + 1]
        products[base + t] = total


def value_pass(
    first: Words,
    turns: Bins,
    delta: Words,
    depth: int,
    tree_keys: Keys,
    *,
    told: bool = False,
    blocks: int = 0,
    bits: int = 64,
    leaf_keys: Keys | None = None,
) -> tuple[Words, LeafSums]:
    """The value holder's trees of some rows of one column.

    Args:
        first: `uint64[n, 2]`, n a multiple of 64: node 0 of level 1; node 1 is that plus Δ.
        turns: `uint16[n]`, x of each row; zeros while trees are made.
        delta: `uint64[2]`.
        depth: levels, 1 to 12; a tree has 2^depth leaves.
        tree_keys: `uint8[groups_of(n), 16]`, public.
        told: whether the sums of left nodes of the levels below the first are wanted.
        blocks: of 128 bits that each leaf gives; 0 for none.
        bits: of a lane, one of `LANES`.
        leaf_keys: `uint8[groups_of(n) * blocks, 16]`, public, never used before on these trees.

    Returns:
        The left sums `uint64[n, depth - 1, 2]` (no rows if not `told`), and the leaves' sums.
    """
    rows = len(first)
    _check(rows, depth, tree_keys, blocks, bits, leaf_keys, turns)
    left = np.zeros((rows if told else 0, depth - 1, 2), np.uint64)
    if block_path() == "portable":
        leaves = portable.value_leaves(first, turns, delta, depth, tree_keys, left)
        return left, portable.sums(leaves, rows, depth, blocks, bits, leaf_keys)
    row_sums, sums = _room(rows, depth, blocks)
    keys = _expanded(tree_keys), _expanded(leaf_keys if leaf_keys is not None else tree_keys[:1])
    given = readonly(first), readonly(turns), readonly(delta)
    _value_rows(depth, blocks, bits, *given, *keys, left, row_sums, sums)
    return left, (row_sums, _folded(sums, depth, blocks, bits))


def bin_pass(
    bins: Bins,
    turns: Bins,
    beside: BinTrees,
    tree_keys: Keys,
    *,
    blocks: int = 0,
    bits: int = 64,
    leaf_keys: Keys | None = None,
) -> LeafSums:
    """The bin holder's trees of the same rows: its leaves' sums.

    Args:
        bins: `uint16[n]`, b of each row, below 2^depth.
        turns: `uint16[n]`: x of each row, its tree being one for b + x; zeros for trees of b.
        beside: `uint64[depth, n, 2]`: of each level the sum of the nodes on the side that the path
            does not take.
        tree_keys, blocks, bits, leaf_keys: as in `value_pass`.
    """
    depth, rows = len(beside), len(bins)
    _check(rows, depth, tree_keys, blocks, bits, leaf_keys, turns)
    if rows and int(bins.max()) >> depth:
        raise ValueError(f"a bin beyond the {1 << depth} leaves")
    if block_path() == "portable":
        leaves = portable.bin_leaves(bins, turns, beside, tree_keys)
        return portable.sums(leaves, rows, depth, blocks, bits, leaf_keys)
    row_sums, sums = _room(rows, depth, blocks)
    keys = _expanded(tree_keys), _expanded(leaf_keys if leaf_keys is not None else tree_keys[:1])
    given = readonly(bins), readonly(turns), readonly(beside)
    _bin_rows(depth, blocks, bits, *given, *keys, row_sums, sums)
    return row_sums, _folded(sums, depth, blocks, bits)


def value_lookup(
    first: Words, turns: Bins, delta: Words, tree_keys: Keys, leaf_keys: Keys, table: Words
) -> tuple[Words, Words]:
    """Of each row, its lanes' sums over the leaves, and those weighted by a public table.

    Args:
        first, turns, delta, tree_keys: as in `value_pass`.
        leaf_keys: `uint8[groups_of(n) * blocks, 16]`, for half as many blocks as lanes.
        table: `uint64[2^depth, lanes]`, an even number of lanes: the weight of each leaf.

    Returns:
        `uint64[n, lanes]` and `uint64[n]`.
    """
    rows, depth, blocks = len(first), *_table(table)
    _check(rows, depth, tree_keys, blocks, 64, leaf_keys, turns)
    row_sums, products = np.empty((rows, 2 * blocks), np.uint64), np.empty(rows, np.uint64)
    if block_path() == "portable":
        none = np.zeros((0, 0, 2), np.uint64)
        leaves = portable.value_leaves(first, turns, delta, depth, tree_keys, none)
        portable.lookup(leaves, leaf_keys, table, row_sums, products)
        return row_sums, products
    none = np.zeros((0, depth - 1, 2), np.uint64)
    given = readonly(first), readonly(turns), readonly(delta)
    keys = _expanded(tree_keys), _expanded(leaf_keys), readonly(table)
    _value_lookup(depth, blocks, *given, *keys, none, row_sums, products)
    return row_sums, products


def bin_lookup(
    bins: Bins, turns: Bins, beside: BinTrees, tree_keys: Keys, leaf_keys: Keys, table: Words
) -> tuple[Words, Words]:
    """The bin holder's side of `value_lookup`; its wrong leaf is in both results."""
    rows, depth, blocks = len(bins), *_table(table)
    _check(rows, depth, tree_keys, blocks, 64, leaf_keys, turns)
    if depth != len(beside):
        raise ValueError(f"a table of {len(table)} leaves for trees of {len(beside)} levels")
    row_sums, products = np.empty((rows, 2 * blocks), np.uint64), np.empty(rows, np.uint64)
    if block_path() == "portable":
        leaves = portable.bin_leaves(bins, turns, beside, tree_keys)
        portable.lookup(leaves, leaf_keys, table, row_sums, products)
        return row_sums, products
    given = readonly(bins), readonly(turns), readonly(beside)
    keys = _expanded(tree_keys), _expanded(leaf_keys), readonly(table)
    _bin_lookup(depth, blocks, *given, *keys, row_sums, products)
    return row_sums, products


def _table(table: Words) -> tuple[int, int]:
    """Levels and blocks of a table's trees."""
    size, lanes = table.shape
    if lanes % 2 or not lanes or size & (size - 1) or size < 2:
        raise ValueError(f"a table of shape {table.shape}")
    return size.bit_length() - 1, lanes // 2


def _check(
    rows: int,
    depth: int,
    tree_keys: Keys,
    blocks: int,
    bits: int,
    leaf_keys: Keys | None,
    turns: Bins,
) -> None:
    groups = groups_of(rows)
    if turns.shape != (rows,):
        raise ValueError(f"turns of shape {turns.shape} for {rows} rows")
    if rows % _MULTIPLE or not 1 <= depth <= 12 or bits not in LANES:
        raise ValueError(f"{rows} rows, {depth} levels, lanes of {bits} bits")
    if tree_keys.shape != (groups, 16):
        raise ValueError(f"keys of shape {tree_keys.shape} for {groups} groups")
    if blocks and (leaf_keys is None or leaf_keys.shape != (groups * blocks, 16)):
        raise ValueError(f"{groups * blocks} keys of leaves are needed")


def _room(rows: int, depth: int, blocks: int) -> tuple[Words, Words]:
    size = (1 << depth) * max(1, blocks) * PIECES * 2
    return np.empty((rows, 2 * blocks), np.uint64), np.zeros(size, np.uint64)


def _expanded(keys: Keys) -> Words:
    return readonly(expanded_keys(keys).reshape(-1))


def _folded(sums: Words, depth: int, blocks: int, bits: int) -> np.ndarray[Any, Any]:
    """Pieces of the sums over rows, added up: lanes `[2^depth, blocks * 128 / bits]`."""
    kind, size = np.dtype(f"u{bits // 8}"), 1 << depth
    if not blocks:
        return np.zeros((size, 0), kind)
    pieces = sums.reshape(size, blocks, PIECES, 2).view(kind)
    return np.ascontiguousarray(pieces.sum(axis=2, dtype=kind).reshape(size, -1))
