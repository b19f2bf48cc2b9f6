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

from collections.abc import Iterator
from typing import Any

import numpy as np

from psi.kernels import aes
from psi.kernels.aes import KEY_WORDS
from psi.kernels.cache import kernel, part
from psi.kernels.half_tree_steps import (
    PACK,
    PIECES,
    grow_both,
    grow_left,
    spread16,
    spread32,
    spread64,
)
from psi.kernels.simd import block_path, readonly

__all__ = ["GROUP", "LANES", "BinTrees", "LeafSums", "bin_pass", "groups_of", "value_pass"]

GROUP = 1024
"""Rows whose trees are made under one public key."""
LANES = (16, 32, 64)
"""Bits of a lane."""
_MULTIPLE = 64
"""Rows come in multiples of so many: words of choice bits, and whole packs."""

Words = np.ndarray[Any, np.dtype[np.uint64]]
Keys = np.ndarray[Any, np.dtype[np.uint8]]
Bins = np.ndarray[Any, np.dtype[np.uint16]]
LeafSums = tuple[Words, np.ndarray[Any, Any]]
"""`row_sums: uint64[n, 2 * blocks]`, and `bin_sums`: lanes `[2^depth, blocks * 128 / bits]`."""
BinTrees = Words
"""`uint64[depth, n, 2]`: of each level the sum of the nodes beside the path."""


def groups_of(rows: int) -> int:
    """Public keys that the trees of so many rows take."""
    return -(-rows // GROUP)


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


@kernel
def _value_rows(  # type: ignore[no-untyped-def]
    depth, blocks, bits, first, turns, delta, tree_keys, leaf_keys, told, row_sums, sums
):
    """Trees from their first nodes; `told: uint64[n, depth - 1, 2]` gets sums of first children."""
    size, masks = 1 << depth, np.empty(2 * PACK, np.uint64)
    nodes, left = np.empty(size * PACK * 2, np.uint64), np.zeros(4 * PACK, np.uint64)
    rows = np.empty(max(1, blocks) * PACK * 2, np.uint64)
    for base in range(0, first.shape[0], PACK):
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
        if blocks:
            _leaves(nodes, size, blocks, bits, leaf_keys, group * blocks, sums, rows)
            _kept(rows, blocks, base, row_sums)


@kernel
def _bin_rows(  # type: ignore[no-untyped-def]
    depth, blocks, bits, bins, turns, beside, tree_keys, leaf_keys, row_sums, sums
):
    """Trees without their paths, from the sums beside them."""
    size, masks = 1 << depth, np.empty(2 * PACK, np.uint64)
    nodes, both = np.empty(size * PACK * 2, np.uint64), np.zeros(4 * PACK, np.uint64)
    rows = np.empty(max(1, blocks) * PACK * 2, np.uint64)
    for base in range(0, bins.shape[0], PACK):
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
                # the left and the right child of the missing node: both are wrong
                for w in range(2):
                    l, r = 2 * (path * PACK + t) + w, 2 * ((path + half) * PACK + t) + w  # noqa: E741
                    told = beside[level, base + t, w]
                    # the side beside the path becomes what its level's sum says, the other zero
                    mended_left = nodes[l] ^ both[2 * t + w] ^ told
                    mended_right = nodes[r] ^ both[2 * (PACK + t) + w] ^ told
                    nodes[l] = mended_left & right
                    nodes[r] = mended_right & ~right
        if blocks:
            _leaves(nodes, size, blocks, bits, leaf_keys, group * blocks, sums, rows)
            _kept(rows, blocks, base, row_sums)


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
        return left, _portable_values(
            first, turns, delta, depth, tree_keys, left, blocks, bits, leaf_keys
        )
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
        return _portable_bins(bins, turns, beside, tree_keys, blocks, bits, leaf_keys)
    row_sums, sums = _room(rows, depth, blocks)
    keys = _expanded(tree_keys), _expanded(leaf_keys if leaf_keys is not None else tree_keys[:1])
    given = readonly(bins), readonly(turns), readonly(beside)
    _bin_rows(depth, blocks, bits, *given, *keys, row_sums, sums)
    return row_sums, _folded(sums, depth, blocks, bits)


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
    return readonly(aes.expand(np.ascontiguousarray(keys)).reshape(-1, KEY_WORDS).reshape(-1))


def _folded(sums: Words, depth: int, blocks: int, bits: int) -> np.ndarray[Any, Any]:
    """Pieces of the sums over rows, added up: lanes `[2^depth, blocks * 128 / bits]`."""
    kind, size = np.dtype(f"u{bits // 8}"), 1 << depth
    if not blocks:
        return np.zeros((size, 0), kind)
    pieces = sums.reshape(size, blocks, PIECES, 2).view(kind)
    return np.ascontiguousarray(pieces.sum(axis=2, dtype=kind).reshape(size, -1))


# without the CPU's instructions


def _h(key: bytes, nodes: Words) -> Words:
    """H of nodes `uint64[..., 2]`."""
    turned = np.empty_like(nodes)
    turned[..., 0], turned[..., 1] = nodes[..., 0] ^ nodes[..., 1], nodes[..., 0]
    found = aes.encrypt(key, turned.reshape(-1, 2)).reshape(nodes.shape)
    return np.asarray(found ^ turned)


def _changes(turns: Bins, level: int) -> Words:
    """All ones, `uint64[rows, 1]`, where children change sides."""
    return (np.uint64(0) - (turns.astype(np.uint64) >> np.uint64(level) & np.uint64(1)))[:, None]


def _groups(rows: int) -> Iterator[tuple[int, slice]]:
    for group in range(groups_of(rows)):
        yield group, slice(group * GROUP, min((group + 1) * GROUP, rows))


def _added(
    nodes: Words, keys: list[bytes], bits: int, row_sums: Words, bin_sums: np.ndarray[Any, Any]
) -> None:
    """Lanes of the leaves `uint64[size, rows, 2]` of one group."""
    kind, per = np.dtype(f"u{bits // 8}"), 128 // bits
    for j, key in enumerate(keys):
        lanes = _h(key, nodes).view(kind)
        row_sums[:, 2 * j : 2 * j + 2] = lanes.sum(axis=0, dtype=kind).view(np.uint64)
        bin_sums[:, j * per : (j + 1) * per] += lanes.sum(axis=1, dtype=kind)


def _portable_room(rows: int, depth: int, blocks: int, bits: int) -> LeafSums:
    kind = np.dtype(f"u{bits // 8}")
    bin_sums = np.zeros((1 << depth, blocks * 128 // bits), kind)
    return np.empty((rows, 2 * blocks), np.uint64), bin_sums


def _portable_values(
    first: Words,
    turns: Bins,
    delta: Words,
    depth: int,
    tree_keys: Keys,
    told: Words,
    blocks: int,
    bits: int,
    leaf_keys: Keys | None,
) -> LeafSums:
    row_sums, bin_sums = _portable_room(len(first), depth, blocks, bits)
    for group, rows in _groups(len(first)):
        change = _changes(turns[rows], 0)
        nodes = np.stack([first[rows] ^ (delta & change), first[rows] ^ (delta & ~change)])
        for level in range(1, depth):
            left = _h(tree_keys[group].tobytes(), nodes)
            left ^= nodes & _changes(turns[rows], level)
            if len(told):
                told[rows, level - 1] = np.bitwise_xor.reduce(left, axis=0)
            nodes = np.concatenate([left, nodes ^ left])
        if leaf_keys is not None and blocks:
            keys = [k.tobytes() for k in leaf_keys[group * blocks : (group + 1) * blocks]]
            _added(nodes, keys, bits, row_sums[rows], bin_sums)
    return row_sums, bin_sums


def _portable_bins(
    bins: Bins,
    turns: Bins,
    beside: BinTrees,
    tree_keys: Keys,
    blocks: int,
    bits: int,
    leaf_keys: Keys | None,
) -> LeafSums:
    depth = len(beside)
    row_sums, bin_sums = _portable_room(len(bins), depth, blocks, bits)
    for group, rows in _groups(len(bins)):
        own = bins[rows].astype(np.int64)
        each, place = np.arange(len(own)), own & 1
        nodes = np.zeros((2, len(own), 2), np.uint64)
        nodes[1 - place, each] = beside[0, rows]
        for level in range(1, depth):
            half = 1 << level
            left = _h(tree_keys[group].tobytes(), nodes)
            left ^= nodes & _changes(turns[rows], level)
            nodes = np.concatenate([left, nodes ^ left])
            sums = np.bitwise_xor.reduce(nodes.reshape(2, half, len(own), 2), axis=1)
            way = own >> level & 1
            there = (own & (half - 1)) + (1 - way) * half
            nodes[there, each] ^= sums[1 - way, each] ^ beside[level, rows]
            nodes[(own & (half - 1)) + way * half, each] = 0
        if leaf_keys is not None and blocks:
            keys = [k.tobytes() for k in leaf_keys[group * blocks : (group + 1) * blocks]]
            _added(nodes, keys, bits, row_sums[rows], bin_sums)
    return row_sums, bin_sums
