from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.releases.differencing import Tags, difference, exposure, nearest

people = st.sets(st.integers(0, 11), max_size=12)


def tags(*members: int) -> Tags:
    return np.array(sorted(set(members)), np.uint64)


def span(first: int, end: int) -> Tags:
    return np.arange(first, end, dtype=np.uint64)


@given(people, people)
def test_difference_is_that_of_sets(one: set[int], other: set[int]) -> None:
    assert difference(tags(*one), tags(*other)) == len(one ^ other)


@given(people, st.lists(people, max_size=4), st.integers(0, 5))
def test_nearest_is_the_first_within_reach(
    asked: set[int], earlier: list[set[int]], least: int
) -> None:
    near = [i for i, one in enumerate(earlier) if len(asked ^ one) < least]
    expected = near[0] if near else None
    assert nearest(tags(*asked), [tags(*one) for one in earlier], least) == expected


@given(st.lists(people, min_size=1, max_size=4), st.integers(1, 4))
def test_exposure_is_the_space_of_sums_that_speak_of_small_cells_alone(
    sets: list[set[int]], least: int
) -> None:
    """Against floating-point linear algebra over single people."""
    matrix = np.array([[person in one for person in range(12)] for one in sets], float)
    cells: dict[tuple[float, ...], list[int]] = {}
    for person in range(12):
        cells.setdefault(tuple(matrix[:, person]), []).append(person)
    large = [p for members in cells.values() if len(members) >= least for p in members]
    expected = np.linalg.matrix_rank(matrix) - (
        np.linalg.matrix_rank(matrix[:, large]) if large else 0
    )
    assert exposure([tags(*one) for one in sets], least) == expected


@given(st.lists(people, max_size=3), people, st.integers(1, 4))
def test_exposure_never_falls(sets: list[set[int]], more: set[int], least: int) -> None:
    arrays = [tags(*one) for one in sets]
    assert exposure([*arrays, tags(*more)], least) >= exposure(arrays, least)


def test_one_person_by_two_jobs_by_a_union_and_by_inclusion_and_exclusion() -> None:
    everyone, all_but_one = span(0, 1000), span(1, 1000)
    assert exposure([everyone, all_but_one], 10) == 1
    assert exposure([everyone, span(20, 1000)], 10) == 0
    parts = [span(0, 300), span(300, 600)]
    assert exposure([*parts, span(0, 600)], 10) == 0  # tells nothing that the two did not
    assert exposure([*parts, span(0, 601)], 10) == 1
    # A + B - (A and B) - (A or B without one): four jobs, every two of which differ by hundreds
    a, b = span(0, 600), span(400, 1000)
    four = [a, b, span(400, 600), span(1, 1000)]
    assert min(difference(x, y) for x, y in combinations(four, 2)) > 100
    assert exposure(four[:3], 10) == 0
    assert exposure(four, 10) == 1


def test_a_steady_customer_base_goes_on() -> None:
    """Each month 30 leave and 40 come: no combination is left with a few people only."""
    months = [span(30 * month, 1000 + 40 * month) for month in range(24)]
    assert exposure(months, 10) == 0
    months.append(span(30 * 24, 1000 + 40 * 23 + 3))  # 3 come since the month before
    assert exposure(months, 10) == 0  # and 30 leave
    months.append(span(30 * 24, 1000 + 40 * 23 + 8))
    assert exposure(months, 10) == 1


def test_more_sets_than_bits_of_a_word() -> None:
    sets = [span(i * 20, 10_000) for i in range(130)]
    assert exposure(sets, 10) == 0
    assert exposure([*sets, span(20 * 129 + 1, 10_000)], 10) == 1


@pytest.mark.parametrize("least", [0, 1])
def test_nothing_is_small_without_a_minimum(least: int) -> None:
    assert exposure([span(0, 5), span(0, 4)], least) == 0
    assert nearest(span(0, 5), [span(0, 4)], least) is None


def test_no_sets_and_empty_sets() -> None:
    assert exposure([], 10) == 0
    assert exposure([span(0, 0)], 10) == 0
    assert exposure([span(0, 5)], 10) == 1  # a set below the minimum isolates by itself
