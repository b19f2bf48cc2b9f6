"""Properties of cleaning and keys, for any text."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from psi.identifiers import KINDS, clean, combine, key_buffer

DIGITS = "0123456789０１２３４５６７８９"
MARKS = " -.()+/*_\u3000－–\u200b\ufeffxXＸ年月日@|"
near = st.text(alphabet=DIGITS + MARKS + "abAB张三éßİ·'", max_size=24)
cells = st.lists(st.none() | st.text(max_size=12) | near, max_size=12)


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    """Compile before Hypothesis looks at the clock."""
    for kind in KINDS:
        clean(pa.array(["1"]), kind)


@pytest.mark.parametrize("kind", KINDS)
@given(rows=cells)
@example(rows=["İ", "ϓ", "ﷺ", "㎏", "ǅ", "ᾳ", "가", "が", "٣", "²", "\x1f", "a\u0345", "ſ"])
@example(rows=["张三 2000-1-1", "0086 0 10 6552 9988", "+86 86 13800138000", "1900-02-29"])
def test_cleaning_twice_is_cleaning_once(kind: str, rows: list[str | None]) -> None:
    column = pa.array(rows, type=pa.string())
    once = clean(column, kind)
    twice = clean(once.values, kind)
    assert twice.values.to_pylist() == once.values.to_pylist()
    assert twice.changed == 0
    unusable = sum(once.reasons.values())
    assert once.usable + unusable == once.rows == len(rows)
    assert once.changed <= once.usable


@pytest.mark.parametrize("kind", KINDS)
@given(rows=cells, cut=st.integers(0, 12))
def test_rows_do_not_depend_on_each_other(kind: str, rows: list[str | None], cut: int) -> None:
    column = pa.array(rows, type=pa.string())
    whole = clean(column, kind).values.to_pylist()
    parts = [clean(part, kind).values.to_pylist() for part in (column[:cut], column[cut:])]
    assert parts[0] + parts[1] == whole


pairs = st.lists(st.tuples(st.none() | near, st.none() | near), max_size=12)


@given(rows=pairs)
def test_composite_keys_are_equal_only_for_equal_parts(
    rows: list[tuple[str | None, str | None]],
) -> None:
    parts = [clean(pa.array([row[i] for row in rows], type=pa.string()), "text") for i in (0, 1)]
    keys = combine(parts).to_pylist()
    cleaned = list(zip(*(part.values.to_pylist() for part in parts), strict=True))
    for key, row in zip(keys, cleaned, strict=True):
        assert (key is None) == (None in row)
    present = [(key, row) for key, row in zip(keys, cleaned, strict=True) if key is not None]
    assert len({key for key, _ in present}) == len({row for _, row in present})


@given(rows=st.lists(st.text(max_size=8), max_size=12), start=st.integers(0, 12))
def test_key_buffer_holds_the_bytes(rows: list[str], start: int) -> None:
    strings = pa.array(rows, type=pa.string())[start:]
    data, offsets = key_buffer(strings)
    assert offsets[0] == 0
    assert bytes(data) == "".join(rows[start:]).encode()
    assert len(offsets) == len(strings) + 1
    assert not data.flags.writeable
    assert not offsets.flags.writeable
