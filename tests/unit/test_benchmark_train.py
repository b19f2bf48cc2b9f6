"""Trainings of two processes: what is laid out, what is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import ours_train, party, tables, train
from psi.protocol import MisuseError


def test_auc_counts_ties_half() -> None:
    rng = np.random.default_rng(1)
    label, scores = rng.integers(0, 2, 500), rng.integers(0, 20, 500)
    fold = np.arange(500) % 3
    assert party.auc(label, scores) == pytest.approx(roc_auc_score(label, scores))
    each = [roc_auc_score(label[fold == f], scores[fold == f]) for f in range(3)]
    assert party.mean_auc(label, scores, fold) == pytest.approx(np.mean(each))


def test_a_label_is_laid_out_for_its_holder_only(tmp_path: Path) -> None:
    assert train.lay_out("invented-700", tmp_path) == {"rows": 700, "own": 20, "partner": 20}
    case = {"folder": str(tmp_path)}
    own, other = (party.rows_of(role, case) for role in party.ROLES)
    assert set(own) == {"x", "fold", "label"}
    assert set(other) == {"x", "fold"}
    assert party.joined(case)["x"].shape == (700, 40)
    assert set(own["fold"]) == set(range(train.FOLDS))


def test_trees_take_columns_as_they_are(tmp_path: Path) -> None:
    table = pa.table({"n": [1.5, None, 2.0], "c": ["x", "a", None]})
    found = train._as_they_are(table, ["n", "c"])
    assert found["kinds"].tolist() == [0, 2]
    again = ours_train.plain_table(found)
    assert again["x0"].to_pylist() == [1.5, None, 2.0]
    assert again["x1"].to_pylist() == ["c1", "c0", None]
    sizes = train.lay_out("invented-700", tmp_path, plain=True)
    joined = party.joined({"folder": str(tmp_path)})
    assert joined["kinds"].tolist() == [0] * (sizes["own"] + sizes["partner"])
    bins, layout = ours_train.binned(joined)
    assert len(bins) == len(layout.columns) == 40


def test_no_other_model_or_set_is_taken() -> None:
    with pytest.raises(MisuseError, match="model 'forest' found, logistic, trees, hidden allowed"):
        train.measure([], [], model="forest", runs=1, told=print)
    with pytest.raises(MisuseError, match="invented-ROWS such as invented-1e6 allowed"):
        train.measure(["invented-many"], [], model="logistic", runs=1, told=print)


@pytest.mark.slow
def test_a_training_tells_time_bytes_rounds_and_auc() -> None:
    (row,) = train.measure(
        ["invented-2000"], ["ours"], model="logistic", runs=1, told=lambda _: None
    )
    assert not row.error
    assert row.metrics["auc"] > 0.6
    assert row.metrics["rounds"] > 4 * row.metrics["evaluations"]
    assert row.metrics["wire_bytes"] > 100 * 2000
    assert tables.TABLES["trainings"]([row])[1][1] == "invented-2000"
