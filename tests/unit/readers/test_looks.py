"""What a column looks like and is not read as: told before a job, by a count, and never changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from federated.readers.dates import days_in, patterns_of
from federated.tables.bindings import TablesFile
from federated.tables.column_report import columns_taken
from federated.tables.preflight import preflight
from psi.protocol import InputError

ROWS = 120


def told(folder: Path, value: Callable[[int], str], section: str = "") -> tuple[str, str]:
    """What is said of a column as a feature, and as a key."""
    lines = ["id;v", *(f"{i};{value(i)}" for i in range(ROWS)), ""]
    (folder / "t.csv").write_text("\n".join(lines))
    (folder / "tables.toml").write_text(f"[b.t]\npath = 't.csv'\ndelimiter = ';'\n{section}\n")
    bound = TablesFile.load(folder / "tables.toml")["b.t"]
    (taken,) = columns_taken(bound.load(keys=["id"]), {"v": ["feature"]})
    key = preflight(bound.load(keys=["v"]), [["v"]], {"v": "text"})
    return " | ".join(taken.wrong), " | ".join(key.suggestions)


def sub(name: str) -> Callable[[int], str]:
    return lambda i: name if i % 30 == 29 else f"c{i:03d}"


@pytest.mark.parametrize(
    ("name", "sums"),
    [
        *((name, True) for name in ("Total", "Grand total:", "North total", "North - Subtotal")),
        *((name, True) for name in ("合计", "北京小计", "合 计：", "小计：北京", "總計", "汇总")),
        *((name, True) for name in ("Summe", "Total: North", "120 rows selected.", "(120 rows)")),
        *((name, False) for name in ("TotalEnergies SE", "Total Wine", "Subtotaling", "合计划")),
        *(
            (name, False)
            for name in ("Summer", "Rowsell", "totally", "12 rows of seats", "小计算机")
        ),
    ],
)
def test_totals_and_subtotals_are_told_of_keys_and_categories(
    tmp_path: Path, name: str, sums: bool
) -> None:
    for said in told(tmp_path, sub(name)):
        assert ("4 rows are called a total" in said) is sums, said


@pytest.mark.parametrize(
    ("value", "merged"),
    [
        (lambda i: f"region {i // 20}" if i % 20 == 0 else "", True),
        (lambda i: f"r{i}" if i % 2 == 0 else "", True),
        (lambda i: f"region {i // 20}" if i % 20 == 1 else "", False),  # not from the first row on
        (lambda i: f"r{i}" if i % 20 < 2 else "", False),
        (lambda i: "r" if i == 0 else "", False),
    ],
)
def test_merged_cells_are_told(tmp_path: Path, value: Callable[[int], str], merged: bool) -> None:
    for said in told(tmp_path, value):
        assert ("cells were merged" in said) is merged, said


@pytest.mark.parametrize(
    ("value", "parted"),
    [
        (lambda i: f"{850 + i}" if i < 90 else f"1.{i:03d}", True),
        (lambda i: f"1.{i:03d}", False),  # rounded to three digits
        (lambda i: f"{i / 8}", False),
        (lambda i: f"{i}" if i < 90 else f"0.{i:03d}", False),
        (lambda i: f"{2000 + i}" if i < 90 else f"1.{i:03d}", False),
    ],
)
def test_points_that_part_thousands_are_told(
    tmp_path: Path, value: Callable[[int], str], parted: bool
) -> None:
    """1.234 beside 950 was read as less than it, and nobody told."""
    said, _ = told(tmp_path, value)
    assert ("parts thousands" in said) is parted
    if parted:
        advice = 'thousands = { v = "." }\ndecimal = { v = "," }'
        assert all(line in said for line in advice.splitlines())
        assert "parts thousands" not in told(tmp_path, value, advice)[0]
        table = TablesFile.load(tmp_path / "tables.toml")["b.t"].load(["v"])
        assert table["v"][100].as_py() == 1100


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ("{d:02d}-MAR-26", "dd-mon-yy"),
        ("{d} March 2026", "dd mon yyyy"),
        ("{d:02d}.Mar.2026", "dd.mon.yyyy"),
        ("March {d}, 2026", "mon dd, yyyy"),
    ],
)
def test_days_with_named_months_are_read(tmp_path: Path, written: str, pattern: str) -> None:
    said, _ = told(tmp_path, lambda i: written.format(d=i % 28 + 1))
    assert "different dates" in said
    told(tmp_path, lambda i: written.format(d=i % 28 + 1), f'dates = {{ v = "{pattern}" }}')
    table = TablesFile.load(tmp_path / "tables.toml")["b.t"].load(["v"])
    assert table["v"].to_pylist()[:3] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    if not written.startswith("March"):
        texts = pa.array([written.format(d=d) for d in range(1, 29)])
        assert patterns_of(texts) == (pattern,)


def test_days_that_are_none_are_told_with_their_row_where_a_form_is_declared(
    tmp_path: Path,
) -> None:
    written = {7: "31.02.2026", 9: "n/a"}
    said, _ = told(tmp_path, lambda i: written.get(i, "01.03.2026"), 'dates = { v = "dd.mm.yyyy" }')
    assert "2 values are no days as dates in tables.toml says, the first in row 8" in said


def test_a_day_that_is_not_there_is_none() -> None:
    """31 February was 3 March to Arrow, in rules, validation periods and campaigns."""
    texts = ["2026-02-31", "2026-04-31", "2024-02-29", "2026-2-3", "2026-07-31T10:00", "", None]
    found = [None if day is None else day.date().isoformat() for day in days_in(
        pa.chunked_array([texts])).to_pylist()]  # fmt: skip
    assert found == [None, None, "2024-02-29", "2026-02-03", "2026-07-31", None, None]


@pytest.mark.parametrize("name", ["ｉｄ", "\u200bid", "id\u200b", "ID", " id "])
def test_a_name_that_looks_alike_is_pointed_at(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text(f"{name},v,{'x' * 5000}\n1,2,3\n")
    (tmp_path / "tables.toml").write_text("[b.t]\npath = 't.csv'\n")
    with pytest.raises(InputError, match="no column 'id'") as caught:
        TablesFile.load(tmp_path / "tables.toml")["b.t"].load(["id"])
    assert repr(name) in caught.value.hint
    seen = name.strip().casefold() == "id"
    assert ("not seen" in caught.value.hint) is not seen
    with pytest.raises(InputError, match="no column 'other'") as caught:
        TablesFile.load(tmp_path / "tables.toml")["b.t"].load(["other"])
    assert len(caught.value.hint) < 200


def told_of(columns: dict[str, Any], name: str) -> str:
    """What is said of a feature."""
    found = columns_taken(pa.table(columns), {c: ["feature"] for c in columns})
    return next(" ".join(one.wrong) for one in found if one.column == name)


@pytest.mark.parametrize("thousands", [True, False])
def test_two_decimal_marks_in_one_column_are_told_with_rows(thousands: bool) -> None:
    texts = [f"{2029.57 + 31 * i:{',' * thousands}.2f}" for i in range(60)]
    swap = str.maketrans(",.", ".,")
    mixed = [text.translate(swap) if i % 3 == 1 else text for i, text in enumerate(texts)]
    (found,) = columns_taken(pa.table({"x": mixed}), {"x": ["feature"]})
    assert found.problem
    assert "a point before the fraction in 40, the first in row 1;" in found.wrong[0]
    assert "a comma before the fraction in 20, the first in row 2: export" in found.wrong[0]
    (found,) = columns_taken(pa.table({"x": texts}), {"x": ["feature"]})
    assert "two spellings" not in " ".join(found.wrong)


def test_a_column_of_which_a_training_takes_nothing_is_told() -> None:
    few = [float(i) if i < 7 else None for i in range(90)]
    assert "a training takes no such column in" in told_of({"x": few}, "x")
    one = ["a"] * 80 + ["b"] * 10
    assert "a training takes no such column in" in told_of({"x": one}, "x")
    gaps = ["a"] * 45 + [None] * 40 + ["b"] * 5  # what is missing is a column of its own
    assert "takes no such column" not in told_of({"x": gaps}, "x")
    assert "takes no such column" not in told_of({"x": [0, 0, 1] * 30}, "x")


def test_columns_that_say_the_same_are_told_once() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=500), rng.normal(size=500)
    gaps = np.where(np.arange(500) % 7 == 0, np.nan, x)
    given = {"x": x, "y": y, "twice": 3 - 2 * x, "gaps": gaps, "near": x + 1e-3 * y}
    columns = {name: pa.array(values, from_pandas=True) for name, values in given.items()}
    assert "is 'x' once more" in told_of(columns, "twice")
    for name in ("x", "y", "gaps", "near"):
        assert "once more" not in told_of(columns, name)


def test_days_that_a_spreadsheet_has_counted_are_told_by_the_columns_name() -> None:
    days = [42000 + 31 * i for i in range(60)]
    assert 'dates = { opened = "excel" }' in told_of({"opened": days}, "opened")
    assert "excel" not in told_of({"balance": days}, "balance")
    assert "excel" not in told_of({"opened": [1, *days]}, "opened")
