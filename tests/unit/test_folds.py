"""The key that deals folds: it lasts, names records alike, and is its owner's alone."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.contract.terms import PartyTerms
from federated.releases.book import Level
from federated.steps.folds import FoldKey, dealt
from psi.protocol import EnvironmentFailed, InputError

ID = Level(("id",), ("text",))
PHONE = Level(("phone",), ("phone",))


def terms(*levels: Level, table: str = "bank.people") -> PartyTerms:
    columns, kinds = tuple(x.columns for x in levels), tuple(x.kinds for x in levels)
    return PartyTerms(
        name="bank", organisation="", sealing="", table=table, keys=columns, kinds=kinds
    )


def kept(folder: Path, *levels: Level, there: tuple[str, ...] = ("id", "phone")) -> FoldKey:
    return FoldKey.kept(folder, terms(*levels), there, secrets.token_bytes)


def names(prefix: str, rows: int = 1000) -> pa.Array:
    return pa.array([f"{prefix}{number}" for number in range(rows)], pa.large_string())


ROWS = pa.table({"id": names("x"), "y": np.arange(1000)})


def test_a_key_is_made_once_and_deals_evenly(tmp_path: Path) -> None:
    first, again = kept(tmp_path, ID), kept(tmp_path, ID)
    folds = first.deal([names("x")], ROWS, 5)
    assert np.array_equal(folds, again.deal([names("x")], ROWS, 5))
    sizes = np.bincount(folds, minlength=5)
    assert sizes.sum() == 1000
    assert abs(sizes - 200).max() < 6 * np.sqrt(160)
    # halves of tenths: more folds are told of the same deal, not of another
    assert np.array_equal(first.deal([names("x")], ROWS, 10) % 5, folds)
    other = kept(tmp_path / "other", ID)
    assert np.mean(folds == other.deal([names("x")], ROWS, 5)) < 0.3
    assert repr(first.secret) not in repr(first)


def test_the_table_and_its_columns_may_have_other_names(tmp_path: Path) -> None:
    first = kept(tmp_path, ID)
    may = terms(Level(("number",), ("text",)), table="bank.may")
    renamed = FoldKey.kept(tmp_path, may, ["number"], secrets.token_bytes)
    assert renamed.levels == (Level(("number",), ("text",)),)
    here, there = (key.deal([names("x")], ROWS, 5) for key in (first, renamed))
    assert np.array_equal(here, there)


def test_what_named_a_record_first_names_it_always(tmp_path: Path) -> None:
    kept(tmp_path, ID)
    both = kept(tmp_path, PHONE)
    assert both.levels == (ID, PHONE)
    assert FoldKey.naming(tmp_path) == ["id", "phone"]
    by_phone = both.deal([names("x"), names("p")], ROWS, 5)
    assert np.array_equal(by_phone, kept(tmp_path, ID, there=("id",)).deal([names("x")], ROWS, 5))
    gaps = pa.array([None if n % 2 else f"x{n}" for n in range(1000)], pa.large_string())
    some = both.deal([gaps, names("p")], ROWS, 5)
    assert np.array_equal(some[::2], by_phone[::2])
    assert not np.array_equal(some[1::2], by_phone[1::2])


def test_a_row_without_a_name_is_dealt_by_its_contents(tmp_path: Path) -> None:
    key = kept(tmp_path, ID)
    none = pa.nulls(1000, pa.large_string())
    folds = key.deal([none], ROWS, 5)
    order = np.random.default_rng(1).permutation(1000)
    assert np.array_equal(key.deal([none], ROWS.take(pa.array(order)), 5), folds[order])
    assert np.bincount(folds).min() > 100


def test_a_key_that_others_can_read_or_that_was_altered_is_not_used(tmp_path: Path) -> None:
    kept(tmp_path, ID)
    (tmp_path / "folds").chmod(0o644)
    with pytest.raises(EnvironmentFailed, match="can be read by others"):
        kept(tmp_path, ID)
    (tmp_path / "folds").chmod(0o600)
    (tmp_path / "folds").write_bytes(b"{}")
    with pytest.raises(InputError, match="altered"):
        kept(tmp_path, ID)


def test_rows_without_a_label_have_no_fold() -> None:
    key = FoldKey.of_job(bytes(32), terms(ID))
    folds = key.deal([names("x")], ROWS, 5)
    labelled = np.arange(1000) % 3 > 0
    found = dealt(folds.astype("<i2").tobytes(), labelled)
    assert np.array_equal(found[labelled], folds[labelled])
    assert (found[~labelled] == -1).all()
