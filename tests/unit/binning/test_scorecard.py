"""Columns as weights of evidence, and points: against a direct computation and scikit-learn."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from federated.binning import EvidenceEncoder, PointScale, own_worth, point_lines
from federated.models import LOGISTIC, LinearPart
from federated.steps.saved_model import SavedModel
from psi.protocol import InputError, MisuseError

ROWS = 3000


@pytest.fixture(scope="module")
def world() -> tuple[pa.Table, np.ndarray, EvidenceEncoder]:
    rng = np.random.default_rng(11)
    x, place = rng.normal(size=ROWS), rng.choice(["n", "s", "w"], ROWS)
    chance = 1 / (1 + np.exp(1 - np.abs(x) - (place == "s")))
    label = (rng.random(ROWS) < chance).astype(np.int8)
    label[::40] = -1
    x[::9] = np.nan
    table = pa.table({"x": x, "place": place, "idle": np.ones(ROWS)})
    worths = [
        own_worth(table, name, label, most=8, group=20, least=20, monotone=False)
        for name in table.column_names
    ]
    return table, label, EvidenceEncoder.fit(worths, table, label >= 0)


def test_a_column_is_its_bins_weight_of_evidence_standardised(
    world: tuple[pa.Table, np.ndarray, EvidenceEncoder],
) -> None:
    table, label, encoder = world
    matrix, names = encoder.transform(table)
    assert names == ("x", "place")
    assert "idle: dropped" in encoder.notes[0]
    seen, place = label >= 0, np.array(table.column("place").to_pylist())
    assert np.allclose(matrix[seen].mean(axis=0), 0)
    assert np.allclose(matrix[seen].std(axis=0), 1)
    woe = np.zeros(ROWS)
    for name in np.unique(place):
        inside = place == name
        events = (label[inside] == 1).sum() / (label == 1).sum()
        woe[inside] = math.log(events / ((label[inside] == 0).sum() / (label == 0).sum()))
    assert np.allclose(matrix[:, 1], (woe - woe[seen].mean()) / woe[seen].std())


def test_points_of_bins_add_up_to_those_of_the_score(
    world: tuple[pa.Table, np.ndarray, EvidenceEncoder],
) -> None:
    table, label, encoder = world
    matrix, _ = encoder.transform(table)
    fit = LogisticRegression().fit(matrix[label >= 0], label[label >= 0])
    scale = PointScale(600, 50, 20)
    assert (round(scale.factor, 3), round(scale.offset, 3)) == (28.854, 487.123)
    assert scale.of(np.array(-math.log(50))) == pytest.approx(600)
    assert scale.of(np.array(-math.log(100))) == pytest.approx(620)
    lines = point_lines(encoder, fit.coef_[0].tolist(), scale)
    total = np.full(ROWS, scale.of(fit.intercept_)[0])
    for column in encoder.columns:
        mine = np.array([line["exact"] for line in lines if line["column"] == column.name])
        total += mine[column.groups(table)]
    assert np.allclose(total, scale.of(fit.decision_function(matrix)), atol=1e-3)
    other = PointScale(600, 50, 20, "positive")
    assert np.allclose(scale.of(total) + other.of(total), 2 * scale.offset)
    # a bin with fewer of the bad has more points, and whole ones are the nearest
    for column in encoder.columns:
        bins = [line for line in lines if line["column"] == column.name]
        assert all(abs(line["points"] - line["exact"]) <= 0.5 for line in bins)
        lowest = min(bins, key=lambda line: line["woe"])
        assert lowest["points"] == max(line["points"] for line in bins)


def test_a_saved_scorecard_gives_the_same_scores(
    world: tuple[pa.Table, np.ndarray, EvidenceEncoder],
) -> None:
    table, _, encoder = world
    saved = SavedModel("t", LOGISTIC, LinearPart(np.array([0.5, -1.0]), 0.1), encoder)
    again = SavedModel.from_bytes(saved.to_bytes())
    assert np.array_equal(saved.scores(table), again.scores(table))
    whole = json.loads(saved.to_bytes())
    whole["about"]["encoder"]["evidence"][0]["scale"] = 0.0
    with pytest.raises(MisuseError, match="no saved encoder"):
        SavedModel.from_bytes(json.dumps(whole).encode())


def test_a_column_of_another_type_is_refused_by_name(
    world: tuple[pa.Table, np.ndarray, EvidenceEncoder],
) -> None:
    table, _, encoder = world
    other = table.set_column(1, "place", pa.array(np.ones(ROWS)))
    with pytest.raises(InputError, match="column 'place': numbers found, categories allowed"):
        encoder.transform(other)


@pytest.mark.filterwarnings("ignore")
def test_points_are_those_of_optbinning_with_the_same_edges() -> None:
    optbinning = pytest.importorskip("optbinning")
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ROWS, 2))
    label = (rng.random(ROWS) < 1 / (1 + np.exp(1 - x.sum(axis=1)))).astype(np.int8)
    table = pa.table({"a": x[:, 0], "b": x[:, 1]})
    worths = [
        own_worth(table, name, label, most=6, group=20, least=20, monotone=False)
        for name in ("a", "b")
    ]
    encoder, scale = EvidenceEncoder.fit(worths, table), PointScale(600, 50, 20)
    fixed = {
        worth.column: {
            "user_splits": list(worth.bins.edges),  # type: ignore[union-attr]
            "user_splits_fixed": [True] * len(worth.bins.edges),  # type: ignore[union-attr]
        }
        for worth in worths
    }
    process = optbinning.BinningProcess(["a", "b"], binning_fit_params=fixed)
    card = optbinning.Scorecard(
        binning_process=process,
        estimator=LogisticRegression(C=1e6, tol=1e-10),
        scaling_method="pdo_odds",
        scaling_method_params={"pdo": 20, "odds": 50, "scorecard_points": 600},
    )
    frame = pandas.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    theirs = card.fit(frame, label).score(frame)
    matrix, _ = encoder.transform(table)
    fit = LogisticRegression(C=1e6, tol=1e-10).fit(matrix, label)
    assert np.allclose(scale.of(fit.decision_function(matrix)), theirs, atol=0.05)
