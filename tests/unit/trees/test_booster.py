"""Second-order boosting in whole numbers, against the formula by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from federated.trees import Column, Layout, TreesPlan, grow_alone
from federated.trees.booster import slopes
from federated.trees.forest import LEAF
from psi.protocol import MisuseError

LAYOUT = Layout((Column(6, True, True), Column(3, False, False)))


def world(rows: int = 400, seed: int = 0) -> tuple[list[Any], Any]:
    rng = np.random.default_rng(seed)
    bins = [rng.integers(0, c.cells, rows).astype(np.uint16) for c in LAYOUT.columns]
    score = 0.7 * bins[0] - 1.2 * (bins[1] == 1) - 1.0
    return bins, (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8)


def plan(rows: int, **terms: Any) -> TreesPlan:
    return TreesPlan(rows=rows, **{"trees": 4, "depth": 3, "row_bits": 0, **terms})


def gain(g: Any, h: Any, left: Any, penalty: float) -> float:
    """XGBoost's, term by term."""

    def score(rows: Any) -> float:
        return float(g[rows].sum() ** 2 / (h[rows].sum() + penalty))

    return score(left) + score(~left) - score(np.ones(len(g), np.bool_))


def test_every_split_is_the_best_there_is_and_leaves_have_their_values() -> None:
    bins, y = world()
    terms = plan(400, penalty=1.5, least_weight=2.0)
    forest, margin = grow_alone(bins, LAYOUT, y, terms)
    score = np.full(400, forest.base)
    for tree in forest.trees:
        whole_g, whole_h = slopes(score, y, y >= 0)
        g, h = whole_g / 2**8, whole_h / 2**10
        at = np.zeros(400, int)
        for place in range(7):
            rows = np.flatnonzero(at == place)
            found = [-np.inf]
            for candidate in range(LAYOUT.candidates if len(rows) else 0):
                column, cells = LAYOUT.split(candidate)
                left = cells[bins[column][rows]]
                sides = h[rows][left].sum(), h[rows][~left].sum()
                if min(sides) >= 2.0:
                    found.append(gain(g[rows], h[rows], left, 1.5))
            if tree.kind[place] == LEAF:
                assert max(found) < 1e-5
                continue
            assert tree.gain[place] == pytest.approx(max(found))
            column, cells = LAYOUT.split(int(tree.split[place]))
            assert found[1:].count(max(found)) >= 1
            at[rows] = 2 * place + 1 + ~cells[bins[column][rows]]
        for place in np.unique(at):
            rows = at == place
            wanted = -0.3 * g[rows].sum() / (h[rows].sum() + 1.5)
            assert tree.value[place] == pytest.approx(wanted)
        score = score + tree.value[at]
    assert np.allclose(score, margin)
    assert np.allclose(forest.scores(bins), margin)
    total = sum(tree.gain[tree.kind != LEAF].sum() for tree in forest.trees)
    assert forest.importance().sum() == pytest.approx(total)


def test_rows_without_a_label_or_held_out_do_not_move_a_tree() -> None:
    bins, y = world(600, 1)
    used = np.arange(600) < 400
    other = y.copy()
    other[500:] = -1
    other[400:500] = 1 - y[400:500]
    one, _ = grow_alone(bins, LAYOUT, y, plan(600), used=used)
    two, margin = grow_alone(bins, LAYOUT, other, plan(600), used=used)
    assert all(np.array_equal(a.value, b.value) for a, b in zip(one.trees, two.trees, strict=True))
    assert np.isfinite(margin).all()


def test_pure_nodes_and_columns_without_a_say_are_leaves() -> None:
    bins = [np.zeros(50, np.uint16), np.zeros(50, np.uint16)]
    y = (np.arange(50) < 20).astype(np.int8)
    forest, margin = grow_alone(bins, LAYOUT, y, plan(50))
    assert all((tree.kind == LEAF).all() for tree in forest.trees)
    assert np.allclose(margin, np.log(20 / 30), atol=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth", 7),
        ("trees", 0),
        ("rate", 0.0),
        ("rate", float("nan")),
        ("penalty", 0.0),
        ("subsample", 1.5),
        ("rows", 4_000_001),
        ("row_bits", -1),
    ],
)
def test_terms_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(MisuseError, match=f"{name} = .* found"):
        replace(plan(10), **{name: value})


def test_more_rows_than_planned_are_refused() -> None:
    bins, y = world(50)
    with pytest.raises(MisuseError, match="50 rows"):
        grow_alone(bins, LAYOUT, y, plan(49))


@pytest.mark.parametrize("way", [1, -1])
def test_scores_go_one_way_with_a_column_that_has_one(way: int) -> None:
    """Of every row, whatever its other columns: the first column's value is changed alone."""
    layout = Layout((Column(9, True, True), Column(6, True, False)))
    rng = np.random.default_rng(2)
    bins = [rng.integers(0, c.cells, 900).astype(np.uint16) for c in layout.columns]
    score = np.abs(bins[0] - 4.0) - 1.5 + 0.5 * bins[1] * (bins[0] % 2)  # no way at all
    y = (rng.random(900) < 1 / (1 + np.exp(-score))).astype(np.int8)
    terms = plan(900, trees=8, depth=4)

    def steps(ways: tuple[int, ...]) -> Any:
        forest, _ = grow_alone(bins, layout, y, terms, ways=ways)
        assert any((tree.kind != LEAF).any() for tree in forest.trees)
        values = [np.full(900, cell, np.uint16) for cell in range(8)]  # cell 8 is missing
        return np.diff([forest.scores([value, bins[1]]) for value in values], axis=0)

    assert (way * steps((way, 0)) >= -1e-12).all()
    assert (way * steps((0, 0)) < -0.1).any(), "what the data alone would have"
    assert np.array_equal(steps((0, 0)), steps(()))


def test_ways_of_categories_and_of_other_columns_are_refused() -> None:
    bins, y = world()
    for ways in ((0, 1), (1,), (2, 0)):
        with pytest.raises(MisuseError, match="cannot go"):
            grow_alone(bins, LAYOUT, y, plan(400), ways=ways)
