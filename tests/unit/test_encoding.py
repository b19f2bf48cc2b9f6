"""The encoder: reference, pooling, support, missing values, and the same result anywhere."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from federated.tables.encoding import Encoder
from psi.protocol.errors import InputError, MisuseError

CANARY = "CANARY7Q"


def encode(table: pa.Table, **options: object) -> tuple[Encoder, np.ndarray]:
    encoder = Encoder.fit(table, table.column_names, **options)  # type: ignore[arg-type]
    return encoder, encoder.transform(table)[0]


def test_numbers_are_standardised_over_the_training_rows_only() -> None:
    values = np.concatenate([np.arange(100.0), [1e6]])
    rows = np.arange(101) < 100
    table = pa.table({"x": values})
    encoder = Encoder.fit(table, ["x"], rows)
    matrix, names = encoder.transform(table)
    assert names == ("x",)
    assert matrix.dtype == np.float64
    assert matrix[rows].mean() == pytest.approx(0)
    assert matrix[rows].std() == pytest.approx(1)
    assert matrix[100, 0] > 1000


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e140, 0.5])
def test_numbers_are_standardised_whatever_their_unit(unit: float) -> None:
    """Squares of numbers so small are 0: the column counted as constant, without a word."""
    _, plain = encode(pa.table({"x": np.arange(100.0)}))
    _, matrix = encode(pa.table({"x": np.arange(100.0) * unit}))
    assert np.allclose(matrix, plain)


def test_missing_numbers_become_the_mean_and_an_indicator() -> None:
    values = [float(i) if i % 2 else None for i in range(100)]
    encoder, matrix = encode(pa.table({"x": values}))
    assert encoder.names == ("x", "x:missing")
    assert matrix[0].tolist() == [0.0, 1.0]
    assert matrix[1, 1] == 0.0
    few = [float(i) if i > 3 else None for i in range(100)]
    encoder, matrix = encode(pa.table({"x": few}))
    assert encoder.names == ("x",)
    assert "x: no indicator for fewer than 20 missing or present values" in encoder.notes
    assert matrix[0, 0] == 0.0


def test_one_hot_drops_the_most_frequent_and_pools_the_rare() -> None:
    values = ["a"] * 60 + ["b"] * 30 + ["c"] * 30 + ["d"] * 15 + ["e"] * 10 + [None] * 25
    encoder, matrix = encode(pa.table({"x": values}))
    assert encoder.names == ("x=b", "x=c", "x:missing", "x:other")
    assert matrix.sum(axis=0).tolist() == [30, 30, 25, 25]
    assert matrix[:60].sum() == 0
    assert encoder.notes == ("x: 2 categories with fewer than 20 rows pooled",)


def test_too_few_to_pool_fall_to_the_reference() -> None:
    encoder, matrix = encode(pa.table({"x": ["a"] * 60 + ["b"] * 30 + ["c"] * 5}))
    assert encoder.names == ("x=b",)
    assert matrix[90:].sum() == 0


def test_rare_columns_are_dropped_with_a_note() -> None:
    n = 100
    table = pa.table(
        {
            "constant": [3] * n,
            "flag": [True] * 19 + [False] * (n - 19),
            "enough": [True] * 20 + [False] * (n - 20),
            "word": ["x"] * 19 + ["y"] * (n - 19),
            "spread": ["x"] * 81 + [f"v{i}" for i in range(19)],
            "empty": pa.nulls(n, pa.float64()),
            "blank": pa.nulls(n, pa.string()),
        }
    )
    encoder, matrix = encode(table)
    assert encoder.names == ("enough",)
    assert matrix.shape == (n, 1)
    assert encoder.dropped == ("constant", "flag", "word", "spread", "empty", "blank")
    for name in encoder.dropped:
        assert any(note.startswith(f"{name}: dropped") for note in encoder.notes)
    assert not any("19 rows" in note or " 0 " in note for note in encoder.notes)


@pytest.mark.parametrize("support", [1, 5, 20, 50])
@pytest.mark.parametrize("seed", range(8))
def test_every_group_has_support(support: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 200
    words = rng.zipf(1.0 + rng.random() * 2, n) % rng.integers(2, 300)
    gaps = rng.random(n) < rng.choice([0, 0.05, 0.3, 0.95])
    table = pa.table(
        {
            "w": pa.array(words.astype(str), mask=gaps),
            "h": pa.array(rng.normal(size=n), mask=gaps),
            "p": rng.poisson(rng.random() * 0.2, n),
        }
    )
    rows = rng.random(n) < 0.8
    for name in table.column_names:
        encoder = Encoder.fit(table, [name], rows, categories=["w"], minimum_support=support)
        matrix = encoder.transform(table)[0][rows]
        for column in matrix.T:
            assert len(column) - np.unique(column, return_counts=True)[1].max() >= support
        if name == "w" and encoder.names:
            assert matrix.sum(axis=1).max() <= 1
            assert (matrix.sum(axis=1) == 0).sum() >= support


def test_unseen_categories() -> None:
    train = pa.table({"x": ["a"] * 50 + ["b"] * 30 + ["c"] * 10 + ["d"] * 15})
    encoder = Encoder.fit(train, ["x"])
    assert encoder.names == ("x=b", "x:other")
    found, _ = encoder.transform(pa.table({"x": ["b", "new", None, "a"]}))
    assert found.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]]
    plain = Encoder.fit(train.slice(0, 80), ["x"])
    assert plain.transform(pa.table({"x": ["new"]}))[0].tolist() == [[0]]


def test_layout_and_row_order_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    n = 300
    table = pa.table({"w": rng.choice(["a", "b", "c"], n), "v": rng.normal(size=n)})
    order = rng.permutation(n)
    shuffled = table.take(pa.array(order))
    coded = table.set_column(0, "w", table["w"].dictionary_encode())
    encoder, matrix = encode(table)
    other, turned = encode(shuffled)
    assert other.names == encoder.names
    np.testing.assert_allclose(turned, matrix[order], atol=1e-12)
    assert np.array_equal(encode(coded)[1], matrix)
    halves = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    assert np.array_equal(encode(halves)[1], matrix)


def test_columns_of_numbers_as_categories() -> None:
    table = pa.table({"grade": [1] * 40 + [2] * 30 + [3] * 30})
    assert encode(table, categories=["grade"])[0].names == ("grade=2", "grade=3")


def test_saved_and_restored() -> None:
    table = pa.table({"w": ["a"] * 30 + ["b"] * 30, "v": [float(i) for i in range(60)]})
    encoder, matrix = encode(table)
    restored = Encoder.from_dict(json.loads(json.dumps(encoder.as_dict())))
    assert restored == encoder
    assert np.array_equal(restored.transform(table)[0], matrix)
    for broken in ({}, {"columns": [{}], "notes": [], "minimum_support": 1}, {"columns": 3}):
        with pytest.raises(MisuseError, match="no saved encoder"):
            Encoder.from_dict(broken)


def test_what_cannot_be_encoded() -> None:
    table = pa.table({"x": [1.0, 2.0], "d": pa.array([0, 1], type=pa.date32())})
    with pytest.raises(MisuseError, match=r"found a mask of int64\[2\], allowed: bool\[2\]"):
        Encoder.fit(table, ["x"], np.array([0, 1]))
    with pytest.raises(InputError, match="no training rows"):
        Encoder.fit(table, ["x"], np.array([False, False]))
    with pytest.raises(MisuseError, match="no column 'y'"):
        Encoder.fit(table, ["y"])
    with pytest.raises(InputError, match="column 'd': found date32"):
        Encoder.fit(table, ["d"])


def test_mostly_numbers_are_a_fault_not_categories() -> None:
    table = pa.table({"income": [*map(str, range(97)), CANARY, "n.k.", None]})
    with pytest.raises(InputError, match="'income': 2 of 100 values are not numeric") as caught:
        Encoder.fit(table, ["income"])
    assert CANARY not in str(caught.value)
    assert Encoder.fit(table, ["income"], categories=["income"]).names == ()


def test_no_columns_make_an_empty_matrix() -> None:
    found, names = Encoder.fit(pa.table({"x": [1]}), []).transform(pa.table({"x": [1, 2]}))
    assert (found.shape, names) == ((2, 0), ())
