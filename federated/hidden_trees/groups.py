"""Leaves that one party's splits do not tell apart go together: one transfer a row for all of them.

Whose a split is, both parties know of every node. On the way to a leaf the partner's splits have
each a side; leaves with the same splits and sides are a group. A row is within a group as far as
its partner's columns say, and of a group's leaves it reaches one at most by the other's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federated.hidden_trees.sides import leaves_of
from federated.trees.layout import Layout

__all__ = ["first_leaves", "groups_of", "inside_of", "offered_values"]

Bins = NDArray[np.uint16]
Mask = NDArray[np.bool_]
Shares = NDArray[np.uint32]
Whole = NDArray[np.int64]


def groups_of(won: Mask) -> Whole:
    """Of each leaf of each tree its group's number, in the order of leaves; -1: no split above it.

    Args:
        won: `bool[trees, 2^depth - 1]`, which nodes the partner splits, level by level.

    Returns:
        `int64[trees, 2^depth]`; numbers begin with 0 in each tree.
    """
    depth = (won.shape[1] + 1).bit_length() - 1
    found = np.full((len(won), 1 << depth), -1, np.int64)
    for tree, own in enumerate(won):
        seen: dict[tuple[tuple[int, int], ...], int] = {}
        for leaf in range(1 << depth):
            way = [
                (_node(leaf, level, depth), leaf >> (depth - 1 - level) & 1)
                for level in range(depth)
            ]
            sides = tuple(step for step in way if own[step[0]])
            if sides:
                found[tree, leaf] = seen.setdefault(sides, len(seen))
    return found


def _node(leaf: int, level: int, depth: int) -> int:
    """The node of a level that stands above a leaf."""
    return (1 << level) - 1 + (leaf >> (depth - level))


def first_leaves(groups: Whole) -> list[Whole]:
    """Of each tree the first leaf of each of its groups."""
    return [np.unique(own, return_index=True)[1][int(own.min() < 0) :] for own in groups]


def inside_of(bins: Sequence[Bins], layout: Layout, splits: Whole) -> Mask:
    """Which leaves of a tree each row may reach by own splits: `bool[leaves, n]`.

    splits: `int64[2^depth - 1]`, own candidates level by level, -1 where the other side splits.
    """
    depth = (len(splits) + 1).bit_length() - 1
    levels = [splits[(1 << level) - 1 : (2 << level) - 1] for level in range(depth)]
    return leaves_of(bins, layout, levels)


def offered_values(values: Whole, inside: Mask, groups: Whole) -> tuple[Shares, Shares]:
    """Of each of a tree's groups what a row gets if it is within: `uint32[groups, n]`; and at once.

    Args:
        values: of the leaves, in units.
        inside: which leaves rows may reach by the label party's splits.
        groups: of the leaves.

    Returns:
        The second is `uint32[n]`: the value of rows whose leaf has no split of the partner's above.
    """
    found = np.zeros((int(groups.max(initial=-1)) + 2, inside.shape[1]), np.uint32)
    for leaf, own in enumerate(groups):
        found[own] += inside[leaf] * np.uint32(values[leaf] & 0xFFFFFFFF)
    return found[:-1], found[-1]
