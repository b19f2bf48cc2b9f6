"""Bits that a row holds: against the definition, over every kind of column."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from itertools import product
from math import log2
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.releases.entropy import joint_entropy
from psi.protocol import InputError


def plain(rows: list[Any]) -> float:
    return -sum(n / len(rows) * log2(n / len(rows)) for n in Counter(rows).values())


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from([None, 1.5, 2.0]))))
def test_it_is_the_entropy_of_the_rows_frequencies(rows: list[tuple[str | None, float]]) -> None:
    table = pa.table(
        {"a": pa.array([a for a, _ in rows], pa.string()),
         "b": pa.array([b for _, b in rows], pa.float64())}
    )  # fmt: skip
    assert joint_entropy(table, ["a", "b"]) == pytest.approx(plain(rows) if rows else 0.0)
    alone = joint_entropy(table, ["b"])
    assert alone == pytest.approx(plain([b for _, b in rows]) if rows else 0.0)
    assert joint_entropy(table, ["a", "b", "a"]) == joint_entropy(table, ["b", "a"])


DAYS = [dt.date(2026, 1, 1), dt.date(2026, 1, 2)]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True, False, None, True]),
        pa.array([2**64 - 1, 0, None, 0], pa.uint64()),
        pa.array([-1, 2, 2, None], pa.int8()),
        pa.array([0.0, -0.0, None, 1.0]),
        pa.array([np.nan, None, 1.0, -np.nan], from_pandas=False),
        pa.array(np.array([1, 2, 2, 3], np.float16)),
        pa.array([*DAYS, None, DAYS[0]]),
        pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 3 + [None]),
        pa.array([Decimal("1.0"), Decimal("1.00"), None, Decimal("2.0")]),
        pa.array(["a", None, "b", "a"]).dictionary_encode(),
        pa.array([b"\xff", b"", None, b""]),
        pa.array(["x", "y", "x", None], pa.string_view()),
        pa.nulls(4),
    ],
)
def test_every_kind_of_column_is_counted(values: pa.Array) -> None:
    for column in (values, pa.chunked_array([values[:1], values[1:]])):
        told = ["nan" if str(v) == "nan" else v for v in values.to_pylist()]
        found = joint_entropy(pa.table({"a": column}), ["a"])
        assert found == pytest.approx(plain(told), abs=1e-12)


def test_independent_columns_add_up_and_copies_do_not() -> None:
    rows = list(product(range(8), range(4)))
    table = pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    table = table.append_column("c", pa.array([f"{a * 7}" for a, _ in rows]))
    assert joint_entropy(table, ["a", "b"]) == pytest.approx(5)
    assert joint_entropy(table, ["a", "c"]) == pytest.approx(3)
    assert joint_entropy(table, ["a", "b", "c"]) == pytest.approx(5)
    assert joint_entropy(table, []) == joint_entropy(table.slice(0, 0), ["a"]) == 0
    assert joint_entropy(table.slice(0, 1), ["a", "b"]) == 0


def test_a_column_of_lists_is_refused_by_its_name() -> None:
    with pytest.raises(InputError, match=r"column 'a': list<.*> has no values that can be counted"):
        joint_entropy(pa.table({"a": [[1], [2]]}), ["a"])
