"""A training as one call, its parts as files, importance and reasons."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from federated.trees import FeatureModel, LabelModel, boost_trees, grow_alone
from federated.trees.binning import Binning
from federated.trees.plan import TreesPlan
from psi.protocol import InputError, MisuseError


def tables(rows: int = 900, seed: int = 0) -> tuple[pa.Table, np.ndarray, pa.Table]:
    rng = np.random.default_rng(seed)
    income, age = rng.normal(size=rows), rng.integers(18, 80, rows)
    debt = rng.lognormal(size=rows)
    debt[rng.random(rows) < 0.2] = np.nan
    trade = rng.choice(["food", "cars", "books"], rows)
    score = income - 0.8 * np.nan_to_num(debt) + 1.5 * (trade == "cars")
    y = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int8)
    return pa.table({"income": income, "age": age}), y, pa.table({"debt": debt, "trade": trade})


@pytest.fixture(scope="module")
def models() -> tuple[LabelModel, FeatureModel]:
    own, y, partner = tables()
    return boost_trees(own, y, partner, trees=4, depth=3, row_bits=12)


def area(y: np.ndarray, score: np.ndarray) -> float:
    order = score.argsort(kind="stable").argsort()
    ones = y == 1
    return float(
        (order[ones].sum() - ones.sum() * (ones.sum() - 1) / 2) / ones.sum() / (~ones).sum()
    )


def test_a_partner_s_columns_make_a_better_model_than_one_s_own(
    models: tuple[LabelModel, FeatureModel],
) -> None:
    own, y, partner = tables()
    label, feature = models
    label.fits(feature)
    score = label.scores(own, feature.sides(partner))
    binning = Binning.fit(own, ["income", "age"])
    plan = TreesPlan(rows=900, trees=4, depth=3, row_bits=0)
    _, alone = grow_alone(binning.transform(own), binning.layout, y, plan)
    joined = Binning.fit(pa.table({**cols(own), **cols(partner)}), [*cols(own), *cols(partner)])
    whole = pa.table({**cols(own), **cols(partner)})
    _, best = grow_alone(joined.transform(whole), joined.layout, y, plan)
    assert area(y, score) > area(y, alone) + 0.05
    assert area(y, score) > area(y, best) - 0.02
    assert np.allclose(label.predict(own, feature.sides(partner)), 1 / (1 + np.exp(-score)))


def cols(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: table[name] for name in table.column_names}


def test_parts_that_were_saved_score_as_those_that_were_not(
    models: tuple[LabelModel, FeatureModel],
) -> None:
    own, _, partner = tables(300, 1)
    label, feature = models
    one, two = LabelModel.from_bytes(label.to_bytes()), FeatureModel.from_bytes(feature.to_bytes())
    one.fits(two)
    assert np.array_equal(two.sides(partner), feature.sides(partner))
    score = label.scores(own, feature.sides(partner))
    assert np.array_equal(one.scores(own, two.sides(partner)), score)
    assert one.to_bytes() == label.to_bytes()
    # the label party's file knows nothing of the partner's columns
    assert b"debt" not in label.to_bytes()
    assert b"income" not in feature.to_bytes()


def test_importance_and_reasons_name_own_columns_and_the_partner_as_one(
    models: tuple[LabelModel, FeatureModel],
) -> None:
    own, _, partner = tables()
    label, feature = models
    assert label.names == ("income", "age", "partner data")
    importance = label.importance()
    assert importance["partner data"] > importance["age"]
    assert importance["income"] > importance["age"]
    reasons = label.reasons(own, feature.sides(partner))
    roots = sum(tree.value[0] for tree in label.forest.trees)
    whole = label.forest.base + roots + reasons.sum(axis=1)
    assert np.allclose(whole, label.scores(own, feature.sides(partner)))
    assert any(words.startswith("trade in cars") for words in feature.words())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "another version"),
        ({"part": "feature"}, "not the label party's part"),
        ({"format": "pickle"}, "no file of trees"),
        ({"training": "00"}, "no file of trees"),
        ({"more": 1}, "no file of trees"),
        ({"base": "x"}, "no saved trees"),
        ({"base": float("1e999")}, "there cannot be"),
        ({"trees": [{"kind": [1], "split": [0], "value": [0], "gain": [0]}]}, "there cannot be"),
    ],
)
def test_a_file_that_is_none_is_refused(
    models: tuple[LabelModel, FeatureModel], change: dict[str, object], words: str
) -> None:
    saved = json.loads(models[0].to_bytes())
    with pytest.raises(MisuseError, match=words):
        LabelModel.from_bytes(json.dumps({**saved, **change}).encode())


def test_splits_and_trees_out_of_range_are_refused(models: tuple[LabelModel, FeatureModel]) -> None:
    label, feature = models
    saved = json.loads(label.to_bytes())
    for name, value in (("split", 9999), ("kind", 7), ("value", None)):
        trees = json.loads(json.dumps(saved["trees"]))
        trees[0][name][0] = value
        with pytest.raises(MisuseError):
            LabelModel.from_bytes(json.dumps({**saved, "trees": trees}).encode())
    other = json.loads(feature.to_bytes())
    for splits in ([[9, 0]], [[0, 99]], [[-1, 0]], [3]):
        with pytest.raises(MisuseError, match="columns that there are not"):
            FeatureModel.from_bytes(json.dumps({**other, "splits": splits}).encode())
    with pytest.raises(MisuseError, match="no file of trees"):
        FeatureModel.from_bytes(b"\x80\x04")


def test_parts_of_two_trainings_and_sides_of_other_rows_are_refused(
    models: tuple[LabelModel, FeatureModel],
) -> None:
    own, y, partner = tables()
    label, feature = models
    _, stranger = boost_trees(own, y, partner, trees=1, depth=1, row_bits=1)
    with pytest.raises(MisuseError, match="two different trainings"):
        label.fits(stranger)
    with pytest.raises(MisuseError, match="different numbers of rows"):
        label.scores(own, feature.sides(partner)[:, :-1])
    with pytest.raises(MisuseError, match="0 splits of partners found"):
        label.scores(own)


def test_several_partners_in_one_call() -> None:
    own, y, partner = tables(1200)
    valid = np.arange(len(y)) % 4 == 0
    label = np.where(valid, np.int8(-1), y)
    parts = [partner.select(["trade"]), partner.select(["debt"])]
    mine, *theirs = boost_trees(own, label, parts, trees=6, depth=3, row_bits=9, rate=0.5)
    sides = np.vstack([each.sides(table) for each, table in zip(theirs, parts, strict=True)])
    for number, each in enumerate(theirs):
        mine.fits(each, number)
    scores = mine.scores(own, sides)
    assert list(mine.importance(["trader", "bank"])) == [
        "income", "age", "partner data of trader", "partner data of bank",
    ]  # fmt: skip
    gain = mine.added(own, np.where(valid, y, np.int8(-1)), sides)
    moved = mine.reasons(own, sides)[:, 2:]
    for each, column in zip(gain, moved.T, strict=True):
        less = area(y[valid], scores[valid]) - area(y[valid], (scores - column)[valid])
        assert each.mean == pytest.approx(less, abs=5e-3)  # `area` has ties in order
        assert 0 < each.mean < each.high
        assert each.count == valid.sum()
    alone, *(one,) = boost_trees(own, label, [partner], [], [["debt"]], trees=2, row_bits=4)
    assert [column.name for column in one.binning.columns] == ["debt"]
    assert alone.names[-1] == "partner data"
    for none in ([], [partner] * 4):
        with pytest.raises(MisuseError, match="1 to 3 of each allowed"):
            boost_trees(own, y, none, row_bits=1)
    with pytest.raises(MisuseError, match="columns of 1 found"):
        boost_trees(own, y, parts, [], [["debt"]], row_bits=1)


def test_tables_that_make_no_training_are_refused() -> None:
    own, y, partner = tables(300)
    with pytest.raises(MisuseError, match="must be aligned"):
        boost_trees(own, y, partner.slice(1), row_bits=1)
    with pytest.raises(MisuseError, match="no column with two bins"):
        boost_trees(own, y, pa.table({"same": np.ones(300)}), row_bits=1)
    with pytest.raises(InputError, match="not 0, 1 or -1"):
        boost_trees(own, y + 1, partner, row_bits=1)
