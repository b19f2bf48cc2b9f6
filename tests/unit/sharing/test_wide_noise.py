"""Noise on whole numbers: every digit of it is drawn, however wide it is."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from federated.horizontal.noise import LARGEST_NOISE, NoiseKey
from federated.regression.noise import noise_of
from federated.sharing.wide_noise import whole_noise
from psi.protocol import MisuseError

COUNT = 4000
SIX = 6 * 0.5 / np.sqrt(COUNT)
"""Six deviations of the mean of as many fair bits."""


def drawn(deviation: float, bits: int = 0) -> np.ndarray:
    random = hashlib.shake_256(b"wide noise").digest
    return noise_of((COUNT, 1), np.array([deviation]), bits, random)


def low_bits(words: np.ndarray, count: int) -> np.ndarray:
    """The mean of each of the lowest bits."""
    return np.array([(words >> np.uint64(n) & np.uint64(1)).mean() for n in range(count)])


@pytest.mark.parametrize("width", [40, 50, 56, 60, 64, 80, 900])
def test_the_lowest_digits_of_a_wide_draw_are_random(width: int) -> None:
    """A liar makes noise of sums as wide as it likes, by a unit that it tells: of floats alone a
    width of 2^60 left the lowest 8 bits of a sum without noise, of 2^64 all of them."""
    words = drawn(2.0**width)
    assert (np.abs(low_bits(words, 32) - 0.5) < SIX).all()
    again = drawn(2.0 ** (width - 12), 12)  # in fixed point
    assert np.array_equal(words, again)


def test_a_draw_has_the_deviation_that_is_asked() -> None:
    for width in (1.0, 2.0**30, 2.0**47, 2.0**48, 2.0**58):
        found = drawn(width).view(np.int64).astype(np.float64)
        assert found.std() == pytest.approx(width, rel=6 / np.sqrt(2 * COUNT))
    assert not drawn(0.0).any()


@pytest.mark.parametrize("width", [float("nan"), -1.0])
def test_noise_of_no_width_is_refused(width: float) -> None:
    with pytest.raises(MisuseError, match="no number"):
        whole_noise(np.zeros(1), width, np.zeros(1, np.uint64))


def test_noise_across_rows_has_all_digits_too() -> None:
    """By a mean of its choosing a coordinator makes it as wide as the grid holds."""
    wide = np.full(COUNT, LARGEST_NOISE * 0.99)
    words = NoiseKey(b"k" * 32).draw(wide, b"x").view(np.uint64)
    assert (np.abs(low_bits(words, 32) - 0.5) < SIX).all()
