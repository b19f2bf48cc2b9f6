"""Folds are even in records: one that has many rows is in one fold with all of them."""

from __future__ import annotations

import numpy as np
import pytest

from federated.regression.guards import check_classes, check_folds
from psi.protocol import Refused


def pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """200 records in five folds, 40 in each; the first has 300 rows."""
    records = np.repeat(np.arange(200), np.where(np.arange(200) == 0, 300, 1))
    folds = (records % 5).astype(np.int16)
    return folds, (np.arange(len(records)) % 2).astype(np.int8), records


def test_a_record_with_many_rows_does_not_make_a_fold_uneven() -> None:
    folds, label, records = pairs()
    check_folds(folds, label, records)
    with pytest.raises(Refused, match="folds of 40 to 339 rows"):
        check_folds(folds, label)


def test_many_rows_of_few_records_do_not_make_a_fold_large_enough() -> None:
    folds, label, records = pairs()
    few = np.where(folds == 0, 0, records)  # 339 rows of one record
    with pytest.raises(Refused, match="folds of 1 to 40 records"):
        check_folds(folds, label, few)


def test_rows_without_a_label_are_in_no_fold() -> None:
    folds, label, records = pairs()
    without = records % 7 == 3
    label[without], folds[without] = -1, -1
    check_folds(folds, label, records)


def test_a_record_has_one_fold_and_a_label_in_all_of_its_rows() -> None:
    folds, label, records = pairs()
    label[7], folds[7] = -1, -1  # of the record with 300 rows
    with pytest.raises(Refused, match="1 records are in several folds, or have rows with a label"):
        check_folds(folds, label, records)


def test_records_of_several_cut_offs_count_for_each_class_that_they_have() -> None:
    """Nobody has left by the first cut-off, 25 of 40 by the second: a row each, one record."""
    label, records = np.repeat([0, 1, 0], [40, 25, 15]), np.r_[np.arange(40), np.arange(40)]
    assert check_classes(label, records) == [40, 25]
    with pytest.raises(Refused, match="1 labelled rows of one class"):
        check_classes(label, np.where(label == 1, 0, records))  # one record, 25 times
