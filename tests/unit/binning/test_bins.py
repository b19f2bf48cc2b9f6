"""Bins that are cut at home: enough rows in each, and the same bin for the same value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from federated.binning import category_bins, number_bins
from federated.binning.bins import bins_from
from psi.protocol import MisuseError


def numbers(rows: int = 1000, gone: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(3)
    values = rng.lognormal(size=rows).round(1)
    values[rng.random(rows) < gone] = np.nan
    return values


@pytest.mark.parametrize("least", [1, 20, 150])
@pytest.mark.parametrize("gone", [0.0, 0.005, 0.1, 0.95])
def test_no_bin_of_numbers_has_fewer_rows_than_the_least(least: int, gone: float) -> None:
    values = numbers(gone=gone)
    bins = number_bins(values, 10, least)
    counts = np.bincount(bins.codes(values), minlength=bins.count)
    assert len(counts) == bins.count <= 10
    assert counts.min() >= least
    assert len(bins.names) == bins.count
    assert bins_from(bins.plain()) == bins


def test_edges_are_quantiles_and_equal_values_share_a_bin() -> None:
    values = np.arange(100.0)
    assert number_bins(values, 4, 5).edges == (25.0, 50.0, 75.0)
    tied = np.repeat([0.0, 1.0, 2.0], [60, 30, 10])
    bins = number_bins(tied, 10, 5)
    assert bins.edges == (1.0, 2.0)
    assert bins.codes(np.array([-5.0, 0.0, 0.9, 1.0, 7.0])).tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("values", [np.full(50, 3.0), np.full(50, np.nan), np.zeros(0)])
def test_a_column_without_differences_is_one_bin(values: np.ndarray) -> None:
    bins = number_bins(values, 10, 5)
    assert len(np.unique(bins.codes(values))) <= 1
    assert not bins.edges


@pytest.mark.parametrize("most", [2, 3, 6, 50])
@pytest.mark.parametrize("least", [1, 30, 400])
def test_categories_of_few_rows_share_a_bin(most: int, least: int) -> None:
    rng = np.random.default_rng(4)
    drawn = rng.choice(["a", "b", "c", "d", "rare", ""], 1000, p=[0.4, 0.3, 0.1, 0.1, 0.02, 0.08])
    values = pa.array([text or None for text in drawn.tolist()], pa.large_string())
    bins = category_bins(values, most, least)
    counts = np.bincount(bins.codes(values), minlength=bins.count)
    assert bins.count <= most
    assert counts.min() >= least or bins.count == 1
    assert len(bins.names) == bins.count
    assert bins_from(bins.plain()) == bins
    unseen = bins.codes(pa.array(["never seen", None], pa.large_string()))
    assert (unseen < bins.count).all()


def test_saved_bins_that_are_none_are_refused() -> None:
    for wrong in ({}, {"kind": "number"}, {"kind": "category", "categories": 3}):
        with pytest.raises(MisuseError, match="no saved bins"):
            bins_from(wrong)


def test_bins_beside_each_other_are_one_range_in_words() -> None:
    values = np.r_[np.arange(100.0), np.full(20, np.nan)]
    bins = number_bins(values, 5, 5)
    assert bins.edges == (25.0, 50.0, 75.0)
    assert bins.words([0, 1]) == "below 50"
    assert bins.words([2, 1]) == "from 25 to below 75"
    assert bins.words([3, 0, 4]) == "below 25 or from 75 on or missing"
    assert bins.words([0, 1, 2, 3]) == "all"
    assert bins.names == tuple(bins.words([place]) for place in range(bins.count))
    found = category_bins(pa.array(["a"] * 30 + ["b"] * 20, pa.large_string()), 5, 5)
    assert found.words([1, 0]) == "a or b or other"


def test_a_bin_is_named_after_all_that_are_in_it() -> None:
    """Rare and later categories go into the largest bin: its name is true of them."""
    few = pa.array(["uni"] * 50 + ["grad"] * 30 + ["x6", None] * 4, pa.large_string())
    bins = category_bins(few, 6, 20)
    assert bins.names == ("uni or other", "grad")
    assert bins.names[bins.codes(pa.array(["never seen"], pa.large_string()))[0]] == "uni or other"
    assert bins.words([0, 1]) == "uni or grad or other"


def test_a_category_called_other_is_not_all_others() -> None:
    texts = ["other"] * 50 + ["missing"] * 40 + ["grad"] * 30 + ["x5"] * 12 + ["x6"] * 12
    bins = category_bins(pa.array(texts + [None] * 25, pa.large_string()), 6, 20)
    assert bins.names == ("other", "missing", "grad", "all others", "no value")
    assert len(set(bins.names)) == bins.count
