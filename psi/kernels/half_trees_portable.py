"""Half-trees where the CPU has no AES: by OpenSSL's, a group of rows at a time.

OpenSSL computes AES without tables that a secret indexes where the CPU has byte shuffles (SSSE3),
by bit slices or permutations; on others it may not. Slow: some 40 us a row of 128 bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from psi.kernels import aes

__all__ = ["GROUP", "LeafSums", "bin_leaves", "groups_of", "lookup", "sums", "value_leaves"]

GROUP = 1024
"""Rows whose trees are made under one public key."""

Words = np.ndarray[Any, np.dtype[np.uint64]]
Keys = np.ndarray[Any, np.dtype[np.uint8]]
Bins = np.ndarray[Any, np.dtype[np.uint16]]
LeafSums = tuple[Words, np.ndarray[Any, Any]]
"""`row_sums: uint64[n, 2 * blocks]`, and `bin_sums`: lanes `[2^depth, blocks * 128 / bits]`."""


def groups_of(rows: int) -> int:
    """Public keys that the trees of so many rows take."""
    return -(-rows // GROUP)


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


def _room(rows: int, depth: int, blocks: int, bits: int) -> LeafSums:
    kind = np.dtype(f"u{bits // 8}")
    bin_sums = np.zeros((1 << depth, blocks * 128 // bits), kind)
    return np.empty((rows, 2 * blocks), np.uint64), bin_sums


def value_leaves(
    first: Words, turns: Bins, delta: Words, depth: int, tree_keys: Keys, told: Words
) -> Iterator[tuple[int, slice, Words]]:
    """Each group's leaves, `uint64[2^depth, rows, 2]`."""
    for group, rows in _groups(len(first)):
        change = _changes(turns[rows], 0)
        nodes = np.stack([first[rows] ^ (delta & change), first[rows] ^ (delta & ~change)])
        for level in range(1, depth):
            left = _h(tree_keys[group].tobytes(), nodes)
            left ^= nodes & _changes(turns[rows], level)
            if len(told):
                told[rows, level - 1] = np.bitwise_xor.reduce(left, axis=0)
            nodes = np.concatenate([left, nodes ^ left])
        yield group, rows, nodes


def bin_leaves(
    bins: Bins, turns: Bins, beside: Words, tree_keys: Keys
) -> Iterator[tuple[int, slice, Words]]:
    for group, rows in _groups(len(bins)):
        own = bins[rows].astype(np.int64)
        each, place = np.arange(len(own)), own & 1
        nodes = np.zeros((2, len(own), 2), np.uint64)
        nodes[1 - place, each] = beside[0, rows]
        for level in range(1, len(beside)):
            half = 1 << level
            left = _h(tree_keys[group].tobytes(), nodes)
            left ^= nodes & _changes(turns[rows], level)
            nodes = np.concatenate([left, nodes ^ left])
            sums = np.bitwise_xor.reduce(nodes.reshape(2, half, len(own), 2), axis=1)
            way = own >> level & 1
            there = (own & (half - 1)) + (1 - way) * half
            nodes[there, each] ^= sums[1 - way, each] ^ beside[level, rows]
            nodes[(own & (half - 1)) + way * half, each] = 0
        yield group, rows, nodes


def sums(
    leaves: Iterator[tuple[int, slice, Words]],
    rows: int,
    depth: int,
    blocks: int,
    bits: int,
    leaf_keys: Keys | None,
) -> LeafSums:
    row_sums, bin_sums = _room(rows, depth, blocks, bits)
    for group, part_of, nodes in leaves:
        if leaf_keys is not None and blocks:
            keys = [k.tobytes() for k in leaf_keys[group * blocks : (group + 1) * blocks]]
            _added(nodes, keys, bits, row_sums[part_of], bin_sums)
    return row_sums, bin_sums


def lookup(
    leaves: Iterator[tuple[int, slice, Words]],
    leaf_keys: Keys,
    table: Words,
    row_sums: Words,
    products: Words,
) -> None:
    blocks = table.shape[1] // 2
    products[:] = 0
    for group, rows, nodes in leaves:
        for j in range(blocks):
            lanes = _h(leaf_keys[group * blocks + j].tobytes(), nodes)
            row_sums[rows, 2 * j : 2 * j + 2] = lanes.sum(axis=0, dtype=np.uint64)
            weighted = lanes * table[:, None, 2 * j : 2 * j + 2]
            products[rows] += weighted.sum(axis=(0, 2), dtype=np.uint64)
