"""Tables of slopes, moved weights, sums and scores as they are told: against numpy."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from federated.hidden_trees.plan import REACH, SUM_NOISE, VALUE_BITS, HiddenPlan
from federated.hidden_trees.reach import begun, held
from federated.hidden_trees.sides import below, leaves_of, sides_of
from federated.hidden_trees.slopes import INDEX, UNIT_BITS, indices, opened, units_of, written
from federated.hidden_trees.sums import (
    adjusted,
    leaf_values,
    noise_left,
    sums_opened,
    sums_told,
)
from psi.protocol import PeerError
from tests.unit.hidden_trees.world import ROWS, plan
from tests.unit.trees.world import World

U32 = np.uint32
_UNITS = np.array([2.0**8, 2.0**10])


def shares(numbers: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Of whole numbers, modulo 2^32."""
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 1 << 32, numbers.shape, dtype=np.uint64).astype(U32)
    return one, numbers.astype(np.int64).astype(U32) - one


def test_looked_up_slopes_are_those_of_the_score_to_half_a_step() -> None:
    rows = 5000  # two pieces
    rng = np.random.default_rng(1)
    score = rng.uniform(-6, 6, rows)
    mine, theirs = shares(np.rint(score * 2.0**UNIT_BITS))
    used = rng.random(rows) < 0.8
    pads = rng.integers(0, 1 << 63, (rows, INDEX, 2, 2), dtype=np.uint64)
    rest = rng.integers(0, 1 << 32, (rows, 2), dtype=np.uint64).astype(U32)
    nonce = b"n" * 32
    entries = written(mine, used, rest, pads, nonce)
    bits = indices(theirs).reshape(rows, INDEX)
    keys = pads[np.arange(rows)[:, None], np.arange(INDEX), bits]
    got = (opened(theirs, entries.reshape(-1), keys, nonce) + rest).view(np.int32)
    assert not got[~used].any()
    found = got[used] / _UNITS
    p = 1 / (1 + np.exp(-score[used]))
    # the slope of p is 1/4 at most, a step 1, of which a row is off by half; and roundings
    assert np.abs(found[:, 0] - p).max() < 0.25 * 0.5 + 2**-7
    assert np.abs(found[:, 1] - p * (1 - p)).max() < 0.1 * 0.5 + 2**-9
    # no row on the same place of its step as the next: no bias
    assert abs((found[:, 0] - p).mean()) < 6 * 0.08 / used.sum() ** 0.5
    with pytest.raises(PeerError, match="another shape"):
        opened(theirs, entries.reshape(-1)[:-1], keys, nonce)


def test_other_entries_and_other_columns_have_other_pads() -> None:
    """Both tables of a row hang on the same keys: not on the same pads."""
    score, used = np.zeros(64, U32), np.zeros(64, np.bool_)
    pads = np.random.default_rng(2).integers(0, 1 << 63, (64, INDEX, 2, 2), dtype=np.uint64)
    given = score, used, np.zeros((64, 2), U32), pads
    entries = written(*given, b"n" * 32)
    assert len(np.unique(entries)) > 0.99 * entries.size
    assert not np.array_equal(entries, written(*given, b"m" * 32))


def test_scores_within_reach_have_their_own_slopes() -> None:
    """Though the partner chooses by six bits: 64 steps are a part of the ring."""
    rows, nonce = 3000, b"n" * 32
    rng = np.random.default_rng(4)
    score = np.linspace(-REACH, REACH, rows)
    mine, theirs = shares(np.rint(score * 2.0**UNIT_BITS))
    pads = rng.integers(0, 1 << 63, (rows, INDEX, 2, 2), dtype=np.uint64)
    rest, used = np.zeros((rows, 2), U32), np.ones(rows, np.bool_)
    entries = written(mine, used, rest, pads, nonce)
    bits = indices(theirs).reshape(rows, INDEX)
    keys = pads[np.arange(rows)[:, None], np.arange(INDEX), bits]
    found = opened(theirs, entries.reshape(-1), keys, nonce) / _UNITS
    step = np.floor(theirs / 2.0**UNIT_BITS) + 0.5  # the middle of the partner's own step
    place = (np.floor(mine / 2.0 ** (UNIT_BITS - 8)) + 0.5) * 2.0**-8 + step
    place = (place + 32) % 64 - 32
    assert np.abs(place - score).max() < 0.51
    p = 1 / (1 + np.exp(-place))
    assert np.array_equal(found[:, 0], np.rint(p * 2**8) / 2**8)
    assert np.array_equal(found[:, 1], np.maximum(1, np.rint(p * (1 - p) * 2**10)) / 2**10)


def test_sums_are_told_with_their_noise_and_in_16_bits() -> None:
    terms = plan()
    rng = np.random.default_rng(3)
    true = np.stack([rng.integers(-(2**20), 2**20, 400), rng.integers(0, 2**20, 400)], axis=1)
    mine, theirs = shares(true)
    told = sums_told(terms, theirs, secrets.token_bytes)
    found = sums_opened(terms, mine, told)
    step = 2**terms.sum_dropped / _UNITS
    off = (found - true) / _UNITS
    # noise, and of the bits that are not told a share's half a step each way: uniform, sd step/√12
    sd = np.sqrt(np.array(SUM_NOISE) ** 2 + step**2 / 12)
    high = true[:, 1] > 6 * SUM_NOISE[1] * _UNITS[1]  # H ends at one unit
    assert (np.abs(off.mean(axis=0))[0] < 6 * sd[0] / 20).all()
    assert abs(off[high, 1].mean()) < 6 * sd[1] / high.sum() ** 0.5
    assert abs(off[:, 0].std() / sd[0] - 1) < 6 / np.sqrt(2 * 400)
    for rows in (ROWS, 1 << 16, 1 << 18):
        wide = plan(rows)
        assert wide.sum_range - wide.sum_dropped <= 16
        assert 2**wide.sum_dropped >= SUM_NOISE[0] * 2**8
    with pytest.raises(PeerError, match="another shape"):
        sums_opened(terms, mine, told[:-1])
    with pytest.raises(PeerError, match="another shape"):
        sums_opened(terms, mine, told | np.uint16(1 << 15))


def test_sums_of_two_children_and_their_parent_are_brought_together() -> None:
    """Of many trees of three levels the noise that is left is as small as it is said to be."""
    rng = np.random.default_rng(5)
    leaves = rng.integers(10**6, 2 * 10**6, (20_000, 4, 2))
    true = [leaves.sum(axis=1), leaves.reshape(-1, 2, 2, 2).sum(axis=2).reshape(-1, 2)]
    true.append(leaves.reshape(-1, 2))
    found, before = [], np.zeros((0, 2), np.int64)
    for depth, each in enumerate(true):
        noisy = np.rint(each + rng.normal(0, 1000, each.shape)).astype(np.int64)
        before = adjusted(noisy, before, depth) if depth else noisy
        found.append(((before - each) / 1000).var())
    assert np.allclose(found, [noise_left(depth) for depth in range(3)], rtol=0.05)
    assert noise_left(4) < 0.64


def test_bits_of_a_row_follow_from_noise_and_plan() -> None:
    """Five levels of twenty trees, G and H."""
    each = 0.5 * np.log2(1 + 1 / 64)
    assert np.isclose(plan(trees=20, depth=4).sum_bits, 20 * 5 * 2 * each)
    assert plan(trees=20, depth=4).node_bits(310) == 10
    assert plan(1 << 16, trees=20, depth=4).sums_told == 20 * 31 * 2 * 15
    assert HiddenPlan(rows=ROWS, trees=1, score_bits=5).digest() != plan(trees=1).digest()


def test_a_leaf_is_worth_what_its_sums_say_and_less_where_noise_is_much_of_them() -> None:
    terms = plan()
    sums = np.array(
        [[-200 * 2**8, 2000 * 2**10], [-4 * 2**8, 1 * 2**10], [9000 * 2**8, 100 * 2**10]]
    )
    found = leaf_values(terms, sums)
    assert np.isclose(found[0], 0.3 * 200 / 2001, rtol=1e-4)
    assert 0 < found[1] < 0.3 * 4 / 2 / 5
    assert found[2] == -1.0
    assert units_of(-1.0) == (1 << 32) - (1 << UNIT_BITS)


def test_no_tree_takes_a_row_beyond_reach_whoever_splits() -> None:
    """A row's bounds are sums of the highest and lowest leaf it may be in; a leaf gives way."""
    rng, rows, trees = np.random.default_rng(6), 300, 200
    bounds, score = begun(-6.9, rows), np.full(rows, -6.9)
    given = np.zeros((0, 4))
    for _ in range(trees):
        inside = rng.random((4, rows)) < 0.5
        leaf = rng.integers(0, 4, rows)
        inside[leaf, np.arange(rows)] = True
        up = np.arange(rows) % 2
        inside[2:, up == 0], inside[:2, up == 1] = False, False
        leaf = leaf % 2 + 2 * up
        inside[leaf, np.arange(rows)] = True
        values = np.array([-1, -0.5, 0.5, 1]) * (1 << VALUE_BITS)
        kept, bounds = held(values.astype(np.int64), inside, bounds)
        score += kept[leaf] * 2.0**-VALUE_BITS
        given = np.vstack([given, kept * 2.0**-VALUE_BITS])
        assert (bounds[0] * 2.0**-VALUE_BITS <= score + 1e-4).all()
        assert (bounds[1] * 2.0**-VALUE_BITS >= score - 1e-4).all()
    assert np.abs(bounds).max() == REACH << VALUE_BITS
    assert (given[:20] == [-1, -0.5, 0.5, 1]).all()
    assert not given[-1].any()


def test_leaves_are_where_both_parties_splits_meet() -> None:
    world = World.of(200)
    splits = [np.array([2]), np.array([-1, 8])]
    own = leaves_of(world.a, world.layout_a, splits)
    assert own.shape == (4, 200)
    first = sides_of(world.a, world.layout_a, splits[0])[0].astype(np.bool_)
    assert np.array_equal(own[0], ~first)
    assert np.array_equal(own[0], own[1])  # the other party's split: either side may be
    assert np.array_equal(own[2] | own[3], first)
    assert not (own[2] & own[3]).any()
    weights = np.arange(200 * 2 * 2, dtype=U32).reshape(200, 2, 2)
    right = np.stack([weights[:, node] * first[:, None] for node in range(2)])
    moved = below(weights, right)
    assert np.array_equal(moved[:, 0::2] + moved[:, 1::2], weights)
    assert np.array_equal(moved[:, 1::2], right.swapaxes(0, 1))
