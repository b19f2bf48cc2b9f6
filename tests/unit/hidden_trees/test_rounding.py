"""Shared scores rounded by a circuit, and leaves in groups: against numpy."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from federated.hidden_trees.groups import first_leaves, groups_of, inside_of, offered_values
from federated.hidden_trees.plan import (
    MOST_LEAF,
    TOLD_BITS,
    TOLD_REACH,
    VALUE_BITS,
    ring_bits,
    rounding_bytes,
    score_step,
)
from federated.hidden_trees.rounding import (
    circuit,
    coloured_by,
    labels_of_rows,
    margins,
    numbers,
    offsets,
    opened,
    rows_of,
    share_bits,
    units_of_leaf,
)
from federated.hidden_trees.slopes import UNIT_BITS
from federated.trees.plan import MOST_TREES
from federated.trees.splitting.transfers import Gives
from psi.protocol import PeerError
from tests.unit.trees.world import World

NONCE = b"n" * 32
RING = ring_bits(20)


def transfers(bits: np.ndarray) -> tuple[Gives, np.ndarray]:
    """What both sides of a transfer have: rows and Δ, and the rows of the choices."""
    rng = np.random.default_rng(secrets.randbits(64))
    rows = rng.integers(0, 1 << 64, (len(bits), 2), dtype=np.uint64)
    delta = rng.integers(0, 1 << 64, 2, dtype=np.uint64) | np.array([1, 0], np.uint64)
    return Gives(rows, delta), rows ^ np.where(bits[:, None] != 0, delta, np.uint64(0))


def shared(units: np.ndarray, ring: int) -> tuple[np.ndarray, np.ndarray]:
    one = np.random.default_rng(7).integers(0, 1 << ring, units.shape)
    both = one, (units - one) & ((1 << ring) - 1)
    return both[0].astype(np.uint32), both[1].astype(np.uint32)


@pytest.mark.parametrize("bits", [1, 5, 12])
def test_a_shared_score_is_rounded_down_to_its_step_exactly(bits: int) -> None:
    rng = np.random.default_rng(bits)
    far, step = 1 << (TOLD_BITS - 1), 1 << (TOLD_BITS - bits)
    units = rng.integers(-far, far, 3000)
    units[:4] = [0, -1, step - 1, -step]
    begins = rng.integers(0, step, 3000).astype(np.uint32)
    begins[:4] = 0
    units = np.minimum(units, far - 1 - begins.astype(np.int64))
    one, two = shared(units, RING)
    gives, labels = transfers(share_bits(two, RING))
    gates, none = circuit(gives, one + begins, bits, NONCE)
    found = opened(none, coloured_by(labels, gates, bits, NONCE, RING), begins)
    assert np.array_equal(found[:4], units[:4] // step * step + step // 2)
    assert np.array_equal((found + begins) // step, (units + begins) // step)
    score = units * 2.0**-VALUE_BITS
    assert np.abs(margins(0.5, found) - 0.5 - score).max() <= score_step(bits) / 2


@pytest.mark.parametrize("bits", [1, 2, 5, 12])
def test_a_score_that_lies_further_than_is_told_is_told_as_the_last_step(bits: int) -> None:
    far, step = 1 << (TOLD_BITS - 1), 1 << (TOLD_BITS - bits)
    whole = 1 << (RING - 1)
    ends = [2 * far, 4 * far, whole - 1, -4 * far, -4 * far - 1, -whole]
    beyond = np.array([far, far + 1, 2 * far - 1, -far - 1, -far - step, -2 * far, *ends])
    one, two = shared(beyond, RING)
    gives, labels = transfers(share_bits(two, RING))
    gates, none = circuit(gives, one, bits, NONCE)
    found = opened(none, coloured_by(labels, gates, bits, NONCE, RING), np.zeros(12, np.uint32))
    assert np.array_equal(found, np.sign(beyond) * (far - step // 2))
    assert far * 2.0**-VALUE_BITS == TOLD_REACH
    # a garbled AND is two blocks: what the contract's limit of bytes is made of
    assert rounding_bytes(20, bits) >= 4 * RING + 16 * len(gates) / 12 + bits / 8


def test_steps_begin_where_a_row_s_own_bins_say_and_anywhere() -> None:
    rng = np.random.default_rng(8)
    bins = [rng.integers(0, 32, 4000).astype(np.uint16) for _ in range(3)]
    found = offsets(b"t" * 32, bins, 5)
    assert np.array_equal(offsets(b"t" * 32, [own[7:9] for own in bins], 5), found[7:9])
    share = found / 2.0 ** (TOLD_BITS - 5)
    assert share.max() < 1
    # twenty parts of 200: sd 13.8
    assert np.abs(np.histogram(share, 20, (0, 1))[0] - 200).max() < 6 * 13.8
    assert (offsets(b"u" * 32, bins, 5) != found).mean() > 0.99


def test_shares_of_a_training_keep_their_sum() -> None:
    """Low bits are dropped at both sides; what they add up to is not."""
    values = units_of_leaf(np.random.default_rng(1).uniform(-1, 1, 500))
    one, two = shared(values << (UNIT_BITS - VALUE_BITS), 32)
    one[:2], two[:2] = 0, (values[:2] << (UNIT_BITS - VALUE_BITS)) & 0xFFFFFFFF
    total = numbers(one, leads=True) + numbers(two, leads=False)
    assert np.array_equal(total & ((1 << RING) - 1), values & ((1 << RING) - 1))


@pytest.mark.parametrize("trees", [1, 20, 27, 28, 100, MOST_TREES])
def test_no_sum_of_leaves_wraps(trees: int) -> None:
    """Neither in training, on the score of no tree, nor at the end, where a step may come to it."""
    most, step = trees * MOST_LEAF, 2 * TOLD_REACH / 2
    assert most + step <= 2.0 ** (ring_bits(trees) - 1 - VALUE_BITS)
    assert most + 14 <= 2.0 ** (31 - UNIT_BITS)
    ring = ring_bits(trees)
    units = np.array([most, -most]) << VALUE_BITS
    one, two = shared(units, ring)
    gives, labels = transfers(share_bits(two, ring))
    gates, none = circuit(gives, one, 1, NONCE)
    found = opened(none, coloured_by(labels, gates, 1, NONCE, ring), np.zeros(2, np.uint32))
    assert np.array_equal(np.sign(found), [1, -1])


def test_a_row_tells_its_bits_and_colours_nothing_else() -> None:
    """Colours are coins to whoever lacks the labels for 0, also of one score."""
    one, two = shared(np.zeros(4000, np.int64), RING)
    gives, labels = transfers(share_bits(two, RING))
    gates, _ = circuit(gives, one, 5, NONCE)
    colours = np.unpackbits(coloured_by(labels, gates, 5, NONCE, RING))
    assert len(colours) == 20_000
    assert abs(colours.mean() - 0.5) < 6 * 0.5 / 20_000**0.5


def test_chunks_of_transfers_are_those_of_their_rows() -> None:
    one, two = shared(np.arange(100) * 2500, RING)
    gives, labels = transfers(share_bits(two, RING))
    at = slice(30, 70)
    gates, none = circuit(rows_of(gives, at, 100), one[at], 12, NONCE)
    colours = coloured_by(labels_of_rows(labels, at, 100), gates, 12, NONCE, RING)
    found = opened(none, colours, np.zeros(40, np.uint32))
    width = 1 << (TOLD_BITS - 12)
    assert np.array_equal(found, np.arange(30, 70) * 2500 // width * width + width // 2)
    with pytest.raises(PeerError, match="fewer gates"):
        coloured_by(labels, gates, 12, NONCE, RING)


def test_leaves_that_a_party_does_not_tell_apart_are_one_group() -> None:
    # the root is the partner's, and the right node of the second level
    won = np.array([[True, False, True], [False, False, False], [False, True, False]])
    groups = groups_of(won)
    assert groups.tolist() == [[0, 0, 1, 2], [-1, -1, -1, -1], [0, 1, -1, -1]]
    assert [first.tolist() for first in first_leaves(groups)] == [[0, 2, 3], [], [0, 1]]


def test_groups_values_add_up_to_the_leaf_s() -> None:
    world, rng = World.of(300, 4), np.random.default_rng(2)
    depth = 3
    won = rng.random(7) < 0.5
    mine = np.where(won, -1, rng.integers(0, world.layout_a.candidates, 7))
    theirs = np.where(won, rng.integers(0, world.layout_b.candidates, 7), -1)
    values = units_of_leaf(rng.uniform(-1, 1, 1 << depth))
    (groups,) = groups_of(won[None])
    (first,) = first_leaves(groups[None])
    inside, other = (
        inside_of(bins, layout, splits)
        for bins, layout, splits in (
            (world.a, world.layout_a, mine),
            (world.b, world.layout_b, theirs),
        )
    )
    offered, alone = offered_values(values, inside, groups)
    total = (offered * other[first]).sum(axis=0, dtype=np.uint32) + alone
    leaf = (inside & other).argmax(axis=0)
    assert np.array_equal(total.view(np.int32), values[leaf])
