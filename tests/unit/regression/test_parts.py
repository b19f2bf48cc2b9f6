"""Columns as trees, tables as bases, steps from inner products, and kept trees: each by itself."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import pytest

from federated.regression import RegressionPlan, planned
from federated.regression.chain import chain_of
from federated.regression.columns import Columns, check_layout, depths, largest
from federated.regression.descent import (
    Descent,
    Metric,
    averaged,
    moved,
    products,
    stepped,
)
from federated.regression.links import Grid, mean_of
from federated.regression.messages import Layout, Tree
from federated.regression.noise import dithered, noise_of
from federated.regression.schedule import Places, lane_bytes, scale_bits, schedule, table_bits
from federated.sharing.kept import narrowed, signed, widened
from psi.protocol import MisuseError, PeerError


def columns(rows: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(1)
    category = rng.integers(0, 5, rows)
    numbers = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, 3))
    return np.column_stack(
        [
            numbers,
            category[:, None] == np.arange(1, 5),
            (rng.integers(0, 60, rows) - 20) / 7.3,
            rng.integers(0, 2, rows),
            np.exp(rng.normal(size=rows)),
        ]
    ).astype(float)


@pytest.mark.parametrize(("bits", "off"), [(8, 0.05), (14, 1e-3)])
def test_columns_come_back_from_their_trees(bits: int, off: float) -> None:
    x = columns()
    made = Columns.of(x, bits)
    check_layout(made.layout, bits)
    back = made.back(x)
    own = np.column_stack([np.ones(len(x)), made.integers(0, len(x))])
    error = np.abs(own @ back - x)
    assert np.sqrt((error**2).mean(axis=0)).max() < off
    assert error[:, 3:9].max() < 1e-9  # even grids and categories are exact
    assert (np.abs(made.integers(0, len(x))) <= largest(made.layout)).all()
    assert all(n.max() < 1 << d for n, d in zip(made.numbers, depths(made.layout), strict=True))
    values = np.random.default_rng(2).normal(size=(len(x), 2))
    missed = made.missed(x, back, values)
    assert np.allclose(values.T @ own @ back + missed, values.T @ x, atol=1e-6)


def test_a_row_far_out_adds_no_more_to_a_gradient_than_levels_reach() -> None:
    """Noise is as large as the most that a row can add."""
    x = np.exp(2.0 * np.random.default_rng(8).normal(size=(20_000, 1)))
    x = (x - x.mean()) / x.std()
    made = Columns.of(x, 8)
    most = float(np.abs(made.back(x)[1:, 0] * largest(made.layout)).max())
    assert np.abs(x).max() > 40  # standard deviations
    assert 12 < most < 24
    near = np.abs(x[:, 0]) < 1
    found = np.column_stack([np.ones(len(x)), made.integers(0, len(x))]) @ made.back(x)
    assert np.corrcoef(found[near, 0], x[near, 0])[0, 1] > 0.999


def test_categories_and_small_numbers_share_trees() -> None:
    layout = Columns.of(columns(), 8).layout
    assert sorted(tree.sizes for tree in layout.trees)[:2] == [(5,), (64, 2)]
    assert layout.integers == layout.columns == 10


@pytest.mark.parametrize(
    "layout",
    [
        Layout((), 0, 2),
        Layout((Tree((7,), (5,), 0),), 1, 1),
        Layout((Tree((0,), (512,), 0),), 1, 1),
        Layout((Tree((0,), (5,), 3),), 1, 1),
        Layout((Tree((0,), (5,), 0),), 2, 1),
        Layout((Tree((0, 0), (5,), 0),), 2, 1),
    ],
)
def test_layouts_that_no_party_has_are_refused(layout: Layout) -> None:
    with pytest.raises(PeerError):
        check_layout(layout, 8)


@pytest.mark.parametrize("link", ["logistic", "poisson"])
@pytest.mark.parametrize("span", [0.5, 4.0, 12.0])
def test_a_table_is_a_basis_for_its_range(link: str, span: float) -> None:
    rng = np.random.default_rng(3)
    theirs, mine = rng.uniform(-span / 2, span / 2, 500), rng.normal(0, 1.5, 5000)
    grid = Grid.over(theirs, 8)
    grid.check()
    assert grid.low / 4 <= theirs.min()
    assert grid.high / 4 >= theirs.max()
    assert (grid.low / 4, grid.high / 4) != (theirs.min(), theirs.max())
    chain = chain_of(link, [grid], 12)
    (table,) = chain.tables
    assert (table.shape[1] % 2, table.shape[2]) == (0, 1)
    numbers = rng.integers(0, 256, 5000)
    found = (chain.lanes(mine) * table[numbers, :, 0]).sum(axis=1) / 4096
    wanted = mean_of(link, mine + grid.points[numbers])
    assert np.abs(found - wanted).max() < 3e-4 * max(1.0, wanted.max())


@pytest.mark.parametrize(("partners", "bits", "off"), [(2, 11, 4e-3), (3, 8, 1.5e-2)])
@pytest.mark.parametrize("blurred", [False, True])
def test_a_chain_of_lookups_makes_the_mean_of_all_scores(
    partners: int, bits: int, off: float, blurred: bool
) -> None:
    """Points are the parties' own, moved at random or not: moving has no bias."""
    rng = np.random.default_rng(7)
    parts = [rng.normal(0, 0.6, 500) for _ in range(partners)]
    grids = [Grid.over(part, 8, blurred=blurred) for part in parts]
    chain, mine = chain_of("logistic", grids, bits), rng.normal(-1, 1.5, 500)
    assert all(np.abs(table.astype(int)).max() <= 1 << bits for table in chain.tables)
    assert [table.shape[1] % 2 for table in chain.tables] == [0] * partners
    assert [t.shape[2] for t in chain.tables] == [t.shape[1] for t in chain.tables[1:]] + [1]
    draws = []
    for _ in range(100 if blurred else 1):
        values, total = chain.lanes(mine), mine.copy()
        for part, grid, table in zip(parts, grids, chain.tables, strict=True):
            far = rng.integers(-grid.reach, grid.reach + 1, 500).astype(np.int16)
            numbers = grid.numbers(part, far)
            values = np.einsum("nd,ndq->nq", values, table[numbers] * 2.0**-bits)
            total += part if blurred else grid.points[numbers]
        draws.append(values[:, 0] - mean_of("logistic", total))
    # of a moved point a draw is off by .05 to .08: seven deviations of 100, over rows alike
    assert np.abs(np.mean(draws, axis=0)).max() < (0.06 if blurred else off)
    assert np.abs(np.mean(draws)) < 1e-3
    for ones, table in zip(chain.ones, chain.tables[1:], strict=False):
        following = table[:, :, 0] * 2.0**-bits if table.shape[2] == 1 else None
        if following is not None and not blurred:
            assert np.abs(following @ ones - 1).max() < 0.02


def test_steps_from_halves_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(500, 5)) @ (np.eye(5) + 0.3 * rng.normal(size=(5, 5)))
    square, wanted = x.T @ x / 500, rng.normal(size=5)
    a, b = slice(0, 2), slice(2, 5)
    metrics = [
        Metric(np.asarray(np.linalg.inv(square[s, s])), np.zeros((s.stop - s.start,) * 2))
        for s in (a, b)
    ]
    ways = [Descent.at(np.zeros(2)), Descent.at(np.zeros(3))]
    left = [np.inf, np.inf]
    for number in range(12):
        if number:
            ways = [moved(way, 1.0) for way in ways]
        whole = square @ (np.concatenate([way.weights for way in ways]) - wanted)
        parts = [whole[a], whole[b]]
        told = [products(w, g, m) for w, g, m in zip(ways, parts, metrics, strict=True)]
        found = [
            stepped(ways[i], parts[i], 0.0 * parts[i], metrics[i], told[0] + told[1])
            for i in range(2)
        ]
        ways, left = [each[0] for each in found], [each[1] for each in found]
        assert left[0] == left[1]
    assert np.abs(np.concatenate([way.weights for way in ways]) - wanted).max() < 1e-3


def test_models_near_the_optimum_are_averaged() -> None:
    way = Descent.at(np.zeros(1))
    for step in (4.0, 1.0, -1.0):
        way = moved(Descent(**{**vars(way), "step": np.array([step])}), 1.0)
    way = Descent(**{**vars(way), "step": np.array([2.0])})
    # models 0, 4, 5, 4, and 6 to come; the latest three evaluations are near the least
    last = averaged(way, [9.0, 1.2, 1.0, 1.1])
    assert np.isclose((last.weights + last.step)[0], (5.0 + 4.0 + 6.0) / 3)
    assert averaged(way, [1.1]).step[0] == 2.0


def test_noise_is_as_large_as_said_and_rounding_has_no_bias() -> None:
    drawn = noise_of((2000, 2), np.array([1.0, 8.0]), 20, secrets.token_bytes)
    found = drawn.view(np.int64) * 2.0**-20
    assert np.abs(found.std(axis=0) / [1.0, 8.0] - 1).max() < 6 / np.sqrt(4000)
    assert np.abs(found.mean(axis=0) / [1.0, 8.0]).max() < 6 / np.sqrt(2000)
    numbers = np.full((4000, 1), 0.3)
    rounded = dithered(numbers, 0, secrets.token_bytes).view(np.int64)
    assert set(np.unique(rounded)) == {0, 1}
    assert abs(rounded.mean() - 0.3) < 6 * np.sqrt(0.21 / 4000)
    far = dithered(np.array([1e9, -1e9]), 30, secrets.token_bytes).view(np.int64)
    assert far.tolist() == [1 << 54, -(1 << 54)]  # an error would compare them


def test_lanes_travel_modulo_two_to_the_56() -> None:
    rng = np.random.default_rng(5)
    numbers = rng.integers(-(2**54), 2**54, (40, 3))
    found = widened(narrowed(numbers.view(np.uint64)), 40, 3)
    assert np.array_equal(signed(found), numbers)
    with pytest.raises(PeerError, match="bytes"):
        widened(narrowed(found)[:-1], 40, 3)


def test_places_have_one_number_each() -> None:
    places = Places(200_000, 3, (1, 1, 2))
    every = [places.of(number) for number in range(places.until(3))]
    assert len({(p.low, p.tree, p.evaluation, p.model) for p in every}) == len(every) == 12 + 16
    assert places.of(places.tree(2, 1)).tree == 2
    last = places.of(places.lookup(2, 1, 3))
    assert (last.evaluation, last.model, last.high) == (2, 1, 200_000)


def test_sums_fit_their_ring() -> None:
    for rows in (100, 16_383, 45_000, 1 << 20, 1 << 28):
        for bits in (8, 14):
            terms = plan_of(rows, column_bits=bits)
            weight = 2047 if bits == 8 else 8192 + 127
            assert rows * weight * 2.0 ** scale_bits(terms) < 2.0**53
            for partners in (2, 3):
                terms = plan_of(rows, column_bits=bits, partners=partners)
                assert lane_bytes(terms) == 8
                assert rows * weight * 2.0 ** scale_bits(terms) < 2.0**61
                # digits of every table, and at least six of the lanes
                assert scale_bits(terms) - partners * table_bits(terms) >= 6 or rows > 1 << 24


def plan_of(rows: int, **given: Any) -> RegressionPlan:
    terms = {"evaluations": 2, "folds": 0, "fold_evaluations": 0, "noise": 0.0, "grid_bits": 8}
    return RegressionPlan(rows=rows, **{**terms, "column_bits": 8, **given})


def test_plans_that_make_no_fit_are_refused() -> None:
    for wrong in (
        {"evaluations": 0},
        {"folds": 1},
        {"fold_evaluations": 1},
        {"noise": -1.0},
        {"score_bits": 13},
        {"link": "probit"},
        {"penalty": float("nan")},
    ):
        with pytest.raises(MisuseError):
            plan_of(100, **wrong)
    assert planned(50_000, folds=5).noise == 1.0
    assert planned(5_000, folds=5).noise == 0.0
    assert len(schedule(planned(300, folds=5), 11)) == 18
