"""Profiles have one row an entity; reasons and segments say what the numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federated.models import LinearPart
from federated.tables.encoding import Encoder
from profiles.profile import (
    build_profiles,
    reasons_column,
    score_column,
    spread,
    write_parquet_atomic,
)
from profiles.reasons import phrase, score_reasons, true_zeros
from profiles.segments import segments
from psi.protocol.errors import EnvironmentFailed, InputError, MisuseError


def blobs(rows: int = 600) -> np.ndarray:
    """Three well-parted groups of sizes 3 : 2 : 1."""
    random = np.random.default_rng(1)
    group = np.repeat([0, 1, 2], [rows // 2, rows // 3, rows - rows // 2 - rows // 3])
    centre = np.array([[0.0, 0, 0], [8, 0, 1], [0, -8, 0]])[group]
    matrix = centre + random.normal(0, 0.5, (rows, 3))
    matrix[:, 2] = centre[:, 2]
    return np.asarray(matrix[random.permutation(rows)])


NAMES = ["balance", "inflow_trend", "channel=branch"]


def test_segments_are_the_groups_numbered_by_size() -> None:
    matrix = blobs()
    found = segments(matrix, 3, 7, NAMES)
    assert found.sizes == (300, 200, 100)
    assert found.names == ("segment 1", "segment 2", "segment 3")
    assert set(found.number[matrix[:, 0] > 4]) == {2}
    assert found.descriptions[1] == "channel is branch, balance very high, inflow trend high"
    assert found.descriptions[2].startswith("inflow trend very low")
    again = segments(matrix, 3, 7, NAMES)
    np.testing.assert_array_equal(found.number, again.number)
    assert found.centres.shape == (3, 3)


def test_segments_by_score_come_highest_first() -> None:
    matrix = blobs()
    score = np.where(matrix[:, 1] < -4, 0.9, np.where(matrix[:, 0] > 4, 0.5, 0.1))
    score[0] = np.nan
    found = segments(matrix, 3, 7, NAMES, score=score)
    assert found.sizes == (100, 200, 300)


def test_segments_of_few_or_equal_or_missing_values() -> None:
    same = segments(np.ones((10, 2)), 4, 7)
    assert same.sizes == (10,)
    assert same.descriptions == ("close to the average in everything",)
    few = segments(np.array([[0.0], [5.0]]), 6, 7)
    assert few.sizes == (1, 1)
    gaps = np.array([[np.nan, 1.0], [np.nan, 5.0], [np.nan, 1.0]])
    assert segments(gaps, 2, 7).sizes == (2, 1)
    with pytest.raises(InputError):
        segments(np.zeros((0, 2)), 2, 7)
    with pytest.raises(MisuseError):
        segments(np.ones((2, 2)), 0, 7)


def test_a_far_row_is_no_segment_of_its_own() -> None:
    random = np.random.default_rng(5)
    matrix = np.concatenate([random.normal(0, 1, (300, 2)), random.normal(6, 1, (300, 2))])
    matrix[7] = 1e6, -1e6
    found = segments(matrix, 4, 7, NAMES[:2])
    assert min(found.sizes) >= 6
    assert sum(found.sizes) == 600
    assert len(found.sizes) > 1


def test_reasons_are_the_largest_contributions() -> None:
    matrix = np.array([[2.0, -1.0, 1.0, 0.1, 1.0], [-2.0, 1.0, 0.0, -0.1, 0.0]])
    names = ["balance", "inflow_trend", "channel=branch", "age", "channel=post"]
    told = score_reasons(
        matrix,
        names,
        LinearPart(np.array([-0.5, -0.42, 0.3, 0.001, 0.19])),
        {"bureau": np.array([0.7, -0.001])},
        top=4,
        words={"balance": "account balance"},
        zeros={"balance": 0.5, "inflow_trend": -0.25},
    ).to_pylist()
    assert told[0] == [
        "account balance very high (-1.00)",
        "partner bureau (+0.70)",
        "inflow trend falling (+0.42)",
        "channel is branch (+0.15)",
    ]
    # what is 0.00 is no reason, a partner's neither, nor what is below a tenth of the largest
    assert told[1] == [
        "account balance very low (+1.00)",
        "inflow trend rising (-0.42)",
        "channel is not branch (-0.15)",
    ]


def test_a_change_rises_only_where_values_lie_on_both_sides_of_zero() -> None:
    """A ratio is above 0 for everybody: whoever is below the average has no rise."""
    matrix = np.array([[-0.4], [0.9], [-0.6]])
    for zero, words in ((-2.5, "below average"), (-0.5, "rising slightly")):
        told = score_reasons(
            matrix, ["takings_change"], LinearPart(np.ones(1)), zeros={"takings_change": zero}
        )
        assert told.to_pylist()[0] == [f"takings change {words} (-0.37)"]


def test_reasons_without_rows_or_columns() -> None:
    assert score_reasons(np.zeros((0, 2)), ["a", "b"], LinearPart(np.zeros(2))).to_pylist() == []
    alone = score_reasons(
        np.zeros((2, 0)), [], LinearPart(np.zeros(0)), {"p": np.array([1.0, 0.0])}
    )
    assert alone.to_pylist() == [["partner p (+1.00)"], []]
    with pytest.raises(MisuseError):
        score_reasons(np.zeros((2, 2)), ["a"], LinearPart(np.zeros(2)))
    with pytest.raises(MisuseError):
        score_reasons(np.zeros((2, 1)), ["a"], LinearPart(np.zeros(1)), {"p": np.zeros(3)})


def test_words_for_encoded_columns() -> None:
    assert phrase("balance:missing", 1.0) == "balance missing"
    assert phrase("balance:missing", 0.0) == "balance known"
    assert phrase("job:other", 1.0) == "job is a rare one"
    assert phrase("spend", 0.0) == "spend below average"
    assert phrase("inflow_trend", -0.1, zero=-0.7) == "inflow trend rising"
    assert phrase("inflow_trend", -0.6) == "inflow trend low"
    assert phrase("net\u202e_flow\x00", -3.0) == "net flow very low"


def test_true_zeros_are_zero_encoded() -> None:
    table = pa.table({"a_trend": np.arange(100.0) - 10, "kind": ["x", "y"] * 50})
    encoder = Encoder.fit(table, ["a_trend", "kind"])
    matrix, _ = encoder.transform(table)
    assert true_zeros(encoder) == {"a_trend": pytest.approx(matrix[10, 0])}


def test_profiles_have_a_row_an_entity() -> None:
    facts = pa.table(
        {"id": ["a", "b", "c"], "branch": ["n", None, "s"], "segment": ["x", "y", "x"]}
    )
    features = pa.table({"balance": [1.0, 2.0, None], "branch": ["n", None, "s"]})
    rows = np.array([2, 0])
    found = build_profiles(
        facts,
        features,
        {"Term deposit": spread(np.array([0.7, 0.2]), rows, 3)},
        segments(np.array([[0.0], [0.1], [9.0]]), 2, 7, ["balance"]),
        {"Term deposit": pa.array([[], None, ["r"]])},
        np.array([0, -1, 1]),
    )
    assert found.column_names == [
        "entity",
        "branch",
        "fact_segment",
        "balance",
        "score_term_deposit",
        "reasons_term_deposit",
        "segment",
        "segment_name",
        "matched",
        "match_grade",
    ]
    assert found.column("entity").to_pylist() == ["a", "b", "c"]
    assert found.column(score_column("Term deposit")).to_pylist() == [0.2, None, 0.7]
    assert found.column(reasons_column("Term deposit")).to_pylist() == [[], None, ["r"]]
    assert found.column("segment").to_pylist() == [1, 1, 2]
    assert found.column("matched").to_pylist() == [True, False, True]
    assert found.column("match_grade").to_pylist() == [1, None, 2]


def test_a_row_in_several_pairs_shows_their_mean() -> None:
    found = spread(np.array([0.2, 0.4, 0.9]), np.array([3, 3, 0]), 4)
    assert np.allclose(found, [0.9, np.nan, np.nan, 0.3], equal_nan=True)
    assert np.isnan(spread(np.zeros(0), np.zeros(0, np.int64), 2)).all()


def test_profiles_of_facts_alone() -> None:
    facts = pa.table({"name": ["x"], "key": [5]})
    assert build_profiles(facts, entity="key").to_pydict() == {"entity": [5], "name": ["x"]}


def test_profiles_refuse_what_does_not_fit() -> None:
    facts = pa.table({"id": [1, 2]})
    with pytest.raises(MisuseError, match="features"):
        build_profiles(facts, pa.table({"x": [1]}))
    with pytest.raises(MisuseError, match="score_a"):
        build_profiles(facts, scores={"a": np.zeros(3)})
    with pytest.raises(MisuseError, match="repeat"):
        build_profiles(facts, scores={"a b": np.zeros(2), "a-b": np.zeros(2)})
    with pytest.raises(MisuseError, match="no column"):
        build_profiles(facts, entity="other")


def test_parquet_is_old_or_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "profiles.parquet"
    write_parquet_atomic(pa.table({"x": [1]}), path)
    assert path.stat().st_mode & 0o777 == 0o600

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(EnvironmentFailed, match="No space left"):
        write_parquet_atomic(pa.table({"x": [2]}), path)
    assert pq.read_table(path).to_pydict() == {"x": [1]}
    assert [entry.name for entry in tmp_path.iterdir()] == ["profiles.parquet"]


def test_segments_of_a_large_table_come_from_a_sample() -> None:
    matrix = np.tile(blobs(), (50, 1))
    found = segments(matrix, 3, 7, NAMES)
    assert found.sizes == (15_000, 10_000, 5_000)
    np.testing.assert_array_equal(found.number, segments(matrix, 3, 7, NAMES).number)
