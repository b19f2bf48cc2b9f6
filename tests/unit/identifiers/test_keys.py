"""Composite keys and the flat buffers that kernels read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from psi.identifiers import clean, combine, guess_kind, key_buffer
from psi.protocol.errors import MisuseError


def test_one_column_is_its_own_key() -> None:
    column = clean(pa.array(["01", None]), "number")
    assert combine([column]).to_pylist() == ["1", None]


def test_parts_do_not_run_together() -> None:
    left = clean(pa.array(["a", "ab", "张", None]), "text")
    right = clean(pa.array(["bc", "c", "三", "x"]), "text")
    keys = combine([left, right]).to_pylist()
    assert keys == ["1:a2:bc", "2:ab1:c", "3:张3:三", None]


def test_combine_refuses_nothing_and_different_lengths() -> None:
    with pytest.raises(MisuseError, match="at least 1"):
        combine([])
    short, long = (clean(pa.array(["a"] * n), "text") for n in (1, 2))
    with pytest.raises(MisuseError, match=r"\[1, 2\] rows"):
        combine([short, long])


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string()])
def test_key_buffer_round_trip(type_: pa.DataType) -> None:
    strings = pa.array(["aa", "", "张", "b"], type=type_)
    for part in (strings, strings.slice(1, 2), strings.slice(4), pa.chunked_array([strings])):
        data, offsets = key_buffer(part)
        assert data.dtype == np.uint8
        assert offsets.dtype == np.int64
        assert offsets[0] == 0
        found = [bytes(data[a:b]).decode() for a, b in pairwise(offsets)]
        assert found == part.to_pylist()


def test_key_buffer_refuses_nulls_and_other_types() -> None:
    with pytest.raises(MisuseError, match="1 null keys"):
        key_buffer(pa.array(["a", None]))
    with pytest.raises(MisuseError, match="allowed: text"):
        key_buffer(pa.array([1]))


@pytest.mark.parametrize(
    ("name", "sample", "expected"),
    [
        ("统一社会信用代码", ["91110000600037341L", "x"], "credit_code"),
        ("c1", ["91110000600037341L"], "credit_code"),
        ("id_no", ["11010519491231002X", None], "identity_number"),
        ("mobile", [13800138000], "phone"),
        ("c2", ["a@b.cn", "c@d.cn"], "email"),
        ("customer_name", ["张三"], "name"),
        ("loan_id", [4959, 4961], "number"),
        ("id_no", ["13800138000"], "phone"),
        ("birth", ["1990-01-02"], "date"),
        ("remark", ["hello", "world"], None),
        ("flag", [True], None),
        ("empty", [None], None),
    ],
)
def test_guess_kind(name: str, sample: list[object], expected: str | None) -> None:
    assert guess_kind(name, pa.array(sample)) == expected
