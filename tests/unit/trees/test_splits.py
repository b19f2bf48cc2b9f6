"""Splits found on shares, against gains in the clear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.trees.splitting import MESSAGES_A_LEVEL, MOST_CANDIDATES, LabelSplits, Level
from federated.trees.splitting.circuit import products_of
from federated.trees.splitting.transfers import Picks
from psi.protocol import MisuseError, encode
from tests.unit.trees.splits_world import A_GIVES, A_KEYS, Case, Found, case, level_of, run


def check(of: Case, found: Found, allowed: Any = True) -> None:
    """Each node's winner is the best up to what roundings and the table may change.

    allowed: `bool[nodes, candidates]`, which may win.
    """
    least, largest, own = of.scores()
    least, largest = (np.where(allowed, each, -1) for each in (least, largest))
    best = least.max(axis=1)
    for node, candidate in enumerate(found.candidate):
        if candidate < 0:
            assert best[node] <= own[node], node
        else:
            assert largest[node, candidate] >= max(best[node], own[node] + 1), node
    assert np.array_equal(found.won, found.candidate >= 0)


@pytest.mark.parametrize(
    ("nodes", "columns", "bins"),
    [(1, 1, 2), (1, 1, 3), (2, 1, 4), (3, 2, 5), (8, 4, 9), (4, 1, 33)],
)
@pytest.mark.parametrize("rows", [60, 5000])
def test_the_winner_is_the_best(nodes: int, columns: int, bins: int, rows: int) -> None:
    of = case(nodes=nodes, columns=columns, bins=bins, rows=rows, seed=nodes + bins)
    check(of, run(of.level, of.left, of.totals))


@given(st.data())
def test_the_winner_is_the_best_of_any_level(data: st.DataObject) -> None:
    of = case(
        nodes=data.draw(st.integers(1, 4)),
        columns=data.draw(st.integers(1, 3)),
        bins=data.draw(st.integers(2, 7)),
        rows=data.draw(st.sampled_from([1, 2, 30, 700])),
        depth=data.draw(st.integers(0, 6)),
        penalty=data.draw(st.sampled_from([0.01, 1.0, 300.0])),
        rate=data.draw(st.sampled_from([0.05, 0.5])),
        seed=data.draw(st.integers(0, 99)),
    )
    own = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0, 9.0, np.inf]), min_size=4)))
    of.totals = replace(of.totals, own=own[: of.level.nodes])
    check(of, run(of.level, of.left, of.totals, seed=data.draw(st.integers(0, 99))))


def test_its_gain_is_near_the_best_gain() -> None:
    of = case(rows=20000, nodes=8, columns=4, bins=32)
    found = run(of.level, of.left, of.totals)
    assert found.won.all()
    got = of.gains[np.arange(8), found.candidate]
    assert (got > 0.85 * of.gains.max(axis=1)).all()
    assert got.sum() > 0.97 * of.gains.max(axis=1).sum()


@pytest.mark.parametrize(("part", "won"), [(0.8, True), (1.3, False)])
def test_the_own_best_is_beaten_by_more_gain_only(part: float, won: bool) -> None:
    of = case(rows=20000, nodes=4)
    of.totals = replace(of.totals, own=part * of.gains.max(axis=1))
    found = run(of.level, of.left, of.totals)
    assert (found.won == won).all()
    assert ((found.candidate >= 0) == won).all()


def test_nobody_wins_an_empty_node_a_pure_one_or_one_that_is_left_out() -> None:
    rng = np.random.default_rng(5)
    node = rng.choice([1, 2, 3], 3000)  # none in 0
    bins = rng.integers(0, 6, (2, 3000))
    g = np.where(node == 1, -77, np.where(bins[0] > 2, -150, 60))  # node 1: all alike
    h = np.where(node == 1, 200, 190)
    of = level_of(g, h, bins, node, nodes=4, bins=6, penalty=2.0**-10)
    of.totals = replace(of.totals, own=np.array([0.0, 0.1, 0.0, np.inf]))
    found = run(of.level, of.left, of.totals)
    assert found.candidate.tolist() == [-1, -1, 2, -1]


def test_candidates_that_are_not_kept_never_win() -> None:
    of = case(rows=20000, nodes=4, columns=3, bins=8)
    kept = np.ones(of.level.candidates, np.bool_)
    plain = run(of.level, of.left, of.totals)
    kept[np.unique(plain.candidate)] = False
    found = run(of.level, of.left, of.totals, kept=kept)
    assert kept[found.candidate].all()
    assert not run(of.level, of.left, of.totals, kept=np.zeros_like(kept)).won.any()


def apart(of: Case) -> Any:
    """D of each candidate."""
    g, h = of.left[0] / 2**8, of.left[1] / 2**10 + of.totals.penalty
    total = of.totals.hessians / 2**10 + 2 * of.totals.penalty
    return g - (of.totals.gradients / 2**8 / total)[:, None] * h


@pytest.mark.parametrize("sign", [1, -1])
def test_a_candidate_with_a_way_wins_only_by_going_it(sign: int) -> None:
    """Every second one has; what wins is the best of those that may, and the rest of the circuit
    is as it was."""
    of = case(rows=9000, nodes=4, columns=3, bins=8)
    free = np.arange(of.level.candidates) % 2 == 0
    fits = free | (sign * apart(of) >= 0)
    kept = np.stack([free | (sign > 0), free | (sign < 0)])
    level = replace(of.level, ways=True)
    found = run(level, of.left, of.totals, kept=kept)
    check(of, found, fits)
    assert not fits.all()
    assert len(found.messages[4].gates) == 2 * (products_of(4, 21) + 4 * 21)
    check(of, run(level, of.left, of.totals, kept=np.ones_like(kept)))
    with pytest.raises(ValueError, match="kept of 21 candidates"):
        run(of.level, of.left, of.totals, kept=kept)


def counted(of: Case, fewest: int) -> tuple[Case, Any, Any]:
    """A level that counts rows; the counts, and which candidates have the fewest on both sides."""
    rng = np.random.default_rng(7)
    nodes, candidates = of.level.nodes, of.level.candidates
    rows = rng.integers(2 * fewest, 40 + 2 * fewest, nodes)
    left = rng.integers(0, rows[:, None] + 1, (nodes, candidates))
    left[0, :6] = [0, fewest - 1, fewest, rows[0] - fewest, rows[0] - fewest + 1, rows[0]]
    fits = (left >= fewest) & (rows[:, None] - left >= fewest)
    of.level = replace(of.level, counted=True)
    of.totals = replace(of.totals, room=rows - 2 * fewest)
    return of, left - fewest, fits


@pytest.mark.parametrize("seed", range(6))
def test_a_side_needs_its_fewest_rows(seed: int) -> None:
    """The winner is the best of the candidates that have them; the bounds are met to the row."""
    of, counts, fits = counted(case(rows=9000, nodes=4, columns=3, bins=8, seed=seed), 9)
    alone = np.arange(21) == seed  # one that has them, or lacks one row
    found = run(of.level, of.left, of.totals, counts=counts, kept=alone)
    assert found.won[0] == fits[0, seed]
    assert fits[0, :6].tolist() == [False, False, True, True, False, False]
    found = run(of.level, of.left, of.totals, counts=counts)
    check(of, found, fits)
    bits = of.level.count_bits
    assert bits == (9000 + 64).bit_length()
    assert len(found.messages[4].gates) == 2 * (products_of(4, 21) + 2 * bits * 84)


def test_rows_and_ways_hold_together() -> None:
    of, counts, fits = counted(case(rows=9000, nodes=4, columns=3, bins=8), 9)
    fits &= apart(of) >= 0
    kept = np.stack([np.ones(21, np.bool_), np.zeros(21, np.bool_)])
    level = replace(of.level, ways=True)
    check(of, run(level, of.left, of.totals, counts=counts, kept=kept), fits)
    with pytest.raises(MisuseError, match="a level that counts none"):
        run(replace(level, counted=False), of.left, of.totals, kept=kept)
    for room in (-1, 1 << 14):
        with pytest.raises(MisuseError, match="room for less than no row"):
            run(level, of.left, replace(of.totals, room=np.full(4, room)), counts=counts, kept=kept)


def test_a_side_needs_its_least_hessian() -> None:
    rng = np.random.default_rng(2)
    bins = rng.choice(8, (1, 20000), p=[0.02, 0.03, *[0.95 / 6] * 6])
    g = np.where(bins[0] < 1, -200, 20)
    of = level_of(g, np.full(20000, 200), bins, np.zeros(20000, np.int64), nodes=1, bins=8)
    assert run(of.level, of.left, of.totals).candidate.tolist() == [0]
    whole = float(of.totals.hessians[0] / 2**10)
    of.totals = replace(of.totals, least=0.04 * whole)
    assert run(of.level, of.left, of.totals).candidate.tolist() == [1]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("times", [1, 1000, 4000])
def test_sums_at_the_ends_of_their_units(sign: int, times: int) -> None:
    """A million and four million rows, gradients of one sign as steep as they may be."""
    rng = np.random.default_rng(times)
    bins = rng.integers(0, 9, (2, 1000))
    g = sign * np.where(bins[0] > 3, 256, 250)
    of = level_of(g, np.full(1000, 256), bins, np.zeros(1000, int), nodes=1, bins=9, times=times)
    found = run(of.level, of.left, of.totals)
    check(of, found)
    assert np.abs(of.left[0]).max() < 1 << 30
    if times > 1:
        assert found.candidate.tolist() == [3]


def test_shares_of_every_step_open_to_its_number() -> None:
    of = case(rows=9000, nodes=4, columns=2, bins=16)
    level, (g, h) = of.level, of.left
    found = run(level, of.left, of.totals)
    place = level.number & 1
    b, a = found.store_b, found.store_a
    slopes, places = a.get("splits-slopes", place), a.get("splits-places", place)
    fine = (g << level.mean_bits) - slopes[:, None] * (h + 1024)
    side, kept = LabelSplits(a, A_KEYS, A_GIVES), ("bits", "rows", "gradients", "hessians")
    picks_bits, picks_rows, *shares = (a.get(f"splits-{name}", place) for name in kept)
    picks = Picks(picks_bits, picks_rows)
    mine, steps = side._opened(level, found.messages[1], picks, *shares)
    difference = (b.get("splits-difference", place) + mine).reshape(g.shape).view(np.int32)
    assert np.abs(difference - (fine >> level.dropped)).max() <= 1
    step = b.get("splits-index", place).astype(int) + steps
    exact = (h + 1024) * places[:, None] >> 25
    assert set(np.unique((exact.reshape(-1) - step) & 127)) <= {0, 1}


def test_equal_seeds_give_equal_messages_and_other_seeds_other_masks() -> None:
    of = case()
    one, again, other = (run(of.level, of.left, of.totals, seed=seed) for seed in (4, 4, 5))
    assert [encode(m) for m in one.messages] == [encode(m) for m in again.messages]
    assert one.candidate.tolist() == again.candidate.tolist()
    pairs = zip(one.messages, other.messages, strict=True)
    assert all(encode(x) != encode(y) for x, y in pairs)


def bits_of(message: Any) -> np.ndarray[Any, Any]:
    """Of a message's arrays all bits but those of its check."""
    parts = [v for v in vars(message).values() if isinstance(v, np.ndarray)]
    if hasattr(message, "transfers"):
        parts.append(message.transfers.rows)
    return np.unpackbits(
        np.concatenate([np.ascontiguousarray(p).view(np.uint8).reshape(-1) for p in parts])
    )


@pytest.mark.parametrize("ways", [False, True])
def test_messages_tell_nothing_by_length_or_bias(ways: bool) -> None:
    """Six of one length each, and even bits, whatever the numbers are and whoever wins."""
    of = case(rows=2000, nodes=4, columns=3)
    zero = replace(
        of.totals,
        gradients=np.zeros(4, np.int64),
        hessians=np.zeros(4, np.int64),
        squares=np.zeros(4),
    )
    level, kept = replace(of.level, ways=ways), np.ones((2, 21) if ways else 21, np.bool_)
    runs = [
        run(level, of.left, of.totals, kept=kept),
        run(level, of.left, replace(of.totals, own=np.full(4, np.inf)), kept=kept),
        run(level, np.zeros_like(of.left), zero, kept=np.zeros_like(kept)),
    ]
    lengths = [[len(encode(m)) for m in found.messages] for found in runs]
    assert lengths[0] == lengths[1] == lengths[2]
    assert len(lengths[0]) == MESSAGES_A_LEVEL
    for found in runs:
        for message in found.messages[:5]:
            bits = bits_of(message)
            assert abs(bits.mean() - 0.5) < 6 * 0.5 / np.sqrt(len(bits))


def test_the_work_of_a_level_follows_from_its_shape() -> None:
    of = case(nodes=3, columns=2, bins=4)
    found = run(of.level, of.left, of.totals)
    assert len(found.messages[4].gates) == 2 * products_of(3, 6)


@pytest.mark.parametrize(
    "shape",
    [
        {"nodes": 0},
        {"candidates": 0},
        {"rows": 0},
        {"rows": (1 << 22) + 1},
        {"nodes": 2, "candidates": MOST_CANDIDATES},
    ],
)
def test_levels_that_cannot_be(shape: dict[str, int]) -> None:
    with pytest.raises(MisuseError):
        Level(**{"number": 0, "depth": 0, "nodes": 1, "candidates": 1, "rows": 1} | shape)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"penalty": 0.0},
        {"least": -1.0},
        {"own": np.full(4, np.nan)},
        {"own": np.zeros(3)},
        {"hessians": np.full(4, 1 << 31)},
        {"hessians": np.full(4, -1)},
        {"gradients": np.full(4, 1 << 30)},
        {"squares": np.full(4, np.inf)},
    ],
)
def test_totals_out_of_bounds_are_refused(wrong: dict[str, Any]) -> None:
    of = case()
    with pytest.raises(MisuseError):
        run(of.level, of.left, replace(of.totals, **wrong))
