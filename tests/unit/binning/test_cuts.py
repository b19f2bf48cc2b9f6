"""Cuts of a column of numbers: frequent values alone, few values one by one, else quantiles."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from federated.binning import number_bins, worth_of
from federated.binning.cuts import cuts


def spread(values: list[float], rows: list[int]) -> np.ndarray:
    return np.repeat(np.array(values, np.float64), rows)


def test_a_value_that_a_tenth_of_the_rows_have_keeps_its_worth() -> None:
    """As PAY_5 of credit_default: quantiles alone put 2, which says most, with 0."""
    rows, rates = [4546, 5539, 16947, 2626, 178, 84, 17, 4, 58, 1], [0.2, 0.16, 0.19, 0.54]
    values = spread([-2, -1, 0, 2, 3, 4, 5, 6, 7, 8], rows)
    each = np.round(np.array(rows) * (rates[:3] + [rates[3]] * 7)).astype(np.int64)
    label = np.concatenate([np.arange(n) < k for n, k in zip(rows, each, strict=True)])
    bins = number_bins(values, 10, 20)
    assert bins.edges == (-1.0, 0.0, 2.0, 3.0, 4.0, 5.0, 7.0)
    codes = bins.codes(values)
    counted = np.bincount(codes)
    opened = np.column_stack([np.bincount(codes, label).astype(np.int64), counted])
    worth = worth_of("pay", bins, counted.tolist(), opened, least=20, monotone=False)
    assert worth.value > 0.3  # by quantiles alone .04


@pytest.mark.parametrize("at", [0, 3, 6])
def test_nineteen_of_twenty_rows_of_one_value_leave_the_others_their_bins(at: int) -> None:
    """As pdays of bank_marketing and late payments of give_credit: quantiles alone were one bin."""
    others = np.arange(1.0, 1001.0)
    common = np.full(19_000, [0.0, 0, 0, 500.5, 0, 0, 2000.0][at])
    lowest, rows = cuts(np.sort(np.r_[others, common]), 10, 20)
    assert len(lowest) == 10
    assert np.sort(rows)[-1] == 19_000
    assert (np.abs(np.sort(rows)[:-1] - 1000 / 9) < 15).all()


def test_a_bin_for_each_of_few_values_with_rows_enough() -> None:
    lowest, rows = cuts(spread([1, 2, 3, 4, 5], [900, 20, 30, 19, 31]), 10, 20)
    assert lowest.tolist() == [1, 2, 3, 5] or lowest.tolist() == [1, 2, 3, 4]
    assert rows.min() >= 20
    same = number_bins(spread([5, 4, 3, 2, 1], [31, 19, 30, 20, 900]), 10, 20)
    assert list(same.edges) == lowest[1:].tolist()  # whatever the order of rows


def test_cuts_are_the_best_of_all() -> None:
    """Against every way to cut."""
    draw = np.random.default_rng(5)
    for _ in range(40):
        sizes = draw.integers(1, 12, draw.integers(1, 8)) * draw.choice([1, 1, 6], 1)
        most, least = int(draw.integers(1, 6)), int(draw.integers(1, 8))
        n, places = int(sizes.sum()), range(1, len(sizes))
        best = (np.inf, np.inf)
        for count in range(min(most, len(sizes))):
            for chosen in combinations(places, count):
                parts = np.split(sizes, chosen)
                if count and min(part.sum() for part in parts) < least:
                    continue
                shared = sum(p[p * most >= n].sum() for p in parts if len(p) > 1)
                best = min(best, (shared, sum(int(p.sum()) ** 2 for p in parts)))
        lowest, rows = cuts(spread([*range(len(sizes))], sizes.tolist()), most, least)
        parts = np.split(sizes, lowest[1:].astype(np.int64))
        assert [part.sum() for part in parts] == rows.tolist()
        found = sum(p[p * most >= n].sum() for p in parts if len(p) > 1), int((rows**2).sum())
        assert found == best


def test_noise_widens_the_groups_of_bins() -> None:
    """Noise of scale 50 on bins without any worth: by the least of 20 it looked like evidence."""
    draw, values = np.random.default_rng(6), spread([*range(10)], [*[4000] * 3, *[60] * 7])
    bins = number_bins(values, 10, 20)
    rows = np.bincount(bins.codes(values))
    opened, found = np.column_stack([rows // 2, rows]), list[list[float]]()
    for _ in range(20):
        noise = draw.geometric(0.02, opened.shape) - draw.geometric(0.02, opened.shape)
        found.append(
            [
                worth_of(
                    "none",
                    bins,
                    rows.tolist(),
                    opened + noise,
                    least=20,
                    monotone=False,
                    scale=scale,
                ).value
                for scale in (0, 50)
            ]
        )
    blind, aware = np.mean(found, axis=0)
    assert aware < blind / 2
