from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.identifiers import key_buffer
from psi.kernels.distinct import distinct
from psi.kernels.strings import take_strings

text = st.text(alphabet="ab\u20ac\x00", max_size=20)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(text, st.booleans()), max_size=60), st.integers(0, 2**64 - 1))
def test_distinct_numbers_as_arrows_dictionary_does(
    rows: list[tuple[str, bool]], seed: int
) -> None:
    strings = pa.array([value for value, _ in rows], pa.large_string())
    wanted = np.array([kept for _, kept in rows], bool)
    code, first = distinct(*key_buffer(strings), wanted, seed)
    masked = pc.if_else(pa.array(wanted), strings, pa.scalar(None, strings.type))
    expected = pc.dictionary_encode(masked)
    assert code.tolist() == [-1 if v is None else v for v in expected.indices.to_pylist()]
    assert strings.take(pa.array(first)).to_pylist() == expected.dictionary.to_pylist()


def test_strings_that_differ_in_length_only() -> None:
    strings = pa.array(["", "\x00", "\x00\x00", "\x00" * 8, "\x00" * 9], pa.large_string())
    code, _ = distinct(*key_buffer(strings), np.ones(5, bool), 7)
    assert code.tolist() == [0, 1, 2, 3, 4]


@settings(deadline=None, max_examples=40)
@given(st.data(), st.lists(text, min_size=1, max_size=200))
def test_taken_strings_equal_arrows(data: st.DataObject, values: list[str]) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(values) - 1), max_size=300)), np.int64)
    strings = pa.array(values, pa.large_string())
    found, offsets = take_strings(*key_buffer(strings), rows)
    whole = found.tobytes()
    taken = [whole[a:b].decode() for a, b in itertools.pairwise(offsets)]
    assert taken == strings.take(pa.array(rows)).to_pylist()


@pytest.mark.parametrize("count", [0, 1, 63, 64, 1000])
def test_permutations_are_permutations(count: int) -> None:
    from psi.shuffling import permutation

    order = permutation(count, bytes(range(32)))
    assert sorted(order.tolist()) == list(range(count))
    assert order.tolist() == permutation(count, bytes(range(32))).tolist()
    if count == 1000:
        assert order.tolist() != permutation(count, bytes(32)).tolist()
