"""g and h of a level's rows, as shares, moved to the next level's nodes; leaves' values alike.

The owner of a node's split knows of each row on which side it lies, c. Of the weights w that both
share, its own part times c is its own affair; the other's part times c is one transfer a row, in
which the owner chooses by c. What goes left is what does not go right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federated.trees.layout import Layout
from federated.trees.splitting.products import chosen, given
from psi.protocol import PeerError

__all__ = ["below", "given_groups", "given_weights", "leaves_of", "sides_of", "taken_leaves"]
__all__ += ["taken_weights"]

Shares = NDArray[np.uint32]
Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]
Bins = NDArray[np.uint16]
U32 = np.uint32


def sides_of(bins: Sequence[Bins], layout: Layout, candidates: NDArray[np.int64]) -> Bits:
    """Of each split that is an own candidate, in the order of nodes, who goes right: `[k, n]`."""
    found = []
    for candidate in candidates[candidates >= 0]:
        column, left = layout.split(int(candidate))
        found.append(~left[bins[column]])
    return np.array(found, np.uint8).reshape(len(found), len(bins[0]))


def given_weights(weights: Shares, nodes: NDArray[np.int64], pads: Words) -> tuple[Shares, Shares]:
    """What is sent for the nodes that the other side splits, and the own share of what goes right.

    Args:
        weights: `uint32[n, nodes, 2]`.
        nodes: of this level, that the other side splits.
        pads: both of each transfer, `uint64[k * n, 2, 2]`.

    Returns:
        Both `uint32[k, n, 2]`.
    """
    own = np.ascontiguousarray(weights[:, nodes].swapaxes(0, 1))
    first, second = _numbers(pads[:, 0], own.shape), _numbers(pads[:, 1], own.shape)
    return given(first, second, own), U32(0) - first


def taken_weights(
    weights: Shares, nodes: NDArray[np.int64], bits: Bits, pads: Words, sent: Shares
) -> Shares:
    """The owner's share of what goes right in its nodes, `uint32[k, n, 2]`.

    bits: `uint8[k, n]`; pads: of its choices, `uint64[k * n, 2]`; sent: flat.
    """
    shape = (len(nodes), len(weights), 2)
    if len(sent) != shape[0] * shape[1] * 2:
        raise PeerError("products of another shape")
    on = bits[..., None]
    got = chosen(on, _numbers(pads, shape), sent.reshape(shape))
    return np.asarray(got + np.ascontiguousarray(weights[:, nodes].swapaxes(0, 1)) * on)


def below(weights: Shares, right: Shares) -> Shares:
    """Shares of the next level, `uint32[n, 2 * nodes, 2]`: left and right of each node.

    right: `uint32[nodes, n, 2]`.
    """
    rows, nodes, _ = weights.shape
    found = np.empty((rows, nodes, 2, 2), U32)
    found[:, :, 1] = right.swapaxes(0, 1)
    found[:, :, 0] = weights - found[:, :, 1]
    return found.reshape(rows, 2 * nodes, 2)


def leaves_of(
    bins: Sequence[Bins], layout: Layout, splits: Sequence[NDArray[np.int64]]
) -> NDArray[np.bool_]:
    """Which leaves each row may be in by a party's own splits: `bool[leaves, n]`.

    splits: of each level the nodes' own candidates, -1 where the other side splits.
    """
    inside = np.ones((1, len(bins[0])), np.bool_)
    for candidates in splits:
        right = np.zeros((len(candidates), len(bins[0])), np.bool_)
        mine = candidates >= 0
        right[mine] = sides_of(bins, layout, candidates).astype(np.bool_)
        apart = np.stack([inside & (~right | ~mine[:, None]), inside & (right | ~mine[:, None])])
        inside = apart.swapaxes(0, 1).reshape(2 * len(candidates), -1)
    return inside


def given_groups(offered: Shares, pads: Words) -> tuple[Shares, Shares]:
    """What is sent of values by groups `uint32[groups, n]`, and the own share `uint32[n]`.

    offered: what a row gets if it is within, of the same shape.
    """
    first, second = (pads[:, at, 0].astype(U32).reshape(offered.shape) for at in (0, 1))
    return given(first, second, offered), U32(0) - first.sum(axis=0, dtype=U32)


def taken_leaves(inside: NDArray[np.bool_], pads: Words, sent: Shares) -> Shares:
    """The other side's share of each row's value, `uint32[n]`.

    inside: of each group of leaves whether rows may be there, `bool[groups, n]`.
    """
    if len(sent) != inside.size:
        raise PeerError("values of leaves of another shape")
    own = pads[:, 0].astype(U32).reshape(inside.shape)
    got = chosen(inside.astype(np.uint8), own, sent.reshape(inside.shape))
    return np.asarray(got.sum(axis=0, dtype=U32))


def _numbers(pads: Words, shape: tuple[int, ...]) -> Shares:
    """Two numbers modulo 2^32 of the first word of each pad."""
    return np.ascontiguousarray(pads[:, 0]).view(U32).reshape(shape)
