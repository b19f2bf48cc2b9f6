"""Bins of a party's columns, and the splits between them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from federated.trees import Binning, Column, Layout
from federated.trees.layout import MOST_CELLS
from psi.protocol import InputError, MisuseError, PeerError


def table(rows: int = 4000) -> pa.Table:
    rng = np.random.default_rng(3)
    amount = rng.lognormal(size=rows)
    amount[rng.random(rows) < 0.1] = np.nan
    few = rng.integers(0, 4, rows).astype(float)
    few[:5] = np.nan
    trade = rng.choice(["food", "cars", "books"], rows, p=[0.6, 0.39, 0.01]).astype(object)
    trade[:100] = None
    return pa.table(
        {
            "amount": amount,
            "few": few,
            "trade": pa.array(trade, pa.string()),
            "same": np.ones(rows),
            "rare": (np.arange(rows) < 7).astype(float),
        }
    )


def test_bins_are_as_many_as_allowed_and_hold_rows_enough() -> None:
    made = table()
    binning = Binning.fit(made, ["amount", "few", "trade"])
    amount, few, trade = binning.transform(made)
    assert binning.layout.columns[0] == Column(MOST_CELLS, ordered=True, missing=True)
    counts = np.bincount(amount)
    gone = np.isnan(made["amount"].to_numpy())
    assert np.array_equal(amount == MOST_CELLS - 1, gone)
    assert counts[:-1].max() < 1.5 * counts[:-1].min()
    order = np.argsort(made["amount"].to_numpy()[~gone])
    assert (np.diff(amount[~gone][order].astype(int)) >= 0).all()
    # five missing values are no bin of their own
    assert binning.layout.columns[1] == Column(4, ordered=True, missing=False)
    assert (few[:5] == np.bincount(few[5:]).argmax()).all()
    assert binning.layout.columns[2] == Column(4, ordered=False, missing=False)
    assert min(np.bincount(trade)) >= 20
    assert (trade[:100] == 3).all()


@pytest.mark.parametrize("name", ["same", "rare"])
def test_a_column_without_two_bins_is_left_out_with_a_note(name: str) -> None:
    binning = Binning.fit(table(), ["few", name])
    assert [each.name for each in binning.columns] == ["few"]
    assert binning.notes[0].startswith(f"{name}: fewer than 20 rows differ")


def test_bins_of_other_rows_are_those_that_were_fitted() -> None:
    made = table()
    binning = Binning.fit(made, ["amount", "trade"], np.arange(4000) < 2000)
    other = pa.table({"amount": [-5.0, 1e9, None], "trade": ["food", "planes", None]})
    amount, trade = binning.transform(other)
    highest = binning.layout.columns[0].cells - 2
    assert amount.tolist() == [0, highest, highest + 1]
    assert trade[0] == 0
    assert trade[1] < binning.layout.columns[1].cells
    again = Binning.from_dict(json.loads(json.dumps(binning.as_dict())))
    assert again == binning
    for one, two in zip(again.transform(made), binning.transform(made), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": 3},
        {"columns": [{"kind": "tree"}]},
        {"columns": [{"kind": "number", "name": "a", "edges": [2, 1], "missing": 0, "fullest": 0}]},
        {"columns": [{"kind": "number", "name": "a", "edges": [1], "missing": 0, "fullest": 9}]},
        {"columns": [{"kind": "number", "name": "a", "edges": [], "missing": 0, "fullest": 0}]},
        {"notes": None},
    ],
)
def test_bins_that_were_not_saved_by_this_are_refused(change: dict[str, object]) -> None:
    saved = Binning.fit(table(), ["few"]).as_dict()
    with pytest.raises(MisuseError, match="no saved bins"):
        Binning.from_dict({**saved, **change})


def test_what_makes_no_bins_is_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        Binning.fit(pa.table({"a": [1.0, np.inf, 2.0]}), ["a"])
    with pytest.raises(InputError, match="no training rows"):
        Binning.fit(table(), ["few"], np.zeros(4000, np.bool_))
    with pytest.raises(MisuseError, match="33 bins"):
        Binning.fit(table(), ["few"], most=33)
    with pytest.raises(MisuseError, match="a mask"):
        Binning.fit(table(), ["few"], np.ones(3, np.bool_))


def test_candidates_split_an_order_and_one_category_from_the_rest() -> None:
    ordered = Column(4, ordered=True, missing=True).left.astype(int)
    assert ordered.tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 1],
        [1, 1, 0, 1],
        [1, 1, 1, 0],
    ]
    assert np.array_equal(Column(3, ordered=False, missing=False).left, np.eye(3))
    assert len(Column(2, ordered=False, missing=False).left) == 1
    layout = Layout((Column(4, ordered=True, missing=True), Column(3, False, False)))
    assert layout.candidates == 8
    assert layout.split(4)[0] == 0
    assert layout.split(5)[0] == 1
    rng = np.random.default_rng(0)
    cells = [rng.integers(0, 2**32, (size, 3), dtype=np.uint32) for size in (4, 4)]
    sums = layout.sums(cells)
    for candidate in range(8):
        column, left = layout.split(candidate)
        wanted = cells[column][: len(left)][left].sum(axis=0, dtype=np.uint32)
        assert np.array_equal(sums[candidate], wanted)


def test_a_layout_without_columns_or_with_a_column_of_missing_values_is_refused() -> None:
    for columns in ((), (Column(3, ordered=False, missing=True),)):
        with pytest.raises(PeerError):
            Layout(columns).check()


def test_a_split_reads_as_words() -> None:
    binning = Binning.fit(table(), ["amount", "few", "trade"])
    column, left = binning.layout.split(0)
    lower = binning.words(column, left)
    assert lower.startswith("amount <= 0.")
    above = binning.words(column, ~left)  # of a column with which scores fall
    assert above == lower.replace("<=", ">") + " or missing"
    first = Binning(binning.columns[:1])
    column, left = first.layout.split(first.layout.candidates - 1)
    assert first.words(column, left) == "amount is known"
    column, left = binning.layout.split(binning.layout.candidates - 1)
    assert binning.words(column, left) == "trade in missing"
