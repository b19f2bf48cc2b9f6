"""Squares in two lanes: the sum is exact, and the second lane tells nothing beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from federated.aggregate.measured import scaled
from federated.aggregate.squares import FULL_SQUARES, check_squares, square_lanes, whole_squares
from psi.protocol import InputError, MisuseError

SEED = b"q" * 32


def exact(column: np.ndarray) -> int:
    return sum(int(value) ** 2 for value in scaled(column))


def summed(lanes: np.ndarray) -> Any:
    low, high = lanes.sum(axis=0, dtype=np.uint64)
    return whole_squares(np.array([low]), np.array([high]))[0]


@pytest.mark.parametrize(
    "column",
    [
        np.zeros(100),
        np.ones(50_000),  # all round alike
        np.full(3000, -(2.0**-20)),  # the smallest square there is
        np.array([2.0**33.7, -(2.0**33)]),  # just below what is refused
        np.array([np.nan, 3.0, np.nan]),
        1e6 + np.random.default_rng(1).normal(0, 1, 5000),
        np.random.default_rng(2).lognormal(0, 6, 5000),
        np.full(1 << 16, 2.0**2.5),  # a half of a step each: nothing is lost by many
    ],
)
def test_sums_are_exact_and_follow_from_rows_alone(column: np.ndarray) -> None:
    check_squares("c", column)
    lanes = square_lanes(column, SEED, "0 c")
    assert summed(lanes) == exact(column)
    np.testing.assert_array_equal(lanes, square_lanes(column, SEED, "0 c"))
    assert np.array_equal(lanes[:, 0], square_lanes(column, SEED, "1 c")[:, 0])
    for part in np.array_split(np.arange(len(column)), 3):
        assert summed(lanes[part]) == exact(column[part])


def test_what_the_second_lane_tells_beside_the_sum_is_noise() -> None:
    """Columns of one sum of squares, which another rounding would tell apart."""
    rows, found = 400, []
    halves = np.tile([2.0**3 * np.sqrt(1.5), 2.0**3 * np.sqrt(0.5)], rows // 2)
    for column in (np.full(rows, 2.0**3), halves):
        off = []
        for seed in range(200):
            high = square_lanes(column, bytes([seed]) * 32, "0 c")[:, 1].view(np.int64).sum()
            off.append(float(high - exact(column) / 2**46))
        found.append(np.array(off))
        # 3.24 √rows of noise, and rounding of .5 √rows at most: six deviations of 200 draws
        assert np.std(off) == pytest.approx(3.25 * np.sqrt(rows), rel=0.3)
        assert abs(np.mean(off)) < 6 * 65 / np.sqrt(200)
    apart = abs(found[0].mean() - found[1].mean()) / np.hypot(*(np.std(f) for f in found))
    assert apart < 6 * np.sqrt(1 / 200)


def test_a_lane_differs_from_column_to_column_and_section_to_section() -> None:
    column = np.full(400, 2.0**3)
    names = [square_lanes(column, SEED, name)[:, 1] for name in ("0 c", "0 d", "1 c")]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (names[one] != names[other]).mean() > 0.7


def test_what_lanes_do_not_hold_is_refused() -> None:
    with pytest.raises(InputError, match="squares of 2 values add up to 2\\^68") as found:
        check_squares("c", np.array([2.0**34, 1.0]), "t: ")
    assert "17179869184" not in str(found.value)
    assert FULL_SQUARES == 2.0**108
    with pytest.raises(MisuseError, match="without a seed"):
        square_lanes(np.ones(3), b"", "0 c")
