"""What a receiver who knows all shared records but one learns of that one's bin from [[binning]].

It chooses the records, and which of them are positive; nobody lies. Without the owner's noise each
of these tells the bin outright.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from federated.binning import CategoryBins, blurred, drift_of, told, worth_of
from federated.binning.own_noise import DRIFT_SCALE, VALUE_SCALE

DRAWS = 400
SLACK = 6 * math.sqrt(0.5 / DRAWS)
"""Six standard deviations of a difference of two shares in so many draws each, at the most."""


def apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """How much more often some threshold is passed by one than by the other (Kolmogorov)."""
    every = np.unique(np.concatenate([first, second]))
    low = np.searchsorted(np.sort(first), every, "right") / len(first)
    high = np.searchsorted(np.sort(second), every, "right") / len(second)
    return float(np.abs(low - high).max())


def most(epsilon: float) -> float:
    """What two answers under this epsilon may be apart."""
    return math.tanh(epsilon / 2)


def drawn(answer: Callable[[], float]) -> NDArray[np.float64]:
    return np.array([answer() for _ in range(DRAWS)])


def test_drift_of_a_bin_with_one_record_is_noise() -> None:
    before = np.array([6_000, 7_000, 6_000, 1_000])
    plain, found = [], []
    for place in (0, 1, 3):
        now = np.array([0, 0, 20_000, 0])
        now[place] += 1
        plain.append(drift_of(before, now, lambda scales: [0] * len(scales)))
        found.append(drawn(lambda now=now: drift_of(before, now)))  # type: ignore[misc]
    assert max(plain) - min(plain) < 0.001, "a floor makes one record nothing"
    for one in found[1:]:
        assert apart(found[0], one) <= most(2 / DRIFT_SCALE) + SLACK


def test_one_record_more_or_less_moves_drift_by_no_more_than_its_noise() -> None:
    """At the floor itself, where a record counts whole."""
    before = np.array([400, 400, 400])
    near, beside = np.array([13, 387, 400]), np.array([14, 386, 400])
    answers = [drawn(lambda now=now: drift_of(before, now)) for now in (near, beside)]  # type: ignore[misc]
    assert apart(*answers) <= most(2 / DRIFT_SCALE) + SLACK


def test_a_person_among_known_ones_is_hidden_by_the_owners_noise() -> None:
    """The person is the twentieth positive of a flag: then it has two bins, else one."""
    bins = CategoryBins(("no", "yes"), 0, 0)

    def answer(flag: int, *, noise: bool) -> tuple[float, float]:
        yes, no = 20 + flag, 401 - flag
        opened = np.array([[200 + 1 - flag, no], [19 + flag, yes + 20]])
        counts = blurred([opened]) if noise else [opened]
        scale = VALUE_SCALE * noise
        said = told(
            [worth_of("flag", bins, [no, yes], counts[0], least=20, monotone=False, scale=scale)]
        )
        return float(said.value[0]), float(said.bins[0])

    bare = [answer(flag, noise=False) for flag in (0, 1)]
    assert bare[0] != bare[1]
    found = [np.array([answer(flag, noise=True) for _ in range(DRAWS)]) for flag in (0, 1)]
    for place in (0, 1):
        assert apart(found[0][:, place], found[1][:, place]) <= most(4 / VALUE_SCALE) + SLACK
