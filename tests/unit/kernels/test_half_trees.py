"""Half-trees at both sides against plain sums, for every depth and lane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from psi.kernels import aes
from psi.kernels.half_trees import (
    GROUP,
    bin_lookup,
    bin_pass,
    groups_of,
    value_lookup,
    value_pass,
)
from psi.kernels.transposition import columns_of

Words = np.ndarray[Any, np.dtype[np.uint64]]


def words(rng: np.random.Generator, *shape: int) -> Words:
    return rng.integers(0, 2**64, shape, dtype=np.uint64)


def keys(rng: np.random.Generator, count: int) -> Any:
    return rng.integers(0, 256, (count, 16), dtype=np.uint8)


class Dealt:
    """Trees of n rows for random numbers, by a dealer's transfers."""

    def __init__(self, rows: int, depth: int, seed: int) -> None:
        rng = self.rng = np.random.default_rng(seed)
        self.rows, self.depth = rows, depth
        self.made = rng.integers(0, 1 << depth, rows).astype(np.uint16)
        self.delta, q = words(rng, 2), words(rng, depth, rows, 2)
        choice = np.stack([1 - (self.made >> level & 1) for level in range(depth)])
        self.tree_keys = keys(rng, groups_of(rows))
        none = np.zeros(rows, np.uint16)
        told, _ = value_pass(q[0], none, self.delta, depth, self.tree_keys, told=True)
        self.first = q[0]
        self.beside = q ^ choice.astype(np.uint64)[:, :, None] * self.delta
        self.beside[1:] ^= told.swapaxes(0, 1) ^ q[1:]

    def sums(self, bins: Any, values: Any, bits: int) -> tuple[Any, Any]:
        """Shares of the histogram of `values: uint[n, lanes]`: the bin holder's, the other's."""
        kind = np.dtype(f"u{bits // 8}")
        blocks = -(-values.shape[1] * bits // 128)
        leaf = keys(self.rng, groups_of(self.rows) * blocks)
        turns = self.made ^ bins
        given: dict[str, Any] = {"blocks": blocks, "bits": bits, "leaf_keys": leaf}
        _, (row_sums, own) = value_pass(
            self.first, turns, self.delta, self.depth, self.tree_keys, **given
        )
        mine, share = bin_pass(bins, turns, self.beside, self.tree_keys, **given)
        lanes = values.shape[1]
        sent = values + row_sums.view(kind)[:, :lanes]
        np.add.at(share[:, :lanes], bins, sent - mine.view(kind)[:, :lanes])
        return share, own


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 7, 8])
def test_shares_of_a_histogram_add_up(bits: int, depth: int) -> None:
    dealt = Dealt(192, depth, bits + depth)
    rng = np.random.default_rng(1)
    kind = np.dtype(f"u{bits // 8}")
    for lanes in (1, 128 // bits, 2 * 128 // bits):
        bins = rng.integers(0, 1 << depth, dealt.rows).astype(np.uint16)
        values = words(rng, dealt.rows, lanes).astype(kind)
        share, own = dealt.sums(bins, values, bits)
        wanted = np.zeros((1 << depth, lanes), kind)
        np.add.at(wanted, bins, values)
        assert np.array_equal((share - own)[:, :lanes], wanted)
        # a bin without a row, and both ends of the ring
        assert not (share - own)[np.setdiff1d(np.arange(1 << depth), bins)].any()


def test_rows_of_several_groups_and_of_depth_twelve() -> None:
    for rows, depth in ((GROUP + 64, 4), (64, 12)):
        dealt = Dealt(rows, depth, 3)
        bins = np.arange(rows).astype(np.uint16) & np.uint16((1 << depth) - 1)
        share, own = dealt.sums(bins, np.full((rows, 1), np.uint64(2**64 - 1)), 64)
        wanted = np.zeros(1 << depth, np.uint64)
        np.subtract.at(wanted, bins, np.uint64(1))
        assert np.array_equal((share - own)[:, 0], wanted)


def test_a_leaf_is_what_the_paper_says() -> None:
    rng = np.random.default_rng(5)
    first, delta, tree, leaf = words(rng, 64, 2), words(rng, 2), keys(rng, 1), keys(rng, 1)

    def h(key: Any, x: Words) -> Words:
        turned = np.stack([x[:, 0] ^ x[:, 1], x[:, 0]], axis=1)
        return np.asarray(aes.encrypt(key.tobytes(), turned) ^ turned)

    level = [first, first ^ delta]
    left = [h(tree[0], x) for x in level]
    nodes = left + [x ^ y for x, y in zip(level, left, strict=True)]
    wanted = sum(h(leaf[0], x) for x in nodes)
    none = np.zeros(64, np.uint16)
    told, (rows, sums) = value_pass(
        first, none, delta, 2, tree, told=True, blocks=1, bits=64, leaf_keys=leaf
    )
    assert np.array_equal(told[:, 0], left[0] ^ left[1])
    assert np.array_equal(rows, wanted)
    assert np.array_equal(sums[3], h(leaf[0], nodes[3]).sum(axis=0, dtype=np.uint64))
    assert np.array_equal(nodes[0] ^ nodes[1] ^ nodes[2] ^ nodes[3], np.tile(delta, (64, 1)))


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_lookups_give_shares_of_products_row_by_row(depth: int) -> None:
    for rows, lanes in ((64, 2), (GROUP + 64, 6)):
        dealt = Dealt(rows, depth, depth)
        rng = np.random.default_rng(2)
        bins = rng.integers(0, 1 << depth, rows).astype(np.uint16)
        table, values = words(rng, 1 << depth, lanes), words(rng, rows, lanes)
        leaf, turns = keys(rng, groups_of(rows) * lanes // 2), dealt.made ^ bins
        pads, own = value_lookup(dealt.first, turns, dealt.delta, dealt.tree_keys, leaf, table)
        sent = values + pads
        mine, found = bin_lookup(bins, turns, dealt.beside, dealt.tree_keys, leaf, table)
        share = found + (table[bins] * (sent - mine)).sum(axis=1, dtype=np.uint64)
        wanted = (table[bins] * values).sum(axis=1, dtype=np.uint64)
        assert np.array_equal(share - own, wanted)


def test_shapes_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(5)
    none, tree = np.zeros(64, np.uint16), keys(rng, 1)
    with pytest.raises(ValueError, match="keys of leaves"):
        value_pass(words(rng, 64, 2), none, words(rng, 2), 2, tree, blocks=1)
    with pytest.raises(ValueError, match="63 rows"):
        value_pass(words(rng, 63, 2), none[:63], words(rng, 2), 2, tree)
    with pytest.raises(ValueError, match="beyond the 4 leaves"):
        bin_pass(none + np.uint16(4), none, words(rng, 2, 64, 2), tree)


def test_columns_of_bits() -> None:
    rows = words(np.random.default_rng(6), 128, 3)
    bits = np.unpackbits(rows.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    packed = np.packbits(np.ascontiguousarray(bits.T), axis=1, bitorder="little")
    wanted = np.ascontiguousarray(packed).view("<u8")
    assert np.array_equal(columns_of(rows), wanted)
