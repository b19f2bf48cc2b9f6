"""Grouping, sorting and joining against numpy and dictionaries, with ties and odd sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psi.kernels.grouping import group_rows, join, sort_tags

SIZES = (0, 1, 5, 300, 5_000, 40_000)


def tags(count: int, seed: int = 1) -> np.ndarray:
    """Tags whose word 0 holds 16 bits, as those of 80 bits do."""
    found = np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)
    found[:, 0] &= np.uint64(0xFFFF)
    return found


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("width", [0, 2, 4])
def test_rows_go_to_their_groups_in_order(count: int, width: int) -> None:
    generator = np.random.default_rng(count)
    rows = generator.integers(0, 2**64, (count, width), dtype=np.uint64)
    group = generator.integers(0, 7, count).astype(np.int32)
    out, index, starts = group_rows(rows, group, 9)
    wanted = np.argsort(group, kind="stable")
    assert (index == wanted).all()
    assert (out == rows[wanted]).all()
    assert np.diff(starts).tolist() == np.bincount(group, minlength=9).tolist()


@pytest.mark.parametrize("shared", [0, 1, 9])
@pytest.mark.parametrize("count", SIZES)
def test_tags_ascend(count: int, shared: int) -> None:
    mine = tags(count)
    mine[count // 2 :, 1] = mine[: count - count // 2, 1]  # ties that word 0 breaks
    mine[:, 1] = mine[:, 1] >> np.uint64(shared) | np.uint64(2**64 - 2 ** (64 - shared))
    out, index = sort_tags(mine, shared)
    assert (out == mine[np.lexsort((mine[:, 0], mine[:, 1]))]).all()
    assert (mine[index] == out).all()
    assert sorted(index) == list(range(count))


@pytest.mark.parametrize("count", SIZES)
def test_equal_tags_are_found(count: int) -> None:
    mine = tags(count)
    generator = np.random.default_rng(2)
    theirs = np.concatenate([mine[count // 3 :], tags(count, 3), mine[count // 2 :]])
    theirs = theirs[generator.permutation(len(theirs))]
    first = {tuple(tag): row for row, tag in reversed(list(enumerate(theirs.tolist())))}
    assert join(mine, theirs).tolist() == [first.get(tuple(tag), -1) for tag in mine.tolist()]
    other = mine.copy()
    other[:, 0] ^= np.uint64(1)
    assert (join(other, mine) == -1).all()


def test_groups_that_do_not_exist_are_refused() -> None:
    rows = np.zeros((3, 2), np.uint64)
    for group in ([0, 1, 2], [0, -1, 0], [0, 1]):
        with pytest.raises(ValueError, match="a group for each row"):
            group_rows(rows, np.array(group, np.int32), 2)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=60), st.lists(st.integers(0, 40), max_size=60))
def test_joining_equals_a_dictionary(left: list[int], right: list[int]) -> None:
    def of(values: list[int]) -> np.ndarray:
        # few distinct words, so that places in the table collide
        return np.array([[v, v % 3] for v in values], np.uint64).reshape(-1, 2)

    first: dict[int, int] = {}
    for row, value in enumerate(right):
        first.setdefault(value, row)
    assert join(of(left), of(right)).tolist() == [first.get(v, -1) for v in left]
