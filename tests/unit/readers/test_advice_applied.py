"""Advice that is applied here, and reads the file; and what was passed over without a word."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from federated.readers.advice import how_dated, how_to_read
from federated.tables.bindings import TablesFile
from federated.tables.column_report import columns_taken
from federated.tables.days import days_of
from federated.tables.matrix import binary_label
from federated.tables.preflight import preflight
from psi.protocol import InputError


def bound(folder: Path, text: str, more: str = "") -> TablesFile:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    (folder / "tables.toml").write_text(f'[bank.t]\npath = "t.csv"\n{more}\n', encoding="utf-8")
    return TablesFile.load(folder / "tables.toml")


def said(table: pa.Table, *roles: str, column: str = "z") -> str:
    (found,) = columns_taken(table, {column: roles})
    return "; ".join(found.wrong)


@pytest.mark.parametrize("role", ["segment", "category", "list column", "feature", ""])
def test_one_group_in_several_spellings_is_told_for_whatever_a_column_is_used(role: str) -> None:
    """Means were told of four groups where there was one: only features were looked at."""
    texts = ["retail", "Retail", "\uff32\uff25\uff34\uff21\uff29\uff2c", "retail\u200b"] * 30
    told = said(pa.table({"z": texts}), *([role] if role else []))
    assert "3 of 4 categories differ from another by case, width, blanks" in told
    assert "differ" not in said(pa.table({"z": ["retail", "private"] * 30}), *[role] * bool(role))


def test_lines_that_are_longer_below_many_good_ones_are_not_taken_for_a_table_with_titles(
    tmp_path: Path,
) -> None:
    """The hint was to delete the 299 good rows above."""
    lines = ["id,v", *(f"c{i},{i}" for i in range(60)), *(f"d{i},{i},x" for i in range(90))]
    with pytest.raises(InputError) as caught:
        bound(tmp_path, "\n".join(lines) + "\n")["bank.t"].load()
    assert "delete" not in str(caught.value.hint)
    assert "the 60 lines above it fit the header" in str(caught.value.hint)
    few = "id,v\nc1,2\n" + "".join(f"d{i},{i},x\n" for i in range(9))
    with pytest.raises(InputError) as caught:  # a row is no header
        bound(tmp_path, few)["bank.t"].load()
    assert "delete" not in str(caught.value.hint)


def test_hints_lead_from_a_title_above_semicolons_to_a_table(tmp_path: Path) -> None:
    text = "Customers of the bank\nid;name;v\n" + "".join(
        f"c{i};n{i};1,{i:03}{',5' * (i % 2)}\n" for i in range(40)
    )
    with pytest.raises(InputError) as caught:
        bound(tmp_path, text)["bank.t"].load()
    assert "set delimiter = ';' in tables.toml" in str(caught.value.hint)
    with pytest.raises(InputError) as caught:
        bound(tmp_path, text, 'delimiter = ";"')["bank.t"].load()
    assert "is line 2 the header? delete the lines above it" in str(caught.value.hint)
    whole = text.split("\n", 1)[1]
    assert bound(tmp_path, whole, 'delimiter = ";"')["bank.t"].load(["id"]).num_rows == 40


@pytest.mark.parametrize(
    "form", ["{d:02}/{m:02}/2025", "{d}.{m}.2025", "2025/{m}/{d}", "2025{m:02}{d:02}",
             "2025年{m}月{d}日", "{m:02}/{d:02}/2025", "{n}"],
)  # fmt: skip
def test_the_form_of_days_that_is_advised_reads_them(tmp_path: Path, form: str) -> None:
    """dd.mm.yyyy was advised whatever stood there, and read nothing of 17/02/2025."""
    days = [(1 + i % 28, 1 + i % 12, 45658 + i) for i in range(60)]
    rows = "".join(f"c{i},{form.format(d=d, m=m, n=n)}\n" for i, (d, m, n) in enumerate(days))
    more = 'types = { z = "string" }\n'
    wrong = more + 'dates = { z = "dd-mm-yyyy" }\n'
    for declared in (more, wrong):
        with pytest.raises(InputError, match="are no days") as caught:
            days_of(bound(tmp_path, "id,z\n" + rows, declared)["bank.t"].load(["z"]), "z", "t")
        advised = re.findall(r"dates = \{[^}]*\}", str(caught.value.hint))
        assert len(advised) == 1
    table = bound(tmp_path, "id,z\n" + rows, more + advised[0])["bank.t"].load(["z"])
    assert not np.isnat(days_of(table, "z", "t")).any()


def test_days_in_several_forms_get_no_form_that_reads_but_some() -> None:
    mixed = pa.array(["2025-01-01", "17/02/2025", "45658", "2025年3月3日"])
    assert "dates =" not in how_dated(mixed, "z")
    told = pa.array(["2025-01-01", "17/02/2025"])
    assert 'dates = { z = "dd/mm/yyyy" }' in how_dated(told, "z")
    assert "dates =" not in how_dated(told, "z", declared=True)  # it would unread the others


@pytest.mark.parametrize("money", [("${}", "€{}"), ("USD {}", "{} EUR"), ("¥{}", "£{}")])
def test_amounts_in_two_currencies_are_no_numbers(tmp_path: Path, money: tuple[str, str]) -> None:
    """$1.20 and €3.40 had a mean, by the advice of this library."""
    texts = [money[i % 2].format(f"{i}.5") for i in range(40)]
    rows = "id,z\n" + "".join(f"c{i},{text}\n" for i, text in enumerate(texts))
    hint = how_to_read(pa.array(texts), "z")
    assert "one currency" in hint
    assert "types" not in hint
    with pytest.raises(InputError, match="several currencies") as caught:
        bound(tmp_path, rows, 'types = { z = "money" }')["bank.t"].load(["z"])
    assert "one currency" in str(caught.value.hint)


def test_one_currency_in_two_spellings_is_read(tmp_path: Path) -> None:
    rows = "id,z\n" + "".join(
        f"c{i},{('¥{}', '{} CNY', '{}')[i % 3].format(i)}\n" for i in range(30)
    )
    table = bound(tmp_path, rows, 'types = { z = "money" }')["bank.t"].load(["z"])
    assert table["z"].to_pylist() == list(range(30))


@pytest.mark.parametrize("role", ["label", "measure", "fact", "feature"])
def test_counts_with_9999_among_them_are_told_in_every_role(role: str) -> None:
    """A model of counts from 0 to 8 was fitted to twelve of 9,999."""
    counts = np.arange(400) % 9
    assert not said(pa.table({"z": counts}), role)
    for code in (9999, -999):
        held = np.where(np.arange(400) < 12, code, counts)
        assert f"12 rows hold {code}, apart from all others" in said(pa.table({"z": held}), role)
    assert not said(pa.table({"z": np.where(counts > 7, 99, counts)}), role)  # may be a count


def test_nulls_that_are_advised_hold_all_that_was_missing_before(tmp_path: Path) -> None:
    """nulls take the place of the usual words: with the advice NA came back as text."""
    values = [("NA", "NULL", -999, f"{i / 4}")[min(i % 9, 3)] for i in range(300)]
    rows = "id,z\n" + "".join(f"c{i},{value}\n" for i, value in enumerate(values))
    table = bound(tmp_path, rows)["bank.t"].load(["z"])
    advised = re.findall(r"nulls = \{[^}]*\}", said(table, "feature"))
    assert advised[0] == 'nulls = { z = ["-999", "NA", "NULL"] }'
    table = bound(tmp_path, rows, advised[0])["bank.t"].load(["z"])
    assert table["z"].null_count == 102
    assert table["z"].type == pa.float64()
    keys = "id\n" + "".join(f"{('NA', '-', f'c{i}')[min(i % 9, 2)]}\n" for i in range(90))
    table = bound(tmp_path, keys)["bank.t"].load(["id"], keys=["id"])
    found = preflight(table, [["id"]], {"id": "text"})
    assert 'nulls = { id = ["-", "NA"] }' in found.to_text()


@pytest.mark.parametrize(
    "classes", [("Y", "yes", "N", "no"), ("1", "yes", "0"), ("A", "\uff21", "b")]
)
def test_a_label_of_two_classes_in_several_spellings_says_so(classes: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="classes") as caught:
        binary_label(pa.table({"z": list(classes) * 9}), "z")
    assert "one spelling" in str(caught.value.hint)
    with pytest.raises(InputError) as caught:
        binary_label(pa.table({"z": ["yes", "no", "unknown"]}), "z")
    assert "one spelling" not in str(caught.value.hint)


@pytest.mark.parametrize("form", ["{} days", "{} days 04:05:06", "1 year {} mons", "{}:00:01"])
def test_intervals_of_databases_are_no_categories(form: str) -> None:
    """A duration of a Parquet file was refused, the INTERVAL of a database pooled."""
    table = pa.table({"z": [form.format(10 + i % 30) for i in range(300)]})
    assert "30 different durations: turn it into a number" in said(table, "feature")
    assert not said(table, "fact")
    few = pa.table({"z": [f"{i % 3} days" for i in range(300)]})  # categories
    assert "each taken for a category" in said(few, "feature")  # told, and left to their owner
