"""Trees of seeds after Goldreich, Goldwasser and Micali: whole, and with one leaf missing.

A node x of tree i has the children E_k(x) + x, one under the left key of the tree and one under
its right key: AES under fixed keys that are public and belong to one tree of one session only,
so that whoever attacks hidden nodes attacks one tree at a time. Node j of level l has its left
child at j and its right one at j + 2^l of the next, so bit l of a leaf's number says which way
its path goes below level l.

Sources: Goldreich, Goldwasser and Micali 1986; Boyle et al. 2019 (eprint 2019/1159), for
punctured trees; Guo et al. 2020 (eprint 2019/074), for keys that are used again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from psi.kernels import aes
from psi.kernels.cache import kernel, part
from psi.kernels.ggm_steps import GROUP, step_group, step_one
from psi.kernels.simd import block_path, parallel_rows, readonly

__all__ = ["expand_trees", "punctured_trees"]

Words = np.ndarray[Any, np.dtype[np.uint64]]
Index = np.ndarray[Any, np.dtype[np.int64]]
Keys = np.ndarray[Any, np.dtype[np.uint8]]


@part
def _level(leaves, base, level, keys, tree, total):  # type: ignore[no-untyped-def]
    """One level down in place; `total` gets the children's sums, in pieces."""
    half = np.int64(1) << level
    total[:] = np.uint64(0)
    if half >= GROUP:
        for j in range(0, half, GROUP):
            step_group(leaves, base + j, half, keys, tree, total)
    else:
        for j in range(half):
            step_one(leaves, base + j, half, keys, tree, total)


@part
def _folded(total, side, word):  # type: ignore[no-untyped-def]
    value = np.uint64(0)
    for i in range(4):
        value ^= total[8 * side + 2 * i + word]
    return value


@kernel
def _expand_rows(low, high, depth, keys, leaves, sums):  # type: ignore[no-untyped-def]
    """Whole trees from the seeds in their first leaves."""
    total = np.empty(16, np.uint64)
    for tree in range(low, high):
        base = tree << depth
        for level in range(depth):
            _level(leaves, base, level, keys, tree, total)
            for side in range(2):
                for word in range(2):
                    sums[tree, level, side, word] = _folded(total, side, word)


@kernel
def _puncture_rows(  # type: ignore[no-untyped-def]
    low, high, depth, keys, missing, siblings, totals, room
):
    """Trees without the path to leaf missing[i], from the sums beside that path.

    The leaves go to the last two words of the room's rows, after zeros, the missing one so that
    all of its tree add up to totals[i].
    """
    size, column = np.int64(1) << depth, room.shape[1] - 2
    leaves, total = np.empty((size, 2), np.uint64), np.empty(16, np.uint64)
    for tree in range(low, high):
        path = 0
        leaves[0, 0], leaves[0, 1] = np.uint64(0), np.uint64(0)
        for level in range(depth):
            _level(leaves, 0, level, keys, tree, total)
            bit = (missing[tree] >> level) & 1
            # both children of the unknown node are wrong: one is put right, one becomes unknown
            beside = path + ((1 - bit) << level)
            path += bit << level
            for word in range(2):
                known = _folded(total, 1 - bit, word)
                leaves[beside, word] ^= known ^ siblings[tree, level, word]
                leaves[path, word] = np.uint64(0)
        first, second = totals[tree, 0], totals[tree, 1]
        base = tree << depth
        for i in range(size):
            first ^= leaves[i, 0]
            second ^= leaves[i, 1]
            for word in range(column):
                room[base + i, word] = np.uint64(0)
            room[base + i, column], room[base + i, column + 1] = leaves[i, 0], leaves[i, 1]
        room[base + path, column], room[base + path, column + 1] = first, second


def _portable(
    depth: int, keys: Keys, leaves: Words, missing: Index | None, siblings: Words | None
) -> Words:
    """The same by OpenSSL's AES, tree by tree: sums of both sides of every level."""
    trees = leaves.reshape(-1, 1 << depth, 2)
    sums = np.empty((len(trees), depth, 2, 2), np.uint64)
    for i, tree in enumerate(trees):
        path = 0
        pair = [bytes(key) for key in keys[i]]
        for level in range(depth):
            half = 1 << level
            nodes = tree[:half].copy()
            for side in range(2):
                tree[side * half : (side + 1) * half] = aes.encrypt(pair[side], nodes) ^ nodes
            halves = tree[: 2 * half].reshape(2, half, 2)
            sums[i, level] = np.bitwise_xor.reduce(halves, axis=1)
            if missing is not None and siblings is not None:
                bit = int(missing[i]) >> level & 1
                beside, path = path + ((1 - bit) << level), path + (bit << level)
                tree[beside] ^= sums[i, level, 1 - bit] ^ siblings[i, level]
                tree[path] = 0
    return sums


def expand_trees(
    seeds: Words, keys: Keys, depth: int, into: Words | None = None
) -> tuple[Words, Words]:
    """All leaves, and the sums of left and of right nodes of every level.

    `seeds: uint64[t, 2]`, `keys: uint8[t, 2, 16]` (left, right), depth at least 1, to
    `leaves: uint64[t · 2^depth, 2]` (`into`, if it is given) and `sums: uint64[t, depth, 2, 2]`.
    """
    leaves = _leaves(len(seeds), depth, into)
    leaves[:: 1 << depth] = seeds
    if block_path() == "portable":
        return leaves, _portable(depth, keys, leaves, None, None)
    sums = np.empty((len(seeds), depth, 2, 2), np.uint64)
    parallel_rows(_expand_rows, len(seeds), depth, _expanded(keys), leaves, sums)
    return leaves, sums


def punctured_trees(
    missing: Index, siblings: Words, totals: Words, keys: Keys, depth: int, room: Words
) -> None:
    """All leaves but `missing[i]` of tree i, and that one so that they add up to `totals[i]`.

    `siblings: uint64[t, depth, 2]`: of each level the sum of the nodes on the side that the
    path does not take. `totals: uint64[t, 2]`. The leaves go to the last two columns of the first
    t · 2^depth rows of `room: uint64[m, w]`, zeros to the others.
    """
    count, size = len(missing), 1 << depth
    if room.ndim != 2 or room.shape[1] < 2 or len(room) < count * size:
        raise ValueError(f"a room {room.shape} for {count} trees of {size} leaves")
    if siblings.shape != (count, depth, 2) or totals.shape != (count, 2):
        raise ValueError(f"sums {siblings.shape} and {totals.shape} for {count} trees")
    if count and not 0 <= missing.min() <= missing.max() < size:
        raise ValueError("a leaf that its tree does not have")
    if block_path() == "portable":
        leaves = np.zeros((count * size, 2), np.uint64)
        _portable(depth, keys, leaves, missing, siblings)
        sums = np.bitwise_xor.reduce(leaves.reshape(count, size, 2), axis=1)
        leaves[np.arange(count) * size + missing] = sums ^ totals
        room[: count * size, :-2], room[: count * size, -2:] = 0, leaves
        return
    inputs = _expanded(keys), readonly(missing), readonly(siblings), readonly(totals)
    parallel_rows(_puncture_rows, count, depth, *inputs, room)


def _leaves(trees: int, depth: int, into: Words | None) -> Words:
    shape = trees << depth, 2
    if into is None:
        return np.zeros(shape, np.uint64)
    if into.shape != shape or not into.flags.c_contiguous:
        raise ValueError(f"room of shape {into.shape} for leaves of shape {shape}")
    return into


def _expanded(keys: Keys) -> Words:
    """Round keys of both keys of every tree, one after the other."""
    return readonly(aes.expand(keys.reshape(-1, 16)).reshape(-1))
